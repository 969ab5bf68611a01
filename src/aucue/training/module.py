"""Lightning's side of a training: `objective.py` has the loss."""

import math
from typing import Any

from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

# isort: split
import lightning as L
import torch
import torch.distributed as dist

from aucue.classifiers import Classifier
from aucue.data import GEOMETRIC, STRONG
from aucue.errors import InputError
from aucue.metrics import ATTCOS, CAMCOS, ClassificationReport
from aucue.models import Look
from aucue.training.calibrating import frequencies
from aucue.training.checkpoints import diverged
from aucue.training.config import OptimizerSettings, TrainConfig
from aucue.training.drawing import Batch
from aucue.training.objective import Objective, faces_of_step, total
from aucue.training.schedule import learning_rate_factor

# Between the seeds of two ranks. Torch's generator on the CPU reads 32 bits of a seed; the multiples of 2**32
# over the golden ratio are spread evenly over them, so that no rank draws what another draws epochs later.
_RANK_STRIDE = 2_654_435_769

BATCHED = {"geometric": GEOMETRIC, "strong": STRONG}
"""Values of `data.augment` that change whole batches."""


class GuidedModule(L.LightningModule):
    """Lightning's side of a training: steps and figures of an `Objective`, the optimiser and its schedule.

    Weights of 0 train the unguided twin: the same network on the same batches in the same order.

    Args:
        classifier: the network to train.
        config: all settings of the training.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig):
        super().__init__()
        self.classifier = classifier
        self.classifier.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.config = config
        self.objective = Objective(classifier, config.guidance)
        self.objective.label_smoothing = config.label_smoothing
        self.classification = ClassificationReport(classifier.classes)
        self.att_cos = ATTCOS(classifier.classes)
        self.cam_cos = CAMCOS(classifier.classes)
        if config.balance and classifier.method.name == "acol":
            raise InputError(
                "balance: acol has two classifiers, whose frequencies are not compensated; set 0."
            )

    def on_fit_start(self) -> None:
        """Read the frequencies of the classes, if they are to be compensated."""
        weighted = self.config.class_weights == "balanced"
        if not (self.config.balance or weighted):
            return
        dataset = self.trainer.train_dataloader.dataset  # pyright: ignore[reportOptionalMemberAccess]
        frequency = frequencies(dataset, len(self.classifier.classes))
        if self.config.balance:
            self.objective.log_prior = self.config.balance * frequency.log().to(self.device)
        if weighted:
            self.objective.class_weights = (1 / (len(frequency) * frequency)).to(self.device)

    def on_train_epoch_start(self) -> None:
        """Seed by epoch, so that a run resumed after an epoch draws what an undisturbed one draws.

        Every rank draws numbers of its own.
        """
        settings, epoch = self.config.guidance, self.current_epoch + 1
        self.objective.guiding = settings.first_epoch <= epoch <= (settings.last_epoch or math.inf)
        torch.manual_seed(self.config.seed * 100_003 + self.current_epoch + self.global_rank * _RANK_STRIDE)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment a training batch as a whole, on the device, where the settings say so."""
        augmentation = BATCHED.get(self.config.data.augment)
        if augmentation is None or not self.trainer.training:
            return batch
        return augmentation(batch, self.classifier.input_size)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """One optimisation step's loss; logs its terms."""
        faces = faces_of_step(len(batch["image"]), batch["image"].device)
        terms = list(self.objective(batch))
        for term in terms:
            self.log_mean(f"train/{term.name}", term.value, faces)
        loss = total(terms)
        if not loss.isfinite():
            step = f"the loss is {loss.item()} in epoch {self.current_epoch + 1}, step {batch_idx + 1}"
            raise diverged(step, self.config, self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def log_mean(self, name: str, value: torch.Tensor, faces: Any) -> None:
        """Log the mean over the faces of an epoch.

        Args:
            name: name in the logs.
            value: scalar whose mean over ranks is the mean over the faces of the step.
            faces: number of faces of the step, on all ranks together.
        """
        self.log(name, value, on_step=False, on_epoch=True, sync_dist=True, batch_size=faces)

    def on_validation_epoch_start(self) -> None:
        """Every rank measures one and the same network: statistics of batches that ranks have kept for
        themselves become those of the first.
        """
        if dist.is_available() and dist.is_initialized():
            for buffer in self.classifier.buffers():
                dist.broadcast(buffer, 0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accuracy, ATT-COS of the last guided layer and CAM-COS on held-out faces."""
        expression = batch["label"]
        look = Look(
            self.classifier,
            self.classifier(batch["image"]),
            layer=self.objective.layers[-1],
            images=batch["image"],
        )
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        cue = self.objective.cue(batch["landmarks"], expression, size)
        if not look.logits.isfinite().all():
            where = f"its figures on held-out faces are no numbers after epoch {self.current_epoch + 1}"
            raise diverged(where, self.config)
        self.classification.update(look.logits, expression)
        self.att_cos.update(look.attention_shown, cue.map, expression, cue.valid)
        self.cam_cos.update(look.class_map(expression), cue.map, expression, cue.valid)

    def on_validation_epoch_end(self) -> None:
        """Log the held-out figures of the epoch."""
        report = self.classification.compute()
        figures = {
            "val/accuracy": report["accuracy"],
            "val/balanced_accuracy": report["balanced_accuracy"],
            "val/att_cos": self.att_cos.compute()["macro"],
            "val/cam_cos": self.cam_cos.compute()["macro"],
        }
        chosen = figures.get(f"val/{self.config.select}", 0.0)
        if not math.isfinite(chosen):
            raise InputError(
                f"select: {self.config.select} cannot be measured on the held-out faces; choose another one."
            )
        for name, value in figures.items():
            self.log(name, float(value), sync_dist=True)
        for metric in (self.classification, self.att_cos, self.cam_cos):
            metric.reset()

    def configure_optimizers(self) -> Any:
        """Optimiser, and a learning rate that depends on the step alone (so that it resumes exactly)."""
        settings = self.config.optimizer
        optimizer = _optimizer(self.classifier, settings)
        total = max(1, int(self.trainer.estimated_stepping_batches))
        steps_per_epoch = max(1, total // self.config.epochs)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(settings, step, total, steps_per_epoch)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _optimizer(classifier: Classifier, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Optimiser over groups: the head has a learning rate, some parameters no weight decay."""
    groups = []
    for part, lr in ((classifier.backbone, settings.lr), (classifier.head, settings.lr * settings.head_lr)):
        parameters = [p for p in part.parameters() if p.requires_grad]
        spared = [p for p in parameters if p.ndim <= 1 and settings.decay == "weights"]
        decayed = [p for p in parameters if p.ndim > 1 or settings.decay == "all"]
        groups += [
            {"params": decayed, "lr": lr, "weight_decay": settings.weight_decay},
            {"params": spared, "lr": lr, "weight_decay": 0.0},
        ]
    groups = [group for group in groups if group["params"]]
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    return torch.optim.AdamW(groups, lr=settings.lr)
