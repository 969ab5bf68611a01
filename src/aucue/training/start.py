"""Training that starts from a trained model: its network, and of its head what the classes share."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.classifiers.heads import WeightedGAP
from aucue.classifiers.methods import METHODS
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.data import FaceDataset, PreparedSet
from aucue.errors import InputError
from aucue.metrics import classification_report, confusion_counts
from aucue.models import Card, Model, holds_model, is_address, is_box, model_file
from aucue.models.card import LEARNT_FROM
from aucue.training.calibrating import Answers, answers
from aucue.training.config import ClassifierSettings, TrainConfig
from aucue.training.names import START

_OWN_NAMES = {"options": "backbone_options"}  # settings that a network's own configuration calls otherwise


def model_settings(model: str | Path) -> dict[str, Any]:
    """What starting from a model sets, by dotted name (`classifier.backbone`): its network and its colour.

    Args:
        model: `box`, a model file or `hf:OWNER/NAME`.

    Raises:
        InputError: It is no model.
        HubError: The hub does not give it.
    """
    config = Model.load(model, device="cpu").network.config
    names = {entry.name: _OWN_NAMES.get(entry.name, entry.name) for entry in fields(ClassifierSettings)}
    known = {f"classifier.{name}": config[own] for name, own in names.items() if own in config}
    if config["head"] == METHODS[config["method"]].head:  # so that another method may bring its own
        known["classifier.head"] = None
    options = {name: value for name, value in config["head_options"].items() if name != "units"}
    return {
        **known,
        "classifier.head_options": options,
        "classifier.weights": str(model),
    }  # units: of the classes


def with_model(config: TrainConfig, model: str | Path) -> TrainConfig:
    """Settings whose network is that of a model, from whose weights the training starts.

    ```
    config = with_model(TrainConfig("runs/mine", DataSettings("runs/set"), epochs=10), "box")
    ```

    Args:
        config: Everything else; it is not changed.
        model: `box`, a model file or `hf:OWNER/NAME`.

    Raises:
        InputError: It is no model.
        HubError: The hub does not give it.
    """
    values = {name.partition(".")[2]: value for name, value in model_settings(model).items()}
    return replace(config, classifier=ClassifierSettings(**values))


def starting_model(weights: str | None) -> Model | None:
    """The model that a training starts from; None if it starts at random or from the weights of a backbone.

    Args:
        weights: The setting `classifier.weights`.
    """
    if weights is None:
        return None
    named = is_box(weights) or is_address(weights)
    return Model.load(weights, device="cpu") if named or holds_model(Path(weights)) else None


def take_over(classifier: Classifier, model: Model, weights: str) -> None:
    """Give a new network the backbone of a model, and of its head what belongs to classes of both.

    Heads other than weighted GAP are taken whole, where the classes are the same, or not at all. Action units
    start from what weighted GAP saw in the expressions that have them.

    Args:
        classifier: The network; it is changed.
        model: The model.
        weights: What it was loaded from.

    Raises:
        InputError: The backbones differ.
    """
    classifier.with_weights(model_file(weights))
    shared = shared_classes(classifier.config["head"], classifier.classes, model)
    new, old = classifier.head, model.network.head
    if isinstance(new, WeightedGAP) and isinstance(old, WeightedGAP):
        ours = [classifier.classes.index(name) for name in shared]
        theirs = [model.classes.index(name) for name in shared]
        with torch.no_grad():
            new.fc.weight[ours] = old.fc.weight[theirs].to(new.fc.weight.dtype)
            new.fc.bias[ours] = old.fc.bias[theirs].to(new.fc.bias.dtype)
    elif isinstance(new, ActionUnitHead) and isinstance(old, WeightedGAP) and shared:
        new.start_from(old.fc.weight)
    elif shared:
        new.load_state_dict(old.state_dict())


def shared_classes(head: str, classes: Sequence[str], model: Model) -> tuple[str, ...]:
    """The classes whose part of a model's head fits a network.

    Args:
        head: Name of the network's head.
        classes: Its classes.
        model: The model.
    """
    its = model.network.config["head"]
    if head != its and (head, its) != ("units", "wgap"):
        return ()
    if "units" in (head, its) or not isinstance(model.network.head, WeightedGAP):
        return tuple(classes) if tuple(classes) == model.classes else ()
    return tuple(name for name in classes if name in model.classes)


def start_sentence(config: TrainConfig, classes: Sequence[str]) -> str | None:
    """What a training takes from a model, for people; None if it starts from none.

    Args:
        config: Its settings.
        classes: Those of its faces.
    """
    if (model := starting_model(config.classifier.weights)) is None:
        return None
    head = config.classifier.head or METHODS[config.classifier.method].head
    shared = shared_classes(head, classes, model)
    where = f"Start: {config.classifier.weights}"
    if len(shared) == len(classes):
        return f"{where}, backbone and head."
    new = ", ".join(name for name in classes if name not in shared)
    return f"{where}, backbone {f'and head, but for {new}' if shared else 'alone; the head is new'}."


def check_template(model: Model, prepared: PreparedSet) -> None:
    """Refuse faces that lie otherwise in their crops than those that a model was trained on.

    Raises:
        InputError: The templates differ.
    """
    if model.card.template and prepared.template and model.card.template != prepared.template:
        raise InputError(
            f"{prepared.path}: its faces are aligned to the template '{prepared.template}', those of "
            f"{model.name} to '{model.card.template}'; prepare the set with --template {model.card.template}."
        )


def started_from(
    model: Model, classifier: Classifier, held_out: FaceDataset, said: Answers | None
) -> dict[str, Any]:
    """What the card of a training says of the model that it started from.

    Args:
        model: The model.
        classifier: The trained network; the model is measured, too, where it has its classes and its input.
        held_out: The faces that chose the epoch.
        said: What the network says of them; None if they were test faces, of which the model says nothing.
    """
    told = lineage(model)
    same = (model.classes, model.input_size) == (classifier.classes, classifier.input_size)
    if said is None or not same:
        return told
    before, labels = answers(model.network, held_out)
    kept = (before.argmax(1) == said[0].argmax(1)).double().mean().item()
    return {**told, "held_out": {"faces": len(held_out), "kept": kept, **_figures(before, labels)}}


def lineage(model: Model) -> dict[str, Any]:
    """What a card says of a model that a training learnt from: its name, what it was trained on, and which
    models it had learnt from itself.
    """
    told = model.card.provenance
    data = told.get("trained_on") or {}
    kept = ("name", "licence", "samples", "settings")
    earlier = {how: told[how] for how in LEARNT_FROM if how in told}
    return {"model": model.name, "trained_on": {name: data[name] for name in kept if name in data}, **earlier}


def _figures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    report = classification_report(confusion_counts(logits.argmax(1), labels, logits.shape[1]))
    return {name: float(report[name]) for name in ("accuracy", "balanced_accuracy")}


def comparison_sentence(card: Card) -> str | None:
    """Whether a training made something better of the model that it started from, for people.

    Of one whose teacher that model was: how many of its answers stayed.

    Args:
        card: The training's; None is returned where it started from no model, or from one with other classes.
    """
    before = (card.provenance.get("started_from") or {}).get("held_out")
    after = card.metrics.get("held_out")
    if before is None or after is None:
        return None
    settings = card.provenance["settings"]
    name = "accuracy" if settings["select"] == "last" else settings["select"]
    figures = f"{100 * before[name]:.1f} -> {100 * after[name]:.1f} %"
    verdict = "" if after[name] > before[name] else "; no better than what it started from"
    if settings.get("teacher") == START:
        verdict = f"; {100 * before['kept']:.1f} % of the answers stayed"
    return f"{before['faces']} held-out faces: {name.replace('_', ' ')} {figures}{verdict}."
