"""To a model hub: a folder with the model file and a card, and sending it when asked to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import CommitOperationAdd, HfApi, ModelCardData
from markupsafe import Markup

from aucue.errors import InputError, OutputExistsError
from aucue.export.description import WARNINGS, averaged, licence_of_data, models_before, without_folders
from aucue.facs import ActionUnit
from aucue.models import Card, Model, load_model
from aucue.models.files import write_whole
from aucue.models.hub import check_repository, hub_errors, require_hub
from aucue.models.naming import MODEL_FILE
from aucue.pages import markdown_environment

CARD_FILE = "README.md"
_TAGS = ["facial-expression-recognition", "facs", "action-units", "interpretability", "class-activation-maps"]


def write_repository(
    model: str | Path | Model | None,
    folder: str | Path,
    repository: str,
    license: str | None = None,
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """Write what a model hub takes into a folder: the model file, and a card for a person to complete.

    If the folder holds the same model already, nothing is written unless a file is missing: a card that was
    worked on stays. In the model file, files of this machine are named without their folders.

    Args:
        model: model file, `hf:OWNER/NAME`, or a model; None takes the one in the box.
        folder: where; made if it is not there.
        repository: OWNER/NAME, under which the card tells readers to load it.
        license: of the weights, as the hub names licences (mit, cc-by-nc-4.0, other); None leaves it open.
        overwrite: replace another model in the folder, and its card.

    Returns:
        Model file and card.

    Raises:
        InputError: the name is no name of a repository, the model cannot be read, or it answers with a
            `prior`, which a model file cannot hold.
        OutputExistsError: the folder holds another model, or a card without a model.
    """
    check_repository(repository)
    model = Model.load(model, device="auto" if isinstance(model, Model) else "cpu")
    model.require_own_mix()
    model = Model(model.network, without_folders(model.card), model.name)
    file, card = Path(folder) / MODEL_FILE, Path(folder) / CARD_FILE
    same = file.is_file() and _holds(file, model)
    if not same and not overwrite and (taken := [path for path in (file, card) if path.exists()]):
        raise OutputExistsError(
            f"{taken[0]} exists and is not of this model; choose another folder or ask to overwrite it."
        )
    if not same:
        model.save(file, overwrite)
    if not (same and card.exists()):
        write_whole(card, model_card(model, repository, license).encode(), overwrite=True)
    return file, card


def push(folder: str | Path, repository: str, public: bool = False, overwrite: bool = False) -> str:
    """Send the model file and the card of a folder to a model hub, in one commit; nothing else of it.

    Args:
        folder: as `write_repository` leaves it.
        repository: OWNER/NAME; made if it is not there.
        public: whether everyone may see a repository that is made; one that exists stays as it is.
        overwrite: replace a model that the repository holds. The hub keeps the earlier version.

    Returns:
        Address of the commit.

    Raises:
        InputError: a file is missing, or the name is no name of a repository.
        OutputExistsError: the repository holds a model and `overwrite` is not set.
        HubError: no login, no network, or the hub refuses.
    """
    files = [Path(folder) / name for name in (MODEL_FILE, CARD_FILE)]
    if missing := [path for path in files if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file; write the folder first.")
    hub = HfApi()
    with hub_errors(repository):
        require_hub()
        held = hub.file_exists(repository, MODEL_FILE)
    if held and not overwrite:
        raise OutputExistsError(f"{repository} holds a model already; ask to overwrite it.")
    with hub_errors(repository):
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit: Any = hub.create_commit(
            repository,
            [CommitOperationAdd(path.name, path) for path in files],
            commit_message="Model file and card written by aucue",
        )
    return commit.commit_url


def model_card(model: Model, repository: str, license: str | None = None) -> str:
    """The card of a model, in Markdown: what it does, how well, from which data, and what it is not for.

    Args:
        model: the model.
        repository: OWNER/NAME.
        license: of the weights, as the hub names licences.
    """
    header = ModelCardData(
        license=license, library_name="aucue", pipeline_tag="image-classification", tags=_TAGS
    )
    return (
        markdown_environment("export")
        .get_template("model_card.md.j2")
        .render(
            header=Markup(header.to_yaml()),
            repository=repository,
            name=repository.rpartition("/")[2],
            license=license,
            info=model.card,
            config=model.network.config,
            method=model.network.method,
            parameters=sum(parameter.numel() for parameter in model.network.parameters()),
            expected=_expected(model),
            figures=list(_figures(model.card.to_dict()["metrics"])),  # without NaN
            data=_data(model.card),
            licence_of_data=licence_of_data(model.card),
            before=models_before(model.card),
            averaged=averaged(model.card),
            warnings=WARNINGS,
        )
    )


def _holds(file: Path, model: Model) -> bool:
    """Whether a file holds this model; not by its bytes, since safetensors orders metadata at random."""
    try:
        held, about = load_model(file)
    except InputError:
        return False
    ours, theirs = model.card.to_dict(), about.to_dict()
    ours["provenance"] = {"written_by": theirs["provenance"].get("written_by"), **ours["provenance"]}
    if (held.config, theirs) != (model.network.config, ours):
        return False
    states = held.state_dict(), model.network.state_dict()
    return all(torch.equal(states[0][name], tensor.cpu()) for name, tensor in states[1].items())


def _expected(model: Model) -> dict[str, tuple[ActionUnit, ...]]:
    """Action units that the codebook expects, by class; none where the card names no codebook."""
    return {} if model.card.codebook is None else {name: model.action_units(name) for name in model.classes}


def _data(info: Card) -> dict[str, Any]:
    """What is known of the data, as far as it has the form in which `aucue train` writes it."""
    stated = info.provenance.get("trained_on")
    if not isinstance(stated, Mapping):
        return {}
    samples, notes = stated.get("samples"), stated.get("notes")
    return {
        "name": stated.get("name", "unnamed"),
        "samples": samples if isinstance(samples, Mapping) else {},
        "notes": notes if isinstance(notes, list | tuple) else [],
    }


def _figures(values: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Name and value of every number in nested figures."""
    for name, value in values.items():
        path = *before, str(name)
        if isinstance(value, Mapping):
            yield from _figures(value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield " ".join(path).replace("_", " "), f"{value:.4g}"
