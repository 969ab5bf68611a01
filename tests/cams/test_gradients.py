"""The formulas, on two maps of 2 x 2 that can be followed with a pencil."""

import pytest
import torch

from aucue.cams import (
    gradcam,
    gradcam_plus_plus,
    gradcam_plus_plus_fg2024,
    layercam,
    normalize_cam,
    smooth_gradcam_plus_plus,
    xgradcam,
)
from aucue.errors import InputError

FORMULAS = [gradcam, gradcam_plus_plus, gradcam_plus_plus_fg2024, layercam, xgradcam]
F = torch.tensor([[[[1.0, 2.0], [0.0, 1.0]], [[2.0, 1.0], [3.0, 2.0]]]])  # sums 4 and 8
G = torch.tensor([[[[1.0, -1.0], [0.0, 2.0]], [[-1.0, 0.0], [-2.0, 1.0]]]])  # means 1/2 and -1/2
EXPECTED = {
    gradcam: [[0, 0.5], [0, 0]],  # relu(F_1 / 2 - F_2 / 2)
    # alpha 1 / (2 + 4) at g = 1 and 4 / (8 + 4 * 8) at g = 2, so 1/6 + 2/10 = 11/30; 1 / (2 + 8) = 3/30
    gradcam_plus_plus: [[17 / 30, 25 / 30], [9 / 30, 17 / 30]],
    gradcam_plus_plus_fg2024: [[11, 19], [3, 11]],  # (1 + 8) F_1 + 1 F_2
    layercam: [[1, 0], [0, 4]],  # 1 * 1; 2 * 1 + 1 * 2
    # (1 - 2 + 0 + 2) / 4 = 1 / 4 and (-2 + 0 - 6 + 2) / 8 = -3 / 4: F_1 / 4 - 3 F_2 / 4 is nowhere positive
    xgradcam: [[0, 0], [0, 0]],
}


def test_xgradcam_by_hand():
    expected = torch.tensor([[[[1 / 4 * 1 + 3 / 4 * 2, 2 / 4 + 3 / 4], [9 / 4, 1 / 4 + 6 / 4]]]])
    torch.testing.assert_close(xgradcam(F, torch.cat([G[:, :1], -G[:, 1:]], 1)), expected)
    balanced = torch.tensor([[[[1.0, -1.0]]]])  # a sum of 0: no weight
    assert not xgradcam(balanced, torch.ones_like(balanced)).any()


def test_smooth_gradcam_plus_plus_by_hand():
    """F sums to 4; two noisy gradients at one pixel, 1 and 3: means 2, 5 and 14."""
    features = torch.tensor([[[[3.0, 1.0]]]])
    moments = [torch.tensor([[[[value, 0.0]]]]) for value in (2.0, 5.0, 14.0)]
    weight = 5 / (2 * 5 + 4 * 14) * 2
    torch.testing.assert_close(smooth_gradcam_plus_plus(features, *moments), features * weight)
    once = [G, G**2, G**3]  # without noise it is GradCAM++
    torch.testing.assert_close(smooth_gradcam_plus_plus(F, *once), gradcam_plus_plus(F, G))


@pytest.mark.parametrize("formula", FORMULAS)
def test_by_hand(formula):
    expected = torch.tensor([[EXPECTED[formula]]], dtype=torch.float32)
    torch.testing.assert_close(formula(F, G), expected)


@pytest.mark.parametrize("formula", FORMULAS)
def test_several_classes_and_samples(formula):
    features = torch.cat([F, 2 * F])
    gradients = torch.stack([torch.cat([G, -G]), torch.cat([G.flip(1), G])], 1)  # (B, K, C, h, w)
    maps = formula(features, gradients)
    assert maps.shape == (2, 2, 2, 2)
    for sample in range(2):
        for k in range(2):
            alone = formula(features[sample : sample + 1], gradients[sample : sample + 1, k])
            torch.testing.assert_close(maps[sample : sample + 1, k : k + 1], alone)


