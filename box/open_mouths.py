"""Open mouths made of photographs of neutral faces, by a warp: the jaw goes down as in talking (AU25, AU26).

Nobody asked the voters about people who talk. A warp of the same pictures shows a mouth that is open for
certain in a face that shows nothing else.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from box.moving import pixels, taken_from

_EYES = (36, 45)
_CORNERS = (48, 54)
_INNER = (61, 62, 63, 65, 66, 67)
"""Inner border of the lips; its middle lies on the line at which the mouth opens."""
_DROP = (0.04, 0.12)
"""Smallest and largest way of the middle of the lower lip, in distances of the outer eye corners."""
_DARK = (0.1, 0.35)
"""Brightness of what is seen of the mouth, as a share of that of the face around it."""
_TEETH = 0.5
"""Share of the mouths that show the upper teeth, in the upper third of what is open."""


def with_open_mouths(batch: Mapping[str, Tensor], label: int, share: float) -> dict[str, Tensor]:
    """Let some faces of a batch open their mouths; labels and votes stay.

    Args:
        batch: `image` (B, 3, S, S) uint8, `landmarks` (B, 68, 2) in its pixels, `landmarks_valid` (B,),
            `label` (B,); whatever else it holds stays.
        label: Class of the faces that may be changed.
        share: Of these faces with landmarks, how many open their mouths.

    Returns:
        The batch with changed images and landmarks.
    """
    images, points = batch["image"], batch["landmarks"].nan_to_num().float()
    chosen = (batch["label"] == label) & batch["landmarks_valid"].bool()
    chosen &= torch.rand(len(images), device=images.device) < share
    low, high = torch.tensor(_DROP, device=images.device)
    eyes = (points[:, _EYES[1]] - points[:, _EYES[0]]).norm(dim=1)
    drop = eyes * (low + (high - low) * torch.rand(len(images), device=images.device)) * chosen
    opened = torch.where(chosen[:, None, None, None], _opened(images.float(), points, drop), images.float())
    across, _ = _in_mouth(points, points)
    lower = torch.zeros(68, dtype=torch.bool, device=points.device)
    lower[[*range(5, 12), *range(55, 60), *range(65, 68)]] = True
    moves = (drop[:, None] * _profile(across) * lower)[..., None] * _axes(points)[1][:, None]
    return {
        **batch,
        "image": opened.round().clamp(0, 255).to(images.dtype),
        "landmarks": batch["landmarks"] + moves.to(batch["landmarks"]),
    }


def _opened(images: Tensor, points: Tensor, drop: Tensor) -> Tensor:
    """Images (B, 3, S, S) in which what is below the line of the lips went down by `drop` (B,) pixels."""
    count, size = len(images), images.shape[-1]
    places = pixels(images)
    across, below = _in_mouth(places, points)
    way = drop[:, None] * _profile(across)
    moves = torch.where(below > 0, torch.minimum(way, below), 0.0)
    moved = taken_from(images, places - moves[..., None] * _axes(points)[1][:, None])
    inside = torch.minimum((torch.minimum(below, way - below) + 0.5).clamp(0, 1), way.clamp(max=1))
    face = images.mean((2, 3), keepdim=True)
    dark = _DARK[0] + (_DARK[1] - _DARK[0]) * torch.rand(count, 1, 1, 1, device=images.device)
    teeth = (torch.rand(count, 1, device=images.device) < _TEETH) & (below < way / 3)
    colour = torch.where(teeth.view(count, 1, size, size), 1.3 * face, dark * face)
    return torch.lerp(moved, colour, inside.view(count, 1, size, size))


def _axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (B, 2) across the mouth, from its right to its left corner, and down the face."""
    across = F.normalize(points[:, _CORNERS[1]] - points[:, _CORNERS[0]], dim=1, eps=1e-6)
    return across, torch.stack([-across[:, 1], across[:, 0]], 1)


def _in_mouth(places: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Places (B, N, 2) as shares of half the mouth's width from its middle, and pixels below its line."""
    across, down = _axes(points)
    half = (points[:, _CORNERS[1]] - points[:, _CORNERS[0]]).norm(dim=1).clamp(min=1e-6) / 2
    from_middle = places - points[:, list(_INNER)].mean(1, keepdim=True)
    return (from_middle @ across[..., None])[..., 0] / half[:, None], (from_middle @ down[..., None])[..., 0]


def _profile(across: Tensor) -> Tensor:
    """How far the lower lip goes down at each place across the mouth: all the way in the middle."""
    return (1 - across.square()).clamp(min=0)
