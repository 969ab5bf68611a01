"""A model on a set -> figures, files and reports."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.evaluation.comparison import Comparison, compare
    from aucue.evaluation.report import write_comparison, write_report
    from aucue.evaluation.results import Classification, Estimate, Evaluation, Example, Group, GroupMean, Mean
    from aucue.evaluation.run import evaluate

_HOME = {
    "comparison": (
        "Comparison",
        "compare",
    ),
    "report": (
        "write_comparison",
        "write_report",
    ),
    "results": (
        "Classification",
        "Estimate",
        "Evaluation",
        "Example",
        "Group",
        "GroupMean",
        "Mean",
    ),
    "run": ("evaluate",),
}

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

__getattr__ = on_first_use(__name__, _HOME)
