"""Attention of a layer: the mean over (some of) its channels, without ReLU and without normalisation."""

from typing import get_args

import torch
from torch import Tensor

from aucue.errors import InputError
from aucue.guidance.names import AttentionKind


def attention(
    features: Tensor,
    kind: AttentionKind = "mean",
    share: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Attention T of a layer: the mean of its feature maps over channels (Belharbi et al., FG 2024).

    Args:
        features: Feature maps, (B, C, h, w).
        kind: Which channels take part: all (`mean`), the `first-half` (C // 2 of them), the `second-half`
            (the others), the `first-share` of them (their number rounded down, as published), or a
            `random-share` drawn anew for each sample and call.
        share: Share of the channels in (0, 1]; read by the two `-share` kinds alone.
        generator: Source of the draw for `random-share`, on the features' device; torch's own if None.

    Returns:
        (B, 1, h, w), in float32 at least, whatever the precision of the features.

    Raises:
        InputError: The features are not four-dimensional, or kind or share is unknown.
    """
    if features.ndim != 4:
        raise InputError(f"Attention needs features (B, C, h, w), not {tuple(features.shape)}.")
    if kind not in get_args(AttentionKind):
        raise InputError(f"Unknown attention '{kind}': choose one of {', '.join(get_args(AttentionKind))}.")
    if not 0 < share <= 1:
        raise InputError(f"The share of channels is in (0, 1], not {share}.")
    batch, channels = features.shape[:2]
    if kind == "random-share":
        return mean_of_channels(features, draw_channels(batch, channels, share, features.device, generator))
    half, first = channels // 2, max(1, int(share * channels))
    taken = {
        "mean": slice(None),
        "first-half": slice(max(1, half)),
        "second-half": slice(half, None),
        "first-share": slice(first),
    }[kind]
    return features[:, taken].mean(1, keepdim=True, dtype=_precise(features))


def draw_channels(
    batch: int,
    channels: int,
    share: float,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw channels for each sample: each one with probability `share`, and at least one.

    Returns:
        Bool (batch, channels), True where a channel takes part.
    """
    draw = torch.rand(batch, channels, device=device, generator=generator)
    return (draw <= share) | (draw == draw.amin(1, keepdim=True))


def mean_of_channels(features: Tensor, taken: Tensor) -> Tensor:
    """Mean over the channels that take part, chosen per sample.

    Args:
        features: Feature maps, (B, C, h, w).
        taken: (B, C), nonzero where a channel takes part; at least one per row.

    Returns:
        (B, 1, h, w), in float32 at least.
    """
    taken = taken.to(features.dtype)
    total = (features * taken[:, :, None, None]).sum(
        1, keepdim=True, dtype=_precise(features)
    )  # (B, 1, h, w)
    return total / taken.sum(1, dtype=total.dtype)[:, None, None, None]


def _precise(tensor: Tensor) -> torch.dtype:
    """The dtype in which to sum: float32 for half precision (autocast), else the tensor's own."""
    return torch.promote_types(tensor.dtype, torch.float32)
