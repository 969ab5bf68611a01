"""What is said about a model where it goes: nothing of the machine it was trained on, its data's licence."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from aucue.models import Card, is_address
from aucue.models.card import LEARNT_FROM

UNSTATED = "not stated"

WARNINGS = (
    "An expression is not an emotion: the model names what a face shows, by a codebook of action units, and "
    "cannot know what a person feels.",
    "A map is evidence of where the network looked, not proof of why it decided.",
)


def without_folders(info: Card) -> Card:
    """The same, with files on this machine named without their folders, which may name people."""
    told = _each_text(info.provenance, _name_of_absolute)
    if "settings" in told:  # paths as they were given: what is no number and no choice there is one
        told["settings"] = _each_text(told["settings"], _name_of_file)
    return replace(info, provenance=told)


def averaged(info: Card) -> list[str]:
    """The trainings of whose weights a model is the mean; all else that its card says is of the first."""
    names = info.provenance.get("mean_of")
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def licence_of_data(info: Card) -> str:
    """Licence of the data that a model was trained on, as its prepared set states it."""
    return _stated(info.provenance, "licence")


class ModelBefore(NamedTuple):
    """A model that a training learnt from.

    Attributes:
        learner: Name of the model that learnt; empty where it is the one that is described.
        how: "Started from" or "Taught by".
        name: Of the model.
        data: What that was trained on.
        licence: Of these data.
    """

    learner: str
    how: str
    name: str
    data: str
    licence: str


def models_before(info: Card) -> list[ModelBefore]:
    """The models that a training learnt from, then those that these had learnt from, as far as cards tell."""
    found: list[ModelBefore] = []
    waiting: deque[tuple[str, Mapping[str, Any]]] = deque([("", info.provenance)])
    while waiting:
        learner, told = waiting.popleft()
        for entry in LEARNT_FROM:
            model = told.get(entry)
            if isinstance(model, Mapping):
                how = entry.replace("_", " ").capitalize()
                name = str(model.get("model", "unnamed"))
                found.append(
                    ModelBefore(learner, how, name, _stated(model, "name"), _stated(model, "licence"))
                )
                waiting.append((name, model))
    return found


def _stated(told: Mapping[str, Any], entry: str) -> str:
    """What a card says of the data of a training."""
    data = told.get("trained_on")
    value = data.get(entry) if isinstance(data, Mapping) else None
    return value if value and isinstance(value, str) else UNSTATED


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _each_text(entry, change) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(entry, change) for entry in value]
    return change(value) if isinstance(value, str) else value


def _name_of_absolute(text: str) -> str:
    kinds = (PurePosixPath, PureWindowsPath)
    return next((kind(text).name for kind in kinds if kind(text).is_absolute()), text)


def _name_of_file(text: str) -> str:
    return text if is_address(text) else PureWindowsPath(text).name or text  # it knows both separators
