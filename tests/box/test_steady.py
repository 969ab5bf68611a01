"""Changes of faces that a network has to answer as it answers the faces."""

from pathlib import Path

import pytest
import torch
from tests.builders import information, untrained

from aucue.models import Model
from aucue.training import DataSettings, TrainConfig
from box import steady
from box.steady import Steady, randomly_blurred, randomly_dimmed, randomly_moved
from box.train import mirroring

FACES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


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


def test_the_start_answers_for_faces_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "randomly_moved", lambda faces: faces)
    network = untrained(seed=1)
    start = Model(network, information()).save(tmp_path / "start.safetensors")
    module = Steady(untrained(seed=2), TrainConfig("run", DataSettings("set")), start, talking=0.0, worse=0.0)
    monkeypatch.setattr(module, "log_mean", lambda *_: None)
    batch = {
        "image": FACES,
        "label": torch.zeros(6, dtype=torch.long),
        "landmarks": torch.full((6, 68, 2), float("nan")),
        "landmarks_valid": torch.zeros(6, dtype=torch.bool),
    }
    loss = module.eval().training_step(batch, 0)  # pyright: ignore[reportArgumentType]
    with torch.inference_mode():
        target = mirroring(start)[0](FACES).logits.softmax(1)
        given = network.eval()(FACES).logits.log_softmax(1)
    assert loss.item() == pytest.approx(float(-(target * given).sum(1).mean()), rel=1e-4)
