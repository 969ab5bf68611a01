"""What takes the place of pixels that are hidden from a network."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor, where

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
    from torchvision.transforms.v2.functional import gaussian_blur  # takes as long to import as torch

    deviations = [sigma * side for side in (images.shape[-1], images.shape[-2])]  # torchvision: width first
    return gaussian_blur(images, [2 * math.ceil(2 * s) + 1 for s in deviations], deviations)


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
