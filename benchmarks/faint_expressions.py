"""Faint expressions made of photographs of neutral faces, by a warp along the action units.

FER+ was voted on at 48 pixels, where a faint expression is hardly seen and rarely called one. A warp of the
same pictures shows one for certain: lip corners that go up and outwards make a smile (AU12).
"""

from collections.abc import Mapping, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.data.transforms import PARTNER

MOVES: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "happiness": {48: (0.04, 0.065)},  # AU12
    "sadness": {48: (0.0, -0.05), 19: (0.0, 0.0), 20: (-0.01, 0.035), 21: (-0.02, 0.055)},  # AU15, AU1
    "anger": {  # AU4, AU24
        18: (0.0, -0.03),
        19: (-0.02, -0.05),
        20: (-0.03, -0.06),
        21: (-0.03, -0.06),
        48: (-0.02, 0.0),
        51: (0.0, -0.015),
        57: (0.0, 0.02),
    },
}
"""Ways of landmarks of the left half of the picture away from the middle of the face and upwards, in
distances of the outer eye corners; the right half mirrors them. Points that stay hold their surroundings."""

_EYES = (36, 45)
_REACH = 0.15
"""Standard deviation of the Gaussian around a landmark that follows it, in the same distances."""


def with_faint_expressions(
    batch: Mapping[str, Tensor],
    classes: Sequence[str],
    expressions: Sequence[str],
    share: float,
    strength: tuple[float, float] = (0.6, 1.4),
    certainty: float = 0.7,
) -> dict[str, Tensor]:
    """Let some neutral faces of a batch show a faint expression.

    Args:
        batch: `image` (B, 3, S, S) uint8, `landmarks` (B, 68, 2) in its pixels, `landmarks_valid` (B,),
            `label` (B,), `probabilities` (B, K); whatever else it holds stays.
        classes: Names of the K classes.
        expressions: Those of `MOVES` that are shown, each as often as it is named.
        share: Of the neutral faces with landmarks, how many show one.
        strength: Smallest and largest factor of `MOVES`.
        certainty: Share of the votes for neutral that go to the expression.

    Returns:
        The batch with changed faces, landmarks, labels and votes.
    """
    images, landmarks, neutral = batch["image"], batch["landmarks"], classes.index("neutral")
    device, count = images.device, len(images)
    chosen = (batch["label"] == neutral) & batch["landmarks_valid"].bool()
    chosen &= torch.rand(count, device=device) < share
    drawn = torch.randint(len(expressions), (count,), device=device)
    moves, moving = (part.to(device)[drawn] for part in _tables(tuple(expressions)))
    points = landmarks.nan_to_num()
    across = points[:, _EYES[1]] - points[:, _EYES[0]]
    axes = torch.stack([across, torch.stack([across[:, 1], -across[:, 0]], 1)], 1)  # (B, 2, 2): right, up
    amount = torch.empty(count, 1, 1, device=device).uniform_(*strength) * chosen[:, None, None]
    moves = amount * moves @ axes
    reach = _REACH * across.norm(dim=1).clamp(min=1)
    warped = _warped(images, points + moves / 2, moves, moving, reach)
    shown = torch.tensor([classes.index(name) for name in expressions], device=device)[drawn]
    votes = batch["probabilities"].clone()
    taken = votes[:, neutral] * certainty * chosen
    votes[:, neutral] -= taken
    return {
        **batch,
        "image": torch.where(chosen[:, None, None, None], warped, images),
        "landmarks": landmarks + _shift(points, points, moves, moving, reach),
        "label": torch.where(chosen, shown, batch["label"]),
        "probabilities": votes.scatter_add(1, shown[:, None], taken[:, None]),
    }


@cache
def _tables(expressions: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Ways (E, 68, 2), to the right and upwards, and which landmarks hold their surroundings (E, 68)."""
    moves, moving = torch.zeros(len(expressions), 68, 2), torch.zeros(len(expressions), 68)
    for row, name in enumerate(expressions):
        for point, (out, up) in MOVES[name].items():
            partner = int(PARTNER[point])
            moves[row, partner] = torch.tensor([out, up])
            moves[row, point] = torch.tensor([-out, up])
            moving[row, [point, partner]] = 1
    return moves, moving


def _warped(images: Tensor, centres: Tensor, moves: Tensor, moving: Tensor, reach: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) whose surroundings of landmarks moved along."""
    count, size = len(images), images.shape[-1]
    steps = torch.arange(size, device=images.device, dtype=torch.float32)
    pixels = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(1, -1, 2)
    sources = pixels - _shift(pixels.expand(count, -1, -1), centres, moves, moving, reach)
    grid = ((2 * sources + 1) / size - 1).view(count, size, size, 2)
    warped = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return warped.round().clamp(0, 255).to(images.dtype)


def _shift(places: Tensor, centres: Tensor, moves: Tensor, moving: Tensor, reach: Tensor) -> Tensor:
    """How far places (B, N, 2) go with landmarks (B, 68, 2): (B, N, 2)."""
    squared = torch.cdist(places, centres).square()
    weights = torch.exp(-squared / (2 * reach[:, None, None] ** 2)) * moving[:, None]
    return weights @ moves / weights.sum(-1, keepdim=True).clamp(min=1)