@pytest.mark.parametrize("formula", FORMULAS)
def test_gradients_that_are_given_once_are_constant(formula):
    features, weight = torch.rand(3, 5, 4, 6), torch.randn(7, 5)
    maps = formula(features, weight[None, :, :, None, None])
    assert maps.shape == (3, 7, 4, 6)
    torch.testing.assert_close(maps, formula(features, weight[None, :, :, None, None].expand(3, 7, 5, 4, 6)))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_positive_scale_of_features_or_gradients_changes_the_scale_alone(formula):
    features, gradients = torch.rand(2, 6, 5, 5), torch.randn(2, 6, 5, 5)
    shape = normalize_cam(formula(features, gradients))
    if formula is not gradcam_plus_plus:  # its alpha is a function of sum(F) g
        torch.testing.assert_close(normalize_cam(formula(features * 3, gradients)), shape)
        torch.testing.assert_close(normalize_cam(formula(features, gradients * 0.2)), shape)
    torch.testing.assert_close(normalize_cam(formula(features * 3, gradients / 3)), shape)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("case", ["no features", "no gradients", "negative gradients", "flat", "one pixel"])
def test_what_shows_nothing_is_zero(formula, case):
    features, gradients = torch.rand(2, 6, 5, 5), torch.randn(2, 6, 5, 5)
    if case == "no features":
        features = torch.zeros_like(features)
    elif case == "no gradients":
        gradients = torch.zeros_like(gradients)
    elif case == "negative gradients":
        gradients = -gradients.abs()
    elif case == "flat":
        features, gradients = torch.ones_like(features), torch.ones_like(gradients)
    else:
        features, gradients = features[..., :1, :1], gradients[..., :1, :1]
    maps = formula(features, gradients)
    assert maps.isfinite().all()
    if case in ("no features", "no gradients", "negative gradients"):
        assert not maps.any()
    assert not normalize_cam(maps).any()


def test_alpha_is_zero_where_its_denominator_is():
    features = torch.tensor([[[[-3.0, 1.0]], [[1.0, 1.0]]]])  # sums -2 and 2
    gradients = torch.tensor([[[[1.0, 1.0]], [[1.0, 0.0]]]], requires_grad=True)  # 2 * 1 - 2 * 1 = 0
    maps = gradcam_plus_plus(features, gradients)
    assert maps.tolist() == [[[[0.25, 0.25]]]]  # 1 / (2 + 2) of the second map alone
    (derivative,) = torch.autograd.grad(maps.sum(), gradients)
    assert derivative.isfinite().all()


def test_gradcam_plus_plus_follows_the_definition_by_higher_derivatives():
    """Eq. 10 to 13 of the paper: alpha from the second and third derivative of Y = exp(logit)."""
    features = torch.rand(1, 4, 3, 3, dtype=torch.float64)
    weight = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    logit = (features * weight).sum()
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(4, dtype=torch.float64)
    for k in range(4):
        for pixel in range(9):
            i, j = divmod(pixel, 3)
            y = (logit + step * weight[0, k, i, j]).exp()  # Y as a function of this one pixel
            (first,) = torch.autograd.grad(y, step, create_graph=True)
            (second,) = torch.autograd.grad(first, step, create_graph=True)
            (third,) = torch.autograd.grad(second, step)
            alpha = second / (2 * second + features[0, k].sum() * third)
            weights[k] += (alpha * first.relu()).detach()
    expected = (weights[:, None, None] * features[0]).sum(0).relu() / logit.exp()
    torch.testing.assert_close(gradcam_plus_plus(features, weight)[0, 0], expected)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0])
def test_gradcam_plus_plus_survives_small_gradients(scale):
    """g^3 is 0 in float32 below 1e-15; alpha is not."""
    features, gradients = torch.rand(1, 4, 3, 3), torch.rand(1, 4, 3, 3) + 0.5
    expected = gradcam_plus_plus(features.double(), gradients.double() * scale)
    torch.testing.assert_close(
        gradcam_plus_plus(features, gradients * scale).double(), expected, rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_half_precision_is_not_passed_on(formula):
    features, gradients = torch.rand(2, 6, 3, 3).bfloat16(), torch.randn(2, 6, 3, 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        maps = formula(features, gradients)
    torch.testing.assert_close(maps, formula(features.float(), gradients.float()), rtol=0, atol=0)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    ("features", "gradients"),
    [
        ((2, 6, 3, 3), (2, 5, 3, 3)),
        ((2, 6, 3, 3), (3, 6, 3, 3)),
        ((2, 6, 3, 3), (2, 6, 3, 1)),
        ((2, 6, 3, 3), (2, 6)),
        ((2, 6), (2, 6, 1, 1)),
    ],
)
def test_errors_name_the_shapes(formula, features, gradients):
    with pytest.raises(InputError) as error:
        formula(torch.rand(features), torch.rand(gradients))
    assert f"{features} and {gradients}" in str(error.value)
