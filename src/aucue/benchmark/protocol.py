"""The paper's experiments as grids (Belharbi et al., FG 2024): the one place their settings come from."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from aucue.benchmark.grid import Protocol
from aucue.benchmark.published import (
    Measures,
    lambdas,
    layer_stacks,
    published_lambda,
    published_layers,
    published_method,
)
from aucue.classifiers.methods import METHODS, Method
from aucue.errors import InputError

PAPER_GRIDS: Mapping[str, str] = {
    "table1": "accuracy and CAM-COS of the eleven methods, without and with guidance",
    "table2": "ATT-COS of the eleven methods: the trainings of table1",
    "table3": "CAM, guided at each layer of a ResNet-50 and at stacks of them",
    "figure5": "CAM, guided with lambda from 0.01 to 20",
}
"""Experiments of the paper by name."""

PUBLISHED_LAYERS: Mapping[str, str] = {
    "1": "act1",
    "2": "layer1",
    "3": "layer2",
    "4": "layer3",
    "5": "layer4",
}
"""The paper's number of a layer -> its name in a ResNet of timm."""

_CNN = METHODS["cam"]
_BACKBONE = f"{_CNN.backbone}.tv_in1k"  # torchvision's first weights, which the published code starts from
_LAMBDA = {"raf-db": 4.0, "affectnet": 9.0}
_LAMBDA_ELSEWHERE = 4.0
_SELECT_TIMES = {"affectnet": 23}  # valid_freq_mb .0437 of the published command

_SETTINGS: Mapping[str, Any] = {
    "classifier.method": _CNN.name,
    "classifier.backbone": _BACKBONE,
    "classifier.pretrained": True,
    "classifier.input_size": _CNN.input_size,
    "classifier.final_stride": _CNN.final_stride,
    "data.augment": "published",
    "data.batch_size": 224,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.002,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 0.0005,
    "optimizer.schedule": "step",
    "optimizer.step_epochs": 4,
    "optimizer.step_factor": 0.9,
    "trainer.precision": "16-mixed",
    "epochs": 20,
    "select": "accuracy",
}
_OF_PROTOCOL: Mapping[str, Mapping[str, Any]] = {
    "holdout": {
        "guidance.codebook": "facs",
        "guidance.regions": "anatomical",
        "guidance.cue_size": "attention",
    },
    "fg2024": {
        "guidance.codebook": "fg2024",
        "guidance.regions": "fg2024-224",  # of the published crops, whatever size the network sees
        "guidance.cue_size": "input",
        "guidance.drawn": "stored",
        "data.erase": "noise",
        "optimizer.decay": "all",
    },
}

Axis = Mapping[str, Mapping[str, Any]]
"""Names on one axis of a grid -> their settings."""


class _Experiment(NamedTuple):
    """What one of the paper's experiments varies, beside the set.

    Attributes:
        axes: Its axes.
        baseline: The name on one of them that the others are compared with.
        published: From a set and the names on these axes, in order, to what was published.
    """

    axes: Mapping[str, Axis]
    baseline: Mapping[str, str]
    published: Callable[..., Measures]


def paper_grid(
    name: str,
    data: Mapping[str, str | os.PathLike[str]],
    protocol: Protocol = "holdout",
    seeds: Sequence[int] = (0,),
    *,
    backbones: Sequence[str] = (),
    codebooks: Sequence[str] = (),
) -> dict[str, Any]:
    """One of the paper's experiments on prepared sets, for `Grid.from_dict`.

    The training is the published one under both protocols. "holdout" selects the epoch on held-out training
    faces, with our codebook, regions and heads; "fg2024" selects on the test faces, with those of the
    published code. A row and its unguided twin differ in lambda only. Cells with the same settings are the
    same in all four grids.

    Args:
        name: Key of `PAPER_GRIDS`.
        data: Name of a set -> folder that `aucue prepare` wrote. "raf-db" and "affectnet" have published
            numbers and a published lambda; all others take lambda 4.
        protocol: "holdout" or "fg2024".
        seeds: Of the trainings; one was published.
        backbones: timm models to compare on a further axis, instead of the ResNet-50 alone; methods with a
            network of their own are then left out.
        codebooks: `facs`, `fg2024` or YAML files to compare on a further axis.

    Returns:
        Plain values only, as a grid file holds them.

    Raises:
        InputError: There is no such experiment or protocol, or no set.
    """
    if protocol not in get_args(Protocol):
        raise InputError(f"protocol: '{protocol}' is none; choose from {', '.join(get_args(Protocol))}.")
    if name not in PAPER_GRIDS:
        raise InputError(f"'{name}' is no experiment of the paper; choose from {', '.join(PAPER_GRIDS)}.")
    if not data:
        raise InputError(f"{name}: no prepared set is given; add at least one, as in --data raf-db=DIR.")
    experiment = _experiment(name, protocol, any_backbone=bool(backbones))
    around: dict[str, Axis] = {"set": {key: _set(key, path, protocol) for key, path in data.items()}}
    if backbones:
        around["backbone"] = {backbone: {"classifier.backbone": backbone} for backbone in backbones}
    if codebooks:
        around["codebook"] = {codebook: {"guidance.codebook": codebook} for codebook in codebooks}
    grid = {
        "name": name if protocol == "holdout" else f"{name}-{protocol}",
        "title": f"{name[:-1].capitalize()} {name[-1]} of FG 2024: {PAPER_GRIDS[name]}",
        "notes": _notes(tuple(data), experiment, protocol),
        "protocol": protocol,
        "seeds": list(seeds),
        "settings": {**_SETTINGS, **_OF_PROTOCOL[protocol]},
        "axes": {**around, **experiment.axes},
        "baseline": dict(experiment.baseline),
        "published": list(_published(around, experiment)),
    }
    if name == "figure5":
        grid["figure"] = {"x": "guidance.weight", "over": {axis: next(iter(around[axis])) for axis in around}}
    return grid


