import csv
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file

from aucue.classifiers import Classifier
from aucue.data import open_prepared
from aucue.errors import InputError, OutputExistsError
from aucue.models import load_model
from aucue.training import DataSettings, GuidanceSettings, TrainConfig, TrainerSettings, fit
from aucue.training.module import Batch, GuidedModule

from .conftest import small_training

MakeSettings = Callable[..., TrainConfig]


def same_weights(first: Path, second: Path) -> bool:
    left, right = load_file(first), load_file(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def guided(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Settings of a guided training that has been run; only read by tests."""
    config = small_training(rendered, tmp_path_factory.mktemp("guided") / "run")
    fit(config, progress=False)
    return config


def model_of(config: TrainConfig) -> Path:
    return Path(config.out) / "model.safetensors"


def test_model_file_tells_what_it_is(settings: MakeSettings) -> None:
    config = settings(
        guidance=GuidanceSettings(weight=2.0, codebook="fg2024", regions="fg2024", cue_size="input"), epochs=1
    )
    classifier, info = load_model(fit(config, progress=False))
    assert tuple(info.classes) == classifier.classes == open_prepared(config.data.path).classes
    assert info.guidance is not None
    assert info.codebook is not None
    assert info.guidance.weight == 2.0
    assert info.guidance.layers == [classifier.final_layer]
    assert info.codebook["name"] == "fg2024"
    assert info.regions == "fg2024"
    assert 0 <= info.metrics["held_out"]["accuracy"] <= 1
    assert info.provenance["settings"]["seed"] == 5
    assert not classifier.training


def test_selection_within_an_epoch(settings: MakeSettings) -> None:
    """Three batches an epoch, the figure measured after each; `last` is of the end of an epoch."""
    config = settings(epochs=2, select_times=3)
    seen = []

    class Counts(GuidedModule):
        def on_validation_epoch_end(self) -> None:
            super().on_validation_epoch_end()
            accuracy = self.trainer.callback_metrics["val/accuracy"]
            seen.append((self.global_step, float(accuracy)))

    model = fit(config, progress=False, module=Counts)
    steps = [step for step, _ in seen]
    assert steps == [1, 2, 3, 4, 5, 6]
    chosen = torch.load(Path(config.out) / "checkpoints" / "best.ckpt", weights_only=True)
    best = max(accuracy for _, accuracy in seen)
    assert chosen["figures"]["accuracy"] == pytest.approx(best)
    assert (chosen["global_step"], best) in [(step, pytest.approx(value)) for step, value in seen]
    last = torch.load(Path(config.out) / "checkpoints" / "last.ckpt", weights_only=True)
    assert (last["epoch"], last["global_step"]) == (1, 6)
    assert load_model(model)[1].metrics["held_out"]["accuracy"] == pytest.approx(best)
    kept = sorted(path.name for path in (Path(config.out) / "checkpoints").iterdir())
    assert kept == ["best.ckpt", "last.ckpt"]


def test_the_curves_of_all_epochs_travel_with_the_model(guided: TrainConfig) -> None:
    curves = load_model(model_of(guided))[1].curves
    assert {"train/cross_entropy", "train/alignment", "val/accuracy", "val/att_cos"} <= curves.keys()
    assert {len(values) for values in curves.values()} == {3}
    with (Path(guided.out) / "logs" / "start_1" / "metrics.csv").open() as file:
        logged = [float(row["val/accuracy"]) for row in csv.DictReader(file) if row["val/accuracy"]]
    assert curves["val/accuracy"] == pytest.approx(logged)


def test_another_logger_is_no_other_training(guided: TrainConfig) -> None:
    config = replace(guided, trainer=TrainerSettings(logger="none"))
    assert fit(config, progress=False) == model_of(guided)


def test_logs_hold_both_terms_and_the_held_out_figures(guided: TrainConfig) -> None:
    with (Path(guided.out) / "logs" / "start_1" / "metrics.csv").open() as file:
        columns = set(csv.DictReader(file).fieldnames or ())
    assert {"train/cross_entropy", "train/alignment", "val/accuracy", "val/att_cos", "val/cam_cos"} <= columns


class Recording(GuidedModule):
    """Keeps the batches of the first epoch that it trains on and that it is measured on."""

    def __init__(self, classifier: Classifier, config: TrainConfig) -> None:
        super().__init__(classifier, config)
        self.trained: list[Batch] = []
        self.measured: list[Batch] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.trained.append(batch)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.measured.append(batch)
        super().validation_step(batch, batch_idx)


@pytest.mark.parametrize("augment", ["geometric", "strong"])
def test_batches_are_augmented_whole_for_training_only(
    settings: MakeSettings, augment: Literal["geometric", "strong"]
) -> None:
    config = settings(epochs=1)
    config.data.augment = augment
    config.classifier.input_size = 32  # stored: 48
    made: list[Recording] = []

    def make(classifier: Classifier, config: TrainConfig) -> Recording:
        made.append(Recording(classifier, config))
        return made[0]

    fit(config, progress=False, module=make)
    stored = {"train": open_prepared(config.data.path).dataset("train")}
    stored["val"] = open_prepared(config.data.path).dataset("val")
    for split, batches in (("train", made[0].trained), ("val", made[0].measured)):
        for batch in batches:
            assert batch["image"].shape[1:] == (3, 32, 32)
            only_resized = (stored[split].landmarks[batch["index"].numpy()] + 0.5) * 32 / 48 - 0.5
            moved = abs(batch["landmarks"].numpy() - only_resized).max((1, 2))
            assert (moved > 0.1).mean() > 0.6 if split == "train" else moved.max() < 1e-3


def test_same_seed_same_weights_whatever_the_workers(
    settings: MakeSettings, rendered: Path, guided: TrainConfig
) -> None:
    helped_config = settings("helped", data=DataSettings(path=str(rendered), batch_size=16, workers=2))
    helped = fit(helped_config, progress=False)
    other_seed = fit(settings("other", seed=6), progress=False)
    assert same_weights(model_of(guided), helped)
    assert not same_weights(model_of(guided), other_seed)


def test_guidance_changes_training_and_its_absence_is_the_twin(
    settings: MakeSettings, guided: TrainConfig
) -> None:
    twin = fit(settings("twin", guidance=GuidanceSettings(weight=0.0)), progress=False)
    assert not same_weights(model_of(guided), twin)
    _, info = load_model(twin)
    assert not info.guided
    assert info.provenance["guided_faces"] is None


def test_a_finished_training_is_returned_and_another_refused(settings: MakeSettings) -> None:
    config = settings(epochs=1)
    model = fit(config, progress=False)
    written = model.stat().st_mtime_ns
    assert fit(config, progress=False).stat().st_mtime_ns == written
    changed = settings(epochs=1, seed=6)
    with pytest.raises(OutputExistsError, match="other settings"):
        fit(changed, progress=False)
    fit(changed, overwrite=True, progress=False)
    assert model.stat().st_mtime_ns != written


def test_unknown_layer_is_named(settings: MakeSettings) -> None:
    with pytest.raises(InputError, match=r"'layer9' is no layer of test_resnet.*layer4"):
        fit(settings(guidance=GuidanceSettings(layers=["layer9"])), progress=False)


def test_without_val_split_a_part_of_train_is_held_out(settings: MakeSettings, tmp_path: Path) -> None:
    from aucue.data import SyntheticSource, prepare

    prepare(SyntheticSource(train=42, val=0, test=0, seed=1, size=64), tmp_path / "set", size=48, workers=1)
    data = DataSettings(path=str(tmp_path / "set"), holdout=0.3, batch_size=16, workers=0)
    config = settings(data=data, epochs=1)
    _, info = load_model(fit(config, progress=False))
    assert info.metrics["held_out"]["accuracy"] >= 0


class Killed(GuidedModule):
    """Its process is killed in the second epoch."""

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if (self.current_epoch, batch_idx) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(config: TrainConfig) -> None:
    torch.set_num_threads(1)  # threads of the process that this one was forked from are not there
    fit(config, progress=False, module=Killed)


def test_killed_training_resumes_to_the_same_weights(settings: MakeSettings, guided: TrainConfig) -> None:
    config = settings("killed")
    process = get_context("fork").Process(target=train_until_killed, args=(config,))
    process.start()
    process.join(120)
    process.kill()
    assert process.exitcode == -signal.SIGKILL
    checkpoint = Path(config.out) / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 0
    assert not model_of(config).exists()
    assert same_weights(model_of(guided), fit(config, progress=False))
    resumed, undisturbed = (load_model(model_of(its))[1].curves for its in (config, guided))
    assert resumed == undisturbed


def test_mixed_precision_trains_finite_float32_weights(settings: MakeSettings) -> None:
    config = settings(trainer=TrainerSettings(device="cpu", precision="bf16-mixed"), epochs=1)
    weights = load_file(fit(config, progress=False))
    floating = [tensor for tensor in weights.values() if tensor.is_floating_point()]
    assert floating
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in floating)
