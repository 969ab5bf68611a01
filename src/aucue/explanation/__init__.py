"""A model on photographs and videos: which expression, how sure, where it was seen, and what is expected."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.explanation.batch import ExplainedPhoto, ExplainReport, explain_files
    from aucue.explanation.explainer import Explainer
    from aucue.explanation.explanation import Explanation
    from aucue.explanation.graphs import GraphAnswer, GraphExplainer
    from aucue.explanation.hiding import HiddenRegion, IfHidden, Loss
    from aucue.explanation.loading import load
    from aucue.explanation.printed import write_printed
    from aucue.explanation.results import Explanations, to_dataframe
    from aucue.explanation.settings import ExplainSettings
    from aucue.explanation.tracking import Smoother, Tracker
    from aucue.explanation.units import FaceEvidence, MapShare, RegionShares, UnitEvidence
    from aucue.explanation.video import ExplainedVideo

_HOME = {
    "batch": (
        "ExplainedPhoto",
        "ExplainReport",
        "explain_files",
    ),
    "explainer": ("Explainer",),
    "graphs": (
        "GraphAnswer",
        "GraphExplainer",
    ),
    "loading": ("load",),
    "explanation": ("Explanation",),
    "hiding": (
        "HiddenRegion",
        "IfHidden",
        "Loss",
    ),
    "printed": ("write_printed",),
    "results": (
        "Explanations",
        "to_dataframe",
    ),
    "settings": ("ExplainSettings",),
    "tracking": (
        "Smoother",
        "Tracker",
    ),
    "units": (
        "FaceEvidence",
        "MapShare",
        "RegionShares",
        "UnitEvidence",
    ),
    "video": ("ExplainedVideo",),
}

__all__ = [
    "Explainer",
    "Explanation",
    "GraphAnswer",
    "GraphExplainer",
    "Explanations",
    "load",
    "to_dataframe",
    "explain_files",
    "write_printed",
    "ExplainSettings",
    "ExplainReport",
    "ExplainedPhoto",
    "ExplainedVideo",
    "IfHidden",
    "HiddenRegion",
    "Loss",
    "FaceEvidence",
    "UnitEvidence",
    "RegionShares",
    "MapShare",
    "Tracker",
    "Smoother",
]

__getattr__ = on_first_use(__name__, _HOME)
