"""Faint smiles made of photographs of neutral faces, by a warp: lip corners go up and outwards (AU12).

FER+ was voted on at 48 pixels, where a faint smile is hardly seen and rarely called one. A warp of the same
pictures shows one for certain.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from box.moving import pixels, taken_from

_EYES = (36, 45)
_CORNERS = (48, 54)
_UP = (0.04, 0.09)
"""Smallest and largest way of a lip corner upwards, in distances of the outer eye corners."""
_OUT = (0.02, 0.06)
"""The same, away from the other lip corner."""
_CERTAINTY = 0.7
"""Share of the votes for neutral that go to happiness."""
_REACH = 0.17
"""Standard deviation of the Gaussian around a lip corner that follows it, in distances of the outer eye
corners: the cheek beside it comes along, the nose does not."""


def with_faint_smiles(
    batch: Mapping[str, Tensor],
    classes: Sequence[str],
    share: float,
) -> dict[str, Tensor]:
    """Let some neutral faces of a batch smile faintly.

    Args:
        batch: `image` (B, 3, S, S) uint8, `landmarks` (B, 68, 2) in its pixels, `landmarks_valid` (B,),
            `label` (B,), `probabilities` (B, K); whatever else it holds stays.
        classes: What the classes are called; neutral faces are changed, and get happiness.
        share: Of the neutral faces with landmarks, how many smile.

    Returns:
        The batch with changed faces, landmarks, labels and votes.
    """
    neutral, happiness = classes.index("neutral"), classes.index("happiness")
    images, landmarks = batch["image"], batch["landmarks"]
    device, count = images.device, len(images)
    chosen = (batch["label"] == neutral) & batch["landmarks_valid"].bool()
    chosen &= torch.rand(count, device=device) < share
    points = landmarks.nan_to_num().float()
    across = points[:, _EYES[1]] - points[:, _EYES[0]]
    down = torch.stack([-across[:, 1], across[:, 0]], 1)  # as long as the eyes are apart
    amount = torch.rand(2, count, 1, device=device)
    rise = (_UP[0] + (_UP[1] - _UP[0]) * amount[0]) * chosen[:, None]
    spread = (_OUT[0] + (_OUT[1] - _OUT[0]) * amount[1]) * chosen[:, None]
    moves = torch.stack([-rise * down - spread * across, -rise * down + spread * across], 1)  # (B, 2, 2)
    centres = points[:, list(_CORNERS)]
    reach = _REACH * across.norm(dim=1).clamp(min=1e-6)
    places = pixels(images)
    warped = taken_from(images.float(), places - _shift(places, centres + moves / 2, moves, reach))
    votes = batch["probabilities"].clone()
    moved = votes[:, neutral] * _CERTAINTY * chosen
    votes[:, neutral] -= moved
    votes[:, happiness] += moved
    return {
        **batch,
        "image": torch.where(
            chosen[:, None, None, None], warped.round().clamp(0, 255).to(images.dtype), images
        ),
        "landmarks": landmarks + _shift(points, centres, moves, reach),
        "label": torch.where(chosen, happiness, batch["label"]),
        "probabilities": votes,
    }


def _shift(places: Tensor, centres: Tensor, moves: Tensor, reach: Tensor) -> Tensor:
    """How far places (B, N, 2) go with moves (B, C, 2) of centres (B, C, 2): (B, N, 2)."""
    weight = torch.exp(-torch.cdist(places, centres).square() / (2 * reach[:, None, None] ** 2))
    return weight @ moves
