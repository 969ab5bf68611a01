"""Figures and their intervals against scikit-learn, SciPy and numbers worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, spearmanr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from aucue.evaluation.estimate import estimates, ratio, recognition, unit_estimate
from aucue.metrics import resampled_auroc, resampled_rank_correlation

CLASSES = ("neutral", "happiness", "fear")


@pytest.fixture(scope="module")
def answers() -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(4)
    labels = random.integers(0, 3, 200)
    predictions = np.where(random.random(200) < 0.6, labels, random.integers(0, 3, 200))
    return torch.from_numpy(labels), torch.from_numpy(predictions)


def test_recognition(answers: tuple[torch.Tensor, torch.Tensor]):
    labels, predictions = answers
    found = recognition(labels, predictions, CLASSES)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, predictions))
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert found["macro_f1"].value == pytest.approx(f1_score(labels, predictions, average="macro"))
    for k, name in enumerate(CLASSES):
        f1 = f1_score(labels == k, predictions == k)
        assert found["macro_f1"].per_expression[name] == pytest.approx(f1)


@pytest.mark.parametrize("key", ["balanced_accuracy", "macro_f1"])
def test_intervals_of_recognition(answers: tuple[torch.Tensor, torch.Tensor], key: str):
    """SciPy draws other resamples: its interval ends at most a hundredth elsewhere."""
    labels, predictions = answers

    def figure(true: np.ndarray, named: np.ndarray) -> float:
        if key == "macro_f1":
            return float(f1_score(true, named, average="macro"))
        return float(np.mean([(named[true == k] == k).mean() for k in np.unique(true)]))

    pairs = (labels.numpy(), predictions.numpy())
    interval = bootstrap(
        pairs, figure, paired=True, vectorized=False, n_resamples=400, method="percentile", rng=0
    ).confidence_interval
    assert recognition(labels, predictions, CLASSES)[key].interval == pytest.approx(
        (interval.low, interval.high), abs=0.012
    )


def test_few_faces_that_are_alike_are_not_certain():
    labels = torch.tensor([0, 0, 1, 1, 1])
    shares = {("all", ""): torch.ones(5), ("none", ""): torch.tensor([0, 0, 0, 0, torch.nan])}
    shares["no share", ""] = torch.full((5,), 0.7)
    found = estimates(shares, labels, CLASSES, CLASSES[1:])
    assert found["all", ""].interval == pytest.approx((0.5655, 1), abs=1e-4)  # Wilson, of 5
    assert found["none", ""].interval == pytest.approx((0, 0.4899), abs=1e-4)  # of 4
    assert found["no share", ""].interval == pytest.approx((0.7, 0.7))
    right = recognition(labels, labels, CLASSES)
    assert right["balanced_accuracy"].interval == right["macro_f1"].interval == right["accuracy"].interval


def test_ratio_by_hand():
    labels = torch.tensor([1, 1, 2])
    columns = {("o", "up"): torch.tensor([0.6, 0.2, 0.4]), ("o", "down"): torch.tensor([0.1, 0.3, 0.3])}
    found = estimates(columns, labels, CLASSES, CLASSES[1:])
    up, down = found["o", "up"], found["o", "down"]
    # Averages per expression, then over expressions: (0.4 + 0.4) / 2 and (0.2 + 0.3) / 2.
    its = ratio(up, down, (columns["o", "up"], columns["o", "down"]), labels)
    assert its.value == pytest.approx(0.4 / 0.25)
    assert its.micro == pytest.approx(1.2 / 0.7)
    assert its.per_expression == pytest.approx({"happiness": 2, "fear": 4 / 3})
    assert its.interval is not None
    # Faces one by one give 6, 2/3 and 4/3, and no resample can leave these limits.
    assert 2 / 3 - 1e-6 <= its.interval[0] < 1.6 < its.interval[1] <= 6 + 1e-6


@pytest.mark.parametrize(("below", "value"), [([0.1, -0.2, 0.2], 0.4 / 0.075), ([-0.1, -0.1, -0.1], None)])
def test_a_ratio_to_nothing_has_no_interval(below: list[float], value: float | None):
    labels = torch.tensor([1, 1, 2])
    columns = (torch.tensor([0.6, 0.2, 0.4]), torch.tensor(below))
    found = estimates({("o", "up"): columns[0], ("o", "down"): columns[1]}, labels, CLASSES, CLASSES[1:])
    its = ratio(found["o", "up"], found["o", "down"], columns, labels)
    assert its.interval is None
    assert its.value == (None if value is None else pytest.approx(value))


def test_units_by_hand():
    """Two units of happiness, one of fear, of which too few faces lack the other one; neutral has none."""
    nan = np.nan
    labels = np.array([1] * 6 + [2] * 6 + [0])
    evidence = np.array([[5.0, 1]] * 3 + [[1, 1]] * 3 + [[3, nan]] * 2 + [[0, 1]] * 4 + [[nan, nan]])
    known = np.array([[1.0, 1]] * 3 + [[0, 0]] * 3 + [[1, 1], [0, 0]] * 3 + [[1, 1]])
    found = unit_estimate(resampled_auroc, evidence, known, labels, {"happiness": 1, "fear": 2})
    assert found is not None
    assert found.interval is not None
    # Happiness: one unit always known, one never told apart; fear: a face of either kind has 3, two have 0.
    fear = (1 * 2 + 0.5 * 1 + 2 * 0.5 * 2) / 9
    assert found.per_expression == pytest.approx({"happiness": (1 + 0.5) / 2, "fear": fear})
    assert found.value == pytest.approx((0.75 + fear) / 2)
    assert found.micro == pytest.approx((1 + 0.5 + fear) / 3)
    assert found.faces == {"happiness": 6, "fear": 6}
    low, high = found.interval
    assert low < (0.75 + fear) / 2 < high
    nothing = np.full_like(known, nan)
    assert unit_estimate(resampled_auroc, evidence, nothing, labels, {"happiness": 1, "fear": 2}) is None


def test_interval_over_units_equals_scipy():
    random = np.random.default_rng(1)
    known, noise = random.normal(size=(2, 80))
    evidence, labels = known + noise, np.ones(80, int)
    columns = (evidence[:, None], known[:, None])
    found = unit_estimate(resampled_rank_correlation, *columns, labels, {"happiness": 1})

    def figure(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.asarray(spearmanr(one, other))[0])

    resampled = bootstrap(
        (evidence, known), figure, paired=True, vectorized=False, n_resamples=500, method="percentile", rng=2
    )
    assert found is not None
    assert found.value == pytest.approx(figure(evidence, known))
    assert found.interval == pytest.approx(tuple(resampled.confidence_interval), abs=0.03)
