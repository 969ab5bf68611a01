"""What is said about a model where it goes: nothing of the machine it was trained on, its data's licence."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from aucue.models import Card

UNSTATED = "not stated"

WARNINGS = (
    "An expression is not an emotion: the model names what a face shows, by a codebook of action units, and "
    "cannot know what a person feels.",
    "A map is evidence of where the network looked, not proof of why it decided.",
)

_BEFORE = {"started_from": "Started from", "taught_by": "Taught by"}


def without_folders(info: Card) -> Card:
    """The same, with files on this machine named without their folders, which may name people."""
    return replace(info, provenance=_names_alone(info.provenance))


def licence_of_data(info: Card) -> str:
    """Licence of the data that a model was trained on, as its prepared set states it."""
    return _stated(info.provenance, "licence")


def models_before(info: Card) -> dict[str, tuple[str, str, str]]:
    """Models that a training learnt from: how ("Started from") -> its name, its data and their licence."""
    found = {how: info.provenance.get(entry) for entry, how in _BEFORE.items()}
    return {
        how: (str(told.get("model", "unnamed")), _stated(told, "name"), _stated(told, "licence"))
        for how, told in found.items()
        if isinstance(told, Mapping)
    }


def _stated(told: Mapping[str, Any], entry: str) -> str:
    """What a card says of the data of a training."""
    data = told.get("trained_on")
    value = data.get(entry) if isinstance(data, Mapping) else None
    return value if value and isinstance(value, str) else UNSTATED


def _names_alone(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _names_alone(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_names_alone(entry) for entry in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name
    return value
