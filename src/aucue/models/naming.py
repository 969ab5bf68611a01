"""What a model is called, and whether there is a file of it; needs no torch, so that a refusal is quick."""

from pathlib import Path

from aucue.errors import InputError

SCHEME = "hf:"
"""Addresses of a model hub begin with it: `hf:OWNER/NAME`."""


MODEL_FILE = "model.safetensors"
"""The model file of a training's folder, and of a repository of a hub."""


BOX = "box"
"""What the model in the box is called, wherever a model file can be named."""


def is_box(model: str | Path) -> bool:
    """Whether this names the model in the box, and is no path."""
    return Path(model).as_posix() == BOX


def is_address(model: str | Path) -> bool:
    """Whether this is the address of a model on a hub, and no path."""
    return Path(model).as_posix().startswith(SCHEME)


def require_file(model: str | Path) -> None:
    """Refuse a path at which there is no file; an address of a hub and the model in the box pass.

    Raises:
        InputError: There is none.
    """
    if is_address(model) or is_box(model) or Path(model).is_file():
        return
    if Path(model).is_dir():
        raise InputError(f"{model} is a folder; name the model file in it, such as {MODEL_FILE}.")
    raise InputError(f"{model}: no such model file.")


def name_of(path: Path) -> str:
    """What a model file is called: its own name, or its folder's if it is called `model.safetensors`.

    `hf:OWNER/NAME` is called NAME.
    """
    if is_address(path):
        return path.name.partition("@")[0]
    return (path.resolve().parent.name if path.stem == "model" else path.stem) or "model"
