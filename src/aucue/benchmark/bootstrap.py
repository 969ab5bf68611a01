"""How far a difference between two models might come from the choice of test images: paired bootstrap."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError
from aucue.metrics.bootstrap import REPLICATES, percentile_interval, resampled_means

Name = TypeVar("Name")


@dataclass(frozen=True)
class Difference:
    """Mean of one model minus mean of another, on the same images.

    Attributes:
        value: On the images as they are.
        low, high: 95 % interval.
    """

    value: float
    low: float
    high: float


def paired_bootstrap(
    model: Mapping[Name, NDArray],
    baseline: Mapping[Name, NDArray],
    labels: NDArray,
    micro: Collection[Name] = (),
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[Name, Difference | None]:
    """Differences of averages with percentile intervals (Efron & Tibshirani 1993, chapter 13).

    A replicate draws as many images as there are, with replacement, and computes on them, for both models
    and for every seed, the average of each measure: the mean over classes of the mean over their images
    (classes that a replicate does not hold are left out), or the plain mean for measures named in `micro`.
    Images are drawn once for all seeds and the seeds' differences are averaged inside a replicate, so the
    interval says what other test images would do to these networks; what other seeds would do is another
    question, which the deviation over seeds answers. Accuracy is the plain mean of "named right", balanced
    accuracy its mean over classes.

    Args:
        model: Measure -> values (seeds, N); NaN takes no part, in both models if it occurs in one.
        baseline: The same of the model to compare with, for the same seeds and images.
        labels: Class ids (N,).
        micro: Measures that are plain means.
        replicates: Number of resamples.
        seed: Of the resamples; the same for every call, so that all differences see the same images.

    Returns:
        Measure -> difference; None where no image has values.

    Raises:
        InputError: The shapes differ.
    """
    for name in model:
        if model[name].shape != baseline[name].shape or model[name].shape[1:] != labels.shape:
            raise InputError(
                f"{name}: paired values must have one shape (seeds, {len(labels)}), "
                f"got {model[name].shape} and {baseline[name].shape}."
            )
    # Averages are linear in the values, so one number per image is all that seeds and models come down to.
    values = np.stack([(model[name] - baseline[name]).mean(axis=0) for name in model])
    macro = np.array([name not in micro for name in model])
    observed, resampled = resampled_means(values, labels, macro, replicates, seed)
    return {
        name: None
        if np.isnan(observed[k])
        else Difference(float(observed[k]), *percentile_interval(resampled[:, k]))
        for k, name in enumerate(model)
    }


def ratio_difference(
    model: tuple[NDArray, NDArray], baseline: tuple[NDArray, NDArray], labels: NDArray
) -> Difference | None:
    """Difference of two models' ratios of means, each a mean over seeds, on the same resamples of the images.

    Args:
        model: Values above and below, (seeds, N) each; NaN takes no part.
        baseline: The same of the model to compare with.
        labels: Class ids (N,).

    Returns:
        The difference; None where a mean below is not positive.
    """
    rows = np.concatenate([*model, *baseline])
    observed, resampled = resampled_means(rows, labels, np.ones(len(rows), bool))

    def difference(means: NDArray) -> NDArray:
        above, below, above_too, below_too = np.split(means, 4, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            ours, theirs = (
                np.where(down > 0, up / down, np.nan).mean(axis=-1)
                for up, down in ((above, below), (above_too, below_too))
            )
        return ours - theirs

    value = float(difference(observed))
    return None if np.isnan(value) else Difference(value, *percentile_interval(difference(resampled)))
