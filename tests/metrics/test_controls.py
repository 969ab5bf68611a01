import math
from collections.abc import Callable

import pytest
import torch

from aucue.errors import InputError
from aucue.metrics import (
    CONTROLS,
    MeanCues,
    attention_at,
    cam_at,
    centred_gaussian,
    control_cosines,
    grid_ceiling,
    map_cosine,
    uniform_map,
    wrong_expressions,
)

CLASSES = ("neutral", "happiness", "surprise", "fear")
LABELS = torch.tensor([1, 1, 1, 2, 2, 3, 0])
VALID = torch.tensor([True] * 6 + [False])


@pytest.fixture
def cue() -> torch.Tensor:
    return torch.rand(7, 1, 6, 8)


@pytest.fixture
def means(cue: torch.Tensor) -> MeanCues:
    metric = MeanCues(CLASSES, (6, 8))
    metric.update(cue[:4], LABELS[:4], VALID[:4])
    metric.update(cue[4:], LABELS[4:], VALID[4:])
    return metric


def test_centred_gaussian_by_hand():
    blob = centred_gaussian((4, 8), sigma=0.25)
    assert blob.shape == (1, 1, 4, 8)
    # The corner is 1.5 of 4 rows and 3.5 of 8 columns away from the centre, sigma is a quarter of each side.
    assert blob[0, 0, 0, 0].item() == pytest.approx(math.exp(-(1.5**2 + 1.75**2) / 2))
    torch.testing.assert_close(blob, blob.flip(-1).flip(-2))


def test_mean_of_the_class_leaves_the_own_face_out(cue: torch.Tensor, means: MeanCues):
    maps, exists = means.same_class(cue[:6], LABELS[:6])
    torch.testing.assert_close(maps[0], (cue[1] + cue[2]) / 2)
    torch.testing.assert_close(maps[3], cue[4])
    assert exists.tolist() == [True] * 5 + [False]
    assert maps[5].abs().sum() < 1e-6


def test_mean_face_weighs_expressions_alike_and_leaves_the_own_face_out(cue: torch.Tensor, means: MeanCues):
    maps, exists = means.any_class(cue[:6], LABELS[:6])
    surprise, fear = (cue[3] + cue[4]) / 2, cue[5]
    torch.testing.assert_close(maps[0], ((cue[1] + cue[2]) / 2 + surprise + fear) / 3)
    torch.testing.assert_close(maps[5], ((cue[0] + cue[1] + cue[2]) / 3 + surprise) / 2)
    assert exists.all()


def test_a_single_face_has_no_others(cue: torch.Tensor):
    metric = MeanCues(CLASSES, (6, 8))
    metric.update(cue[:1], LABELS[:1], VALID[:1])
    assert not metric.same_class(cue[:1], LABELS[:1])[1]
    assert not metric.any_class(cue[:1], LABELS[:1])[1]


def test_control_cosines(cue: torch.Tensor, means: MeanCues):
    cosines = control_cosines(cue[:6], LABELS[:6], means)
    assert [*cosines] == [name for name in CONTROLS if name != "wrong_expression"]
    torch.testing.assert_close(cosines["uniform"][0], map_cosine(cue[:6], uniform_map((6, 8))))
    expected = torch.cosine_similarity(cue[0].flatten(), (cue[1] + cue[2]).flatten(), dim=0)
    assert cosines["mean_of_the_class"][0][0].item() == pytest.approx(expected.item(), abs=1e-6)


def test_state_is_one_map_per_class_and_merges(
    cue: torch.Tensor, means: MeanCues, monkeypatch: pytest.MonkeyPatch
):
    assert means.total.shape == (4, 6, 8)
    one, other = MeanCues(CLASSES, (6, 8)), MeanCues(CLASSES, (6, 8))
    one.update(cue[:2], LABELS[:2], VALID[:2])
    other.update(cue[2:], LABELS[2:], VALID[2:])
    # Two processes in one: what all of them have is their sum.
    states = {id(one.total): other.total, id(one.count): other.count}
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda state: state.add_(states[id(state)]))
    one.add_up()
    torch.testing.assert_close(one.compute(), means.compute(), equal_nan=True)


def test_wrong_size_is_named(means: MeanCues):
    with pytest.raises(InputError, match=r"\(2, 1, 8, 8\)"):
        means.update(torch.rand(2, 1, 8, 8), LABELS[:2], VALID[:2])


def test_ceiling_of_a_grid_by_hand():
    # A grid of one cell makes even maps only: cos of (1, 0) with (1, 1).
    assert grid_ceiling(torch.tensor([[[[1.0, 0.0]]]]), (1, 1)).item() == pytest.approx(0.5**0.5)
    assert grid_ceiling(torch.zeros(1, 1, 4, 4), (2, 2)).item() == 0


@pytest.mark.parametrize("resize", [cam_at, attention_at])
def test_ceiling_of_a_grid_is_the_best_of_its_maps(resize: Callable[..., torch.Tensor]):
    """Against least squares over all maps of the grid, resized one by one."""
    cue = torch.rand(3, 1, 9, 12, dtype=torch.float64)
    grid = (3, 4)
    cells = torch.eye(12, dtype=torch.float64).view(12, 1, *grid)
    basis = resize(cells, (9, 12)).flatten(1).T  # (pixels, cells)
    best = (basis @ torch.linalg.lstsq(basis, cue.flatten(1).T).solution).T.view_as(cue)
    torch.testing.assert_close(grid_ceiling(cue, grid, resize), map_cosine(best, cue))


def test_ceiling_of_the_cue_s_own_grid_is_one(cue: torch.Tensor):
    torch.testing.assert_close(grid_ceiling(cue, (6, 8)), torch.ones(7))


def test_wrong_expressions_by_hand():
    with_cue = torch.tensor([1, 2, 3])
    own = torch.tensor([1, 1, 3, 3, 0, 0])
    places = torch.tensor([0, 1, 0, 1, 0, 1])
    # The others of 1 are 2 and 3, those of 3 are 1 and 2; neutral (0) has all three.
    assert wrong_expressions(own, places, with_cue).tolist() == [2, 3, 1, 2, 1, 2]
    assert wrong_expressions(torch.tensor([5]), torch.tensor([7]), torch.tensor([5])).tolist() == [5]
