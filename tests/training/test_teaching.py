from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from tests.builders import SIDE, information, untrained
from torch import Tensor
from torch.nn.functional import kl_div

from aucue.data import FaceDataset, eval_transform, open_prepared
from aucue.errors import InputError
from aucue.models import CalibrationRecord, Model, PriorRecord, load_card
from aucue.training import GuidanceSettings, OptimizerSettings, TrainConfig, fit, with_model
from aucue.training.checks import check_start
from aucue.training.module import Batch, GuidedModule
from aucue.training.teaching import taught, teacher_of

MakeSettings = Callable[..., TrainConfig]
CPU = torch.device("cpu")


def reversed_teacher(prepared: Path, **changes: object) -> Model:
    """An untrained network that knows the classes of a set, in reverse order."""
    classes = tuple(reversed(open_prepared(prepared).classes))
    card = information(classes=classes, **changes)  # pyright: ignore[reportArgumentType]
    return Model(untrained(classes=classes, seed=1), card, "old")


def said_by_name(teacher: Model, crop: Tensor) -> Mapping[str, float]:
    """What a network says of one crop that is as large as its input."""
    with torch.inference_mode():
        shares = teacher.network(crop[None]).logits.softmax(1)[0]
    return dict(zip(teacher.classes, shares.tolist(), strict=True))


def test_soft_labels_are_what_the_teacher_says_of_each_face(rendered: Path) -> None:
    prepared, teacher = open_prepared(rendered), reversed_teacher(rendered)
    faces = prepared.dataset("train").subset([4, 0, 7])
    resized = prepared.dataset("train", eval_transform(SIDE))
    learnt = taught(faces, teacher, prepared.classes, CPU)
    for place, row in enumerate([4, 0, 7]):
        said = said_by_name(teacher, resized[row]["image"])
        expected = torch.tensor([said[name] for name in prepared.classes])
        torch.testing.assert_close(learnt[place].get("probabilities"), expected)
    assert learnt.labels.tolist() == faces.labels.tolist()
    assert torch.equal(learnt[1]["image"], faces[1]["image"])


def test_a_training_learns_them_and_its_card_says_so(
    rendered: Path, settings: MakeSettings, tmp_path: Path
) -> None:
    mix = dict.fromkeys(open_prepared(rendered).classes, 1 / 7)
    known = CalibrationRecord(0.5, "some", 200, 0.1, 0.05, voters=True)
    trained_on = {"trained_on": {"name": "old-set", "licence": "CC0", "path": "elsewhere"}}
    teacher = reversed_teacher(
        rendered, prior=PriorRecord(mix, mix), calibration=known, provenance=trained_on
    )
    file = teacher.save(tmp_path / "old.safetensors")
    batches: list[Batch] = []

    class Watching(GuidedModule):
        def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
            batches.append(batch)
            return super().training_step(batch, batch_idx)

    config = settings(teacher=str(file), epochs=1)
    card = load_card(fit(config, progress=False, module=Watching))
    faces = open_prepared(rendered).dataset("train")
    expected = taught(faces, teacher, open_prepared(rendered).classes, CPU).probabilities
    assert expected is not None
    for batch in batches:
        torch.testing.assert_close(batch["probabilities"], torch.from_numpy(expected)[batch["index"]])
    assert card.prior == teacher.card.prior
    assert card.provenance["taught_by"] == {
        "model": "old",
        "trained_on": {"name": "old-set", "licence": "CC0"},
    }


def distance(one: Tensor, other: Tensor) -> float:
    return float(kl_div(one.log_softmax(1), other.log_softmax(1), reduction="batchmean", log_target=True))


def test_its_own_answers_change_a_model_less_than_labels(settings: MakeSettings, tmp_path: Path) -> None:
    sure = untrained(seed=1, predicts="fear", bias=4.0)  # which few labels agree with
    start = Model(sure, information()).save(tmp_path / "old.safetensors")
    how = {
        "guidance": GuidanceSettings(weight=0.0),
        "optimizer": OptimizerSettings(lr=0.02),
        "select": "last",
    }

    def logits(model: Path, faces: FaceDataset) -> Tensor:
        images = torch.stack([faces[i]["image"] for i in range(len(faces))])
        with torch.inference_mode():
            return Model.load(model).network(images).logits

    trained = {
        teacher: fit(with_model(settings(f"{teacher}", teacher=teacher, **how), start), progress=False)
        for teacher in (None, "start")
    }
    faces = open_prepared(settings().data.path).dataset("test", eval_transform(SIDE))
    before = logits(start, faces)
    labels, answers = (distance(logits(trained[teacher], faces), before) for teacher in (None, "start"))
    assert answers < labels / 2


def test_teachers_that_cannot_teach_are_refused(
    rendered: Path, settings: MakeSettings, tmp_path: Path
) -> None:
    prepared = open_prepared(rendered)
    few = Model(untrained(classes=("pain", "neutral")), information(classes=("pain", "neutral")), "few")
    with pytest.raises(InputError, match=r"few knows pain, neutral, but the faces of .* are neutral"):
        teacher_of(str(few.save(tmp_path / "few.safetensors")), None, prepared)
    with pytest.raises(InputError, match=r"aligned to the template .* those of old to"):
        teacher_of("start", reversed_teacher(rendered, template="another"), prepared)
    no_model = tmp_path / "notes.txt"
    no_model.write_text("none")
    with pytest.raises(InputError, match=r"teacher: .*notes\.txt is no trained model; give box"):
        teacher_of(str(no_model), None, prepared)
    with pytest.raises(InputError, match=r"lost\.safetensors: no such model file"):
        check_start(settings(teacher=str(tmp_path / "lost.safetensors")))
    with pytest.raises(InputError, match="teacher: the training starts from no model; give one with --from"):
        check_start(settings(teacher="start"))
    with pytest.raises(InputError, match=r"teacher: .* set balance to 0"):
        check_start(settings(teacher="box", balance=1.0))
    assert teacher_of(None, None, prepared) is None
