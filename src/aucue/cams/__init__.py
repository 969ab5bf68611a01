"""Read-outs: class maps (CAM, GradCAM, GradCAM++, LayerCAM) from features, and from any layer of any network.

`READOUTS` holds them by name, for those who have features and a head in hand; `ClassMap` taps a network.
Nothing here knows of faces or of our classifier.
"""

from aucue.cams.cam import class_activation_map, normalize_cam
from aucue.cams.class_map import ClassMap, ClassMaps
from aucue.cams.gradients import gradcam, gradcam_plus_plus, gradcam_plus_plus_fg2024, layercam
from aucue.cams.readouts import READOUTS, GradientReadOut, PooledLinear, ReadOut

__all__ = [
    "READOUTS",
    "ReadOut",
    "GradientReadOut",
    "PooledLinear",
    "ClassMap",
    "ClassMaps",
    "class_activation_map",
    "gradcam",
    "gradcam_plus_plus",
    "gradcam_plus_plus_fg2024",
    "layercam",
    "normalize_cam",
]
