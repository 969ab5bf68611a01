import math

import pytest
import torch
from torch.nn.functional import interpolate

from aucue.cams import normalize_cam
from aucue.errors import InputError
from aucue.metrics import attention_at, attention_cosine, cam_at, cam_cosine, map_cosine


def maps(*rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows).unsqueeze(1)


def test_map_cosine_by_hand():
    a = maps([[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]])
    b = maps([[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]], [[6.0, 8.0], [0.0, 0.0]])
    torch.testing.assert_close(map_cosine(a, b), torch.tensor([1 / math.sqrt(2), 0.0, 1.0]))


def test_a_zero_map_has_cosine_zero():
    cue = torch.rand(2, 1, 4, 4)
    assert map_cosine(torch.zeros(2, 1, 4, 4), cue).tolist() == [0, 0]


def test_one_map_against_many():
    cue = torch.rand(3, 1, 4, 4)
    one = torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(map_cosine(cue, one), map_cosine(cue, one.expand(3, -1, -1, -1)))


def test_attention_shifts_by_its_minimum_only_if_that_is_negative():
    negative = maps([[-1.0, 0.0], [1.0, 2.0]])
    positive = maps([[1.0, 2.0], [3.0, 4.0]])
    cue = maps([[0.0, 0.0], [0.0, 1.0]])
    # (0, 1, 2, 3) against (0, 0, 0, 1) and (1, 2, 3, 4) against the same
    assert attention_cosine(negative, cue).item() == pytest.approx(3 / math.sqrt(14))
    assert attention_cosine(positive, cue).item() == pytest.approx(4 / math.sqrt(30))


def test_attention_keeps_its_own_range():
    attention = torch.randn(3, 1, 7, 7).abs() + 1
    resized = attention_at(attention, (50, 50))
    assert (resized.amin((1, 2, 3)) >= attention.amin((1, 2, 3))).all()
    assert (resized.amax((1, 2, 3)) <= attention.amax((1, 2, 3))).all()
    torch.testing.assert_close(attention_at(attention, (7, 7)), attention)


def test_attention_cosine_ignores_scale():
    attention, cue = torch.rand(4, 1, 7, 7), torch.rand(4, 1, 56, 56)
    torch.testing.assert_close(attention_cosine(attention, cue), attention_cosine(9 * attention, cue))


def test_class_map_is_resized_with_pixel_areas_aligned():
    cam = maps([[0.0, 1.0], [0.0, 1.0]])
    # Half-pixel centres: columns of the four-pixel map sit at -0.25, 0.25, 0.75, 1.25 of the two-pixel one.
    torch.testing.assert_close(cam_at(cam, (2, 4))[0, 0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_cam_cosine_of_a_constant_class_map_is_zero():
    cam = normalize_cam(torch.full((1, 1, 7, 7), 3.0))
    assert cam_cosine(cam, torch.rand(1, 1, 28, 28)).item() == 0


def test_cam_cosine_of_the_cue_itself_is_one():
    cue = interpolate(torch.rand(2, 1, 4, 4), size=(32, 32), mode="bilinear").clamp(0, 1)
    torch.testing.assert_close(cam_cosine(cue, cue), torch.ones(2))


@pytest.mark.parametrize(
    ("attention", "cue"),
    [((2, 7, 7), (2, 1, 28, 28)), ((2, 3, 7, 7), (2, 1, 28, 28)), ((2, 1, 7, 7), (3, 1, 28, 28))],
)
def test_wrong_shapes_are_named(attention: tuple[int, ...], cue: tuple[int, ...]):
    with pytest.raises(InputError, match="attention"):
        attention_cosine(torch.rand(attention), torch.rand(cue))
    with pytest.raises(InputError, match="cam"):
        cam_cosine(torch.rand(attention), torch.rand(cue))
