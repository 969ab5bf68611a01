"""The averages themselves are tested with the paired differences of benchmarks."""

import math

import numpy as np
import pytest
from scipy import stats

from aucue.metrics import percentile_interval, resampled_means


def test_interval_of_a_mean_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=300)
    observed, resampled = resampled_means(values[None], np.zeros(300, int), np.array([False]), 9000)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert observed[0] == pytest.approx(values.mean())
    assert percentile_interval(resampled[:, 0]) == pytest.approx((expected.low, expected.high), abs=0.008)


def test_all_measures_see_the_same_images():
    """So a figure made of two averages, such as their ratio, can be resampled."""
    values = np.random.default_rng(0).normal(size=40)
    labels = np.arange(40) % 3
    _, resampled = resampled_means(
        np.stack([values, 2 * values + 1]), labels, np.array([True, True]), replicates=50
    )
    np.testing.assert_allclose(resampled[:, 1], 2 * resampled[:, 0] + 1)


def test_values_that_are_missing_take_no_part():
    values = np.array([[1.0, math.nan, 3.0], [math.nan] * 3])
    observed, _ = resampled_means(values, np.array([0, 0, 1]), np.array([True, True]), replicates=10)
    assert observed[0] == 2
    assert math.isnan(observed[1])
