"""Cues of batches, of every kind that a training can ask for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from aucue.cues import AUCue, LandmarkCue
from aucue.data import make_loader, open_prepared
from aucue.facs import EXPRESSIONS
from aucue.training import GuidanceSettings, TrainConfig
from aucue.training.drawing import Drawing

MakeSettings = Callable[..., TrainConfig]
SIZE, GRID = (48, 48), (6, 6)
NEUTRAL = EXPRESSIONS.index("neutral")


@pytest.fixture
def batch(settings: MakeSettings) -> dict[str, torch.Tensor]:
    dataset = open_prepared(settings().data.path).dataset("train")
    return next(iter(make_loader(dataset, batch_size=16)))


def drawing(**options: Any) -> Drawing:
    return Drawing(AUCue("facs"), GuidanceSettings(**options), {"layer4": (8, *GRID)})


def test_what_each_cue_draws(batch: dict[str, torch.Tensor]) -> None:
    draw, marks = AUCue("facs"), batch["landmarks"]
    happiness, after = (EXPRESSIONS.index(name) for name in ("happiness", "surprise"))
    cues = {kind: drawing(cue=kind)(batch, "layer4") for kind in ("expression", "all", "landmarks", "wrong")}
    torch.testing.assert_close(cues["expression"].map, draw(marks, batch["label"], SIZE, GRID).map)
    torch.testing.assert_close(cues["all"].map, draw.generic(marks, SIZE, GRID).map)
    published = LandmarkCue()((marks + 0.5) * (224 / 48) - 0.5, (224, 224), GRID)
    torch.testing.assert_close(cues["landmarks"].map, published.map)
    happy = batch["label"] == happiness
    assert happy.any()
    wrong = draw(marks[happy], torch.full((int(happy.sum()),), after), SIZE, GRID)
    torch.testing.assert_close(cues["wrong"].map[happy], wrong.map)
    neutral = batch["label"] == NEUTRAL
    assert {kind: bool(cue.valid[neutral].any()) for kind, cue in cues.items()} == {
        "expression": False,
        "all": True,
        "landmarks": True,
        "wrong": False,
    }


def test_the_wrong_expression_is_another_one_with_action_units() -> None:
    ids = torch.arange(len(EXPRESSIONS))
    others = drawing(cue="wrong").other(ids)
    assert others[NEUTRAL] == NEUTRAL
    assert all(others[id] != id for id in ids if id != NEUTRAL)
    assert sorted(others.tolist()) == ids.tolist()


def test_all_expressions_are_drawn_and_that_of_the_label_is_told(batch: dict[str, torch.Tensor]) -> None:
    maps, index = drawing().of_all(batch, "layer4")
    assert maps.shape == (16, len(EXPRESSIONS) - 1, *GRID)
    own = maps[torch.arange(16), index]
    expressive = batch["label"] != NEUTRAL
    expected = AUCue("facs")(batch["landmarks"], batch["label"], SIZE, GRID).map[:, 0]
    torch.testing.assert_close(own[expressive], expected[expressive])
    assert (index[~expressive] == 0).all()


def test_the_cue_leaves_out_what_is_hidden(batch: dict[str, torch.Tensor]) -> None:
    expressive = batch["label"] != NEUTRAL
    hidden = torch.zeros(16, 1, *SIZE, dtype=torch.bool)
    hidden[..., 24:, :] = True  # the lower half
    covered = batch | {"hidden": hidden}
    published = drawing()(covered, "layer4").map
    seen = drawing(visible=True)(covered, "layer4")
    assert published[expressive][:, :, 3:].any()
    assert not seen.map[:, :, 3:].any()
    torch.testing.assert_close(seen.map[:, :, :3], published[:, :, :3])
    covered["hidden"] = torch.ones_like(hidden)
    assert not drawing(visible=True)(covered, "layer4").valid.any()
