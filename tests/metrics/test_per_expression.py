import math

import pytest
import torch

from aucue.errors import InputError
from aucue.facs import EXPRESSIONS
from aucue.metrics import ATTCOS, CAMCOS, ExpressionMean, attention_cosine, cam_cosine

CLASSES = ("neutral", "happiness", "surprise", "fear")
VALUES = torch.tensor([0.9, 0.2, 0.4, 0.6, math.nan, 0.8])
LABELS = torch.tensor([0, 1, 1, 2, 2, -1])
VALID = torch.tensor([False, True, True, True, False, True])


def test_means_by_hand():
    mean = ExpressionMean(CLASSES)
    mean.update(VALUES, LABELS, VALID)
    result = mean.compute()
    assert result["macro"].item() == pytest.approx((0.3 + 0.6) / 2)
    assert result["micro"].item() == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    assert result["count"].tolist() == [0, 2, 1, 0]
    torch.testing.assert_close(
        result["per_class"].float(), torch.tensor([math.nan, 0.3, 0.6, math.nan]), equal_nan=True
    )


def test_the_published_code_counts_an_absent_expression_as_minus_one():
    mean = ExpressionMean(CLASSES, absent="fg2024")
    mean.update(VALUES, LABELS, VALID)
    assert mean.compute()["macro"].item() == pytest.approx((0.3 + 0.6 - 1) / 3)


def test_nothing_valid_is_nan():
    mean = ExpressionMean(CLASSES)
    mean.update(VALUES, LABELS, torch.zeros(6, dtype=torch.bool))
    assert mean.compute()["macro"].isnan()
    assert mean.compute()["micro"].isnan()


def test_a_valid_nan_is_not_hidden():
    mean = ExpressionMean(CLASSES)
    mean.update(VALUES, LABELS, torch.ones(6, dtype=torch.bool))
    assert mean.compute()["macro"].isnan()


def test_batches_do_not_matter():
    values, labels = torch.rand(50), torch.randint(0, 4, (50,))
    whole, parts = ExpressionMean(CLASSES), ExpressionMean(CLASSES)
    whole.update(values, labels)
    for batch in torch.arange(50).split(7):
        parts.update(values[batch], labels[batch])
    torch.testing.assert_close(whole.compute(), parts.compute(), rtol=1e-14, atol=0)


def test_two_processes_merge_by_adding_their_states():
    values, labels = torch.rand(50), torch.randint(0, 4, (50,))
    whole, one, other = (ExpressionMean(CLASSES) for _ in range(3))
    whole.update(values, labels)
    one.update(values[:13], labels[:13])
    other.update(values[13:], labels[13:])
    one.merge_state(other)
    torch.testing.assert_close(whole.compute(), one.compute(), rtol=1e-14, atol=0)


def test_float32_rounding_does_not_accumulate():
    mean = ExpressionMean(CLASSES)
    value = torch.full((1000,), 0.1)
    for _ in range(1000):
        mean.update(value, torch.ones(1000, dtype=torch.long))
    assert mean.compute()["micro"].item() == pytest.approx(float(value[0]), abs=1e-12)


def test_state_does_not_grow():
    mean = ExpressionMean(CLASSES)
    mean.update(torch.rand(1000), torch.randint(0, 4, (1000,)))
    assert mean.total.numel() + mean.count.numel() == 8


def test_att_cos_and_cam_cos_are_means_of_their_functions():
    labels, valid = torch.tensor([1, 2, 3, 1]), torch.tensor([True, True, False, True])
    attention, cam, cue = torch.randn(4, 1, 7, 7), torch.rand(4, 1, 7, 7), torch.rand(4, 1, 28, 28)
    for metric, maps, function in (
        (ATTCOS(EXPRESSIONS), attention, attention_cosine),
        (CAMCOS(EXPRESSIONS), cam, cam_cosine),
    ):
        metric.update(maps, cue, labels, valid)
        values = function(maps, cue)
        expected = ((values[0] + values[3]) / 2 + values[1]) / 2
        assert metric.compute()["macro"].item() == pytest.approx(expected.item(), abs=1e-6)


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match=r"\(3,\), \(2,\)"):
        ExpressionMean(CLASSES).update(torch.rand(3), torch.ones(2, dtype=torch.long))
    with pytest.raises(InputError, match="absent"):
        ExpressionMean(CLASSES, absent="zero")  # pyright: ignore[reportArgumentType]
