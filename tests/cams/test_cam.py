import math

import pytest
import torch
from torch import nn

from aucue.cams import class_activation_map, normalize_cam
from aucue.errors import InputError

WEIGHT = torch.tensor([[1.0, 0.0], [1.0, -1.0], [0.0, 2.0]])  # three classes, two channels


@pytest.fixture
def features() -> torch.Tensor:
    """Two samples with two 1 x 2 maps each."""
    return torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]], [[[5.0, 6.0]], [[7.0, 9.0]]]])


def test_all_classes_by_hand(features):
    expected = [[[[1.0, 2.0]], [[-2.0, -2.0]], [[6.0, 8.0]]], [[[5.0, 6.0]], [[-2.0, -3.0]], [[14.0, 18.0]]]]
    torch.testing.assert_close(class_activation_map(features, WEIGHT), torch.tensor(expected))
    torch.testing.assert_close(
        class_activation_map(features, WEIGHT[:, :, None, None]), torch.tensor(expected)
    )


def test_one_class_per_sample_by_hand(features):
    result = class_activation_map(features, WEIGHT, torch.tensor([2, 1]))
    torch.testing.assert_close(result, torch.tensor([[[[6.0, 8.0]]], [[[-2.0, -3.0]]]]))


def test_the_mean_of_the_map_is_the_logit_without_bias():
    maps, linear = torch.rand(3, 8, 5, 7), nn.Linear(8, 4, bias=False)
    cam = class_activation_map(maps, linear.weight)
    torch.testing.assert_close(cam.mean((2, 3)), linear(maps.mean((2, 3))))


def test_it_stays_in_the_graph(features):
    features.requires_grad_()
    class_activation_map(features, WEIGHT, torch.tensor([1, 2])).sum().backward()
    assert features.grad is not None
    assert features.grad[:, :, 0, 0].tolist() == [[1.0, -1.0], [0.0, 2.0]]


def test_autocast_does_not_round():
    maps, weight = torch.rand(2, 64, 3, 3), torch.randn(5, 64)
    expected = class_activation_map(maps, weight)
    with torch.autocast("cpu", torch.bfloat16):
        result = class_activation_map(maps, weight)
        low = class_activation_map(maps.bfloat16(), weight)
    assert result.dtype == low.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_errors_name_the_shapes(features):
    with pytest.raises(InputError, match=r"\(2, 2, 1, 2\) and \(3, 4\)"):
        class_activation_map(features, torch.rand(3, 4))
    with pytest.raises(InputError, match=r"\(3, 2, 3, 3\)"):
        class_activation_map(features, torch.rand(3, 2, 3, 3))
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        class_activation_map(features.mean((2, 3)), WEIGHT)
    with pytest.raises(InputError, match=r"one class per sample, \(2,\)"):
        class_activation_map(features, WEIGHT, torch.tensor([1]))


def test_normalize_by_hand():
    cam = torch.tensor([[[[-1.0, 0.0, 3.0]], [[2.0, 4.0, 2.5]]]])  # each map by itself
    expected = torch.tensor([[[[0.0, 0.25, 1.0]], [[0.0, 1.0, 0.25]]]])
    torch.testing.assert_close(normalize_cam(cam), expected)


@pytest.mark.parametrize("row", [[2.0, 2.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], [-math.inf, 1.0]])
def test_normalize_without_an_answer_is_zero(row):
    good = [0.0, 5.0]
    result = normalize_cam(torch.tensor([[[good]], [[row]]]))
    assert result.tolist() == [[[[0.0, 1.0]]], [[[0.0, 0.0]]]]


def test_the_gradient_through_a_constant_map_is_nothing():
    cam = torch.stack([torch.zeros(1, 3, 3), torch.full((1, 3, 3), 2.0), torch.rand(1, 3, 3)])
    cam.requires_grad_()
    (normalize_cam(cam) * torch.arange(9.0).view(3, 3)).sum().backward()
    assert cam.grad is not None
    assert not cam.grad[:2].any()
    assert cam.grad[2].isfinite().all()
    assert cam.grad[2].any()
