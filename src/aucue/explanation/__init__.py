"""A model on photographs and videos: which expression, how sure, where it was seen, and what is expected."""

from aucue.explanation.batch import ExplainedPhoto, ExplainReport, explain_files
from aucue.explanation.explainer import Explainer, load
from aucue.explanation.explanation import Explanation
from aucue.explanation.tracking import Smoother, Tracker
from aucue.explanation.units import FaceEvidence, MapShare, RegionShares, UnitEvidence
from aucue.explanation.video import ExplainedVideo

__all__ = [
    "Explainer",
    "Explanation",
    "load",
    "explain_files",
    "ExplainReport",
    "ExplainedPhoto",
    "ExplainedVideo",
    "FaceEvidence",
    "UnitEvidence",
    "RegionShares",
    "MapShare",
    "Tracker",
    "Smoother",
]