def _experiment(name: str, protocol: Protocol, any_backbone: bool) -> _Experiment:
    if name == "table3":
        return _layers()
    return _lambdas() if name == "figure5" else _methods(protocol, any_backbone)


def _methods(protocol: Protocol, any_backbone: bool) -> _Experiment:
    rows = {
        row.title: row
        for row in METHODS.values()
        if row.in_paper and not (any_backbone and row.has_own_backbone)
    }
    axes: dict[str, Axis] = {
        "method": {title: _method(row, protocol) for title, row in rows.items()},
        "guidance": {"unguided": {"guidance.weight": 0.0}, "guided": {}},  # guided: the lambda of the set
    }

    def published(set_name: str, title: str, guidance: str) -> Measures:
        return published_method(set_name, rows[title].name, guidance == "guided")

    return _Experiment(axes, {"guidance": "unguided"}, published)


def _layers() -> _Experiment:
    stacks = {_title(stack): stack for stack in layer_stacks()}
    axes = {"layers": {title: _stack(stack) for title, stack in stacks.items()}}

    def published(set_name: str, title: str) -> Measures:
        return published_layers(set_name, stacks[title])

    return _Experiment(axes, {"layers": "none"}, published)


def _lambdas() -> _Experiment:
    weights = {"unguided": 0.0} | {f"lambda {weight:g}": weight for weight in lambdas()}
    axes = {"guidance": {title: {"guidance.weight": weight} for title, weight in weights.items()}}

    def published(set_name: str, title: str) -> Measures:
        if title == "unguided":  # a training of Table 1; Figure 5 begins at .01
            return published_method(set_name, _CNN.name, guided=False)
        return published_lambda(set_name, weights[title])

    return _Experiment(axes, {"guidance": "unguided"}, published)


def _set(name: str, path: str | os.PathLike[str], protocol: Protocol) -> dict[str, Any]:
    settings = {"data.path": str(path), "guidance.weight": _LAMBDA.get(name, _LAMBDA_ELSEWHERE)}
    if protocol == "fg2024" and name in _SELECT_TIMES:
        settings["select_times"] = _SELECT_TIMES[name]
    return settings


def _method(row: Method, protocol: Protocol) -> dict[str, Any]:
    """What a method differs in from CAM."""
    settings: dict[str, Any] = {"classifier.method": row.name}
    if row.has_own_backbone:
        settings |= {
            "classifier.backbone": row.backbone,
            "classifier.pretrained": row.has_weights,
            "classifier.input_size": row.input_size,
            "classifier.final_stride": row.final_stride,
        }
    if protocol == "fg2024":
        names = {"head_options": "classifier.head_options", "readout": "readout"}
        settings |= {names[key]: value for key, value in row.fg2024.items()}
    return settings


def _title(stack: str) -> str:
    return stack if stack == "none" else f"layers {stack}" if "+" in stack else f"layer {stack}"


def _stack(stack: str) -> dict[str, Any]:
    """Layer 5 is what CAM guides unasked: left unsaid, so that its cell is that of the other grids."""
    if stack == "none":
        return {"guidance.weight": 0.0}
    numbers = sorted(stack.split("+"))
    return {} if numbers == ["5"] else {"guidance.layers": [PUBLISHED_LAYERS[number] for number in numbers]}


def _published(around: Mapping[str, Axis], experiment: _Experiment) -> Iterable[dict[str, Any]]:
    """Published measures, at the places of the ResNet-50 and of the published codebook."""
    as_published = {"backbone": [_BACKBONE], "codebook": ["fg2024"]}
    axes = [as_published.get(axis, list(around[axis])) for axis in around]
    for place in itertools.product(*axes, *experiment.axes.values()):
        set_name, varied = place[0], place[len(around) :]
        if measures := experiment.published(set_name, *varied):
            yield {**dict(zip((*around, *experiment.axes), place, strict=True)), **measures}


def _notes(sets: Sequence[str], experiment: _Experiment, protocol: Protocol) -> list[str]:
    notes = [
        "Published: Belharbi et al., FG 2024; one seed, the epoch selected on the test set; lambda 4 on "
        "RAF-DB is inferred."
    ]
    if protocol == "holdout":
        notes.append(
            "Published cosines are with the AU maps of the published code, ours with those of this training "
            "(guidance.codebook, guidance.regions)."
        )
    if unknown := [name for name in sets if name not in _LAMBDA]:
        notes.append(f"Nothing was published on {', '.join(unknown)}; lambda there is {_LAMBDA_ELSEWHERE:g}.")
    if "APViT" in experiment.axes.get("method", {}):
        notes.append(
            "APViT starts at random unless classifier.weights and classifier.head_weights are set; the "
            "published one starts from weights of face recognition and of a vision transformer."
        )
    return notes
