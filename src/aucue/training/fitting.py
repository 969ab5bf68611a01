"""One training from settings to a model file: resumable, reproducible, never overwriting unasked."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aucue._quickly import timm, torchmetrics  # noqa: F401  (first: whoever imports them after finds these)

# isort: split
import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.norm_act import convert_sync_batchnorm
from torch.utils.data import DataLoader

from aucue.classifiers import Classifier
from aucue.classifiers.methods import method_named
from aucue.classifiers.transformers import APViTHead
from aucue.classifiers.unit_head import units_of_classes
from aucue.classifiers.weights import read_state
from aucue.cues import region_content
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
from aucue.errors import InputError, said
from aucue.facs import Codebook
from aucue.models import Card, Model, PriorRecord, save_model
from aucue.models.calibration import compensated_prior
from aucue.models.naming import MODEL_FILE
from aucue.training.calibrating import FEWEST, answers, calibration_of, frequencies
from aucue.training.checkpoints import Describe, KeepBest, WholeCheckpointIO, read_checkpoint
from aucue.training.checks import check_settings
from aucue.training.config import ClassifierSettings, DataSettings, TrainConfig
from aucue.training.curves import Curves
from aucue.training.epochs import EpochBars
from aucue.training.folder import is_finished, take
from aucue.training.loggers import open_loggers
from aucue.training.module import BATCHED, GuidedModule
from aucue.training.names import BEST, CHECKPOINTS, LAST
from aucue.training.recipe import recipe_of
from aucue.training.share import GuidedShare, guided_share
from aucue.training.start import check_template, lineage, started_from, starting_model, take_over
from aucue.training.teaching import taught, teacher_of
from aucue.work import Rank, on_ranks
from aucue.work.devices import read_devices

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
        InputError: the prepared set or a setting cannot be used, no face can be guided, or another process
            trains in `out`. Nothing has been written then.
        AucueError: the training diverged.
    """
    check_settings(config)
    work = partial(_fit, config, overwrite, progress, module)
    devices = read_devices(config.trainer.device)
    return on_ranks(work, devices.accelerator, devices.count, config.trainer.num_nodes)


def _fit(
    config: TrainConfig,
    overwrite: bool,
    progress: bool,
    make_module: Callable[[Classifier, TrainConfig], GuidedModule],
    rank: Rank,
) -> Path:
    """Train in this process, together with the others if there are several. The first one alone writes.

    Nothing is written before all that can be wrong with the settings and the faces has been looked for.
    """
    out = Path(config.out)
    model = out / MODEL_FILE
    if rank.first(partial(is_finished, out, config, overwrite)):
        return model
    prepared = open_prepared(config.data.path)
    training, held_out = _datasets(prepared, config, rank.count)
    if (model_before := starting_model(config.classifier.weights)) is not None:
        check_template(model_before, prepared)
    teacher = teacher_of(config.teacher, model_before, prepared)
    torch.manual_seed(config.seed)
    codebook = config.guidance.codebook
    classifier = build_classifier(config.classifier, prepared.classes, codebook, model_before)
    module = make_module(classifier, config)
    objective = module.objective
    share = guided_share(objective, training, prepared.size) if config.guidance.guided else None
    if share and rank.is_first:
        share.warn()
    with _quiet(), ExitStack() as claim:
        trainer = _trainer(config, out, progress, rank)
        start = rank.first(partial(take, claim, out, config, overwrite, module))
        if rank.count > 1 and trainer.strategy.root_device.type == "cuda":
            convert_sync_batchnorm(module.classifier)  # timm's: torch's own loses activations
        if teacher is not None:
            device, shown = trainer.strategy.root_device, progress and rank.is_first
            training = taught(training, teacher, prepared.classes, device, shown)
        with _interruptible(trainer):
            trainer.fit(
                module,
                *_loaders(training, held_out, config, rank),
                ckpt_path=start,
                weights_only=True,
            )

        def save() -> None:
            chosen = read_checkpoint(out / CHECKPOINTS / BEST)
            module.load_state_dict(chosen["state_dict"])
            info = _info(module, prepared, config, chosen, share)
            info.prior = _prior(training, prepared.classes, config) if teacher is None else teacher.card.prior
            said = answers(module.classifier, held_out) if config.select_on == "holdout" else None
            if said is not None and len(held_out) >= FEWEST:
                of = f"held-out faces of {prepared.name}"
                voters = teacher.scale.voters if teacher else training.probabilities is not None
                info.calibration = calibration_of([said], of, voters)
            info.provenance["curves"] = _curves(trainer).by_name()
            if model_before is not None:
                before = started_from(model_before, module.classifier, held_out, said)
                info.provenance["started_from"] = before
            if teacher is not None:
                info.provenance["taught_by"] = lineage(teacher)
            save_model(model, module.classifier, info, overwrite=True)

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


