"""Evaluations of a few faces, made by hand and averaged in plain Python."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch

from aucue.evaluation import Classification, Evaluation, Mean
from aucue.metrics import CONTROLS, classification_report, confusion_counts

CLASSES = ("neutral", "happiness", "fear")
EXPRESSIONS = CLASSES[1:]
Values = Sequence[float | None]


def mean_of(values: Values, labels: Sequence[str]) -> Mean:
    """Macro over expressions and micro over faces of the values that are there."""
    kept = {
        name: [v for v, label in zip(values, labels, strict=True) if label == name and v is not None]
        for name in EXPRESSIONS
    }
    per_expression = {name: fmean(found) if found else None for name, found in kept.items()}
    present = [value for value in per_expression.values() if value is not None]
    everything = [value for found in kept.values() for value in found]
    return Mean(
        macro=fmean(present) if present else None,
        micro=fmean(everything) if everything else None,
        per_expression=per_expression,
        count={name: len(found) for name, found in kept.items()},
    )


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
    keys = keys or [f"{i}.png" for i in range(len(labels))]
    recorded: dict[str, Values] = {f"att_cos {name}": values for name, values in att_cos.items()}
    recorded |= {"cam_cos": cam_cos, "cam_cos predicted class": cam_cos}
    recorded |= {f"control {name}": [None if v is None else 0.5 for v in cam_cos] for name in CONTROLS}
    for kind in ("class map", "attention"):
        recorded[f"specificity {kind}"] = [None if v is None else float(v > 0.5) for v in cam_cos]
        recorded[f"own face {kind}"] = [None if v is None else float(v > 0.4) for v in cam_cos]
    means = {column: mean_of(values, labels) for column, values in recorded.items()}
    called, shown = (torch.tensor([CLASSES.index(name) for name in n]) for n in (predictions, labels))
    rows: list[dict[str, Any]] = [
        {
            "key": keys[i],
            "label": labels[i],
            "prediction": predictions[i],
            "correct": int(labels[i] == predictions[i]),
            **{column: values[i] for column, values in recorded.items()},
        }
        for i in range(len(labels))
    ]
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
        classification=Classification.of(classification_report(confusion_counts(called, shown, 3)), CLASSES),
        attention_layer=layer,
        att_cos={name: means[f"att_cos {name}"] for name in att_cos},
        cam_cos=means["cam_cos"],
        cam_cos_predicted=means["cam_cos predicted class"],
        controls={name: means[f"control {name}"] for name in CONTROLS},
        specificity={kind: means[f"specificity {kind}"] for kind in ("class map", "attention")},
        own_face={kind: means[f"own face {kind}"] for kind in ("class map", "attention")},
        images=rows,
    )
