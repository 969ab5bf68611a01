"""Evidence against costs: worked out by hand, and against SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from aucue.errors import InputError
from aucue.metrics import (
    auroc,
    cost_of_first,
    evidence_in,
    evidence_left,
    first_is_dearest,
    is_faint,
    log_odds_map,
    log_odds_of,
    unit_rank_correlation,
)

EVIDENCE = torch.tensor([[0.2, 0.5, 0.1], [0.4, 0.3, 9.0], [0.1, 0.2, 0.3]])
COSTS = torch.tensor([[0.1, 0.6, 0.0], [-0.2, 0.1, 9.0], [0.3, 0.2, 0.1]])
EXISTS = torch.tensor([[True, True, True], [True, True, False], [True, True, True]])


def test_log_odds_map_is_the_gradient_of_the_log_probability():
    """Every cell raised by a little: the change of log p is the map over the number of cells."""
    maps = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = maps.mean(dim=(2, 3))
    classes = torch.tensor([2, 0])
    found = log_odds_map(maps, logits.softmax(1), classes)
    for face in range(2):
        scale = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
        log_p = (maps[face] * scale).mean(dim=(1, 2)).log_softmax(0)[classes[face]]
        (gradient,) = torch.autograd.grad(log_p, scale)
        torch.testing.assert_close(found[face, 0] / 4, gradient)


def test_log_odds_of_a_sure_answer_are_nothing():
    maps = torch.randn(1, 3, 2, 2)
    certain = torch.tensor([[0.0, 1.0, 0.0]])
    torch.testing.assert_close(log_odds_map(maps, certain, torch.tensor([1])), torch.zeros(1, 1, 2, 2))
    with pytest.raises(InputError, match="maps must be"):
        log_odds_map(maps, certain[:, :2], torch.tensor([1]))


def test_evidence_is_the_positive_part_in_a_region():
    map_ = torch.tensor([[[[1.0, -2.0], [3.0, 0.5]]]])
    regions = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    regions[0, 0, 0] = True  # 1 and -2
    regions[0, 1, :, 0] = True  # 1 and 3
    assert evidence_in(map_, regions).tolist() == [[0.25, 1.0]]
    finer = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert evidence_in(torch.ones(1, 1, 2, 2), finer).tolist() == [[1.0]]


def test_a_faint_map_has_no_cell_that_adds_a_logit():
    maps = torch.tensor([[0.9, -3.0], [1.0, 0.0], [-2.0, -1.0], [0.0, 0.0]])[:, None, None]
    assert is_faint(maps).tolist() == [True, False, True, False]  # the last one is not in logits


def test_evidence_left_by_hand():
    before, after = torch.tensor([[2.0, 4.0, 1.0], [0.0, 1.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0]] * 2)
    exists = torch.tensor([[True, True, False], [True, False, False]])
    shares, known = evidence_left(before, after, exists)
    assert shares[0].item() == pytest.approx((1 + 1) / (2 + 4))  # units count by their evidence
    assert known.tolist() == [True, False]  # the only unit of the second face has no evidence to lose


def test_first_and_dearest_by_hand():
    hits, chance = first_is_dearest(EVIDENCE, COSTS, EXISTS)
    assert hits.tolist() == [True, False, False]
    assert chance.tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 3])
    assert cost_of_first(EVIDENCE, COSTS, EXISTS).tolist() == pytest.approx([0.6, -0.2, 0.1])


def test_units_that_tie_are_no_better_than_chance():
    nothing = torch.zeros_like(COSTS)
    for evidence, costs in ((nothing, COSTS), (EVIDENCE, nothing), (nothing, nothing)):
        hits, chance = first_is_dearest(evidence, costs, EXISTS)
        torch.testing.assert_close(hits, chance)
    mean = (COSTS * EXISTS).sum(1) / EXISTS.sum(1)
    torch.testing.assert_close(cost_of_first(nothing, COSTS, EXISTS), mean)


def test_rank_correlation_equals_scipy():
    random = np.random.default_rng(2)
    evidence, costs = random.integers(0, 4, (2, 40, 5)).astype(float)
    exists = random.random((40, 5)) < 0.8
    found, known = unit_rank_correlation(*map(torch.from_numpy, (evidence, costs, exists)))
    for face in range(40):
        a, b = evidence[face, exists[face]], costs[face, exists[face]]
        assert bool(known[face]) == (len(a) >= 3)
        constant = len(set(a)) < 2 or len(set(b)) < 2
        expected = 0.0 if constant else spearmanr(a, b)[0]
        assert found[face].item() == pytest.approx(expected, abs=1e-6)


def test_auroc_equals_scikit_learn():
    random = np.random.default_rng(3)
    scores, right = random.integers(0, 5, 60), random.random(60) < 0.7
    found = auroc(torch.from_numpy(scores), torch.from_numpy(right))
    assert found == pytest.approx(roc_auc_score(right, scores))
    assert np.isnan(auroc(torch.ones(3), torch.ones(3, dtype=torch.bool)))


def test_log_odds_keep_their_digits():
    logits = torch.tensor([[2.0, 1.0, 0.0], [40.0, 0.0, 0.0]])
    classes = torch.tensor([1, 0])
    p = logits.double().softmax(dim=1)
    expected = [float((p[0, 1] / (1 - p[0, 1])).log()), 40 - math.log(2)]
    assert log_odds_of(logits, classes).tolist() == pytest.approx(expected, abs=1e-4)
