"""Contrast: a map resembles its own cue more than the cues of the other classes, as a loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.errors import InputError
from aucue.guidance.losses import EPS, valid_mean


def contrast(
    map: Tensor,
    cues: Tensor,
    target: Tensor,
    valid: Tensor,
    temperature: float = 0.1,
    *,
    across_ranks: bool = False,
) -> Tensor:
    """Cross-entropy of the cosines with the cues of all classes, averaged over the valid samples.

    `-log softmax_e(cos(M, A_e) / temperature)` at the true e, which is InfoNCE (van den Oord et al. 2018,
    arXiv 1807.03748) with the other classes' cues on the same image as negatives. Alignment asks for a map
    that is like the cue; this asks for one that is not as much like any other.

    Args:
        map: M, (B, 1, h, w).
        cues: A_e, (B, E, h, w), those of E classes on the same image.
        target: (B,) long, the true one of the E; anything where `valid` is False.
        valid: (B,) bool, False for samples that take no part.
        temperature: Above 0; how large a difference of cosines is worth having.
        across_ranks: See `alignment`.

    Returns:
        A scalar that carries a graph; 0 if no sample is valid.

    Raises:
        InputError: The shapes do not fit.
    """
    if map.ndim != 4 or map.shape[1] != 1 or cues.shape != (*cues.shape[:2], *map.shape[2:]):
        raise InputError(
            f"Contrast needs maps (B, 1, h, w) and cues (B, E, h, w), not {tuple(map.shape)} and "
            f"{tuple(cues.shape)}."
        )
    precise = torch.promote_types(map.dtype, torch.float32)
    cosines = F.cosine_similarity(map.to(precise).flatten(2), cues.to(precise).flatten(2), dim=2, eps=EPS)
    losses = F.cross_entropy(cosines / temperature, torch.where(valid, target, 0), reduction="none")
    return valid_mean(losses, valid, across_ranks)
