"""Does the evidence of an action unit follow what a face shows of it? Among faces of one expression, where a
template of the expression is the same for all.

The functions take whole samples: how often each face counts, for many resamples at once.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FEWEST = 3
"""Faces, and faces with and without a unit, below which an order says little."""

Resampled = Callable[[NDArray, NDArray, NDArray], NDArray]
"""Of evidence (N,), of what is known of the unit (N,) and of weights (R, N): one figure per resample (R,)."""


def resampled_auroc(evidence: NDArray, active: NDArray, weights: NDArray) -> NDArray:
    """How often a face that shows the unit has more evidence of it than one that does not; ties count half.

    sum_i sum_j a_i (1 - a_j) w_i w_j ([e_i > e_j] + [e_i = e_j] / 2) / (sum_i a_i w_i  sum_j (1 - a_j) w_j).

    Args:
        evidence: e (N,).
        active: a, whether the unit is there (N,): 0 or 1.
        weights: w, how often each face counts (R, N).

    Returns:
        (R,) in [0, 1]; NaN where faces with or without the unit are missing, everywhere where there are fewer
        than `FEWEST` of either.
    """
    there = active > 0
    if min(there.sum(), (~there).sum()) < FEWEST:
        return np.full(len(weights), np.nan)
    below = _weights_below(evidence, weights * ~there)
    pairs = weights[:, there].sum(axis=1) * weights[:, ~there].sum(axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN
        return (below * weights)[:, there].sum(axis=1) / pairs


def resampled_rank_correlation(evidence: NDArray, measured: NDArray, weights: NDArray) -> NDArray:
    """Spearman's rank correlation: Pearson's of ranks, where equal values share their mean rank.

    Args:
        evidence: (N,).
        measured: (N,).
        weights: How often each face counts (R, N).

    Returns:
        (R,) in [-1, 1], 0 where either is the same for all faces; NaN for fewer than `FEWEST` faces.
    """
    if len(evidence) < FEWEST:
        return np.full(len(weights), np.nan)
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN: a resample without any of these faces
        ranks = [_weights_below(values, weights) for values in (evidence, measured)]
        one, other = (rank - (weights * rank).sum(axis=1, keepdims=True) / total for rank in ranks)
        both = (weights * one * other).sum(axis=1)
        spread = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
        return np.where(spread == 0, 0.0, both / np.where(spread == 0, 1.0, spread))


def _weights_below(values: NDArray, weights: NDArray) -> NDArray:
    """Weight of the lower values and half the weight of the equal ones (R, N)."""
    order = np.argsort(values)
    ordered = values[order]
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights[:, order], axis=1)], axis=1)
    lower, upper = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (sums[:, lower] + sums[:, upper]) / 2
