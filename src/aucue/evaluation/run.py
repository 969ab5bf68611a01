"""A classifier over a prepared set: how often it is right, where it looks, and how much of that is free."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aucue.classifiers.methods import name_of_readout
from aucue.cues import AUCue
from aucue.data import PreparedSet, eval_transform, make_loader, open_prepared
from aucue.errors import InputError
from aucue.evaluation.files import write_evaluation
from aucue.evaluation.groups import ATTRIBUTES, read_attributes, with_groups
from aucue.evaluation.observing import (
    CHUNK,
    Observer,
    Seen,
    Split,
    chosen_faces,
    compare_with_other_faces,
    expressions,
    first_of_each,
)
from aucue.evaluation.results import Evaluation
from aucue.evaluation.settings import FILES, EvaluationSettings
from aucue.evaluation.summary import summarise
from aucue.models import Card, Model
from aucue.work import Rank, joined_rank, on_ranks
from aucue.work.devices import open_device, read_devices
from aucue.work.files import check_free, claimed, printable
from aucue.work.progress import tracked

Data = str | os.PathLike[str] | PreparedSet


def evaluate(
    model: str | os.PathLike[str] | Model,
    data: Data,
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008 (frozen)
    *,
    name: str | None = None,
    data_name: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Evaluation:
    """Measure a classifier on one split of a prepared set.

    Every face passes through the network once, with evidence some four hundred times. AU maps are drawn on
    the device at the input's resolution, with the codebook and the region model the classifier was trained
    with unless others are named. Faces of a class that the codebook lacks are counted and take no part in the
    cosines.

    Over several devices every process looks at whole batches in turn and gets the evaluation of all faces;
    the first one writes. See `aucue.work.on_ranks` for where the processes come from.

    Args:
        model: Model file, `hf:OWNER/NAME`, or a model.
        data: Folder of a prepared set, or an open one.
        settings: How.
        name: Name of the model in tables and reports; default that of its file, or of its folder if the file
            is called model.safetensors.
        data_name: Name of the set in tables and reports; default that of its source.
        out: Folder for all files, see `write_evaluation`.
        overwrite: Replace the files of an earlier evaluation in `out`.
        progress: Show a progress bar.

    Returns:
        Figures, a table with one row per face, and the pictures of the report.

    Raises:
        InputError: Model and set do not fit each other, the split is empty, there is no such read-out or
            device, an attribute other than the usual ones is unknown to the set, or evidence is asked for
            and no face has an action-unit map.
        OutputExistsError: `out` holds an evaluation already.
    """
    if out is not None:
        check_free(Path(out), FILES, overwrite)
    machines = _machines(settings)
    rank = joined_rank(*machines)
    with ExitStack() as claim:
        if out is not None:
            rank.first(partial(claim.enter_context, claimed(Path(out))))
        where = "auto" if isinstance(model, Model) else "cpu"
        model = Model.load(model, settings.readout, where, prior=settings.prior)
        name = printable(name or model.name)
        prepared = data if isinstance(data, PreparedSet) else open_prepared(data)
        dataset = prepared.dataset(settings.split, transform=eval_transform(model.input_size))
        if len(dataset) == 0:
            raise InputError(f"{prepared.path}: the split '{settings.split}' has no faces.")
        attributes = read_attributes(dataset.column("attributes"), settings.groups or ATTRIBUTES)
        draw = _judge(model, settings)
        labels = _label_ids(prepared.classes, model.classes)[torch.from_numpy(dataset.labels).long()]
        sight = Split(dataset, labels, model.input_size / prepared.size)
        chosen = _chosen(sight, draw, settings.evidence_faces) if settings.evidence else None
        kept = first_of_each(labels.numpy(), settings.examples)
        observer = partial(Observer, model, draw, sight, settings.batch_size, kept)
        bar = f"{name} on {data_name or prepared.name}" if progress else None
        seen, closer = on_ranks(partial(_observe, observer, chosen, settings, name, bar), *machines)
        if closer is not None:
            compare_with_other_faces(closer)
        evaluation = summarise(seen, model, draw, dataset, closer, chosen)
        evaluation = replace(
            evaluation,
            model=_describe_model(name, model),
            data=_describe_data(data_name, prepared, settings.split) | evaluation.data,
            notes=(*_notes(evaluation, model.card, prepared), *evaluation.notes),
        )
        evaluation = with_groups(evaluation, attributes)
        if out is not None and rank.is_first:
            write_evaluation(evaluation, out, overwrite=overwrite)
    return evaluation


def _observe(
    make_observer: Callable[[torch.device], Observer],
    chosen: np.ndarray | None,
    settings: EvaluationSettings,
    name: str,
    bar: str | None,
    rank: Rank,
) -> tuple[Seen, Seen | None]:
    """Look at this process's batches, then closer at its part of the chosen faces, if any are.

    Returns:
        What all processes saw, in the order of the split, and what all found on a closer look.
    """
    observer = make_observer(open_device(read_devices(settings.device).one))
    dataset, bar = observer.split.dataset, bar if rank.is_first else None
    load = partial(make_loader, workers=settings.workers, rank=rank)
    loader = load(dataset, settings.batch_size)
    for batch in tracked(loader, bar, len(loader)):
        observer.look(batch)
    seen = Seen.merged(rank.gather(observer.seen))
    _check_finite(seen, name)
    if chosen is None:
        return seen, None
    loader = load(dataset.subset(chosen), CHUNK)
    for batch in tracked(loader, bar and f"{bar}: evidence", len(loader)):
        observer.look_closer(batch, torch.from_numpy(chosen)[batch["index"]])
    return seen, Seen.merged(rank.gather(observer.closer))


def _chosen(split: Split, draw: AUCue, count: int) -> np.ndarray:
    """Rows of the faces whose evidence is measured."""
    with_cue = [draw.classes.index(label) for label in expressions(draw)]
    rows = chosen_faces(split.labels.numpy(), split.dataset.landmarks_valid, with_cue, count)
    if len(rows) == 0:
        raise InputError("No face of the split has an action-unit map, so there is no evidence to measure.")
    return rows


def _judge(model: Model, settings: EvaluationSettings) -> AUCue:
    """Draws AU maps with what was named, else with the codebook and the region model of the training."""
    judge = model.judge(settings.codebook, settings.regions)
    if not expressions(judge):
        raise InputError(
            f"The codebook {judge.codebook.name} has action units for none of {', '.join(model.classes)}; "
            "choose one that has with --codebook."
        )
    return judge


def _check_finite(seen: Seen, name: str) -> None:
    """Refuse a model whose answers or maps are no numbers, for any face."""
    faces = int((~seen.column("finite")).sum())
    if faces:
        raise InputError(
            f"{name}: its answers or maps for {faces} of {len(seen.column('finite'))} faces are no numbers "
            "(NaN or infinite), so it cannot be used; train it once more, with a smaller learning rate."
        )


def _label_ids(of_the_set: Sequence[str], of_the_model: Sequence[str]) -> Tensor:
    """The model's id of each class of the set (K,)."""
    unknown = [label for label in of_the_set if label not in of_the_model]
    if unknown:
        raise InputError(
            f"The set has faces labelled '{unknown[0]}', which the model does not know; "
            f"it knows {', '.join(of_the_model)}."
        )
    return torch.tensor([of_the_model.index(label) for label in of_the_set])


