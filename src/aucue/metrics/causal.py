"""Does a map show what decides? Evidence of action units against what hiding them costs.

A map is evidence only if the decision depends on what it shows, and if it is gone where nothing can be seen.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.errors import InputError

FAINT = 1.0
"""Logits that a cell of a map has to add before the map is said, and drawn, to show evidence."""


def log_odds_map(maps: Tensor, probabilities: Tensor, classes: Tensor) -> Tensor:
    """What each cell adds to a class against the others: M_c - sum_k p_k M_k.

    Where maps are in logits (their means are the logits, but for a bias), this is, to first order, what the
    cell adds to log p_c. It is signed: cells below 0 speak for other classes.

    Args:
        maps: Class maps (B, K, h, w) in logits, not normalised.
        probabilities: Of the classes (B, K).
        classes: Class ids (B,).

    Returns:
        (B, 1, h, w).

    Raises:
        InputError: The shapes do not fit.
    """
    if maps.ndim != 4 or probabilities.shape != maps.shape[:2] or len(classes) != len(maps):
        raise InputError(
            f"maps must be (B, K, h, w), probabilities (B, K) and classes (B,), not {tuple(maps.shape)}, "
            f"{tuple(probabilities.shape)} and {tuple(classes.shape)}."
        )
    index = classes.view(-1, 1, 1, 1).expand(-1, 1, *maps.shape[2:])
    expected = (probabilities[:, :, None, None] * maps).sum(dim=1, keepdim=True)
    return maps.gather(1, index) - expected


def log_odds_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Log (p_c / (1 - p_c)) of one class per picture, without loss of digits where p_c is near 0 or 1.

    Args:
        logits: Of at least two classes (B, K).
        classes: Class ids (B,).

    Returns:
        (B,).
    """
    own = classes[:, None]
    others = logits.scatter(1, own, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, own)[:, 0] - others


def is_faint(map_: Tensor) -> Tensor:
    """Which maps show no evidence, however they may be stretched: those no cell of which adds `FAINT` logits.

    Args:
        map_: From `log_odds_map` (B, 1, h, w). A map of zeros only is of a method whose maps are not in
            logits, and is not judged.

    Returns:
        (B,) bool.
    """
    cells = map_.flatten(1)
    return cells.any(dim=1) & (cells.amax(dim=1) < FAINT)


def evidence_in(map_: Tensor, regions: Tensor) -> Tensor:
    """The positive part of a signed map in regions, as a mean over the whole picture.

    Args:
        map_: Maps (B, 1, h, w); resized bilinearly to the regions' size.
        regions: R regions per picture (B, R, H, W) bool.

    Returns:
        (B, R), not negative; a map of ones gives the regions' shares of the picture.
    """
    size = (regions.shape[-2], regions.shape[-1])
    positive = interpolate(map_, size=size, mode="bilinear", align_corners=False).clamp(min=0)
    return (positive * regions).flatten(2).mean(dim=2)


def evidence_left(before: Tensor, after: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
    """The share of their own evidence that is left where units are hidden, each in turn.

    sum_u after_u / sum_u before_u: a unit counts by its evidence. (The mean of the units' shares, which was
    taken at first, is ruled by units without any: from next to nothing to a little is many times as much.)

    Args:
        before: Evidence of each unit (B, U), not negative.
        after: The same with this unit hidden (B, U).
        exists: Which units count (B, U).

    Returns:
        Shares (B,), 0 where all evidence is gone; and which pictures have one (B,): those without evidence
        before have none.
    """
    total = (before * exists).sum(dim=1)
    some = total > 0
    return torch.where(some, (after * exists).sum(dim=1) / torch.where(some, total, 1.0), 0.0), some


def first_is_dearest(evidence: Tensor, costs: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the unit with most evidence is the one whose hiding costs most.

    Of units that tie, one is drawn: the figure is the chance that both draws meet, so that a map without
    evidence is no better than any order.

    Args:
        evidence: Of each unit (B, U).
        costs: What hiding it takes from the answer (B, U).
        exists: Which units count (B, U).

    Returns:
        (B,) in [0, 1], 0 or 1 without ties, and what a unit drawn at random gives: one over the number of
        units (B,).
    """
    hits = (_drawn_first(evidence, exists) * _drawn_first(costs, exists)).sum(dim=1)
    return hits, 1 / exists.sum(dim=1).clamp(min=1)


def cost_of_first(evidence: Tensor, costs: Tensor, exists: Tensor) -> Tensor:
    """What hiding the unit with most evidence costs (B,), the mean of units that tie; arguments as of
    `first_is_dearest`.
    """
    return (_drawn_first(evidence, exists) * costs.where(exists, 0.0)).sum(dim=1)


def _drawn_first(values: Tensor, exists: Tensor) -> Tensor:
    """How likely each unit (B, U) is drawn as the largest: 1, or an equal share where units tie."""
    largest = values.masked_fill(~exists, -torch.inf).amax(dim=1, keepdim=True)
    ties = (values == largest) & exists
    return ties / ties.sum(dim=1, keepdim=True).clamp(min=1)


def unit_rank_correlation(evidence: Tensor, costs: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
    """Spearman's rank correlation of evidence and cost over the units of each picture.

    Args:
        evidence: Of each unit (B, U).
        costs: What hiding it takes from the answer (B, U).
        exists: Which units count (B, U).

    Returns:
        (B,) in [-1, 1], 0 where either is the same for all units; and which pictures have three units, below
        which an order says little (B,).
    """
    ranks = [_ranks(values, exists) for values in (evidence, costs)]
    count = exists.sum(dim=1, keepdim=True).clamp(min=1)
    centred = [
        torch.where(exists, rank - (rank * exists).sum(dim=1, keepdim=True) / count, 0.0) for rank in ranks
    ]
    return torch.cosine_similarity(*centred, dim=1), exists.sum(dim=1) >= 3


def auroc(scores: Tensor, positive: Tensor) -> float:
    """How often a positive has the higher score than a negative; ties count half (Mann and Whitney, 1947).

    Args:
        scores: (N,).
        positive: (N,) bool.

    Returns:
        In [0, 1]; NaN without positives or without negatives.
    """
    wins = auroc_wins(scores, positive)
    return float(wins.mean()) if wins.numel() else float("nan")


def auroc_wins(scores: Tensor, positive: Tensor) -> Tensor:
    """Of every positive against every negative (P, N): 1 where it has the higher score, a half for a tie.

    Args:
        scores: (P + N,).
        positive: (P + N,) bool.
    """
    above, below = scores[positive].double(), scores[~positive].double()
    return (above[:, None] > below).double() + 0.5 * (above[:, None] == below)


def _ranks(values: Tensor, exists: Tensor) -> Tensor:
    """Ranks among those that exist (B, U); equal ones share their mean rank."""
    lower = (values[:, None, :] < values[:, :, None]) & exists[:, None, :]
    equal = (values[:, None, :] == values[:, :, None]) & exists[:, None, :]
    return lower.sum(dim=2) + equal.sum(dim=2) / 2
