"""Two processes on the CPU train as one process with batches of twice the size."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from aucue.data import Sample, SyntheticSource, prepare
from aucue.errors import OutputExistsError
from aucue.models import load_model
from aucue.training import (
    ClassifierSettings,
    DataSettings,
    GuidanceSettings,
    OptimizerSettings,
    TrainConfig,
    TrainerSettings,
    fit,
)

from ..forking import fork_ranks

TRAIN, VAL = 41, 13  # last batch: 5 of 12 faces, 3 for one process and 2 for the other


class UnevenSource(SyntheticSource):
    """Rendered faces with soft labels, many without landmarks, so that processes have unequal numbers."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        soft = np.full(len(self.classes), 0.02 * (index % 4))
        soft[self.classes.index(sample.label)] += 1 - soft.sum()
        landmarks = None if index % 3 == 0 else sample.landmarks
        return replace(sample, landmarks=landmarks, probabilities=soft)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uneven") / "set"
    prepare(UnevenSource(TRAIN, VAL, 0, seed=3, size=64), out, size=48, detector="none", workers=1)
    return out


def settings(faces: Path, out: Path, devices: int, batch_size: int) -> TrainConfig:
    """A guided training; its network has no batch normalisation, which every process would do for itself."""
    return TrainConfig(
        out=str(out),
        data=DataSettings(path=str(faces), batch_size=batch_size, workers=0),
        classifier=ClassifierSettings(backbone="test_convnext", input_size=48),
        guidance=GuidanceSettings(weight=4.0, layers=["stages.2", "stages.3"]),
        optimizer=OptimizerSettings(name="sgd", lr=0.02),
        trainer=TrainerSettings(device=f"{devices}xcpu"),
        class_weights="balanced",
        label_smoothing=0.1,
        epochs=3,
        seed=5,
    )


@pytest.fixture(scope="module")
def runs(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a training in one process, and of the same in two."""
    folder = tmp_path_factory.mktemp("runs")
    fit(settings(faces, folder / "one", devices=1, batch_size=12), progress=False)
    with pytest.MonkeyPatch.context() as patch:
        fork_ranks(patch)
        fit(settings(faces, folder / "two", devices=2, batch_size=6), progress=False)
    return {"one": folder / "one", "two": folder / "two"}


def curve(run: Path, name: str) -> list[float]:
    """A logged figure, epoch by epoch."""
    with (run / "logs" / "start_1" / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


@pytest.mark.parametrize("name", ["train/cross_entropy", "train/alignment"])
def test_loss_curves_agree(runs: Mapping[str, Path], name: str) -> None:
    one, two = curve(runs["one"], name), curve(runs["two"], name)
    assert len(one) == 3
    assert max(one) - min(one) > 1e-3  # it learns
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "att_cos", "cam_cos"])
def test_held_out_figures_agree(runs: Mapping[str, Path], name: str) -> None:
    one, two = curve(runs["one"], f"val/{name}"), curve(runs["two"], f"val/{name}")
    assert len(one) == 3
    assert two == pytest.approx(one, abs=1e-4)


def test_the_models_agree(runs: Mapping[str, Path]) -> None:
    one, two = (load_file(runs[name] / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)
    infos = [load_model(runs[name] / "model.safetensors")[1] for name in ("one", "two")]
    assert infos[0].metrics["epoch"] == infos[1].metrics["epoch"]


def test_only_the_first_process_writes(runs: Mapping[str, Path]) -> None:
    def written(run: Path) -> list[str]:
        names = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
        return sorted(name for name in names if "tfevents" not in name)

    assert written(runs["two"]) == written(runs["one"])
    assert len(list(runs["two"].rglob("*tfevents*"))) == len(list(runs["one"].rglob("*tfevents*")))


def test_a_training_is_continued_on_as_many_devices_only(runs: Mapping[str, Path], faces: Path) -> None:
    with pytest.raises(OutputExistsError, match="other settings"):
        fit(settings(faces, runs["two"], devices=1, batch_size=6), progress=False)
