"""The models that can be named without a path: the one in the box, those of a hub that were fetched."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import huggingface_hub

from aucue.errors import InputError
from aucue.models.card import Card
from aucue.models.files import boxed_model, holds_model, load_card
from aucue.models.hub import hub_errors, require_hub
from aucue.models.naming import BOX, MODEL_FILE, SCHEME

TAG = "aucue"
"""What models of aucue are marked with on a hub."""


class ListedModel(NamedTuple):
    """A model that can be used by its name.

    Attributes:
        name: What `--model` takes: `box` or `hf:OWNER/NAME`.
        where: "box", "cached" or "hub".
        bytes: Size of its file; 0 where that is not known.
        card: What it tells of itself; None where its file is not here, or cannot be read.
    """

    name: str
    where: str
    bytes: int = 0
    card: Card | None = None


def models_here() -> Iterator[ListedModel]:
    """The model in the box, and those that were fetched from a hub."""
    try:
        path = boxed_model()
        yield ListedModel(BOX, "box", path.stat().st_size, load_card(path))
    except InputError:
        pass  # this installation carries none
    for name, path in _cached():
        try:
            yield ListedModel(f"{SCHEME}{name}", "cached", path.stat().st_size, load_card(path))
        except InputError:
            yield ListedModel(f"{SCHEME}{name}", "cached", path.stat().st_size)


def models_of_hub(search: str = "") -> Iterator[ListedModel]:
    """Models of aucue on the hub; asks it.

    Args:
        search: A part of the name.

    Raises:
        HubError: It does not answer.
    """
    with hub_errors(search or "The list of models"):
        require_hub()
        for model in huggingface_hub.HfApi().list_models(filter=TAG, search=search or None, limit=50):
            yield ListedModel(f"{SCHEME}{model.id}", "hub")


def _cached() -> Iterator[tuple[str, Path]]:
    """Name and file of the newest version of each model in the hub's cache."""
    try:
        found = huggingface_hub.scan_cache_dir()
    except huggingface_hub.CacheNotFound:  # nothing was ever fetched
        return
    for repository in sorted(found.repos, key=lambda each: each.repo_id):
        versions = sorted(repository.revisions, key=lambda each: -each.last_modified)
        files = [version.snapshot_path / MODEL_FILE for version in versions]
        if repository.repo_type == "model" and (file := next(filter(holds_model, files), None)) is not None:
            yield repository.repo_id, file
