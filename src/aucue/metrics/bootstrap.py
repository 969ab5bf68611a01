"""How far an average might come from the choice of images: the bootstrap (Efron & Tibshirani 1993)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

REPLICATES = 2000
_CHUNK = 2_000_000  # weights held at a time


def resampled_means(
    values: NDArray,
    labels: NDArray,
    macro: NDArray,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> tuple[NDArray, NDArray]:
    """Averages over the images, and over as many images drawn from them with replacement.

    Args:
        values: One value per measure and image (M, N), NaN takes no part.
        labels: Class ids (N,).
        macro: Which measures are means over classes (M,), see `weighted_means`.
        replicates: Number R of resamples.
        seed: Of the resamples; equal seeds see the same images, for every measure.

    Returns:
        Averages (M,) and those of the resamples (R, M), NaN where nothing takes part.
    """
    observed = weighted_means(np.ones((1, len(labels))), values, labels, macro)[0]
    drawn = [
        weighted_means(weights, values, labels, macro) for weights in resamples(len(labels), replicates, seed)
    ]
    return observed, np.concatenate(drawn)


def percentile_interval(resampled: NDArray) -> tuple[float, float]:
    """95 % interval of a figure from its values (R,) on resamples; NaN takes no part."""
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return float(low), float(high)


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


def resamples(images: int, replicates: int, seed: int) -> Iterator[NDArray]:
    """How often each image was drawn (R, N), in chunks of replicates."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // images)
    for start in range(0, replicates, chunk):
        rows = min(chunk, replicates - start)
        drawn = generator.integers(images, size=(rows, images)) + images * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)