def _datasets(prepared: PreparedSet, config: TrainConfig, ranks: int) -> tuple[FaceDataset, FaceDataset]:
    """Training faces (augmented) and the faces that select the model: test faces only if that was asked."""
    training, held_out = _chosen_faces(prepared, config)
    if (fewest := min(len(training), len(held_out))) < ranks:
        raise InputError(f"{config.data.path}: {fewest} faces cannot be shared among {ranks} devices.")
    return training, held_out


def _chosen_faces(prepared: PreparedSet, config: TrainConfig) -> tuple[FaceDataset, FaceDataset]:
    size, seed = config.classifier.input_size, config.seed
    transform = _training_transform(config.data, size)
    training = prepared.dataset("train", transform, seed, hidden=config.guidance.visible)
    if config.guidance.cue == "mask" and not training.has_masks:
        raise InputError(
            f"{config.data.path} holds no masks, which guidance.cue mask needs; prepare a table that has the "
            "column mask, or take another cue."
        )
    selecting = "test" if config.select_on == "test" else "val"
    if selecting in prepared.splits:
        return training, prepared.dataset(selecting, transform=eval_transform(size))
    plain = prepared.dataset("train", transform=eval_transform(size))
    kept, held_out = split_holdout(plain, config.data.holdout, seed)
    return training.subset(kept), plain.subset(held_out)


def _training_transform(settings: DataSettings, size: int) -> FaceTransform | None:
    """What happens to each training face before it joins a batch: nothing if batches are augmented whole."""
    if settings.augment in BATCHED:
        return None
    return train_transform(size, settings.erase) if settings.augment == "published" else eval_transform(size)


def build_classifier(
    settings: ClassifierSettings,
    classes: Sequence[str],
    codebook: str = "facs",
    start: Model | None = None,
) -> Classifier:
    """The network that settings describe, with its initial weights.

    Args:
        settings: the network.
        classes: names of its classes.
        codebook: whose action units make up the classes, where the head asks for them.
        start: the model that `settings.weights` names, if that is one. What no setting says of its network,
            normalisation and mirroring, is taken as well.
    """
    method, options = method_named(settings.method), settings.head_options
    if method.head == "units":
        options = {"units": units_of_classes(classes, Codebook.load(codebook)), **options}
    own = method.has_own_backbone
    taken = {} if start is None else {name: start.network.config[name] for name in ("mean", "std", "mirror")}
    classifier = Classifier(
        settings.backbone,
        classes,
        input_size=settings.input_size,
        final_stride=None if own else settings.final_stride,
        backbone_options=settings.options,
        method=settings.method,
        head=settings.head,
        head_options=options,
        grey=settings.grey,
        local_from=settings.local_from,
        blur=settings.blur,
        exposure=settings.exposure,
        **taken,
    )
    if start is not None and settings.weights is not None:
        take_over(classifier, start, settings.weights)
    elif settings.weights is not None or settings.pretrained:
        classifier.with_weights(settings.weights)
    if settings.head_weights is not None:
        if not isinstance(classifier.head, APViTHead):
            raise InputError(
                f"classifier.head_weights: {settings.method} has no transformer in its head; leave it out."
            )
        classifier.head.with_transformer(read_state(settings.head_weights), settings.head_weights)
    return classifier


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


