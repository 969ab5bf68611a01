"""A model on photographs: which expression, how sure, where it was seen, where an expert would look."""

from aucue.explanation.batch import ExplainedPhoto, ExplainReport, explain_files
from aucue.explanation.explainer import Explainer, load
from aucue.explanation.explanation import Explanation

__all__ = ["Explainer", "Explanation", "load", "explain_files", "ExplainReport", "ExplainedPhoto"]
