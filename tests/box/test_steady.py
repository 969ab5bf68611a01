"""Changes of faces that a network has to answer as it answers the faces."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from tests.builders import untrained
from torch import Tensor

from aucue.data import Source
from aucue.faces import DEFAULT_DETECTOR
from aucue.facs import EXPRESSIONS
from aucue.training import DataSettings, GuidanceSettings, TrainConfig, guidance_of
from aucue.training.module import Batch
from box import steady
from box.steady import (
    ARMS,
    Changes,
    Steady,
    mildly_moved,
    randomly_blurred,
    randomly_dimmed,
    randomly_moved,
    steadied,
)
from box.train import BALANCE
from experiments import ferplus_set

FACES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


ANSWERS = torch.rand(6, 7, generator=torch.Generator().manual_seed(2)).softmax(1)
LANDMARKS = 16 + 32 * torch.rand(6, 68, 2, generator=torch.Generator().manual_seed(1))


def batch_of(landmarks: torch.Tensor) -> dict[str, torch.Tensor]:
    """The faces as neutral ones with these landmarks, and answers."""
    return {
        "image": FACES,
        "probabilities": ANSWERS,
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


def test_mild_moves_keep_faces_near_their_places() -> None:
    torch.manual_seed(0)
    ways = {}
    for move in (mildly_moved, randomly_moved):
        moved = move(batch_of(LANDMARKS))
        assert moved["image"].shape == FACES.shape
        mirrored = LANDMARKS.clone()
        mirrored[..., 0] = 63 - mirrored[..., 0]
        ways[move] = [
            min((points.mean(0) - whole.mean(0)).abs().max().item() for whole in (there, back))
            for points, there, back in zip(moved["landmarks"], LANDMARKS, mirrored, strict=True)
        ]
    assert max(ways[mildly_moved]) < max(ways[randomly_moved])


def asked_of(
    batch: dict[str, Tensor],
    folder: Path,
    changes: Changes,
    move: Callable[[Batch], Batch] = randomly_moved,
) -> Batch:
    """What a training batch with answers becomes."""
    config = TrainConfig("run", DataSettings(str(folder)))
    module = Steady(untrained(), config, folder, changes, move)
    module._trainer = SimpleNamespace(training=True)  # pyright: ignore
    changed = module.on_after_batch_transfer(batch, 0)
    module.trainer.training = False
    assert module.on_after_batch_transfer(batch, 0) is batch
    return changed


def test_a_changed_face_is_asked_for_the_answer_to_the_face(tmp_path: Path) -> None:
    torch.manual_seed(0)
    asked = asked_of(batch_of(LANDMARKS), tmp_path, Changes(talking=1.0, worse=1.0))
    assert torch.equal(asked["probabilities"], ANSWERS)
    assert (asked["image"].float().mean((1, 2, 3)) < FACES.float().mean((1, 2, 3))).all()  # dim
    assert (asked["landmarks"] - LANDMARKS).abs().amax((1, 2)).min() > 0.5  # moved, like the faces


def test_faces_without_landmarks_keep_their_answers(tmp_path: Path) -> None:
    asked = asked_of(batch_of(torch.full((6, 68, 2), float("nan"))), tmp_path, Changes(0.0, 0.0, smiling=1.0))
    assert torch.equal(asked["probabilities"], ANSWERS)


def test_who_smiles_is_asked_for_more_happiness(tmp_path: Path) -> None:
    changes = Changes(talking=0.0, worse=0.0, smiling=1.0)
    smiled = asked_of(batch_of(LANDMARKS), tmp_path, changes, move=lambda batch: batch)
    asked = smiled["probabilities"]
    torch.testing.assert_close(asked[:, 2:], ANSWERS[:, 2:])
    torch.testing.assert_close(asked.sum(1), torch.ones(6))
    assert (asked[:, 1] > ANSWERS[:, 1]).all()
    assert not torch.equal(smiled["image"], FACES)


def test_other_augmentation_takes_the_place_of_moving() -> None:
    """Happens once, between the mouths and the light."""
    seen = []

    def augment(batch: Batch) -> Batch:
        seen.append(batch["image"])
        return {**batch, "image": batch["image"].flip(-1)}

    torch.manual_seed(0)
    changed = Changes(talking=0.0, worse=1.0)(batch_of(LANDMARKS), EXPRESSIONS, augment)
    assert len(seen) == 1
    assert torch.equal(seen[0], FACES)
    assert (changed["image"].float().mean((1, 2, 3)) < FACES.float().mean((1, 2, 3))).all()  # dim
    assert torch.equal(changed["landmarks"], LANDMARKS)


def truer_guidance(folder: Path) -> GuidanceSettings:
    return ARMS["truer"].settings(folder, folder, folder, 3).guidance


def test_arms_differ_from_their_recipes_where_they_say_so(tmp_path: Path) -> None:
    settings = ARMS["smiling"].settings(tmp_path, tmp_path / "start.safetensors", tmp_path, 3)
    assert settings.guidance == guidance_of("unguided")
    assert (settings.seed, settings.balance, settings.data.augment) == (3, 0.0, "none")
    assert (settings.teacher, settings.classifier.weights) == ("start", str(tmp_path / "start.safetensors"))
    voted = ARMS["voted"].settings(tmp_path, tmp_path / "start.safetensors", tmp_path, 3)
    assert (voted.teacher, voted.balance, voted.guidance) == (None, BALANCE, truer_guidance(tmp_path))
    recipe = asdict(guidance_of("aucue"))
    truer = asdict(truer_guidance(tmp_path))
    changed = {name for name, value in truer.items() if value != recipe[name]}
    assert changed == {"weight", "class_map", "contrast", "hidden"}
    assert truer["hidden"] == 2 * recipe["hidden"]


def test_an_arm_may_learn_faces_that_our_detector_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landmarks that come with the set are left out then, so that the detector has to find them."""
    folder = tmp_path / "ferplus"
    (folder / "images").mkdir(parents=True)
    Image.new("L", (48, 48)).save(folder / "images" / "a.png")
    (folder / "labels.csv").write_text("file,label,split\na.png,neutral,train\n")
    (folder / "meta.csv").write_text(f"file,{','.join(EXPRESSIONS)}\na.png,10{',0' * 6}\n")
    names = [f"{axis}{k}" for k in range(68) for axis in "xy"]
    (folder / "landmarks.csv").write_text(
        f"file,detector_ok,{','.join(names)}\na.png,1,{','.join(map(str, range(136)))}\n"
    )
    monkeypatch.setattr(ferplus_set, "DATA", tmp_path)
    asked: dict[str, tuple[str, bool]] = {}

    def prepare(source: Source, out: Path, detector: str, size: int) -> None:
        asked[out.name] = detector, source[0].landmarks is not None

    monkeypatch.setattr(ferplus_set, "prepare", prepare)
    monkeypatch.setattr(steady, "fit", lambda settings, **_: Path(settings.data.path))
    trained = [steadied(name, tmp_path, tmp_path, tmp_path, [0])[0].name for name in ("mild", "found")]
    assert trained == ["prepared-with-rendered-96", f"prepared-with-rendered-96-{DEFAULT_DETECTOR}"]
    assert [asked[name] for name in trained] == [("none", True), (DEFAULT_DETECTOR, False)]
