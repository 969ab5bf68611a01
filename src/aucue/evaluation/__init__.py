"""A model on a set -> figures, files and reports."""

from aucue.evaluation.comparison import Comparison, compare
from aucue.evaluation.report import write_comparison, write_report
from aucue.evaluation.results import Classification, Estimate, Evaluation, Example, Group, GroupMean, Mean
from aucue.evaluation.run import evaluate

__all__ = [
    "Classification",
    "Comparison",
    "Estimate",
    "Evaluation",
    "Example",
    "Group",
    "GroupMean",
    "Mean",
    "compare",
    "evaluate",
    "write_comparison",
    "write_report",
]
