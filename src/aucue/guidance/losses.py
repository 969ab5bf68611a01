"""Alignment: how far the attention of a layer is from the cue, as a loss that training can minimise."""

import math
from collections.abc import Callable
from typing import get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from aucue.errors import InputError
from aucue.guidance.names import Grid, Loss, check_loss

EPS = 1e-8


def alignment(
    attention: Tensor,
    cue: Tensor,
    valid: Tensor | None = None,
    loss: Loss = "cosine",
    *,
    grid: Grid = "attention",
    softmax: bool = False,
    barrier: float | None = None,
    across_ranks: bool = False,
) -> Tensor:
    """Misalignment of attention and cue, averaged over the valid samples (Belharbi et al., FG 2024, eq. 3).

    With the defaults this is `mean over valid samples of 1 - cos(T, A)`, where A is the cue resized to the
    grid of the attention T. It is computed in float32 at least, under autocast too. Nothing in it depends on
    the data's values, so that it compiles to one graph.

    Args:
        attention: T, (B, 1, h, w).
        cue: Where the evidence should lie, (B, 1, H, W) in [0, 1].
        valid: (B,), False for samples that have no cue; None if all have one. A cue with a pixel that is not
            finite is left out in any case.
        loss: A key of `LOSSES`.
        grid: The grid on which the two are compared: the attention's (the cue is resized) or the cue's.
        softmax: Normalise the attention by a softmax over its pixels first.
        barrier: t of the extended log-barrier on the constraint `-cos <= 0` (Kervadec et al. 2019), in place
            of 1 - cos; larger is closer to a hard barrier. None: no barrier.
        across_ranks: Average over the valid samples of all ranks of a data-parallel run: what a rank returns
            is scaled so that the mean over ranks (which is what DistributedDataParallel makes of the
            gradients) is exactly the mean over all valid samples. Each rank has to call it then. Without an
            initialised process group it does nothing.

    Returns:
        A scalar that carries a graph; 0 if no sample is valid.

    Raises:
        InputError: A shape or an option does not fit.
    """
    rows = usable_rows(cue, valid)
    losses = sample_alignment(attention, cue, rows, loss, grid=grid, softmax=softmax, barrier=barrier)
    return valid_mean(losses, rows, across_ranks)


def sample_alignment(
    attention: Tensor,
    cue: Tensor,
    rows: Tensor,
    loss: Loss = "cosine",
    *,
    grid: Grid = "attention",
    softmax: bool = False,
    barrier: float | None = None,
) -> Tensor:
    """Misalignment of each sample, the terms that `alignment` averages.

    Args:
        attention: (B, 1, h, w).
        cue: (B, 1, H, W) in [0, 1].
        rows: Bool (B,), see `usable_rows`; the cue of the others is read as zero, so that nothing non-finite
            gets into the graph.
        loss: See `alignment`, as for the remaining arguments.
        grid: See `alignment`.
        softmax: See `alignment`.
        barrier: See `alignment`.

    Returns:
        (B,), meaningless where `rows` is False.

    Raises:
        InputError: A shape or an option does not fit.
    """
    _check(attention, cue, loss, grid, softmax, barrier)
    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))  # under autocast too
    cue, rows = cue.to(attention), rows.to(attention.device)
    cue = torch.where(rows[:, None, None, None], cue, torch.zeros_like(cue))
    if grid == "attention":
        cue = resize_map(cue, attention.shape[-2:])
    else:
        attention = resize_map(attention, cue.shape[-2:])
    a, h = attention.flatten(1), cue.flatten(1)  # (B, h * w)
    losses = LOSSES[loss](a.softmax(1) if softmax else a, h)
    return losses if barrier is None else _log_barrier(losses - 1, barrier)


def usable_rows(cue: Tensor, valid: Tensor | None = None) -> Tensor:
    """Samples that take part in the alignment: marked valid, and with a finite cue.

    Returns:
        Bool (B,).

    Raises:
        InputError: `valid` has not one entry per sample.
    """
    rows = cue.isfinite().flatten(1).all(1)
    if valid is None:
        return rows
    if valid.shape != rows.shape:
        raise InputError(f"valid needs shape ({len(rows)},), one per cue, not {tuple(valid.shape)}.")
    return rows & valid.to(rows)


def valid_mean(losses: Tensor, rows: Tensor, across_ranks: bool = False) -> Tensor:
    """Mean of the losses of the samples that take part; 0, with a graph, if there is none.

    Args:
        losses: (B,).
        rows: Bool (B,).
        across_ranks: See `alignment`.
    """
    rows = rows.to(losses.device)
    count, ranks = rows.sum().to(losses.dtype), 1
    if across_ranks and dist.is_available() and dist.is_initialized():
        dist.all_reduce(count)
        ranks = dist.get_world_size()
    return torch.where(rows, losses, torch.zeros_like(losses)).sum() * ranks / count.clamp(min=1)


