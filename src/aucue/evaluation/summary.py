"""From what was seen of the faces of a split to an evaluation."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aucue.cues import AUCue, region_content
from aucue.data import FaceDataset
from aucue.evaluation.averages import averages_of
from aucue.evaluation.estimate import (
    Estimate,
    auroc_estimate,
    calibration,
    estimates,
    ratio,
    recognition,
    unit_estimate,
)
from aucue.evaluation.measures import MEASURES, Figure, column_of
from aucue.evaluation.observing import Seen, expressions
from aucue.evaluation.results import Classification, Evaluation
from aucue.metrics import STEPS
from aucue.models import Model


def summarise(
    seen: Seen,
    model: Model,
    draw: AUCue,
    dataset: FaceDataset,
    closer: Seen | None = None,
    chosen: np.ndarray | None = None,
) -> Evaluation:
    """All figures of a split; the model, the rest of the data and the notes are described by the caller.

    Args:
        seen: All faces of the split, in its order.
        model: What was looked through.
        draw: What drew the AU maps.
        dataset: The faces: their names, and what is known of their action units.
        closer: What a closer look at some of the faces found.
        chosen: The rows of these faces.
    """
    labels, valid, keys = seen.column("label"), seen.column("valid"), dataset.column("key")
    predictions = seen.column("probability").argmax(dim=1)
    with_cue = expressions(draw)
    has_action_units = torch.tensor([label in with_cue for label in model.classes])[labels]
    columns = seen.figures()
    found: dict[Figure, Estimate] = {
        (key, ""): its for key, its in recognition(labels, predictions, model.classes).items()
    }
    found |= _calibration(seen, model)
    found |= estimates(columns, labels, model.classes, with_cue)
    found |= _of_units(seen, draw, dataset)
    notes: tuple[str, ...] = ()
    if closer is not None and chosen is not None:
        closely, their_labels = closer.figures(), closer.column("label")
        means = {figure: its for figure, its in closely.items() if not MEASURES[figure[0]].is_auroc}
        found |= estimates(means, their_labels, model.classes, with_cue)
        found |= _ratios(found, closely, their_labels)
        found |= {
            figure: auroc_estimate(scores, closer.column("right"), their_labels, model.classes)
            for figure, scores in closely.items()
            if figure not in means
        }
        columns |= {figure: _spread(values, chosen, len(labels)) for figure, values in closely.items()}
        notes = (_note_on_evidence(their_labels),)
    return Evaluation(
        model={},
        data={
            "faces": len(labels),
            "codebook": draw.codebook.name,
            "regions": draw.regions.name,
            "size": model.input_size,
            "judge": _digest(draw),
        },
        classes=model.classes,
        expressions=with_cue,
        without_cue={
            "no action units": int((~has_action_units).sum()),
            "no landmarks": int((has_action_units & ~valid).sum()),
        },
        classification=Classification.of(labels, predictions, model.classes),
        attention_layer=model.layer,
        estimates={
            key: {variant: its for (measure, variant), its in found.items() if measure == key}
            for key in MEASURES
            if any(measure == key for measure, _ in found)
        },
        notes=notes,
        faces=_table(seen, predictions, model.classes, keys, columns),
        averages=averages_of(seen.sums, model.classes, (model.input_size, model.input_size)),
        examples=[replace(seen.examples[i], key=keys[i]) for i in sorted(seen.examples)],
    )


def _calibration(seen: Seen, model: Model) -> dict[Figure, Estimate]:
    """Calibration error of the probabilities, and of the votes where the model tells them apart."""
    names = {"": "probability", "votes": "votes"} if model.scale.voters else {"": "probability"}
    labels = seen.column("label")
    return {
        ("calibration", variant): calibration(seen.column(name), labels, model.classes)
        for variant, name in names.items()
    }


def _of_units(seen: Seen, draw: AUCue, dataset: FaceDataset) -> dict[Figure, Estimate]:
    """How well the evidence of action units follows what the set knows of them, where it does."""
    labels, names = seen.column("label"), expressions(draw)
    classes = {name: draw.classes.index(name) for name in names}
    evidence = {variant: torch.cat(pieces).double().numpy() for variant, pieces in seen.units.items()}
    found = {}
    for key, measure in MEASURES.items():
        if measure.by_unit is None:
            continue
        known = measure.by_unit.known(dataset, draw.action_units)
        for variant, values in evidence.items():
            its = unit_estimate(measure.by_unit.figure, values, known, labels.numpy(), classes)
            if its is not None:
                found[key, variant] = its
    return found


def _ratios(
    found: dict[Figure, Estimate], columns: dict[Figure, Tensor], labels: Tensor
) -> dict[Figure, Estimate]:
    """The ratios of the measures that have one."""
    pairs = {key: [(key, variant) for variant in m.ratio] for key, m in MEASURES.items() if m.ratio}
    return {
        (key, "ratio"): ratio(found[above], found[below], (columns[above], columns[below]), labels)
        for key, (above, below) in pairs.items()
        if above in columns and below in columns
    }


def _spread(values: Tensor, rows: np.ndarray, count: int) -> Tensor:
    """Values of some faces (n,) as values of all (N,), NaN for the others."""
    spread = torch.full((count,), torch.nan, dtype=torch.float64)
    spread[torch.from_numpy(rows)] = values
    return spread


def _note_on_evidence(labels: Tensor) -> str:
    return (
        f"Evidence was measured on {len(labels)} faces, as many of each expression as there are up to "
        f"{int(labels.bincount().max())}, with {STEPS} steps of deletion and insertion; its intervals "
        "are over these faces."
    )


def _table(
    seen: Seen,
    predictions: Tensor,
    classes: Sequence[str],
    keys: Sequence[str],
    columns: dict[Figure, Tensor],
) -> pa.Table:
    """One row per face, see `Evaluation.faces`."""
    labels, probabilities = seen.column("label"), seen.column("probability").double().numpy()
    names = np.array(classes)
    return pa.table(
        {
            "key": list(keys),
            "label": names[labels].tolist(),
            "prediction": names[predictions].tolist(),
            "correct": (labels == predictions).int().tolist(),
            **{f"p {name}": probabilities[:, k] for k, name in enumerate(classes)},
            **{
                column_of(figure): pa.array(values.numpy(), from_pandas=True)  # NaN becomes null
                for figure, values in columns.items()
            },
        }
    )


def _digest(draw: AUCue) -> str:
    """What tells codebooks, and region tables of one's own, apart that have one name."""
    entries = json.dumps(sorted((label, sorted(units)) for label, units in draw.codebook.entries.items()))
    if isinstance(table := region_content(draw.regions), dict):
        entries += json.dumps(table, sort_keys=True)
    return hashlib.sha256(entries.encode()).hexdigest()[:16]