def _trainer(config: TrainConfig, out: Path, progress: bool, rank: Rank) -> L.Trainer:
    """Trainer with logs, one `last` checkpoint per epoch and the one that selection prefers.

    Selection within an epoch takes a keeper of its own: `last` is of the end of an epoch in any case, from
    where an interrupted training goes on exactly.
    """
    logs = out / "logs"
    start = f"start_{len(list(logs.glob('start_*'))) + 1}"
    monitor = None if config.select == "last" else f"val/{config.select}"
    within = config.select_times > 1 and monitor is not None
    keep = partial(KeepBest, dirpath=out / CHECKPOINTS, mode="max", enable_version_counter=False)
    best = partial(keep, filename=Path(BEST).stem, monitor=monitor)
    if within:
        last = keep(filename=Path(LAST).stem, monitor=None, save_on_train_epoch_end=True)
        keepers = [best(save_on_train_epoch_end=False), last]
    else:
        keepers = [best(save_last=True, save_on_train_epoch_end=True)]
    try:
        return _lightning_trainer(config, logs, start, keepers, progress, rank)
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise InputError(f"trainer: {said(error)}.") from error


def _lightning_trainer(
    config: TrainConfig, logs: Path, start: str, keepers: list[KeepBest], progress: bool, rank: Rank
) -> L.Trainer:
    devices = read_devices(config.trainer.device)
    return L.Trainer(
        accelerator=devices.accelerator,
        devices=devices.for_lightning,
        num_nodes=config.trainer.num_nodes,
        # Buffers travel before validation, not with every batch: ranks may have unequal numbers of those.
        strategy=DDPStrategy(broadcast_buffers=False) if rank.count > 1 else "auto",
        use_distributed_sampler=False,
        precision=config.trainer.precision,
        max_epochs=config.epochs,
        gradient_clip_val=config.optimizer.clip_norm,
        val_check_interval=1 / config.select_times if len(keepers) > 1 else 1.0,
        logger=open_loggers(config.trainer.logger, logs, start),
        callbacks=[*keepers, Describe(config), Curves(), *([EpochBars()] if progress else [])],
        plugins=[WholeCheckpointIO()],
        enable_progress_bar=False,  # Lightning's writes to stdout, and knows no terminal
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )


def _curves(trainer: L.Trainer) -> Curves:
    return next(callback for callback in trainer.callbacks if isinstance(callback, Curves))  # pyright: ignore


def _prior(training: FaceDataset, classes: Sequence[str], config: TrainConfig) -> PriorRecord:
    """How frequent the expressions are, and how far that was compensated."""
    shares = frequencies(training, len(classes)).tolist()
    weighted = config.class_weights == "balanced"
    return compensated_prior(dict(zip(classes, shares, strict=True)), config.balance + weighted)


def _info(
    module: GuidedModule,
    prepared: PreparedSet,
    config: TrainConfig,
    chosen: dict[str, Any],
    share: GuidedShare | None,
) -> Card:
    """What a user of the model file has to know, beside its weights."""
    cue = module.objective.cue
    return Card(
        classes=module.classifier.classes,
        template=prepared.template,
        codebook=cue.codebook.to_dict(),
        regions=region_content(cue.regions),
        guidance=config.guidance.record(module.objective.layers),
        method=config.classifier.method,
        metrics={
            "held_out" if config.select_on == "holdout" else "test (selected on)": chosen["figures"],
            "epoch": int(chosen["epoch"]) + 1,
        },
        provenance={
            "trained_on": prepared.provenance,
            "settings": config.to_dict(),
            "recipe": recipe_of(config),
            "guided_faces": share and share._asdict(),
            "date": date.today().isoformat(),
            "versions": {name: version(name) for name in ("aucue", "torch", "timm", "lightning")},
        },
    )
