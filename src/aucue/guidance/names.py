"""What losses, grids and attentions are called; needs no torch, so that settings are read quickly."""

from typing import Literal

Loss = Literal["cosine", "l1", "l2", "kl", "standardized-cosine", "energy", "rrr", "l1-mask"]
"""The keys of `LOSSES`."""

Grid = Literal["attention", "cue"]
"""Where attention and cue are compared."""

WholeKind = Literal["mean", "first-half", "second-half"]
"""Kinds of attention that take no share."""

AttentionKind = Literal[WholeKind, "first-share", "random-share"]
"""Which channels make the attention."""
