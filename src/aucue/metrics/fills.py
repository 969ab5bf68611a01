"""What takes the place of pixels that are hidden from a network."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor, arange, where
from torch.nn.functional import conv2d, pad

BLUR = 0.1  # of each side: coarser than brows, eyes and lips, finer than the face


def mean_fill(images: Tensor) -> Tensor:
    """Every pixel is the mean colour of its image.

    Args:
        images: (B, C, H, W).

    Returns:
        (B, C, H, W).
    """
    return images.mean(dim=(-2, -1), keepdim=True).expand_as(images)


def blur_fill(images: Tensor, sigma: float = BLUR) -> Tensor:
    """The image itself, blurred by a Gaussian that is cut off at two standard deviations.

    Args:
        images: (B, C, H, W), float.
        sigma: Standard deviation as a share of each side, at most 0.4.

    Returns:
        (B, C, H, W).
    """
    channels, height, width = images.shape[-3:]
    down, across = (_bell(sigma * side, images).expand(channels, 1, -1) for side in (height, width))
    padded = pad(images, [across.shape[-1] // 2] * 2 + [down.shape[-1] // 2] * 2, mode="reflect")
    blurred = conv2d(padded, across[:, :, None, :], groups=channels)
    return conv2d(blurred, down[:, :, :, None], groups=channels)


def flat_fill(images: Tensor, regions: Tensor) -> Tensor:
    """Every pixel is the mean colour of a region of its image: nothing changes where that is blank.

    Args:
        images: (B, C, H, W), float.
        regions: (B, 1, H, W) bool.

    Returns:
        (B, C, 1, 1); 0 for a region without a pixel.
    """
    pixels = regions.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    return where(regions, images, 0).sum(dim=(-2, -1), keepdim=True) / pixels


FILLS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({"mean": mean_fill, "blur": blur_fill})
"""Fills by name."""


def _bell(deviation: float, like: Tensor) -> Tensor:
    """Weights of a Gaussian at whole pixels, to two standard deviations; they sum to 1."""
    reach = math.ceil(2 * deviation)
    at = arange(-reach, reach + 1, device=like.device, dtype=like.dtype)
    weights = (-0.5 * (at / deviation).square()).exp()
    return weights / weights.sum()
