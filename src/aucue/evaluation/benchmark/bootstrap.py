"""How far a difference between two models might come from the choice of test images: paired bootstrap."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError

REPLICATES = 2000
_CHUNK = 2_000_000  # weights held at a time


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
    model: Mapping[str, NDArray],
    baseline: Mapping[str, NDArray],
    labels: NDArray,
    micro: Collection[str] = (),
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Difference | None]:
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
    observed = weighted_means(np.ones((1, len(labels))), values, labels, macro)[0]
    resampled = np.concatenate(
        [
            weighted_means(weights, values, labels, macro)
            for weights in _resamples(len(labels), replicates, seed)
        ]
    )
    return {
        name: None if np.isnan(observed[k]) else _difference(observed[k], resampled[:, k])
        for k, name in enumerate(model)
    }


def weighted_means(weights: NDArray, values: NDArray, labels: NDArray, macro: NDArray) -> NDArray:
    """Averages over images that count several times or not at all.

    Args:
        weights: How often each image counts (R, N).
        values: One value per measure and image (M, N), NaN takes no part.
        labels: Class ids (N,).
        macro: Which measures are means over the classes present of the means over their images (M,); the
            others are plain means.

    Returns:
        Averages (R, M), NaN where nothing takes part.
    """
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.where(known > 0, values, 0)
    members = [labels == label for label in np.unique(labels)]
    sums, counts = (
        np.stack([weights[:, its] @ part[:, its].T for its in members], axis=2)  # (R, M, K)
        for part in (filled, known)
    )
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN
        micro_means = sums.sum(axis=2) / counts.sum(axis=2)
        class_means = np.where(counts > 0, sums / counts, 0)
        macro_means = class_means.sum(axis=2) / (counts > 0).sum(axis=2)
    return np.where(macro, macro_means, micro_means)


def _resamples(images: int, replicates: int, seed: int) -> Iterator[NDArray]:
    """How often each image was drawn (R, N), in chunks of replicates."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // images)
    for start in range(0, replicates, chunk):
        rows = min(chunk, replicates - start)
        drawn = generator.integers(images, size=(rows, images)) + images * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


def _difference(value: float, resampled: NDArray) -> Difference:
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return Difference(float(value), float(low), float(high))
