"""Faces moved within their frame, and pictures warped."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.data.batched import resampled


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
    side, like = faces.shape[-1], torch.ones(len(faces), device=faces.device)
    angle, size = torch.as_tensor(degrees) * math.pi / 180 * like, torch.as_tensor(scale) * like
    across, below = (-2 * (torch.as_tensor(each) * side).round() / side * like for each in (right, down))
    cos, sin = angle.cos() / size, angle.sin() / size
    back = torch.stack([torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, below], 1)], 1)
    return resampled(faces.float(), back, side).round().to(faces.dtype)


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
