import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from aucue.benchmark.bootstrap import Difference, paired_bootstrap, ratio_difference
from aucue.errors import InputError
from aucue.metrics import bootstrap
from aucue.metrics.bootstrap import weighted_means

NAN = math.nan


def slow_mean(weights: NDArray, values: NDArray, labels: NDArray, macro: bool) -> float:
    """Every image written out as often as it counts, averaged in plain Python."""
    drawn: dict[int, list[float]] = {}
    for weight, value, label in zip(weights.tolist(), values.tolist(), labels.tolist(), strict=True):
        if not math.isnan(value):
            drawn.setdefault(label if macro else 0, []).extend([value] * int(weight))
    means = [sum(found) / len(found) for found in drawn.values() if found]
    return sum(means) / len(means) if means else NAN


def test_weighted_means_equal_a_slow_reference():
    random = np.random.default_rng(5)
    labels = random.integers(0, 3, 12)
    values = random.normal(size=(4, 12))
    values[1, labels == 2] = NAN
    values[2, ::2] = NAN
    values[3] = NAN
    weights = random.multinomial(12, [1 / 12] * 12, size=40)
    weights[0] = 0
    weights[0, 3] = 12  # a resample of one class alone
    macro = np.array([True, False, True, True])
    means = weighted_means(weights, values, labels, macro)
    expected = [[slow_mean(row, values[m], labels, bool(macro[m])) for m in range(4)] for row in weights]
    np.testing.assert_allclose(means, expected, rtol=1e-12)


def test_seeds_are_averaged_inside_a_replicate():
    """The same interval as from the mean over seeds of each model in every replicate."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 30)
    model, baseline = random.normal(size=(2, 3, 30))
    found = paired_bootstrap({"m": model}, {"m": baseline}, labels, replicates=200, seed=7)["m"]
    differences = []
    for weights in np.concatenate(list(bootstrap.resamples(30, 200, 7))):
        per_seed = [
            slow_mean(weights, model[s], labels, True) - slow_mean(weights, baseline[s], labels, True)
            for s in range(3)
        ]
        differences.append(sum(per_seed) / 3)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, (0.025, 0.975))))


def test_the_interval_is_that_of_the_normal_theory():
    random = np.random.default_rng(1)
    model, baseline = random.normal(0.3, 1, (1, 2000)), random.normal(0, 1, (1, 2000))
    found = paired_bootstrap(
        {"m": model}, {"m": baseline}, np.zeros(2000, int), micro=["m"], replicates=4000
    )["m"]
    assert found is not None
    error = (model - baseline).std(ddof=1) / math.sqrt(2000)
    assert found.value == pytest.approx((model - baseline).mean())
    assert (found.low - found.value, found.high - found.value) == pytest.approx(
        (-1.96 * error, 1.96 * error), rel=0.06
    )


def test_accuracy_agrees_with_scipy():
    random = np.random.default_rng(2)
    baseline = (random.random(400) < 0.7).astype(float)
    model = np.where(random.random(400) < 0.1, 1 - baseline, baseline)
    found = paired_bootstrap(
        {"CL": model[None]}, {"CL": baseline[None]}, np.zeros(400, int), micro=["CL"], replicates=9000
    )["CL"]
    expected = stats.bootstrap(
        (model, baseline),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        method="percentile",
        n_resamples=9000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_balanced_accuracy_agrees_with_scipy():
    random = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], [300, 80, 40])
    model, baseline = (random.random(420) < share for share in (0.8, 0.6))

    def balanced(a: NDArray, b: NDArray, label: NDArray) -> float:
        return float(np.mean([a[label == k].mean() - b[label == k].mean() for k in range(3)]))

    expected = stats.bootstrap(
        (model, baseline, labels),
        balanced,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = paired_bootstrap(
        {"b": model[None].astype(float)}, {"b": baseline[None].astype(float)}, labels, replicates=4000
    )["b"]
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.008)


def both(model: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]) -> Difference | None:
    labels = np.array([0, 0, 1, 1, 2])
    return paired_bootstrap({"m": np.array(model)}, {"m": np.array(baseline)}, labels, replicates=50)["m"]


def test_equal_models_differ_by_exactly_nothing():
    values = [[0.1, 0.7, NAN, 0.3, 0.9], [0.2, 0.4, NAN, 0.8, 0.6]]
    assert both(values, values) == Difference(0.0, 0.0, 0.0)


def test_a_constant_shift_is_found_exactly():
    values = [0.25, 0.5, 0.125, NAN, 0.75]
    assert both([[v + 0.25 for v in values]], [values]) == Difference(0.25, 0.25, 0.25)


def test_an_image_without_a_value_in_one_model_takes_no_part_in_both():
    found = both([[0.5, NAN, 0.5, 0.5, 0.5]], [[0.25, -9.0, 0.25, 0.25, 0.25]])
    assert found == Difference(0.25, 0.25, 0.25)


def test_no_values_make_no_difference():
    assert both([[NAN] * 5], [[0.5] * 5]) is None


def test_memory_is_bounded_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    whole = np.concatenate(list(bootstrap.resamples(50, 60, 0)))
    monkeypatch.setattr(bootstrap, "_CHUNK", 500)
    chunks = list(bootstrap.resamples(50, 60, 0))
    assert max(chunk.size for chunk in chunks) == 500
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    assert (whole.sum(axis=1) == 50).all()


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(0)
    model, baseline = ({"m": random.random((2, 40))} for _ in range(2))
    labels = random.integers(0, 3, 40)
    first, again = (paired_bootstrap(model, baseline, labels, replicates=300) for _ in range(2))
    other = paired_bootstrap(model, baseline, labels, replicates=300, seed=1)
    assert first == again
    assert first != other


def test_other_images_cannot_be_paired():
    with pytest.raises(InputError, match=r"one shape \(seeds, 5\)"):
        both([[0.5] * 5], [[0.5] * 4])


def test_ratio_difference_by_hand():
    """Means per class, then over classes, ratio per seed, then over seeds."""
    labels = np.array([0, 0, 1])
    above = np.array([[0.6, 0.6, 0.6], [0.2, 0.4, 0.5]])
    below = np.array([[0.2, 0.2, 0.2], [0.2, 0.2, 0.2]])
    found = ratio_difference((above, below), (below, below), labels)
    assert found is not None
    # 3 and ((0.2 + 0.4) / 2 + 0.5) / 2 / 0.2 = 2, against 1 and 1
    assert found.value == pytest.approx((3 + 2) / 2 - 1)
    # faces alone give 3 and 1 to 2.5, and no resample can leave these limits
    assert (3 + 1) / 2 - 1 - 1e-9 <= found.low < found.value < found.high <= (3 + 2.5) / 2 - 1 + 1e-9
    same = ratio_difference((above, below), (above, below), labels)
    assert same == Difference(0.0, 0.0, 0.0)
    assert ratio_difference((above, -below), (below, below), labels) is None
