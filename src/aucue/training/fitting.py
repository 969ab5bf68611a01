"""One training from settings to a model file: resumable, reproducible, never overwriting unasked."""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.norm_act import convert_sync_batchnorm
from torch.utils.data import DataLoader

from aucue.classifiers import Classifier, ModelInfo, save_model
from aucue.classifiers.methods import method_named
from aucue.data import (
    FaceDataset,
    FaceSample,
    FaceTransform,
    PreparedSet,
    eval_transform,
    make_loader,
    open_prepared,
    split_holdout,
    train_transform,
)
from aucue.errors import InputError, OutputExistsError
from aucue.training.config import ClassifierSettings, TrainConfig
from aucue.training.module import BATCHED, GuidedModule
from aucue.training.recipe import recipe_of
from aucue.work import Rank, on_ranks

MODEL_NAME = "model.safetensors"
_HINTS = (
    "does not have many workers",
    "isinstance.treespec",
    "Checkpoint directory",
    "logging interval",
    "`broadcast_buffers`",
)


def fit(
    config: TrainConfig,
    *,
    overwrite: bool = False,
    progress: bool = True,
    module: Callable[[Classifier, TrainConfig], GuidedModule] = GuidedModule,
) -> Path:
    """Train one classifier and write it to `<out>/model.safetensors`.

    A training that was interrupted goes on after its last complete epoch and ends with the weights of an
    undisturbed one. A finished one is returned as it is.

    Args:
        config: settings; the same ones give the same weights on a CPU, whatever the number of workers.
        overwrite: start anew even if `out` holds a training.
        progress: show a progress bar.
        module: makes the training step, for terms of your own; must pickle if there are several devices.

    Returns:
        Path of the model file. Beside it: config.yaml, checkpoints/, logs/ (CSV and TensorBoard).

    Raises:
        OutputExistsError: `out` holds a training with other settings.
        InputError: the prepared set or a setting cannot be used.
    """
    settings = config.trainer
    work = partial(_fit, config, overwrite, progress, module)
    return on_ranks(work, _accelerator(settings.accelerator), settings.devices, settings.num_nodes)


def _fit(
    config: TrainConfig,
    overwrite: bool,
    progress: bool,
    make_module: Callable[[Classifier, TrainConfig], GuidedModule],
    rank: Rank,
) -> Path:
    """Train in this process, together with the others if there are several. The first one alone writes."""
    out = Path(config.out)
    model, last = out / MODEL_NAME, out / "checkpoints" / "last.ckpt"

    def claim() -> tuple[bool, bool]:
        _claim(out, config, overwrite)
        return model.exists(), last.exists()

    finished, started = rank.first(claim)
    if finished:
        return model
    prepared = open_prepared(config.data.path)
    training, held_out = _datasets(prepared, config, rank.count)
    torch.manual_seed(config.seed)
    module = make_module(build_classifier(config.classifier, prepared.classes), config)
    with _quiet():
        trainer, checkpoint = _trainer(config, out, progress, rank)
        if rank.count > 1 and trainer.strategy.root_device.type == "cuda":
            convert_sync_batchnorm(module.classifier)  # timm's: torch's own loses activations
        with _interruptible(trainer):
            trainer.fit(
                module,
                *_loaders(training, held_out, config, rank),
                ckpt_path=last if started else None,
                weights_only=True,
            )

    def save() -> None:
        chosen = torch.load(checkpoint.best_model_path or last, map_location="cpu", weights_only=True)
        module.load_state_dict(chosen["state_dict"])
        save_model(model, module.classifier, _info(module, prepared, config, chosen), overwrite=True)

    rank.first(save)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Lightning's hints, which speak to its own users, not to ours; its warnings stay."""
    lightning = logging.getLogger("lightning.pytorch")
    level = lightning.level
    lightning.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for hint in _HINTS:
                warnings.filterwarnings("ignore", f".*{hint}")
            yield
    finally:
        lightning.setLevel(level)


@contextmanager
def _interruptible(trainer: L.Trainer) -> Iterator[None]:
    """An interrupt is a KeyboardInterrupt, where Lightning would exit and be deaf to the next one."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


class _AtomicCheckpointIO(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, so that a kill while writing costs one epoch, not the run."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the target, then rename."""
        unfinished = f"{path}.unfinished"
        super().save_checkpoint(checkpoint, unfinished, storage_options)
        os.replace(unfinished, path)