def resize_map(map: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize maps as alignment and ATT-COS do: bilinear, aligned corners, antialiased, within their range.

    This is torch's `align_corners=True, antialias=True`, as published. Torch takes the scale from the
    corners but lays the centres out by half pixels, so that a cue brought to a coarse grid lies up to one
    cell too far up and left, most at the bottom right. Alignment and ATT-COS agree in this.

    Args:
        map: (B, C, h, w).
        size: (height, width) of the result.

    Returns:
        (B, C, height, width); each map stays within its own minimum and maximum.
    """
    if map.shape[-2:] == torch.Size(size):
        return map
    low, high = map.detach().amin((-2, -1), keepdim=True), map.detach().amax((-2, -1), keepdim=True)
    resized = F.interpolate(map, tuple(size), mode="bilinear", align_corners=True, antialias=True)
    return torch.clamp(resized, low, high)


def _cosine(attention: Tensor, cue: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(attention, cue, dim=1, eps=EPS)


def _standardized_cosine(attention: Tensor, cue: Tensor) -> Tensor:
    centred = attention - attention.mean(1, keepdim=True)
    return _cosine(
        centred / (attention.std(1, keepdim=True) + 1e-4), cue
    )  # the cue stays as it is, as published


def _l1(attention: Tensor, cue: Tensor) -> Tensor:
    return (attention - cue).abs().mean(1)


def _l2(attention: Tensor, cue: Tensor) -> Tensor:
    return (attention - cue).square().mean(1)


def _kl(attention: Tensor, cue: Tensor) -> Tensor:
    log_on = attention.log_softmax(1)
    log_off = torch.log1p(-log_on.exp().clamp(max=1 - torch.finfo(attention.dtype).eps))
    on = F.kl_div(log_on, cue, reduction="none")
    off = F.kl_div(log_off, 1 - cue, reduction="none")
    return (on + off).mean(1)


def energy(maps: Tensor, regions: Tensor) -> Tensor:
    """Energy loss (Rao et al., ICCV 2023, arXiv 2303.11932): 1 - share of positive evidence in the region.

    `1 - sum(relu(M) R) / sum(relu(M))`, sums over pixels. It says nothing of how the evidence is spread
    within the region, nor that it has to fill it, which the cosine does.

    Args:
        maps: M, signed, (B, ...).
        regions: R in [0, 1], of the same shape.

    Returns:
        (B,) in [0, 1]; 1, without a gradient, for a map that is nowhere positive.
    """
    positive = maps.flatten(1).relu()
    inside = (positive * regions.flatten(1)).sum(1)
    return 1 - inside / positive.sum(1).clamp(min=EPS)


def _rrr(attention: Tensor, cue: Tensor) -> Tensor:
    scaled = attention / attention.abs().amax(1, keepdim=True).clamp(min=EPS)
    return ((1 - cue) * scaled.square()).mean(1)


def _l1_mask(attention: Tensor, cue: Tensor) -> Tensor:
    positive = attention.relu()
    return _l1(positive / positive.amax(1, keepdim=True).clamp(min=EPS), cue)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": _cosine,
    "l1": _l1,
    "l2": _l2,
    "kl": _kl,
    "standardized-cosine": _standardized_cosine,
    "energy": energy,
    "rrr": _rrr,
    "l1-mask": _l1_mask,
}
"""Loss of each sample, from flattened attention (B, n) and cue (B, n) to (B,).

- `cosine`: 1 - cos(a, h), eps 1e-8.
- `l1`, `l2`: mean over pixels of |a - h| and (a - h)^2.
- `kl`: with s the softmax of a over pixels, the mean over pixels of KL((1 - h, h) || (1 - s, s)).
- `standardized-cosine`: cosine after a -> (a - mean) / (std + 1e-4), std unbiased; the cue stays as it is.
- `energy`: see `energy`.
- `rrr`: right for the right reasons (Ross et al., IJCAI 2017, arXiv 1703.03717): the mean over pixels of
  (1 - h) (a / max |a|)^2, what lies outside the region; the scale is as Rao et al. have it.
- `l1-mask`: the mean over pixels of |relu(a) / max relu(a) - h|, as Rao et al. have it.
"""

READS_SIGNED: frozenset[Loss] = frozenset({"energy", "rrr", "l1-mask"})
"""Losses that bring a map to a scale of their own: they read class maps as they are, signed, where the others
read them normalised to [0, 1]."""


def _log_barrier(constraint: Tensor, t: float) -> Tensor:
    """Extended log-barrier of `constraint <= 0` (Kervadec et al. 2019, arXiv 1904.04205, eq. 4)."""
    edge = -1 / t**2
    inside = -torch.log(-constraint.clamp(max=edge)) / t
    outside = t * constraint - math.log(1 / t**2) / t + 1 / t
    return torch.where(constraint <= edge, inside, outside)


def _check(
    attention: Tensor, cue: Tensor, loss: str, grid: str, softmax: bool, barrier: float | None
) -> None:
    if attention.ndim != 4 or attention.shape[1] != 1:
        raise InputError(f"The attention needs shape (B, 1, h, w), not {tuple(attention.shape)}.")
    if cue.ndim != 4 or cue.shape[1] != 1 or cue.shape[0] != attention.shape[0]:
        raise InputError(
            f"The cue needs shape ({attention.shape[0]}, 1, H, W), one map per sample of the attention, "
            f"not {tuple(cue.shape)}."
        )
    if attention.shape[-2:] == (1, 1):
        raise InputError(
            "The attention has a single pixel (1, 1): nothing to align; choose an earlier layer."
        )
    if loss not in LOSSES:
        raise InputError(f"Unknown alignment loss '{loss}': choose one of {', '.join(LOSSES)}.")
    if grid not in get_args(Grid):
        raise InputError(f"Unknown grid '{grid}': choose one of {', '.join(get_args(Grid))}.")
    check_loss(loss, softmax, barrier)
