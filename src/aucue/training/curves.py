"""The figures of every epoch, beside the weights: they outlive an interrupt and travel with the model."""

import math
from typing import Any

from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

# isort: split
import lightning as L


class Curves(L.Callback):
    """Remembers what was logged at the end of each epoch; a part of the checkpoint.

    Attributes:
        epochs: One dict of figures for each finished epoch.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the figures of an epoch."""
        wanted = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        self.epochs = self.epochs[: trainer.current_epoch]
        self.epochs.append({name: value for name, value in wanted.items() if math.isfinite(value)})

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.epochs = [dict(entry) for entry in state_dict["epochs"]]

    def by_name(self) -> dict[str, list[float | None]]:
        """The curve of each figure, a value per epoch; None where there is none."""
        names = dict.fromkeys(name for entry in self.epochs for name in entry)
        return {name: [entry.get(name) for entry in self.epochs] for name in names}
