"""CAM: class activation maps of a network that ends in average pooling and a linear layer."""

import torch
from torch import Tensor

from aucue.errors import InputError


def class_activation_map(features: Tensor, weight: Tensor, classes: Tensor | None = None) -> Tensor:
    """CAM (Zhou et al. 2016, arXiv 1512.04150): `M_c = sum_k w_ck F_k`, without bias, ReLU or normalisation.

    It stays in the graph, so that it can be used in a loss.

    Args:
        features: F, the maps that the average pooling reads, (B, C, h, w).
        weight: w of the linear layer, (K, C), or of an equivalent 1 x 1 convolution, (K, C, 1, 1).
        classes: Class per sample, (B,) integers in [0, K); None for all classes.

    Returns:
        (B, 1, h, w), or (B, K, h, w) for all classes; in float32 at least, under autocast too.

    Raises:
        InputError: The shapes do not fit.
    """
    if features.ndim != 4 or weight.shape != (*weight.shape[:1], features.shape[1], *[1] * (weight.ndim - 2)):
        raise InputError(
            f"CAM needs features (B, C, h, w) and a weight (K, C), not {tuple(features.shape)} "
            f"and {tuple(weight.shape)}."
        )
    if classes is not None and classes.shape != features.shape[:1]:
        raise InputError(f"CAM needs one class per sample, ({len(features)},), not {tuple(classes.shape)}.")
    precise = torch.promote_types(features.dtype, torch.float32)
    features, weight = features.to(precise), weight.flatten(1).to(precise)  # (B, C, h, w), (K, C)
    with torch.autocast(features.device.type, enabled=False):
        if classes is None:
            return torch.einsum("bchw,kc->bkhw", features, weight)
        return torch.einsum("bchw,bc->bhw", features, weight[classes]).unsqueeze(1)


def normalize_cam(cam: Tensor) -> Tensor:
    """Class maps in [0, 1]: c minus its minimum, then divided by its maximum, each map at its own resolution.

    Args:
        cam: Raw maps, (..., h, w).

    Returns:
        The same shape. What is not finite becomes 0: a constant map (0 / 0) is 0 everywhere, and so is a map
        that holds NaN or an infinity.
    """
    cam = cam - cam.amin((-2, -1), keepdim=True)
    high = cam.amax((-2, -1), keepdim=True)
    usable = (high > 0) & high.isfinite()  # asked before: 0 / 0 has a NaN gradient, whatever comes after
    return torch.where(usable, cam / torch.where(usable, high, 1.0), 0.0)
