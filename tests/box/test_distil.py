"""What a small network learns of larger ones."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import information, untrained

from aucue.classifiers import Classifier
from aucue.data import GEOMETRIC
from aucue.facs import EXPRESSIONS
from aucue.models import Model, load_model
from aucue.training import DataSettings, TrainConfig
from aucue.training.module import BATCHED
from box import distil
from box.steady import Changes

VOTES = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)


def test_targets_are_votes_and_answers_for_their_mix() -> None:
    said = {
        "box": torch.tensor([[4.0, 0.0], [0.0, 8.0]]),
        "large": torch.zeros(2, 2),
        "dlib": torch.zeros(2, 2),
    }
    faces: Any = SimpleNamespace(probabilities=VOTES)
    found = distil.targets(faces, said, torch.tensor([0.0, 1.0]))
    odds = distil.SHARES["box"] * torch.tensor([-4.0, 8.0]) + 1.0  # of the second class
    second = distil.VOTES * torch.tensor([0.0, 0.5]) + (1 - distil.VOTES) * odds.sigmoid()
    torch.testing.assert_close(found[:, 1], second)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert sum(distil.SHARES.values()) == 1


def test_every_teacher_is_asked_once(tmp_path: Path) -> None:
    asked = []

    def says(faces: Any, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append((faces, split))
        return torch.tensor([[1.0, 2.0]]), torch.zeros(1)

    faces: Any = SimpleNamespace()
    for _ in range(2):
        found = distil.answered(tmp_path, {"one": says}, faces)
    assert asked == [(faces, "train")]
    assert found["one"].tolist() == [[1.0, 2.0]]  # pyright: ignore[reportPossiblyUnboundVariable]


def test_biases_that_were_chosen_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, frequency = untrained(seed=0), torch.linspace(0.05, 0.2, 7).log()
    bias = network.head.fc.bias.detach().clone()  # pyright: ignore
    with torch.no_grad():
        network.head.fc.bias.sub_(0.3 * frequency)  # pyright: ignore
        network.head.fc.bias[1] += 0.5  # pyright: ignore
    info = information(metrics={"held_out": {"shift": 0.3, "smile": 0.5}})
    model = Model(network, info).save(tmp_path / "model.safetensors")
    monkeypatch.setattr(distil, "open_prepared", lambda path: path)
    monkeypatch.setattr(distil, "log_frequency", lambda faces: frequency)
    found, _ = load_model(distil.before_biases(model, tmp_path, tmp_path))
    assert isinstance(found, Classifier)
    assert found.classes == EXPRESSIONS
    torch.testing.assert_close(found.head.fc.bias.detach(), bias)  # pyright: ignore


def test_a_pupil_is_asked_for_answers_to_augmented_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BATCHED, "strong", replace(GEOMETRIC, rotate_p=0.0, area=(1.0, 1.0)))  # mirrors
    monkeypatch.setattr(distil, "CHANGES", Changes(talking=0.0, worse=1.0))
    start = Model(untrained(seed=1), information()).save(tmp_path / "start.safetensors")
    taught, generator = torch.rand(9, 7).softmax(1), torch.Generator().manual_seed(0)
    config = TrainConfig("run", DataSettings("set", augment="strong"))
    pupil = distil.Pupil(untrained(seed=2), config, start, tmp_path, lambda faces: faces)  # pyright: ignore
    loader = SimpleNamespace(dataset=taught)
    pupil._trainer = SimpleNamespace(train_dataloader=loader, training=True)  # pyright: ignore
    pupil.on_fit_start()
    faces = torch.randint(0, 256, (6, 3, 64, 64), generator=generator, dtype=torch.uint8)
    landmarks, rows = 16 + 32 * torch.rand(6, 68, 2, generator=generator), torch.tensor([8, 0, 3, 3, 5, 1])
    batch = {
        "image": faces,
        "index": rows,
        "label": torch.zeros(6, dtype=torch.long),
        "landmarks": landmarks,
        "landmarks_valid": torch.ones(6, dtype=torch.bool),
    }
    torch.manual_seed(0)
    asked = pupil.on_after_batch_transfer(batch, 0)
    assert torch.equal(asked["probabilities"], taught[rows])
    same = (asked["landmarks"] - landmarks).abs().amax((1, 2)) < 1e-3
    assert 0 < same.sum() < 6  # the others are mirrored
    assert (asked["image"].float().mean((1, 2, 3)) < faces.float().mean((1, 2, 3))).all()  # dim
    pupil.trainer.training = False
    assert pupil.on_after_batch_transfer(batch, 0) is batch
