"""Cues that follow the picture through its augmentation."""

import math
from typing import Any

import pytest
import torch

from aucue.classifiers import Classifier
from aucue.cues import AUCue
from aucue.data import open_prepared, train_transform
from aucue.data.transforms import PARTNER
from aucue.errors import InputError
from aucue.metrics import map_cosine
from aucue.training import GuidanceSettings, Objective
from aucue.training.moving import move_map


def turned(points: torch.Tensor, degrees: float, scale: float, shift: float) -> torch.Tensor:
    """Landmarks as shares of the sides, turned about the centre, scaled and shifted."""
    a = math.radians(degrees)
    matrix = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) * scale
    return (points - 0.5) @ matrix.T + 0.5 + shift


def test_a_dot_goes_where_its_landmark_goes():
    before = torch.rand(1, 68, 2)
    maps = torch.zeros(1, 1, 100, 100)
    before[0, 0] = torch.tensor([0.305, 0.405])  # the centre of pixel (30, 40)
    maps[0, 0, 40, 30] = 1
    after = before.clone()
    after[..., 0] += 0.1
    assert move_map(maps, before, after)[0, 0, 40, 40] == pytest.approx(1, abs=1e-4)
    mirrored = before.clone()
    mirrored[..., 0] = 1 - before[..., 0]
    moved = move_map(maps, before, mirrored[:, PARTNER])
    assert moved[0, 0, 40, 69] == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(moved.sum(), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_unknown_landmarks_move_nothing():
    before = torch.full((1, 68, 2), torch.nan)
    assert not move_map(torch.rand(1, 1, 8, 8), before, before).any()


def test_cues_that_turn_with_the_face_are_those_drawn_anew(rendered):
    prepared = open_prepared(rendered)
    dataset = prepared.dataset("train")
    stored = torch.stack([dataset[i]["stored"] for i in range(12)])
    after = turned(stored, 6, 1.1, 0.03)
    labels = torch.tensor([dataset[i]["label"] for i in range(12)])
    draw = AUCue("facs", prepared.classes)
    size = (96, 96)
    cue = draw(stored * 96 - 0.5, labels, size)
    anew = draw(after * 96 - 0.5, labels, size)
    cosines = map_cosine(move_map(cue.map, stored, after), anew.map)[cue.valid]
    assert cosines.min() > 0.995


def test_an_augmented_batch(rendered):
    """The landmarks of the moved cue lie where those of the picture lie; published ellipses do not turn."""
    prepared = open_prepared(rendered)
    dataset = prepared.dataset("train", train_transform(48), seed=1)
    samples = [dataset[i] for i in range(16)]
    batch = {
        name: torch.stack([torch.as_tensor(sample[name]) for sample in samples])  # type: ignore[literal-required]
        for name in ("image", "landmarks", "stored", "label")
    }
    classifier = Classifier("test_resnet", prepared.classes, input_size=48, final_stride=8)
    regions: Any = {"regions": "fg2024-224", "codebook": "fg2024", "cue_size": "input"}
    cues = {
        drawn: Objective(classifier, GuidanceSettings(drawn=drawn, **regions)).draw(batch, "layer4")
        for drawn in ("moved", "stored")
    }
    cosines = map_cosine(cues["moved"].map, cues["stored"].map)[cues["moved"].valid]
    assert 0.7 < cosines.min() < cosines.max() < 1  # on maps of 6 x 6
    assert cosines.mean() > 0.95
    assert torch.equal(cues["moved"].valid, cues["stored"].valid)
    del batch["stored"]
    with pytest.raises(InputError, match=r"guidance\.drawn"):
        Objective(classifier, GuidanceSettings(drawn="stored")).draw(batch, "layer4")
