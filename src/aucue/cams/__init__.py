"""Read-outs: class maps of a network, computed from features and the weights of its linear layer."""

from aucue.cams.cam import class_activation_map, normalize_cam

__all__ = ["class_activation_map", "normalize_cam"]
