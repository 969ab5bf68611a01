"""Calibration: whether a probability is the chance of being right, and the temperature that makes it so."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from aucue.errors import InputError

BINS = 15
"""Bins of equal width that probabilities are sorted into."""

TEMPERATURES = (0.2, 5.0)
"""Between what a temperature is sought."""

_NARROW = 1e-4  # width of the interval of log temperatures at which the search ends
_GOLDEN = (math.sqrt(5) - 1) / 2


class Reliability(NamedTuple):
    """How often answers are right, by how probable they are called.

    Attributes:
        faces: Number of answers in each bin (n,), by probability ascending.
        probability: Their mean probability (n,); NaN in an empty bin.
        right: Share of them that is right (n,); NaN in an empty bin.
    """

    faces: Tensor
    probability: Tensor
    right: Tensor


def reliability(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """Sort answers by their probability, and count how often they are right.

    Args:
        probabilities: Of every class (N, K); the largest one is the answer's.
        labels: Class ids (N,).
        bins: Number of bins of equal width; a probability on the border of two belongs to the upper one.

    Raises:
        InputError: The shapes do not belong together.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise InputError(
            "probabilities must have shape (N, K) and labels (N,), got "
            f"{tuple(probabilities.shape)} and {tuple(labels.shape)}."
        )
    top, answers = probabilities.double().max(dim=1)
    place = (top * bins).long().clamp(max=bins - 1)
    faces = torch.zeros(bins, dtype=torch.double, device=top.device).index_add(0, place, torch.ones_like(top))
    sums = [
        torch.zeros_like(faces).index_add(0, place, values) for values in (top, (answers == labels).double())
    ]
    return Reliability(faces, *(each / faces for each in sums))  # 0 / 0 = NaN


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Tensor:
    """Expected calibration error (Guo et al., ICML 2017): how far probability and share of right answers are
    apart, mean over the answers, bin by bin.

    Args:
        probabilities: Of every class (N, K).
        labels: Class ids (N,).
        bins: Number of bins of equal width.

    Returns:
        Scalar in [0, 1], 0 is best; NaN without faces.

    Raises:
        InputError: The shapes do not belong together.
    """
    faces, probability, right = reliability(probabilities, labels, bins)
    return (faces * (probability - right).abs()).nansum() / faces.sum()


def fit_temperature(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> float:
    """The temperature that logits are to be divided by, so that their softmax fits held-out faces best.

    It minimises the mean negative log likelihood of the labels, mean over the sets (temperature scaling, Guo
    et al., ICML 2017); no answer changes by it. The search is by golden sections: the loss has one minimum.

    Args:
        logits: (N, K) of each of one or several sets of faces; every set counts alike, however large.
        labels: Class ids (N,) of each.

    Returns:
        A number within `TEMPERATURES`.

    Raises:
        InputError: There are no faces.
    """
    if not logits or not all(map(len, logits)):
        raise InputError("A temperature needs labelled faces that no training saw; there are none.")
    sets = [(z.double(), y.long()) for z, y in zip(logits, labels, strict=True)]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return sum(cross_entropy(z * scale, y).item() for z, y in sets)

    low, high = map(math.log, TEMPERATURES)
    return math.exp(_lowest(loss, low, high))


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one minimum is lowest between two places."""
    while high - low > _NARROW:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return (low + high) / 2