def _machines(settings: EvaluationSettings) -> tuple[str, int, int]:
    """Lightning's name for the devices, how many there are on each machine, and how many machines."""
    devices = read_devices(settings.device)
    if settings.num_nodes > 1 and ":" in devices.one:
        raise InputError(f"Device '{devices.one}' is a single one; leave out its number.")
    open_device(devices.one)
    return devices.accelerator, devices.count, settings.num_nodes


def _describe_model(name: str, model: Model) -> dict[str, Any]:
    return {
        "name": name,
        "backbone": model.network.config["backbone"],
        "method": name_of_readout(model.network.method, model.readout),
        "layers": list(model.network.layers),
        "guidance": model.card.to_dict()["guidance"],
        "curves": model.card.curves,
    }


def _describe_data(name: str | None, prepared: PreparedSet, split: str) -> dict[str, Any]:
    origin = json.dumps(prepared.provenance, sort_keys=True, default=str)
    return {
        "name": name or prepared.name,
        "split": split,
        "template": prepared.template,
        "fingerprint": hashlib.sha256(origin.encode()).hexdigest()[:16],
    }


def _notes(evaluation: Evaluation, card: Card, prepared: PreparedSet) -> tuple[str, ...]:
    """What a reader has to know before believing the figures."""
    notes = []
    if card.template and prepared.template and card.template != prepared.template:
        notes.append(
            f"The model was trained on faces aligned to the template '{card.template}', these are aligned to "
            f"'{prepared.template}': all figures suffer."
        )
    if missing := evaluation.without_cue["no landmarks"]:
        notes.append(f"{missing} faces without landmarks take no part in ATT-COS and CAM-COS.")
    if absent := [name for name, faces in evaluation.classification.support.items() if faces == 0]:
        notes.append(f"No faces of {', '.join(absent)}: averages over expressions leave them out.")
    return tuple(notes)
