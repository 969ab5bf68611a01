"""Synthetic faces: parametric people whose expressions are action units, with exact landmarks."""

from aucue.data.synthetic.parameters import FaceParameters, Identity, Mark, Shape, View
from aucue.data.synthetic.render import Rendering, render
from aucue.data.synthetic.sheet import contact_sheet
from aucue.data.synthetic.source import SyntheticSource, draw_action_units

__all__ = [
    "FaceParameters",
    "Identity",
    "Mark",
    "Rendering",
    "Shape",
    "SyntheticSource",
    "View",
    "contact_sheet",
    "draw_action_units",
    "render",
]