class _RecordFigures(L.Callback):
    """Keep the held-out figures of an epoch inside its checkpoint."""

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add `figures` to the checkpoint."""
        checkpoint["figures"] = {
            name.removeprefix("val/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }


def _claim(out: Path, config: TrainConfig, overwrite: bool) -> None:
    """Make `out` the folder of exactly these settings."""
    settings = yaml.safe_dump(config.to_dict(), sort_keys=False)
    file = out / "config.yaml"
    if overwrite:
        for stale in (out / MODEL_NAME, *(out / "checkpoints").glob("*.ckpt")):
            stale.unlink(missing_ok=True)
    elif file.exists() and yaml.safe_load(file.read_text()) != yaml.safe_load(settings):
        raise OutputExistsError(
            f"{out} holds a training with other settings (see {file}); "
            "choose another --out or pass --overwrite."
        )
    elif not file.exists() and (out / MODEL_NAME).exists():
        raise OutputExistsError(
            f"{out / MODEL_NAME} exists already; choose another --out or pass --overwrite."
        )
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(settings)


def _datasets(prepared: PreparedSet, config: TrainConfig, ranks: int) -> tuple[FaceDataset, FaceDataset]:
    """Training faces (augmented) and the faces that select the model: test faces only if that was asked."""
    training, held_out = _chosen_faces(prepared, config)
    if (fewest := min(len(training), len(held_out))) < ranks:
        raise InputError(f"{config.data.path}: {fewest} faces cannot be shared among {ranks} devices.")
    return training, held_out


def _chosen_faces(prepared: PreparedSet, config: TrainConfig) -> tuple[FaceDataset, FaceDataset]:
    wanted = ("train", "test") if config.select_on == "test" else ("train",)
    for split in wanted:
        if split not in prepared.splits:
            raise InputError(f"{config.data.path}: no '{split}' split, found {', '.join(prepared.splits)}.")
    size, seed = config.classifier.input_size, config.seed
    training = prepared.dataset("train", transform=_training_transform(config.data.augment, size), seed=seed)
    selecting = "test" if config.select_on == "test" else "val"
    if selecting in prepared.splits:
        return training, prepared.dataset(selecting, transform=eval_transform(size))
    plain = prepared.dataset("train", transform=eval_transform(size))
    kept, held_out = split_holdout(plain, config.data.holdout, seed)
    return training.subset(kept), plain.subset(held_out)


def _training_transform(augment: str, size: int) -> FaceTransform | None:
    """What happens to each training face before it joins a batch: nothing if batches are augmented whole."""
    if augment in BATCHED:
        return None
    return train_transform(size) if augment == "published" else eval_transform(size)


def build_classifier(settings: ClassifierSettings, classes: Sequence[str]) -> Classifier:
    """The network that settings describe, with its initial weights."""
    own = method_named(settings.method).has_own_backbone
    return Classifier.create(
        backbone=settings.backbone,
        classes=classes,
        pretrained=settings.pretrained,
        weights=settings.weights,
        input_size=settings.input_size,
        final_stride=None if own else settings.final_stride,
        backbone_options=settings.options,
        method=settings.method,
        head=settings.head,
        head_options=settings.head_options,
        grey=settings.grey,
    )


def _loaders(
    training: FaceDataset, held_out: FaceDataset, config: TrainConfig, rank: Rank
) -> tuple[DataLoader[FaceSample], DataLoader[FaceSample]]:
    """This rank's batches. Held-out ones are small enough that each rank has one at least: a rank without
    any would not take part in adding up the figures.
    """
    batch_size = config.data.batch_size
    batches = partial(make_loader, seed=config.seed, workers=config.data.workers, rank=rank)
    held_out_size = min(batch_size, len(held_out) // rank.count)
    return batches(training, batch_size, shuffle=True), batches(held_out, held_out_size)


def _trainer(config: TrainConfig, out: Path, progress: bool, rank: Rank) -> tuple[L.Trainer, ModelCheckpoint]:
    """Trainer with logs, one `last` checkpoint per epoch and the one that selection prefers."""
    logs = out / "logs"
    start = f"start_{len(list(logs.glob('start_*'))) + 1}"
    checkpoint = ModelCheckpoint(
        dirpath=out / "checkpoints",
        filename="best",
        monitor=None if config.select == "last" else f"val/{config.select}",
        mode="max",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = L.Trainer(
        accelerator=_accelerator(config.trainer.accelerator),
        devices=config.trainer.devices,
        num_nodes=config.trainer.num_nodes,
        # Buffers travel before validation, not with every batch: ranks may have unequal numbers of those.
        strategy=DDPStrategy(broadcast_buffers=False) if rank.count > 1 else "auto",
        use_distributed_sampler=False,
        precision=config.trainer.precision,
        max_epochs=config.epochs,
        logger=[CSVLogger(logs, name="", version=start), TensorBoardLogger(logs, name="", version=start)],
        callbacks=[checkpoint, _RecordFigures()],
        plugins=[_AtomicCheckpointIO()],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    return trainer, checkpoint


def _accelerator(wanted: str) -> str:
    """`auto` without Apple's GPU, which lacks the double precision of the metrics."""
    return "cpu" if wanted == "auto" and not torch.cuda.is_available() else wanted


def _info(
    module: GuidedModule, prepared: PreparedSet, config: TrainConfig, chosen: dict[str, Any]
) -> ModelInfo:
    """What a user of the model file has to know, beside its weights."""
    cue = module.objective.cue
    return ModelInfo(
        classes=module.classifier.classes,
        template=prepared.template,
        codebook=cue.codebook.to_dict(),
        regions=config.guidance.regions,
        guidance={
            "weight": config.guidance.weight,
            "class_map": config.guidance.class_map,
            "contrast": config.guidance.contrast,
            "layers": list(module.objective.layers),
            "loss": config.guidance.loss,
            "attention": config.guidance.attention,
        },
        method=config.classifier.method,
        metrics={
            "held_out" if config.select_on == "holdout" else "test (selected on)": chosen["figures"],
            "epoch": int(chosen["epoch"]) + 1,
        },
        provenance={
            "trained_on": prepared.provenance,
            "settings": config.to_dict(),
            "recipe": recipe_of(config),
            "date": date.today().isoformat(),
            "versions": {name: version(name) for name in ("aucue", "torch", "timm", "lightning")},
        },
    )
