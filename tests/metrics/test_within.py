"""Evidence among faces of one expression: worked out by hand, and against SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from aucue.metrics import resampled_auroc, resampled_rank_correlation

ONCE = np.ones((1, 6))


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(4)


def test_auroc_by_hand():
    evidence, active = np.array([5.0, 2, 1, 2, 0, 4]), np.array([1, 1, 1, 0, 0, 0])
    # Of nine pairs: 5 wins three, 2 wins one and ties one, 1 wins one.
    assert resampled_auroc(evidence, active, ONCE)[0] == pytest.approx((3 + 1.5 + 1) / 9)
    # The first face twice, the last one never: of eight pairs 5 wins twice two, 2 wins 1.5, 1 wins one.
    drawn = np.array([[2.0, 1, 1, 1, 1, 0]])
    assert resampled_auroc(evidence, active, drawn)[0] == pytest.approx((4 + 1.5 + 1) / 8)


def test_auroc_of_resamples_equals_scikit_learn(random: np.random.Generator):
    evidence, active = random.integers(0, 6, 40).astype(float), random.random(40) < 0.6
    weights = random.integers(0, 4, (5, 40)).astype(float)
    expected = [roc_auc_score(active, evidence, sample_weight=row) for row in weights]
    np.testing.assert_allclose(resampled_auroc(evidence, active, weights), expected)


def test_rank_correlation_by_hand():
    one, other = np.array([1.0, 2, 3, 4]), np.array([2.0, 1, 4, 3])
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 1 four times
    assert resampled_rank_correlation(one, other, np.ones((1, 4)))[0] == pytest.approx(1 - 6 * 4 / 60)


def test_rank_correlation_of_resamples_equals_scipy(random: np.random.Generator):
    one, other = random.integers(0, 6, (2, 40)).astype(float)
    weights = random.integers(0, 4, (5, 40))
    expected = [np.asarray(spearmanr(np.repeat(one, row), np.repeat(other, row)))[0] for row in weights]
    np.testing.assert_allclose(resampled_rank_correlation(one, other, weights.astype(float)), expected)


def test_what_says_nothing():
    """Too few faces have no figure, nor have resamples of one kind; evidence alike on all faces is chance."""
    rising, alike = np.arange(6.0), np.ones(6)
    assert np.isnan(resampled_auroc(rising, np.array([1, 1, 0, 0, 0, 0]), ONCE)).all()
    assert np.isnan(resampled_rank_correlation(rising[:2], rising[:2], np.ones((1, 2)))).all()
    active = np.array([1, 1, 1, 0, 0, 0])
    drawn = np.array([[1.0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 2]])
    assert np.isnan(resampled_auroc(rising, active, drawn)).tolist() == [True, False]
    assert resampled_auroc(alike, active, ONCE).tolist() == [0.5]
    assert resampled_rank_correlation(alike, rising, ONCE).tolist() == [0]
