"""From values per face to figures with intervals: means per expression, bootstrap, score intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aucue.metrics import (
    REPLICATES,
    Resampled,
    auroc,
    auroc_wins,
    calibration_error,
    classification_report,
    confusion_counts,
    expression_means,
    expression_sums,
    percentile_interval,
    resampled_means,
    resamples,
)

_Cell = tuple[str, int]  # an expression, and the column of one of its units


@dataclass(frozen=True)
class Estimate:
    """A figure, and what other faces of this kind would do to it.

    Attributes:
        value: Mean over the expressions present of the mean over their faces (an accuracy: over faces); None
            where no face took part.
        interval: 95 % interval over faces, by bootstrap (of accuracy: Wilson's); None where there is none.
        micro: Mean over the faces.
        per_expression: Mean per expression, None where no face took part.
        faces: Number of faces per expression that took part.
    """

    value: float | None
    interval: tuple[float, float] | None
    micro: float | None
    per_expression: dict[str, float | None]
    faces: dict[str, int]


def estimates(
    values: Mapping[tuple[str, str], Tensor], labels: Tensor, classes: Sequence[str], shown: Sequence[str]
) -> dict[tuple[str, str], Estimate]:
    """A figure of each column, see `Estimate`; all of them see the same resamples.

    Args:
        values: By figure one value per face (N,); NaN takes no part.
        labels: Class ids (N,).
        classes: Names of all classes.
        shown: Those that an estimate tells apart: classes that have a cue.
    """
    if not values or not len(labels):
        return {}
    columns = np.stack([column.double().numpy() for column in values.values()])
    _, resampled = resampled_means(columns, labels.numpy(), np.ones(len(columns), bool))
    found = {}
    for k, (figure, column) in enumerate(values.items()):
        known = ~column.isnan()
        means = expression_means(*expression_sums(column, labels, known, len(classes)))
        value = number(means["macro"])
        is_share = bool(((column == 0) | (column == 1))[known].all())
        found[figure] = Estimate(
            value=value,
            interval=None
            if value is None
            else _interval(resampled[:, k], int(known.sum()) if is_share else None),
            micro=number(means["micro"]),
            per_expression={name: number(means["per_class"][classes.index(name)]) for name in shown},
            faces={name: int(means["count"][classes.index(name)]) for name in shown},
        )
    return found


def _interval(resampled: NDArray, faces: int | None) -> tuple[float, float]:
    """95 % interval of a figure.

    Where all faces are alike no resample differs; of a share Wilson's interval then says what so few faces
    leave open.

    Args:
        resampled: The figure on resamples (R,).
        faces: Faces of which it is a share; None where it is none.
    """
    low, high = percentile_interval(resampled)
    if faces and low == high and low in (0, 1):
        return wilson(round(low * faces), faces)
    return low, high


def ratio(above: Estimate, below: Estimate, columns: tuple[Tensor, Tensor], labels: Tensor) -> Estimate:
    """Ratio of two means; without an interval where the lower one may be nothing.

    Args:
        above: The mean that is divided.
        below: The mean it is divided by.
        columns: Their values per face (N,), NaN takes no part.
        labels: Class ids (N,).
    """
    clear = below.interval is not None and below.interval[0] > 0
    values = np.stack([column.double().numpy() for column in columns])
    _, resampled = resampled_means(values, labels.numpy(), np.ones(2, bool))
    ups, downs = resampled.T
    return Estimate(
        value=_divided(above.value, below.value),
        interval=percentile_interval((ups / downs)[downs > 0]) if clear else None,
        micro=_divided(above.micro, below.micro),
        per_expression={
            name: _divided(value, below.per_expression[name]) for name, value in above.per_expression.items()
        },
        faces=above.faces,
    )


def auroc_estimate(scores: Tensor, right: Tensor, labels: Tensor, classes: Sequence[str]) -> Estimate:
    """How well scores tell right answers from wrong ones, see `aucue.metrics.auroc`.

    Args:
        scores: One per face (N,); NaN takes no part.
        right: Which answers are right (N,) bool.
        labels: Class ids (N,).
        classes: Names of the classes.
    """
    known = ~scores.isnan()
    scores, right, labels = scores[known].double(), right[known], labels[known]
    value = number(auroc(scores, right))
    per_class = {name: labels == k for k, name in enumerate(classes)}
    return Estimate(
        value=value,
        interval=None if value is None else _auroc_interval(scores, right),
        micro=value,
        per_expression={name: number(auroc(scores[its], right[its])) for name, its in per_class.items()},
        faces={name: int(its.sum()) for name, its in per_class.items()},
    )


def _auroc_interval(scores: Tensor, right: Tensor) -> tuple[float, float]:
    wins, hits, drawn = auroc_wins(scores, right).numpy(), right.numpy(), []
    for weights in resamples(len(scores), REPLICATES, seed=0):
        ups, downs = weights[:, hits], weights[:, ~hits]
        with np.errstate(invalid="ignore"):  # 0 / 0 = NaN: a resample of right answers alone
            drawn.append(((ups @ wins) * downs).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1)))
    return percentile_interval(np.concatenate(drawn))


def unit_estimate(
    figure: Resampled, evidence: NDArray, known: NDArray, labels: NDArray, classes: Mapping[str, int]
) -> Estimate | None:
    """How well the evidence of action units follows what is known of them, within each expression.

    Args:
        figure: Of one unit among faces of one expression.
        evidence: Per face and unit (N, U), NaN takes no part.
        known: What it is held against (N, U), NaN takes no part.
        labels: Class ids (N,).
        classes: Id of each expression.

    Returns:
        Mean over expressions of the mean over their units (micro: mean over all of these); None where there
        are too few faces for any.
    """
    everything = {
        (name, unit): np.flatnonzero((labels == label) & ~np.isnan(evidence[:, unit] + known[:, unit]))
        for name, label in classes.items()
        for unit in range(known.shape[1])
    }

    def figures(weights: NDArray, cells: Mapping[_Cell, NDArray]) -> dict[_Cell, NDArray]:
        return {
            cell: figure(evidence[rows, cell[1]], known[rows, cell[1]], weights[:, rows])
            for cell, rows in cells.items()
        }

    observed = figures(np.ones((1, len(labels))), everything)
    cells = {cell: rows for cell, rows in everything.items() if not np.isnan(observed[cell]).any()}
    if not cells:
        return None
    kept = {cell: observed[cell] for cell in cells}
    resampled = [
        _mean_known(_by_expression(figures(weights, cells)).values())
        for weights in resamples(len(labels), REPLICATES, seed=0)
    ]
    means = {name: float(values[0]) for name, values in _by_expression(kept).items()}
    faces = {
        name: np.concatenate([rows for (of, _), rows in cells.items() if of == name] or [np.zeros(0, int)])
        for name in classes
    }
    return Estimate(
        value=float(np.mean(list(means.values()))),
        interval=percentile_interval(np.concatenate(resampled)),
        micro=float(np.mean(list(kept.values()))),
        per_expression={name: means.get(name) for name in classes},
        faces={name: len(np.unique(rows)) for name, rows in faces.items()},
    )


def _by_expression(figures: Mapping[_Cell, NDArray]) -> dict[str, NDArray]:
    """Mean over the units of each expression (R,)."""
    found: dict[str, list[NDArray]] = {}
    for (name, _), values in figures.items():
        found.setdefault(name, []).append(values)
    return {name: _mean_known(values) for name, values in found.items()}


def _mean_known(values: Iterable[NDArray]) -> NDArray:
    """Mean of figures (R,); what a resample does not hold, NaN, takes no part."""
    stacked = np.stack(list(values))
    known = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN: nothing is left
        return np.where(known, stacked, 0).sum(axis=0) / known.sum(axis=0)


def recognition(labels: Tensor, predictions: Tensor, classes: Sequence[str]) -> dict[str, Estimate]:
    """Accuracy, balanced accuracy (mean recall) and macro F1; per expression recall, or F1.

    Args:
        labels: Class ids (N,).
        predictions: Class ids (N,).
        classes: Names of all classes.
    """
    report = classification_report(confusion_counts(predictions, labels, len(classes)))
    support = {name: int(n) for name, n in zip(classes, report["support"], strict=True)}
    right, everyone = int((labels == predictions).sum()), len(labels)
    balanced, f1 = _resampled_recognition(labels.numpy(), predictions.numpy(), len(classes))
    intervals = {
        "accuracy": wilson(right, everyone) if everyone else None,
        "balanced_accuracy": _interval(balanced, everyone) if everyone else None,
        "macro_f1": _interval(f1, everyone) if everyone else None,
    }
    return {
        key: Estimate(
            value=number(report[key]),
            interval=interval,
            micro=number(report["accuracy"]),
            per_expression={
                name: number(value)
                for name, value in zip(classes, report["f1" if key == "macro_f1" else "recall"], strict=True)
            },
            faces=support,
        )
        for key, interval in intervals.items()
    }


def calibration(probabilities: Tensor, labels: Tensor, classes: Sequence[str]) -> Estimate:
    """Expected calibration error, see `aucue.metrics.calibration_error`: one figure of all answers together.

    It has no interval: on resampled faces it is larger by itself.

    Args:
        probabilities: Of every class (N, K).
        labels: Class ids (N,).
        classes: Names of all classes.
    """
    value = number(calibration_error(probabilities, labels))
    counts = labels.bincount(minlength=len(classes)).tolist()
    faces = {name: int(count) for name, count in zip(classes, counts, strict=True)}
    return Estimate(value, None, value, dict.fromkeys(classes), faces)


def _resampled_recognition(labels: NDArray, predictions: NDArray, count: int) -> tuple[NDArray, NDArray]:
    """Balanced accuracy and macro F1 on resamples of the faces (R,) each."""
    if not len(labels):
        return np.zeros(0), np.zeros(0)
    shown, called = (np.eye(count)[ids] for ids in (labels, predictions))  # (N, K)
    balanced, f1 = [], []
    for weights in resamples(len(labels), REPLICATES, seed=0):
        true, named, hits = weights @ shown, weights @ called, weights @ (shown * called)  # (r, K)
        with np.errstate(invalid="ignore"):  # 0 / 0 = NaN: a class that a resample does not hold
            balanced.append(np.nanmean(hits / true, axis=1))
            f1.append(np.nanmean(2 * hits / (true + named), axis=1))
    return np.concatenate(balanced), np.concatenate(f1)


def number(value: Tensor | float) -> float | None:
    """A finite float, or None for NaN and infinity, which JSON cannot hold."""
    value = float(value)
    return value if math.isfinite(value) else None


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); the default z covers 95 %."""
    share, z2 = successes / trials, z * z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _divided(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below is not None and below > 0 else None
