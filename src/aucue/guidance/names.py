"""What losses, grids and attentions are called; needs no torch, so that settings are read quickly."""

from typing import Literal

from aucue.errors import InputError

Loss = Literal["cosine", "l1", "l2", "kl", "standardized-cosine", "energy", "rrr", "l1-mask"]
"""The keys of `LOSSES`."""

Grid = Literal["attention", "cue"]
"""Where attention and cue are compared."""

WholeKind = Literal["mean", "first-half", "second-half"]
"""Kinds of attention that take no share."""

AttentionKind = Literal[WholeKind, "first-share", "random-share"]
"""Which channels make the attention."""


def check_loss(loss: str, softmax: bool, barrier: float | None) -> None:
    """Refuse what an alignment loss does not go with.

    Args:
        loss: One of `Loss`.
        softmax: Whether the attention is normalised by a softmax first.
        barrier: t of the log-barrier; None: no barrier.

    Raises:
        InputError: It has a softmax of its own, or no constraint for a barrier.
    """
    if softmax and loss == "kl":
        raise InputError("The loss 'kl' takes the softmax of the attention by itself: leave softmax off.")
    if barrier is not None and ("cosine" not in loss or barrier <= 0):
        raise InputError("The log-barrier needs t > 0 and one of the cosine losses.")
