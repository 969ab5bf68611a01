"""Checkpoints of a training: written whole, read without unpickling, never of a network that diverged."""

import zipfile
from pathlib import Path
from typing import Any

from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

# isort: split
import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from aucue.errors import AucueError, InputError
from aucue.training.config import TrainConfig
from aucue.training.names import BEST
from aucue.work.files import appearing

_NEEDED = ("state_dict", "optimizer_states", "loops", "epoch", "global_step", "figures", "settings")


class WholeCheckpointIO(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, so that a kill while writing costs one epoch, not the run."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the target, then rename."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with appearing(Path(path)) as unfinished:
            super().save_checkpoint(checkpoint, unfinished, storage_options)


class KeepBest(ModelCheckpoint):
    """Keeps the last epoch and the one that selection prefers, wherever its folder is now."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the paths of this folder, not with those that it had before it was moved."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else ""

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths}
        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath, "best_k_models": models})


class Describe(L.Callback):
    """Keep the settings and the held-out figures of an epoch inside its checkpoint."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add `figures` and `settings`.

        Raises:
            AucueError: A weight is no number any more.
        """
        check_finite(checkpoint["state_dict"], trainer.current_epoch, self.config)
        checkpoint["settings"] = self.config.to_dict()
        checkpoint["figures"] = {
            name.removeprefix("val/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing is unpickled but tensors and plain values.

    Raises:
        InputError: It is damaged, or no checkpoint of a training of aucue.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                reason = "its checksums do not fit" if archive.testzip() else None
            checkpoint = None if reason else torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # damage shows in any way, as an offset before the file's beginning too
            reason, checkpoint = "it is no archive of tensors", None
    if not reason and not (isinstance(checkpoint, dict) and all(name in checkpoint for name in _NEEDED)):
        reason = "entries are missing"
    if reason:
        raise InputError(
            f"{path} is damaged or no checkpoint of aucue ({reason}; nothing was unpickled): choose another "
            f"--out, which loses nothing, or put {BEST} in its place, from whose epoch the training goes on."
        )
    return checkpoint  # pyright: ignore[reportReturnType]


def check_finite(state: dict[str, Any], epoch: int, config: TrainConfig) -> None:
    """Refuse weights that are no numbers.

    Raises:
        AucueError: One is not finite.
    """
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and not value.isfinite().all():
            raise diverged(f"{name} holds values that are no numbers after epoch {epoch + 1}", config)


def diverged(what: str, config: TrainConfig, lr: float | None = None) -> AucueError:
    """The error of a training that cannot go on.

    Args:
        what: What was seen, and when.
        config: Its settings.
        lr: Learning rate at that step; None takes the highest.
    """
    settings = config.optimizer
    rate = settings.lr if lr is None else lr
    precision = "" if config.trainer.precision == "32-true" else " or --trainer.precision 32-true"
    return AucueError(
        f"The training diverged: {what}, at a learning rate of {rate:.3g}; try --optimizer.lr "
        f"{settings.lr / 10:.3g}{precision}, with another --out."
    )
