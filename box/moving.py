"""Faces moved within their frame."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


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
    grid = F.affine_grid(back, list(faces.shape), align_corners=False)
    return (
        F.grid_sample(faces.float(), grid, padding_mode="border", align_corners=False).round().to(faces.dtype)
    )
