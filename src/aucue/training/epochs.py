"""The progress of a training: a bar for each epoch, on stderr like that of every long job."""

from typing import Any

from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

# isort: split
import lightning as L
from rich.progress import Progress

from aucue.work.progress import progress_bar


class EpochBars(L.Callback):
    """Shows how far each epoch is, in batches, and at its end the accuracy on held-out faces."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar of an epoch; of several processes the first one shows it."""
        if trainer.is_global_zero:
            self._bar = progress_bar(visible=True)
            self._bar.add_task(_epoch(trainer), total=trainer.num_training_batches)
            self._bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A batch further."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave a line of the epoch."""
        accuracy = trainer.callback_metrics.get("val/accuracy")
        if self._bar is not None and accuracy is not None:
            said = f"{_epoch(trainer)}, accuracy {100 * accuracy:.1f} %"
            self._bar.update(self._bar.task_ids[0], description=said)
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _epoch(trainer: L.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
