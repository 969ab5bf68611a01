"""Evaluations of a few faces, made by hand and averaged in plain Python."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import pyarrow as pa
import torch

from aucue.evaluation import Classification, Estimate, Evaluation
from aucue.evaluation.estimate import wilson
from aucue.evaluation.measures import Figure, column_of
from aucue.metrics import CONTROLS

CLASSES = ("neutral", "happiness", "fear")
EXPRESSIONS = CLASSES[1:]
Values = Sequence[float | None]


def mean_of(values: Values, labels: Sequence[str], among: Sequence[str] = EXPRESSIONS) -> Estimate:
    """Mean over expressions and over faces of the values that are there; no interval."""
    kept = {
        name: [v for v, label in zip(values, labels, strict=True) if label == name and v is not None]
        for name in among
    }
    per_expression = {name: fmean(found) if found else None for name, found in kept.items()}
    present = [value for value in per_expression.values() if value is not None]
    everything = [value for found in kept.values() for value in found]
    return Estimate(
        value=fmean(present) if present else None,
        interval=None,
        micro=fmean(everything) if everything else None,
        per_expression=per_expression,
        faces={name: len(found) for name, found in kept.items()},
    )


def recognised(labels: Sequence[str], predictions: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """Accuracy, balanced accuracy and macro F1."""
    hits = [float(a == b) for a, b in zip(labels, predictions, strict=True)]
    balanced = mean_of(hits, labels, CLASSES)
    f1 = {
        name: 2 * sum(a == b == name for a, b in zip(labels, predictions, strict=True)) / both
        for name in CLASSES
        if (both := list(labels).count(name) + list(predictions).count(name))
    }
    interval = wilson(int(sum(hits)), len(hits))
    accuracy = Estimate(fmean(hits), interval, fmean(hits), balanced.per_expression, balanced.faces)
    macro_f1 = Estimate(fmean(f1.values()), None, fmean(hits), {**f1}, balanced.faces)
    return {"accuracy": {"": accuracy}, "balanced_accuracy": {"": balanced}, "macro_f1": {"": macro_f1}}


def make_evaluation(
    labels: Sequence[str],
    predictions: Sequence[str],
    cam_cos: Values,
    att_cos: Mapping[str, Values] | None = None,
    *,
    name: str = "model",
    guided: bool = False,
    layer: str = "layer4",
    fingerprint: str = "f0",
    set_name: str = "tiny",
    keys: Sequence[str] | None = None,
    codebook: str = "facs",
) -> Evaluation:
    """An evaluation with one row per face; without ATT-COS per layer the class map's values stand for it."""
    att_cos = att_cos or {layer: cam_cos}
    recorded: dict[Figure, Values] = {("att_cos", name): values for name, values in att_cos.items()}
    recorded |= {("cam_cos", "true"): cam_cos, ("cam_cos", "predicted"): cam_cos}
    recorded |= {("control", name): [None if v is None else 0.5 for v in cam_cos] for name in CONTROLS}
    for kind in ("class_map", "attention"):
        recorded["specificity", kind] = [None if v is None else float(v > 0.5) for v in cam_cos]
        recorded["own_face", kind] = [None if v is None else float(v > 0.4) for v in cam_cos]
    estimates = recognised(labels, predictions)
    for (key, variant), values in recorded.items():
        estimates.setdefault(key, {})[variant] = mean_of(values, labels)
    called, shown = (torch.tensor([CLASSES.index(name) for name in n]) for n in (predictions, labels))
    faces = {
        "key": list(keys or [f"{i}.png" for i in range(len(labels))]),
        "label": list(labels),
        "prediction": list(predictions),
        "correct": [int(a == b) for a, b in zip(labels, predictions, strict=True)],
        **{column_of(figure): pa.array(values, pa.float64()) for figure, values in recorded.items()},
    }
    return Evaluation(
        model={
            "name": name,
            "backbone": "resnet10t",
            "method": "cam",
            "layers": list(att_cos),
            "guidance": {"weight": 4.0 if guided else 0.0, "layers": [layer]},
        },
        data={
            "name": set_name,
            "split": "test",
            "template": "aucue",
            "fingerprint": fingerprint,
            "faces": len(labels),
            "codebook": codebook,
            "regions": "anatomical",
            "size": 64,
        },
        classes=CLASSES,
        expressions=EXPRESSIONS,
        without_cue={"no action units": list(labels).count("neutral"), "no landmarks": 0},
        classification=Classification.of(shown, called, CLASSES),
        attention_layer=layer,
        estimates=estimates,
        faces=pa.table(faces),
    )
