"""Models: a file, an address of a hub or nothing (the model in the box) in; a network that looks at faces,
and its card, out.
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.models.calibration import CalibrationRecord, PriorRecord, Scale
    from aucue.models.card import Card, GuidanceRecord
    from aucue.models.files import boxed_model, holds_model, load_card, load_model, model_file, save_model
    from aucue.models.hub import local_file
    from aucue.models.looking import Look
    from aucue.models.model import Model
    from aucue.models.naming import is_address, is_box, name_of, require_file

_HOME = {
    "calibration": ("CalibrationRecord", "PriorRecord", "Scale"),
    "card": ("Card", "GuidanceRecord"),
    "files": (
        "boxed_model",
        "holds_model",
        "load_card",
        "load_model",
        "model_file",
        "save_model",
    ),
    "hub": ("local_file",),
    "looking": ("Look",),
    "model": ("Model",),
    "naming": (
        "is_address",
        "is_box",
        "name_of",
        "require_file",
    ),
}

__all__ = [
    "CalibrationRecord",
    "Card",
    "GuidanceRecord",
    "Look",
    "Model",
    "PriorRecord",
    "Scale",
    "boxed_model",
    "holds_model",
    "is_address",
    "is_box",
    "load_card",
    "load_model",
    "local_file",
    "model_file",
    "name_of",
    "require_file",
    "save_model",
]

__getattr__ = on_first_use(__name__, _HOME)
