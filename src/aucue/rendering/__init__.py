"""Drawn faces: parameters of a person and a showing -> a picture with exact landmarks and action units."""

from aucue.rendering.painter import Rendering, render
from aucue.rendering.parameters import FaceParameters, Identity, Shape, Sticker, View
from aucue.rendering.sheet import contact_sheet
from aucue.rendering.showing import draw_action_units

__all__ = [
    "FaceParameters",
    "Identity",
    "Sticker",
    "Rendering",
    "Shape",
    "View",
    "contact_sheet",
    "draw_action_units",
    "render",
]
