"""How a map is spread over regions: share, peak, and how much denser it is there than on average."""

from typing import NamedTuple

import torch
from torch import Tensor

from aucue.errors import InputError


class RegionEvidence(NamedTuple):
    """A map in R regions of each picture.

    Attributes:
        area: Share of the picture that a region takes (B, R), in [0, 1].
        share: Share of the map's sum that lies in it (B, R), in [0, 1].
        peak: The map's maximum in it, relative to the map's maximum (B, R), in [0, 1].
        ratio: share / area (B, R): how many times denser the map is there than chance, which is a map without
            any preference; 1 for a constant map.
    """

    area: Tensor
    share: Tensor
    peak: Tensor
    ratio: Tensor


def region_evidence(map_: Tensor, regions: Tensor) -> RegionEvidence:
    """Measure a map in regions, which may overlap: shares need not add up to 1.

    Args:
        map_: Maps (B, 1, H, W), not negative.
        regions: (B, R, H, W) bool.

    Returns:
        Four values (B, R). A map that is zero everywhere has no share, peak or ratio (0), nor has a region
        without a pixel.

    Raises:
        InputError: The shapes do not fit.
    """
    if map_.ndim != 4 or map_.shape[1] != 1 or regions.ndim != 4 or regions[:, :1].shape != map_.shape:
        raise InputError(
            f"Expected a map (B, 1, H, W) and regions (B, R, H, W), got {tuple(map_.shape)}, "
            f"{tuple(regions.shape)}."
        )
    flat, inside = map_.flatten(2), regions.flatten(2)  # (B, 1, N), (B, R, N)
    area = inside.float().mean(dim=2)
    share = _divided((flat * inside).sum(dim=2), flat.sum(dim=2))
    peak = _divided(torch.where(inside, flat, 0.0).amax(dim=2), flat.amax(dim=2))
    return RegionEvidence(area, share, peak, _divided(share, area))


def _divided(above: Tensor, below: Tensor) -> Tensor:
    """The quotient, 0 where there is nothing to divide by."""
    return torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 0.0)
