"""Faces moved within their frame, and pictures warped."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.data.batched import moved_landmarks, outside, resampled


def moved(
    faces: Tensor,
    right: Tensor | float = 0.0,
    down: Tensor | float = 0.0,
    degrees: Tensor | float = 0.0,
    scale: Tensor | float = 1.0,
) -> Tensor:
    """Faces moved within their frame; the border goes on outside.

    Args:
        faces: (B, 3, S, S) uint8.
        right: Shift as a share of the side, in whole pixels, so that it changes nothing else; one, or (B,).
        down: The same.
        degrees: Turn.
        scale: Factor of size.
    """
    return _seen(faces, _back(faces, right, down, degrees, scale))


def moved_batch(
    batch: Mapping[str, Tensor],
    mirrored: Tensor,
    right: Tensor,
    down: Tensor,
    degrees: Tensor,
    scale: Tensor,
) -> dict[str, Tensor]:
    """A batch whose faces are mirrored or not (B,), then moved as `moved` does it, landmarks with them.

    Args:
        batch: `image` (B, 3, S, S) uint8, `landmarks` (B, 68, 2) in its pixels, NaN where unknown; whatever
            else it holds stays.
        mirrored: Which faces are mirrored (B,).
        right: As in `moved`, one for each face (B,).
        down: The same.
        degrees: The same.
        scale: The same.

    Returns:
        The batch with changed faces and landmarks, and `hidden` (B, 1, S, S) bool, what lay outside.
    """
    faces, side = batch["image"], batch["image"].shape[-1]
    back = _back(faces, right, down, degrees, scale)
    sign = torch.where(mirrored, -1.0, 1.0)
    through = torch.stack([sign[:, None] * back[:, 0], back[:, 1]], 1)  # back to the face as it was
    return {
        **batch,
        "image": _seen(torch.where(mirrored[:, None, None, None], faces.flip(-1), faces), back),
        "landmarks": moved_landmarks(batch["landmarks"], through, mirrored, side, side),
        "hidden": outside(back, side),
    }


def _back(
    faces: Tensor, right: Tensor | float, down: Tensor | float, degrees: Tensor | float, scale: Tensor | float
) -> Tensor:
    """Affine maps (B, 2, 3) from places of the result to those of the faces, both from -1 to 1."""
    side, like = faces.shape[-1], torch.ones(len(faces), device=faces.device)
    angle, size = torch.as_tensor(degrees) * math.pi / 180 * like, torch.as_tensor(scale) * like
    across, below = (-2 * (torch.as_tensor(each) * side).round() / side * like for each in (right, down))
    cos, sin = angle.cos() / size, angle.sin() / size
    return torch.stack([torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, below], 1)], 1)


def _seen(faces: Tensor, back: Tensor) -> Tensor:
    return resampled(faces.float(), back, faces.shape[-1]).round().to(faces.dtype)


def pixels(images: Tensor) -> Tensor:
    """Centres (B, S * S, 2) of the pixels of images (B, C, S, S), row by row: x and y."""
    steps = torch.arange(images.shape[-1], device=images.device, dtype=torch.float32)
    places = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1)
    return places.view(1, -1, 2).expand(len(images), -1, -1)


def taken_from(images: Tensor, source: Tensor) -> Tensor:
    """Images (B, C, S, S) whose pixels are those at places (B, S * S, 2) of others; the border goes on."""
    size = images.shape[-1]
    grid = ((2 * source + 1) / size - 1).view(len(images), size, size, 2)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
