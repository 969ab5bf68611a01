"""Pointing game and energy: how much of a map lies where the expression shows."""

import torch
from torch import Tensor

from aucue.errors import InputError
from aucue.metrics.regions import region_evidence


def points_inside(map_: Tensor, region: Tensor) -> Tensor:
    """Pointing game (Zhang et al., IJCV 2018, arXiv 1608.00507), without tolerance: is the maximum inside?

    Where several pixels share the maximum, the share of them that is inside. A constant map thus gets the
    region's share of the area, which is chance.

    Args:
        map_: Maps (B, 1, H, W), not negative.
        region: (B, 1, H, W) bool.

    Returns:
        (B,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        InputError: The shapes differ.
    """
    _check(map_, region)
    flat, inside = map_.flatten(1), region.flatten(1)
    highest = flat == flat.amax(dim=1, keepdim=True)
    share = (highest & inside).sum(dim=1) / highest.sum(dim=1)
    return torch.where(flat.amax(dim=1) > 0, share, 0.0)


def energy_inside(map_: Tensor, region: Tensor) -> Tensor:
    """Energy-based pointing game (Wang et al., CVPRW 2020, arXiv 1910.01279): sum inside / sum everywhere.

    Args:
        map_: Maps (B, 1, H, W), not negative.
        region: (B, 1, H, W) bool.

    Returns:
        (B,) in [0, 1]; 0 for a map that is zero everywhere. A constant map gets the region's share of the
        area, which is chance.

    Raises:
        InputError: The shapes differ.
    """
    _check(map_, region)
    return region_evidence(map_, region).share[:, 0]


def _check(map_: Tensor, region: Tensor) -> None:
    if map_.ndim != 4 or map_.shape[1] != 1 or region.shape != map_.shape:
        raise InputError(
            "A map and its region must have one shape (B, 1, H, W), "
            f"got {tuple(map_.shape)} and {tuple(region.shape)}."
        )
