"""Changes of faces that a network has to answer as it answers the faces."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.builders import information, untrained

from aucue.data import GEOMETRIC
from aucue.models import Model
from aucue.training import DataSettings, TrainConfig, calibrating
from aucue.training.module import BATCHED
from box import steady
from box.steady import Steady, Taught, own_answers, randomly_blurred, randomly_dimmed, randomly_moved
from box.train import mirroring

FACES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


ROWS = torch.tensor([8, 0, 3, 3, 5, 1])


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
    same = [torch.equal(a, b) for a, b in zip(randomly_moved(FACES), FACES, strict=True)]
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(randomly_moved(FACES), FACES, strict=True)]
    assert 0 < sum(same) < len(FACES)
    assert 0 < sum(mirrored) < len(FACES)


def test_a_changed_face_is_asked_for_the_answer_to_the_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "randomly_moved", lambda faces: faces)
    network = untrained(seed=1)
    start = Model(network, information()).save(tmp_path / "start.safetensors")
    taught = torch.rand(9, 7).softmax(1)
    settings = TrainConfig("run", DataSettings("set"))
    module = Steady(
        untrained(seed=2),
        settings,
        start,
        tmp_path,
        lambda faces: faces,  # pyright: ignore
        talking=0.0,
        worse=0.0,
        smiling=0.5,
    )
    monkeypatch.setattr(module, "log_mean", lambda *_: None)
    monkeypatch.setattr(module, "_trainer", SimpleNamespace(train_dataloader=SimpleNamespace(dataset=taught)))
    module.on_fit_start()
    loss = module.eval().training_step(batch_of(torch.full((6, 68, 2), float("nan"))), 0)
    with torch.inference_mode():
        given = network.eval()(FACES).logits.log_softmax(1)
    assert loss.item() == pytest.approx(float(-(taught[ROWS] * given).sum(1).mean()), rel=1e-4)


def test_who_smiles_is_asked_for_more_happiness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainConfig("run", DataSettings("set"))
    network = untrained(seed=1)
    start = Model(network, information()).save(tmp_path / "start.safetensors")
    module = Steady(
        network, settings, start, tmp_path, own_answers(start), talking=0.0, worse=0.0, smiling=1.0
    )
    taught = torch.rand(6, 7).softmax(1)
    landmarks = torch.rand(6, 68, 2, generator=torch.Generator().manual_seed(0)) * 64
    smiled = module.smiled({**batch_of(landmarks), "probabilities": taught})
    asked = smiled["probabilities"]
    torch.testing.assert_close(asked[:, 2:], taught[:, 2:])
    torch.testing.assert_close(asked.sum(1), torch.ones(6))
    assert (asked[:, 1] > taught[:, 1]).all()
    assert not torch.equal(smiled["image"], FACES)


def test_answers_take_the_place_of_votes_and_cues_move_with_the_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BATCHED, "strong", replace(GEOMETRIC, rotate_p=0.0, area=(1.0, 1.0)))  # mirrors
    start = Model(untrained(seed=1), information()).save(tmp_path / "start.safetensors")
    taught = torch.rand(9, 7).softmax(1)
    settings = TrainConfig("run", DataSettings("set", augment="strong"))
    module = Taught(untrained(seed=2), settings, start, tmp_path, lambda faces: faces, talking=0.0, worse=1.0)  # pyright: ignore
    trainer = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=taught), training=True)
    monkeypatch.setattr(module, "_trainer", trainer)
    module.on_fit_start()
    batch = {**batch_of(64 * torch.rand(6, 68, 2)), "probabilities": torch.full((6, 7), 1 / 7)}
    torch.manual_seed(0)
    asked = module.on_after_batch_transfer(batch, 0)
    assert torch.equal(asked["probabilities"], taught[ROWS])
    same = (asked["landmarks"] - batch["landmarks"]).abs().amax((1, 2)) < 1e-3
    assert 0 < same.sum() < 6  # the others are mirrored
    assert (asked["image"].float().mean((1, 2, 3)) < FACES.float().mean((1, 2, 3))).all()  # dim
    trainer.training = False
    assert torch.equal(module.on_after_batch_transfer(batch, 0)["image"], FACES)


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
