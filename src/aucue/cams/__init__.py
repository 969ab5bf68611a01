"""Read-outs: class maps (CAM, GradCAM, ScoreCAM and their kin) of features, and of any layer of a network.

`READOUTS` holds them by name, for those who have features and a head in hand; `ClassMap` taps a network.
Nothing here knows of faces or of our classifier.
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.cams.cam import class_activation_map, normalize_cam
    from aucue.cams.class_map import ClassMap, ClassMaps
    from aucue.cams.contract import PooledLinear, ReadOut, Rerun
    from aucue.cams.gradients import (
        gradcam,
        gradcam_plus_plus,
        gradcam_plus_plus_fg2024,
        layercam,
        smooth_gradcam_plus_plus,
        xgradcam,
    )
    from aucue.cams.readouts import READOUTS, GradientReadOut
    from aucue.cams.rollout import attention_rollout

_HOME = {
    "cam": ("class_activation_map", "normalize_cam"),
    "class_map": ("ClassMap", "ClassMaps"),
    "contract": ("PooledLinear", "ReadOut", "Rerun"),
    "gradients": (
        "gradcam",
        "gradcam_plus_plus",
        "gradcam_plus_plus_fg2024",
        "layercam",
        "smooth_gradcam_plus_plus",
        "xgradcam",
    ),
    "readouts": ("READOUTS", "GradientReadOut"),
    "rollout": ("attention_rollout",),
}

__all__ = [
    "READOUTS",
    "ReadOut",
    "GradientReadOut",
    "PooledLinear",
    "Rerun",
    "ClassMap",
    "ClassMaps",
    "attention_rollout",
    "class_activation_map",
    "gradcam",
    "gradcam_plus_plus",
    "gradcam_plus_plus_fg2024",
    "layercam",
    "normalize_cam",
    "smooth_gradcam_plus_plus",
    "xgradcam",
]

__getattr__ = on_first_use(__name__, _HOME)
