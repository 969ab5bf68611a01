"""The cue: a heatmap that says where evidence should lie, whatever it was made from."""

from typing import NamedTuple

import torch
from torch import Tensor

from aucue.errors import InputError


class Cue(NamedTuple):
    """Where the evidence should lie, one map per sample.

    Attributes:
        map: (B, 1, h, w) float32 in [0, 1]; zero everywhere for an invalid sample.
        valid: (B,) bool; False where there is nothing to draw: neutral, missing landmarks, unknown class, or
            a face whose regions all lie outside the frame.
    """

    map: Tensor
    valid: Tensor

    @classmethod
    def of(cls, maps: Tensor, valid: Tensor) -> "Cue":
        """Put together a cue: invalid maps, which may hold NaN, become zero.

        Args:
            maps: (B, h, w).
            valid: (B,) bool.
        """
        return cls(torch.where(valid[:, None, None], maps, 0.0).unsqueeze(1), valid)


def mask_cue(mask: Tensor) -> Cue:
    """Make a cue of the user's own masks, for guidance without faces.

    Args:
        mask: (B, h, w) or (B, 1, h, w): bool, or numbers in [0, 1]. A sample that is zero everywhere or holds
            NaN is invalid.

    Returns:
        The cue, in float32.

    Raises:
        InputError: Another shape, or values outside [0, 1].
    """
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask.squeeze(1)
    if mask.ndim != 3 or 0 in mask.shape[1:]:
        raise InputError(f"A mask must have the shape (B, h, w) or (B, 1, h, w), not {tuple(mask.shape)}.")
    if mask.is_complex():
        raise InputError(f"A mask must hold booleans or real numbers, not {mask.dtype}.")
    mask = mask.float()
    outside = (mask < 0) | (mask > 1)
    if outside.any():
        sample = int(outside.flatten(1).any(1).nonzero()[0])
        low, high = mask[sample].aminmax()
        raise InputError(f"Mask {sample} has values from {low:g} to {high:g}; they must lie in [0, 1].")
    return Cue.of(mask, mask.flatten(1).amax(1) > 0)


def check_frame(
    landmarks: Tensor, size: tuple[int, int], grid: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Check the arguments that all cues drawn from landmarks share.

    Args:
        landmarks: (B, 68, 2).
        size: (H, W) of the frame in pixels.
        grid: (h, w) of the map, None for `size`.

    Returns:
        The frame's and the map's size, as tuples.

    Raises:
        InputError: A shape or a size is wrong.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise InputError(f"Landmarks must have the shape (B, 68, 2), not {tuple(landmarks.shape)}.")
    grid = size if grid is None else grid
    for name, value in (("size", size), ("grid", grid)):
        if len(value) != 2 or min(value) < 1:
            raise InputError(f"'{name}' must be (height, width) in pixels, at least (1, 1), not {value}.")
    return (size[0], size[1]), (grid[0], grid[1])  # a torch.Size or a list will do too
