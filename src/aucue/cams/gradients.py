"""The formulas of GradCAM and its kin: from features and the gradients of a logit to class maps.

In all of them F_k is a feature map, g_k the gradient of a class's logit with respect to it, and the class map
is relu(sum_k a_k F_k). The methods differ in the weights a_k alone.
"""

import math

import torch
from torch import Tensor

from aucue.errors import InputError


def gradcam(features: Tensor, gradients: Tensor) -> Tensor:
    """GradCAM (Selvaraju et al. 2017, arXiv 1610.02391, eq. 1 and 2): a_k is the mean of g_k.

    It stays in the graph, as all of this module.

    Args:
        features: F, (B, C, h, w).
        gradients: g, (B, C, h, w) of one class per sample, or (B, K, C, h, w) of K classes. Dimensions in
            which they are constant may have size 1: (1, K, C, 1, 1) for average pooling and a linear layer.

    Returns:
        (B, 1, h, w), or (B, K, h, w); at least 0, not normalised, in float32 at least.

    Raises:
        InputError: The shapes do not fit.
    """
    features, gradients = _prepare(features, gradients)
    return _class_maps(features, gradients.mean((-2, -1), keepdim=True))


def gradcam_plus_plus(features: Tensor, gradients: Tensor) -> Tensor:
    """GradCAM++ (Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19): a_k is the sum of alpha relu(g_k).

    The sum is over pixels, and alpha = g^2 / (2 g^2 + sum(F_k) g^3) at each of them, 0 where the denominator
    is 0, with F_k summed over all pixels. The score is exp(logit) in the paper, which multiplies the whole
    map by exp(logit); this factor is left out. The formula is meant for features that are not negative (after
    a ReLU): elsewhere the denominator may change its sign.

    Args:
        features: See `gradcam`.
        gradients: See `gradcam`.

    Returns:
        See `gradcam`.

    Raises:
        InputError: The shapes do not fit.
    """
    features, gradients = _prepare(features, gradients)
    # Divided by g^2, which may be too small for floating point. Where g is 0, relu(g) sees to it.
    denominator = 2 + features.sum((-2, -1), keepdim=True).unsqueeze(1) * gradients  # (B, K, C, h, w)
    alpha = 1 / denominator.masked_fill(denominator == 0, math.inf)
    return _class_maps(features, _sum_of_pixels(alpha * gradients.relu(), features))


def gradcam_plus_plus_fg2024(features: Tensor, gradients: Tensor) -> Tensor:
    """GradCAM++ as published with "Guided interpretable facial expression recognition" (FG 2024).

    That code computes the numerator and the denominator of alpha, but does not divide: alpha = g^2, hence
    a_k = sum over pixels of relu(g_k)^3. It serves to compare with the figures of that paper alone.

    Args:
        features: See `gradcam`.
        gradients: See `gradcam`.

    Returns:
        See `gradcam`.

    Raises:
        InputError: The shapes do not fit.
    """
    features, gradients = _prepare(features, gradients)
    return _class_maps(features, _sum_of_pixels(gradients.relu() ** 3, features))


def layercam(features: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021, IEEE TIP, doi 10.1109/TIP.2021.3089943): a_k = relu(g_k), at each pixel.

    Args:
        features: See `gradcam`.
        gradients: See `gradcam`.

    Returns:
        See `gradcam`.

    Raises:
        InputError: The shapes do not fit.
    """
    features, gradients = _prepare(features, gradients)
    return _class_maps(features, gradients.relu())


def xgradcam(features: Tensor, gradients: Tensor) -> Tensor:
    """XGradCAM (Fu et al. 2020, arXiv 2008.02312, eq. 8): a_k is the mean of g_k, weighted by F_k.

    a_k = sum(g_k F_k) / sum(F_k), 0 where the sum of F_k is 0. For average pooling and a linear layer it is
    GradCAM.

    Args:
        features: See `gradcam`.
        gradients: See `gradcam`.

    Returns:
        See `gradcam`.

    Raises:
        InputError: The shapes do not fit.
    """
    features, gradients = _prepare(features, gradients)
    per_class, whole = features.unsqueeze(1), features.sum((-2, -1), keepdim=True).unsqueeze(1)
    weights = (gradients * per_class).sum((-2, -1), keepdim=True) / whole.masked_fill(whole == 0, math.inf)
    return _class_maps(features, weights)


def smooth_gradcam_plus_plus(features: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Smooth GradCAM++ (Omeiza et al. 2019, arXiv 1908.01224): GradCAM++ with moments of noisy gradients.

    a_k is the sum over pixels of alpha relu(first), with alpha = second / (2 second + sum(F_k) third), 0
    where the denominator is 0. The numerator is the second moment, as in GradCAM++; the paper prints the
    first one.

    Args:
        features: See `gradcam`.
        first: Mean of g over noisy images, (B, C, h, w).
        second: Mean of g^2.
        third: Mean of g^3.

    Returns:
        See `gradcam`.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    whole = features.sum((-2, -1), keepdim=True).to(third.dtype)
    denominator = 2 * second + whole * third
    alpha = second / denominator.masked_fill(denominator == 0, math.inf)
    weights = (alpha * first.relu()).sum((-2, -1)).unsqueeze(1)  # (B, 1, C)
    return weighted_maps(features, weights)


def weighted_maps(features: Tensor, weights: Tensor) -> Tensor:
    """relu(sum_k a_k F_k) of weights (B, K, C): (B, K, h, w), in float32 at least."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    return _class_maps(features, weights[..., None, None].to(features.dtype))


def _prepare(features: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, C, h, w) and gradients (B or 1, K, C, h or 1, w or 1), in float32 at least."""
    per_class = gradients.unsqueeze(1) if gradients.ndim == 4 else gradients
    if features.ndim != 4 or per_class.ndim != 5 or not _fits(features, per_class):
        raise InputError(
            "Class maps need features (B, C, h, w) and gradients (B, C, h, w) or (B, K, C, h, w), not "
            f"{tuple(features.shape)} and {tuple(gradients.shape)}."
        )
    precise = torch.promote_types(torch.promote_types(features.dtype, gradients.dtype), torch.float32)
    return features.to(precise), per_class.to(precise)


def _fits(features: Tensor, gradients: Tensor) -> bool:
    batch, channels, *grid = features.shape
    return (
        gradients.shape[0] in (batch, 1)
        and gradients.shape[2] == channels
        and list(gradients.shape[3:]) in (grid, [1, 1])
    )


def _sum_of_pixels(values: Tensor, features: Tensor) -> Tensor:
    """Sum over the grid of the features, on which the values are constant if given once: (B, K, C, 1, 1)."""
    repeats = features.shape[-2:].numel() / values.shape[-2:].numel()
    return values.sum((-2, -1), keepdim=True) * repeats


def _class_maps(features: Tensor, weights: Tensor) -> Tensor:
    """relu(sum_k a_k F_k), (B, K, h, w)."""
    with torch.autocast(features.device.type, enabled=False):
        if weights.shape[-2:] == (1, 1):
            maps = weights.flatten(2) @ features.flatten(2)  # (B, K, C) @ (B, C, h * w)
            return maps.unflatten(2, features.shape[-2:]).relu()
        return (weights * features.unsqueeze(1)).sum(2).relu()
