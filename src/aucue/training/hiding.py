"""Faces with some of their action units hidden, beside the same faces as they are."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.cues import AUCue
from aucue.metrics import FILLS, regions_of

MOST = 6
"""Units that are hidden at once, at most."""

SHARE = 0.5
"""Share of the faces of a batch that are seen a second time, with units hidden."""

_FINE = 2  # pixels per cell in which regions are drawn: their edges need no more, and it takes a quarter


class Hidden(NamedTuple):
    """Some faces of a batch with a part hidden.

    Attributes:
        rows: Which faces of the batch (b,).
        images: They, with the part hidden (b, 3, S, S), as the batch has them.
        region: What is hidden (b, 1, S, S) bool.
    """

    rows: Tensor
    images: Tensor
    region: Tensor


def hide_units(images: Tensor, landmarks: Tensor, cue: AUCue) -> Hidden:
    """Hide one to six random action units in half of the faces whose landmarks are known.

    In a third of them each by mean colour, by a blur and by noise, so that no fill becomes a sign of
    something hidden.

    Args:
        images: (B, 3, S, S), uint8 or in [0, 1].
        landmarks: (B, 68, 2) in their pixels, NaN where unknown.
        cue: Draws the units.
    """
    known = landmarks.isfinite().flatten(1).all(1).nonzero().flatten()
    rows = known[torch.randperm(len(known), device=known.device)[: round(SHARE * len(images))]]
    region = _regions(landmarks[rows], (images.shape[-2], images.shape[-1]), cue)
    whole = images.dtype == torch.uint8
    chosen = images[rows].float()
    noise = torch.rand_like(chosen[:, :1]).expand_as(chosen) * (255 if whole else 1)
    fills = torch.stack([*(fill(chosen) for fill in FILLS.values()), noise])  # (F, b, 3, S, S)
    each = torch.arange(len(rows), device=rows.device)
    filled = fills[torch.randint(len(fills), (len(rows),), device=rows.device), each]
    pictures = torch.where(region, filled.round() if whole else filled, chosen)
    return Hidden(rows, pictures.to(images.dtype), region)


def _regions(landmarks: Tensor, size: tuple[int, int], cue: AUCue) -> Tensor:
    """Regions (b, 1, H, W) bool of one to six units of each face."""
    grid = (size[0] // _FINE, size[1] // _FINE)
    maps, drawn = cue.single(landmarks, size, grid)  # (b, n, h, w), (b, n)
    order = torch.rand(drawn.shape, device=drawn.device).masked_fill(~drawn, -1).argsort(1, descending=True)
    count = torch.randint(1, MOST + 1, (len(drawn), 1), device=drawn.device)
    first = (torch.arange(drawn.shape[1], device=drawn.device) < count).expand_as(order)
    chosen = drawn & torch.zeros_like(drawn).scatter(1, order, first)
    region = (regions_of(maps) & chosen[:, :, None, None]).any(dim=1, keepdim=True)
    return interpolate(region.float(), size) > 0.5
