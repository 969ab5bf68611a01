"""Arithmetic on maps and their pixels that all cues share."""

import torch
from torch import Tensor


def pixels(grid: int, size: int, device: torch.device) -> Tensor:
    """Return where along one axis the pixels of a grid sample the frame, in frame pixels.

    Args:
        grid: Number of pixels of the grid.
        size: Number of pixels of the frame.
        device: Where the result lives.

    Returns:
        (grid,) float32: (j + 0.5) * size / grid - 0.5.
    """
    return (torch.arange(grid, device=device, dtype=torch.float32) + 0.5) * (size / grid) - 0.5


def min_max(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Stretch each map linearly to [0, 1].

    Args:
        maps: (B, h, w).

    Returns:
        The stretched maps, and (B,) bool: False for a constant map, which cannot be stretched.
    """
    low, high = maps.flatten(1).aminmax(dim=1)
    spread = (high - low)[:, None, None]
    return (maps - low[:, None, None]) / spread, high > low
