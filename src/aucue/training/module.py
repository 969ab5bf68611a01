"""The training step: cross-entropy plus lambda times the alignment of attention and action-unit map."""

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch.nn.functional import one_hot

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.classifiers.regularisers import cutmix
from aucue.cues import AUCue, Cue
from aucue.errors import InputError
from aucue.guidance import alignment, attention
from aucue.metrics import ATTCOS, CAMCOS, ClassificationReport
from aucue.training.config import GuidanceSettings, OptimizerSettings, TrainConfig
from aucue.training.schedule import learning_rate_factor

Batch = Mapping[str, torch.Tensor]


class GuidedModule(L.LightningModule):
    """Train a classifier to look where the codebook says (Belharbi et al., FG 2024, eq. 4).

    The loss is cross-entropy + weight * mean over the aligned layers of 1 - cos(T_l, A). Faces without a
    valid cue (neutral, no landmarks) contribute to the first term only. A weight of 0 trains the unguided
    twin: the same network on the same batches in the same order. The classifier's method says what the
    cross-entropy is taken of and whether samples are mixed. Soft labels, where the set holds them, are what
    the cross-entropy aims at; the cue stays that of the label.

    Args:
        classifier: the network to train.
        config: all settings of the training.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig):
        super().__init__()
        self.classifier = classifier
        self.classifier.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.config = config
        self.guided_layers = guided_layers(classifier, config.guidance)
        self.cue = AUCue(config.guidance.codebook, classifier.classes, config.guidance.regions)
        self.classification = ClassificationReport(classifier.classes)
        self.att_cos = ATTCOS(classifier.classes)
        self.cam_cos = CAMCOS(classifier.classes)

    def on_train_epoch_start(self) -> None:
        """Seed by epoch, so that a run resumed after an epoch draws what an undisturbed one draws."""
        torch.manual_seed(self.config.seed * 100_003 + self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """One optimisation step's loss; logs its two terms."""
        images, target, mixed = batch["image"], batch.get("probabilities", batch["label"]), None
        weight = self.config.guidance.weight
        if self.classifier.method.regulariser == "cutmix":
            cue = self.draw(batch, self.cue_grid(self.guided_layers[-1])) if weight else None
            images, target, mixed = cutmix(images, self.one_hot(target), cue)
        out = self.classifier(images)
        classification = self.classifier.loss(out, target)
        self.log("train/cross_entropy", classification, on_step=False, on_epoch=True)
        if weight == 0:
            return classification
        misaligned = torch.stack(
            [
                self.misalignment(out.features[layer], mixed or self.draw(batch, self.cue_grid(layer)))
                for layer in self.guided_layers
            ]
        ).mean()
        self.log("train/alignment", misaligned, on_step=False, on_epoch=True)
        return classification + weight * misaligned

    def misalignment(self, features: torch.Tensor, cue: Cue) -> torch.Tensor:
        """Alignment loss of one layer's features (B, C, h, w)."""
        settings = self.config.guidance
        attended = attention(features, settings.attention)
        return alignment(attended, cue.map, cue.valid, settings.loss, across_ranks=True)

    def one_hot(self, target: torch.Tensor) -> torch.Tensor:
        """Labels (B,) as probabilities (B, K); soft labels stay what they are."""
        return target if target.ndim == 2 else one_hot(target, len(self.classifier.classes)).float()

    def cue_grid(self, layer: str) -> tuple[int, int] | None:
        """Size at which a layer's cue is drawn: that of its attention, or None for the input's."""
        if self.config.guidance.cue_size == "input":
            return None
        _, height, width = self.classifier.shapes[layer]
        return height, width

    def draw(self, batch: Batch, grid: tuple[int, int] | None = None) -> Cue:
        """AU maps (B, 1, *grid) of a batch, drawn on its device; by default at the input's size."""
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        return self.cue(batch["landmarks"], batch["label"], size, grid)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accuracy, ATT-COS of the last guided layer and CAM-COS on held-out faces."""
        expression = batch["label"]
        out = self.classifier(batch["image"])
        cue = self.draw(batch)
        self.classification.update(out.logits, expression)
        attended = attention(out.features[self.guided_layers[-1]])
        self.att_cos.update(attended, cue.map, expression, cue.valid)
        true_class = self.classifier.class_map(out, expression)
        self.cam_cos.update(normalize_cam(true_class), cue.map, expression, cue.valid)

    def on_validation_epoch_end(self) -> None:
        """Log the held-out figures of the epoch."""
        report = self.classification.compute()
        figures = {
            "val/accuracy": report["accuracy"],
            "val/balanced_accuracy": report["balanced_accuracy"],
            "val/att_cos": self.att_cos.compute()["macro"],
            "val/cam_cos": self.cam_cos.compute()["macro"],
        }
        for name, value in figures.items():
            self.log(name, float(value), prog_bar=name == "val/accuracy")  # more than one crowds the bar
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


def guided_layers(classifier: Classifier, settings: GuidanceSettings) -> tuple[str, ...]:
    """The aligned layers: those asked for, or the method's.

    Raises:
        InputError: a layer is not one of the classifier's.
    """
    layers = tuple(settings.layers or (classifier.layers[classifier.method.layer],))
    for layer in layers:
        if layer not in classifier.layers:
            raise InputError(
                f"guidance.layers: '{layer}' is no layer of {classifier.config['backbone']}; "
                f"choose from {', '.join(classifier.layers)}."
            )
    return layers


def _optimizer(classifier: Classifier, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Optimiser over two groups: weight decay spares biases and normalisation scales."""
    parameters = [p for p in classifier.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    return torch.optim.AdamW(groups, lr=settings.lr)
