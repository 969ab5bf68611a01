"""A model on a set -> figures, files and reports."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.evaluation.estimate import Estimate
    from aucue.evaluation.files import write_evaluation
    from aucue.evaluation.measures import MEASURES, Measure
    from aucue.evaluation.report.comparison import compare
    from aucue.evaluation.report.page import write_comparison, write_report
    from aucue.evaluation.report.tables import Line, Table
    from aucue.evaluation.results import Classification, Evaluation, Example, Group, GroupMean
    from aucue.evaluation.run import evaluate
    from aucue.evaluation.settings import EvaluationSettings

_HOME = {
    "estimate": ("Estimate",),
    "files": ("write_evaluation",),
    "measures": ("MEASURES", "Measure"),
    "report.comparison": ("compare",),
    "report.page": ("write_comparison", "write_report"),
    "report.tables": ("Line", "Table"),
    "results": ("Classification", "Evaluation", "Example", "Group", "GroupMean"),
    "run": ("evaluate",),
    "settings": ("EvaluationSettings",),
}

__all__ = [
    "MEASURES",
    "Classification",
    "Estimate",
    "Evaluation",
    "EvaluationSettings",
    "Example",
    "Group",
    "GroupMean",
    "Line",
    "Measure",
    "Table",
    "compare",
    "evaluate",
    "write_comparison",
    "write_evaluation",
    "write_report",
]

__getattr__ = on_first_use(__name__, _HOME)
