"""Specificity: does a map point at this expression, or at whatever every expression has in common?"""

import torch
from torch import Tensor

from aucue.errors import InputError
from aucue.metrics.cosine import EPS


def specificity_margin(map_: Tensor, cues: Tensor, true: Tensor) -> Tensor:
    """Cosine of a map with the cue of the true expression, minus the largest with that of another one.

    All cues are drawn from the landmarks of the same face, so only the expression differs.

    Args:
        map_: Maps (B, 1, H, W), not negative.
        cues: AU maps of E expressions on the face (B, E, H, W).
        true: Which of the E is the true one (B,).

    Returns:
        (B,) in [-1, 1]; positive where the map is nearest to the true expression, 0 for an empty map.

    Raises:
        InputError: The shapes do not fit.
    """
    if map_.ndim != 4 or map_.shape[1] != 1 or cues.ndim != 4:
        raise InputError(
            f"Expected maps (B, 1, H, W) and cues (B, E, H, W), got {tuple(map_.shape)}, {tuple(cues.shape)}."
        )
    cosines = torch.cosine_similarity(map_.flatten(2), cues.flatten(2), dim=2, eps=EPS)  # (B, E)
    own = cosines.gather(1, true[:, None])[:, 0]
    others = cosines.scatter(1, true[:, None], -torch.inf)
    return own - others.amax(dim=1)


def is_specific(map_: Tensor, cues: Tensor, true: Tensor) -> Tensor:
    """Whether a map resembles the cue of the true expression more than that of every other one.

    A map without any look at the image satisfies this for one expression at most: chance is 1 / E.

    Args:
        map_: Maps (B, 1, H, W), not negative.
        cues: AU maps of E expressions on the face (B, E, H, W).
        true: Which of the E is the true one (B,).

    Returns:
        (B,) bool; a tie (as of an empty map) is not specific.

    Raises:
        InputError: The shapes do not fit.
    """
    return specificity_margin(map_, cues, true) > 0
