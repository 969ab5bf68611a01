"""Changes of faces that a network has to answer as it answers the faces."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from tests.builders import information, untrained
from torch import Tensor

from aucue.data import GEOMETRIC
from aucue.models import Model
from aucue.training import DataSettings, Objective, TrainConfig, calibrating, guidance_of
from aucue.training.module import BATCHED
from box import steady
from box.steady import (
    ARMS,
    Pupil,
    Steady,
    Teach,
    own_answers,
    randomly_blurred,
    randomly_dimmed,
    randomly_moved,
)
from box.train import mirroring

FACES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


ROWS = torch.tensor([8, 0, 3, 3, 5, 1])
LANDMARKS = 16 + 32 * torch.rand(6, 68, 2, generator=torch.Generator().manual_seed(1))


def batch_of(landmarks: torch.Tensor) -> dict[str, torch.Tensor]:
    """The faces as neutral ones with these landmarks, in these rows of a set."""
    return {
        "image": FACES,
        "index": ROWS,
        "label": torch.zeros(6, dtype=torch.long),
        "landmarks": landmarks,
        "landmarks_valid": landmarks.isfinite().flatten(1).all(1),
    }


def detail(faces: torch.Tensor) -> torch.Tensor:
    return (faces[..., 1:].float() - faces[..., :-1]).abs().mean((1, 2, 3))


def test_a_share_is_dimmed_and_never_brighter() -> None:
    torch.manual_seed(0)
    assert torch.equal(randomly_dimmed(FACES, 0.0), FACES)
    dimmed = randomly_dimmed(FACES, 1.0)
    assert dimmed.dtype == torch.uint8
    factors = dimmed.float().mean((1, 2, 3)) / FACES.float().mean((1, 2, 3))
    assert ((factors > steady.DARKEST - 0.01) & (factors < 1)).all()
    assert factors.std() > 0.05  # each face has its own light


def test_a_share_is_blurred() -> None:
    torch.manual_seed(0)
    assert torch.equal(randomly_blurred(FACES, 0.0), FACES)
    assert (detail(randomly_blurred(FACES, 1.0)) < 0.8 * detail(FACES)).all()


def test_without_room_to_move_a_face_stays_or_is_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHIFT", "DEGREES", "SCALE"):
        monkeypatch.setattr(steady, name, 0.0)
    torch.manual_seed(0)
    moved = randomly_moved(batch_of(LANDMARKS))
    same = [torch.equal(a, b) for a, b in zip(moved["image"], FACES, strict=True)]
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(moved["image"], FACES, strict=True)]
    assert 0 < sum(same) < len(FACES)
    assert sum(same) + sum(mirrored) == len(FACES)
    stayed = (moved["landmarks"] - LANDMARKS).abs().amax((1, 2)) < 1e-3
    assert stayed.tolist() == same
    assert not moved["hidden"].any()


def pupil_of(kind: type[Pupil], taught: Tensor, folder: Path, **changes: Any) -> Pupil:
    """A network in training whose faces, rows of a set, have these answers (N, 7)."""
    start = Model(untrained(seed=1), information()).save(folder / "start.safetensors")
    settings = TrainConfig("run", DataSettings("set", augment="strong"))
    teach = cast(Teach, lambda faces: faces)
    module = kind(untrained(seed=2), settings, start, folder, teach, **changes)
    trainer = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=taught), training=True)
    module._trainer = trainer  # pyright: ignore
    module.on_fit_start()
    return module


def test_a_changed_face_is_asked_for_the_answer_to_the_face(tmp_path: Path) -> None:
    taught = torch.rand(9, 7).softmax(1)
    pupil = pupil_of(Steady, taught, tmp_path, talking=1.0, worse=1.0)
    torch.manual_seed(0)
    asked = pupil.on_after_batch_transfer(batch_of(LANDMARKS), 0)
    assert torch.equal(asked["probabilities"], taught[ROWS])
    assert (asked["image"].float().mean((1, 2, 3)) < FACES.float().mean((1, 2, 3))).all()  # dim
    assert (asked["landmarks"] - LANDMARKS).abs().amax((1, 2)).min() > 0.5  # moved, like the faces


def test_the_loss_is_the_cross_entropy_with_the_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "randomly_moved", lambda batch: batch)
    taught = torch.rand(9, 7).softmax(1)
    pupil = pupil_of(Steady, taught, tmp_path, talking=0.0, worse=0.0, smiling=0.5)
    asked = pupil.on_after_batch_transfer(batch_of(torch.full((6, 68, 2), float("nan"))), 0)
    monkeypatch.setattr(pupil, "log_mean", lambda *_: None)
    pupil.objective = Objective(pupil.classifier, ARMS["smiling"].settings(tmp_path, tmp_path, 0).guidance)
    loss = pupil.eval().training_step(asked, 0)
    with torch.inference_mode():
        given = untrained(seed=1).eval()(FACES).logits.log_softmax(1)
    assert loss.item() == pytest.approx(float(-(taught[ROWS] * given).sum(1).mean()), rel=1e-4)


def test_who_smiles_is_asked_for_more_happiness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "randomly_moved", lambda batch: batch)
    taught = torch.rand(9, 7).softmax(1)
    pupil = pupil_of(Steady, taught, tmp_path, talking=0.0, worse=0.0, smiling=1.0)
    smiled = pupil.on_after_batch_transfer(batch_of(LANDMARKS), 0)
    asked = smiled["probabilities"]
    torch.testing.assert_close(asked[:, 2:], taught[ROWS, 2:])
    torch.testing.assert_close(asked.sum(1), torch.ones(6))
    assert (asked[:, 1] > taught[ROWS, 1]).all()
    assert not torch.equal(smiled["image"], FACES)


def test_cues_move_with_the_faces_that_settings_augment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BATCHED, "strong", replace(GEOMETRIC, rotate_p=0.0, area=(1.0, 1.0)))  # mirrors
    taught = torch.rand(9, 7).softmax(1)
    pupil = pupil_of(Pupil, taught, tmp_path, talking=0.0, worse=1.0)
    torch.manual_seed(0)
    asked = pupil.on_after_batch_transfer(batch_of(LANDMARKS), 0)
    assert torch.equal(asked["probabilities"], taught[ROWS])
    same = (asked["landmarks"] - LANDMARKS).abs().amax((1, 2)) < 1e-3
    assert 0 < same.sum() < 6  # the others are mirrored
    assert (asked["image"].float().mean((1, 2, 3)) < FACES.float().mean((1, 2, 3))).all()  # dim
    pupil.trainer.training = False
    assert torch.equal(pupil.on_after_batch_transfer(batch_of(LANDMARKS), 0)["image"], FACES)


def test_arms_differ_from_their_recipes_where_they_say_so(tmp_path: Path) -> None:
    settings = ARMS["smiling"].settings(tmp_path, tmp_path, 3)
    assert settings.guidance == guidance_of("unguided")
    assert (settings.seed, settings.balance, settings.data.augment) == (3, 0.0, "none")
    recipe = asdict(guidance_of("aucue"))
    truer = asdict(ARMS["truer"].settings(tmp_path, tmp_path, 3).guidance)
    changed = {name for name, value in truer.items() if value != recipe[name]}
    assert changed == {"weight", "class_map", "contrast", "hidden"}
    assert truer["hidden"] == 2 * recipe["hidden"]


def test_a_model_answers_with_mirror_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Model(untrained(seed=1), information()).save(tmp_path / "start.safetensors")
    monkeypatch.setattr(
        calibrating, "make_loader", lambda *_, **__: [{"image": FACES, "label": torch.zeros(6)}]
    )
    network, _ = mirroring(start)
    with torch.inference_mode():
        expected = network(FACES).logits.softmax(1)
    torch.testing.assert_close(own_answers(start)(None), expected)  # pyright: ignore[reportArgumentType]
    assert not torch.allclose(expected, untrained(seed=1).eval()(FACES).logits.softmax(1))
