"""Recipes: settings of guidance and balance that have a name; network, data and optimiser stay yours."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml

from aucue.errors import InputError
from aucue.training.config import GuidanceSettings, TrainConfig
from aucue.work.tables import did_you_mean

_FOLDER = Path(__file__).with_name("recipes")

RECIPES = ("unguided", "fg2024", "aucue-1", "aucue", "units")
"""Names of the recipes."""


def recipe_settings(name: str) -> dict[str, Any]:
    """What a recipe sets, by dotted name (`guidance.weight`).

    Raises:
        InputError: There is no such recipe.
    """
    table = _table(name)
    guidance = {f"guidance.{key}": value for key, value in table["guidance"].items()}
    return {**guidance, "balance": table["balance"]}


def recipe_description(name: str) -> str:
    """What a recipe is, in a line.

    Raises:
        InputError: There is no such recipe.
    """
    return _table(name)["description"]


def with_recipe(config: TrainConfig, name: str) -> TrainConfig:
    """Settings whose guidance and balance are those of a recipe.

    ```
    config = with_recipe(TrainConfig("runs/mine", DataSettings("runs/set"), epochs=20), "aucue")
    ```

    Args:
        config: Everything else; it is not changed.
        name: One of `RECIPES`.

    Raises:
        InputError: There is no such recipe.
    """
    table = _table(name)
    return replace(config, guidance=replace(config.guidance, **table["guidance"]), balance=table["balance"])


def guidance_of(name: str) -> GuidanceSettings:
    """The guidance of a recipe, for an `Objective` in a loop of one's own.

    Raises:
        InputError: There is no such recipe.
    """
    return GuidanceSettings(**_table(name)["guidance"])


def recipe_of(config: TrainConfig) -> str | None:
    """Name of the recipe whose settings these are, however they were arrived at; None if they are others."""
    return next((name for name in RECIPES if with_recipe(config, name) == config), None)


def changes_of_recipe(config: TrainConfig, name: str) -> dict[str, tuple[Any, Any]]:
    """Where settings depart from a recipe: dotted name -> their value and the recipe's.

    Raises:
        InputError: There is no such recipe.
    """
    wanted = with_recipe(config, name)
    pairs = {
        f"guidance.{entry.name}": (getattr(config.guidance, entry.name), getattr(wanted.guidance, entry.name))
        for entry in fields(GuidanceSettings)
    }
    pairs["balance"] = (config.balance, wanted.balance)
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _table(name: str) -> Mapping[str, Any]:
    if name not in RECIPES:
        raise InputError(
            f"There is no recipe {name!r}; give one of {', '.join(RECIPES)}.{did_you_mean(name, RECIPES)}"
        )
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
