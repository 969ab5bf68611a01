"""A training that diverges stops, and no network of it is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aucue.errors import AucueError, InputError
from aucue.training import GuidedModule, OptimizerSettings, TrainConfig, TrainerSettings, fit
from aucue.training.checkpoints import diverged, read_checkpoint

MakeSettings = Callable[..., TrainConfig]


def left(config: TrainConfig) -> list[str]:
    """Models and checkpoints."""
    out = Path(config.out)
    return sorted(path.name for path in (*out.glob("*.safetensors"), *out.glob("checkpoints/*.ckpt")))


def test_it_stops_at_the_first_loss_that_is_no_number(settings: MakeSettings) -> None:
    """Which step that is does not hang on rounding: a weight becomes infinite after the second one."""
    config = settings(optimizer=OptimizerSettings(name="sgd", lr=1e-3, warmup_epochs=0))
    losses: list[float] = []

    class Watched(GuidedModule):
        def training_step(self, batch: object, batch_idx: int) -> torch.Tensor:
            loss = super().training_step(batch, batch_idx)  # pyright: ignore[reportArgumentType]
            losses.append(loss.item())
            return loss

        def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
            if batch_idx == 1:
                with torch.no_grad():
                    next(self.classifier.head.parameters()).view(-1)[0] = float("inf")

    told = r"diverged: the loss is (nan|inf) in epoch 1, step 3, at a learning rate of 0\.000883; "
    with pytest.raises(AucueError, match=told + r"try --optimizer\.lr 0\.0001, with another --out"):
        fit(config, progress=False, module=Watched)
    assert len(losses) == 2
    assert left(config) == []


class Spoilt(GuidedModule):
    """A weight becomes infinite in the last step of the second epoch, when no loss shows it any more."""

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        if self.current_epoch == 1 and batch_idx == 2:
            with torch.no_grad():
                next(self.classifier.head.parameters()).view(-1)[0] = self.poison

    poison = float("inf")


def test_held_out_figures_that_are_no_numbers_end_it(settings: MakeSettings) -> None:
    config = settings()
    with pytest.raises(AucueError, match="figures on held-out faces are no numbers after epoch 2"):
        fit(config, progress=False, module=Spoilt)
    assert left(config) == ["best.ckpt", "last.ckpt"]
    for name in left(config):
        checkpoint = read_checkpoint(Path(config.out, "checkpoints", name))
        assert checkpoint["epoch"] == 0
        assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())


def test_weights_that_are_no_numbers_are_never_stored(settings: MakeSettings) -> None:
    class Unseen(Spoilt):
        def validation_step(self, batch: object, batch_idx: int) -> None:
            if self.current_epoch == 0:
                super().validation_step(batch, batch_idx)  # pyright: ignore[reportArgumentType]

    config = settings(select="last")
    with pytest.raises(
        AucueError, match=r"classifier\.head.* holds values that are no numbers after epoch 2"
    ):
        fit(config, progress=False, module=Unseen)
    assert read_checkpoint(Path(config.out, "checkpoints", "last.ckpt"))["epoch"] == 0
    assert "model.safetensors" not in left(config)


def test_a_figure_that_is_no_number_selects_nothing(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unmeasured(GuidedModule):
        def on_validation_epoch_end(self) -> None:
            report = {"accuracy": float("nan"), "balanced_accuracy": 0.5}
            monkeypatch.setattr(self.classification, "compute", lambda: report)
            super().on_validation_epoch_end()

    config = settings()
    with pytest.raises(InputError, match="select: accuracy cannot be measured on the held-out faces"):
        fit(config, progress=False, module=Unmeasured)
    assert left(config) == []


def test_the_sentence_names_what_to_try(settings: MakeSettings) -> None:
    config = settings(trainer=TrainerSettings(precision="16-mixed"))
    told = str(diverged("the loss is nan in epoch 3, step 7", config, lr=0.001))
    assert told == (
        "The training diverged: the loss is nan in epoch 3, step 7, at a learning rate of 0.001; "
        "try --optimizer.lr 0.0002 or --trainer.precision 32-true, with another --out."
    )
