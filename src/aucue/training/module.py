"""The training step: cross-entropy plus lambda times the alignment of attention and action-unit map."""

from collections.abc import Iterator, Mapping
from typing import Any

import lightning as L
import torch
import torch.distributed as dist
from torch.nn.functional import one_hot

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier, ClassifierOutput
from aucue.classifiers.regularisers import cutmix
from aucue.cues import AUCue, Cue
from aucue.data import GEOMETRIC, STRONG
from aucue.errors import InputError
from aucue.guidance import alignment, attention, contrast
from aucue.metrics import ATTCOS, CAMCOS, ClassificationReport
from aucue.training.config import GuidanceSettings, OptimizerSettings, TrainConfig
from aucue.training.schedule import learning_rate_factor

Batch = Mapping[str, torch.Tensor]

# Between the seeds of two ranks. Torch's generator on the CPU reads 32 bits of a seed; the multiples of 2**32
# over the golden ratio are spread evenly over them, so that no rank draws what another draws epochs later.
_RANK_STRIDE = 2_654_435_769

BATCHED = {"geometric": GEOMETRIC, "strong": STRONG}
"""Values of `data.augment` that change whole batches."""

_WITHOUT_CLASS_MAP = {
    "cutmix": "mixes faces, so no class map belongs to one face",
    "apvit": "has one map for all classes",
}


class GuidedModule(L.LightningModule):
    """Train a classifier to look where the codebook says (Belharbi et al., FG 2024, eq. 4).

    The loss is cross-entropy + weight * mean over the aligned layers of 1 - cos(T_l, A), and, beyond the
    paper, weighted terms on the class map of the label: its alignment, and its contrast. Faces without a
    valid cue (neutral, no landmarks) contribute to the first term only. Weights of 0 train the unguided
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
        self.expressions = [i for i, name in enumerate(classifier.classes) if self.cue.codebook[name]]
        self.log_frequency: torch.Tensor | None = None  # (K,), of the classes, times `balance`
        settings, method = config.guidance, classifier.method.name
        if (settings.class_map or settings.contrast) and method in _WITHOUT_CLASS_MAP:
            raise InputError(
                f"guidance: {method} {_WITHOUT_CLASS_MAP[method]}; set class_map and contrast to 0."
            )
        if config.balance and classifier.method.name == "acol":
            raise InputError(
                "balance: acol has two classifiers, whose frequencies are not compensated; set 0."
            )

    def on_fit_start(self) -> None:
        """Read the frequencies of the classes, if they are to be compensated."""
        if not self.config.balance:
            return
        dataset = self.trainer.train_dataloader.dataset  # pyright: ignore[reportOptionalMemberAccess]
        labels, soft = torch.from_numpy(dataset.labels), dataset.probabilities
        shares = self.one_hot(labels if soft is None else torch.from_numpy(soft)).mean(0)
        self.log_frequency = self.config.balance * shares.clamp(min=1 / len(labels)).log().to(self.device)

    def on_train_epoch_start(self) -> None:
        """Seed by epoch, so that a run resumed after an epoch draws what an undisturbed one draws.

        Every rank draws numbers of its own.
        """
        torch.manual_seed(self.config.seed * 100_003 + self.current_epoch + self.global_rank * _RANK_STRIDE)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment a training batch as a whole, on the device, where the settings say so."""
        augmentation = BATCHED.get(self.config.data.augment)
        if augmentation is None or not self.trainer.training:
            return batch
        return augmentation(batch, self.classifier.input_size)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """One optimisation step's loss; logs its terms."""
        images, target, mixed = batch["image"], batch.get("probabilities", batch["label"]), None
        if self.classifier.method.regulariser == "cutmix":
            cue = self.draw(batch, self.cue_grid(self.guided_layers[-1])) if self.is_guided else None
            images, target, mixed = cutmix(images, self.one_hot(target), cue)
        out = self.classifier(images)
        faces, share = _share_of_batch(images)
        loss = self.classification_loss(out, target) * share
        self.log_mean("train/cross_entropy", loss, faces)
        for name, weight, term in self.guidance_terms(batch, out, mixed):
            self.log_mean(f"train/{name}", term, faces)
            loss = loss + weight * term
        return loss

    @property
    def is_guided(self) -> bool:
        """Whether any term of the guidance has a weight."""
        settings = self.config.guidance
        return any((settings.weight, settings.class_map, settings.contrast))

    def guidance_terms(
        self, batch: Batch, out: ClassifierOutput, mixed: Cue | None
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """The terms beside the cross-entropy: name, weight and value of those that have a weight.

        Args:
            batch: the faces.
            out: what the network made of them.
            mixed: the cues where faces were mixed; None draws them.
        """
        settings = self.config.guidance
        if settings.weight:
            aligned = [
                self.misalignment(out.features[layer], mixed or self.draw(batch, self.cue_grid(layer)))
                for layer in self.guided_layers
            ]
            yield "alignment", settings.weight, torch.stack(aligned).mean()
        if not (settings.class_map or settings.contrast):
            return
        grid = self.cue_grid(self.classifier.final_layer)
        map_ = normalize_cam(self.classifier.class_map(out, batch["label"], "cam"))
        cue = self.draw(batch, grid)
        if settings.class_map:
            value = alignment(map_, cue.map, cue.valid, settings.loss, across_ranks=True)
            yield "class_map", settings.class_map, value
        if settings.contrast:
            cues, target = self.draw_all(batch, grid)
            yield "contrast", settings.contrast, contrast(map_, cues, target, cue.valid, across_ranks=True)

    def classification_loss(self, out: ClassifierOutput, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy; frequent classes get a head start that the network need not learn, see `balance`."""
        if self.log_frequency is not None:
            out = out._replace(logits=out.logits + self.log_frequency)
        return self.classifier.loss(out, target)

    def log_mean(self, name: str, value: torch.Tensor, faces: Any) -> None:
        """Log the mean over the faces of an epoch.

        Args:
            name: name in the logs.
            value: scalar whose mean over ranks is the mean over the faces of the step.
            faces: number of faces of the step, on all ranks together.
        """
        self.log(name, value, on_step=False, on_epoch=True, sync_dist=True, batch_size=faces)

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

    def draw_all(
        self, batch: Batch, grid: tuple[int, int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """AU maps (B, E, *grid) of all expressions that have one on each face, and which is the label's (B,).

        That of a label without action units is 0.
        """
        place = torch.full((len(self.classifier.classes),), 0, device=batch["label"].device)
        place[self.expressions] = torch.arange(len(self.expressions), device=place.device)
        drawn = [
            self.draw({**batch, "label": torch.full_like(batch["label"], expression)}, grid).map
            for expression in self.expressions
        ]
        return torch.cat(drawn, dim=1), place[batch["label"]]

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
            shown = name == "val/accuracy"  # more than one crowds the bar
            self.log(name, float(value), prog_bar=shown, sync_dist=True)
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


def _share_of_batch(images: torch.Tensor) -> tuple[Any, Any]:
    """Number of images in the batches of all ranks, and the factor on a mean over those of this rank that
    makes the mean over ranks (which is what DistributedDataParallel makes of gradients) the mean over all.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return len(images), 1.0
    total = torch.tensor(float(len(images)), device=images.device)
    dist.all_reduce(total)
    return total, len(images) * dist.get_world_size() / total


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
