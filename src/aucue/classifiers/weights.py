"""Weights to start from: timm's usual source, its local cache, or a file. Never a silent random start."""

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from aucue._quickly import timm
from aucue.classifiers.backbones import pretrained_cfg
from aucue.errors import InputError, WeightsError, said

_PATIENCE = 4.0  # seconds to wait for a sign of life before calling a source unreachable
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read a file of plain tensors by name: safetensors, or a PyTorch file that holds nothing else.

    Args:
        path: weight file. A state dict may lie under "state_dict" or "model"; prefixes of DataParallel and
            torch.compile are removed. Of a model file of aucue, the backbone is read.

    Raises:
        InputError: there is no such file, or it holds anything but tensors. Nothing is ever unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weight file.")
    state: Any = _read_safetensors(path) if is_safetensors(path) else read_torch(path)
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: holds no state dict (tensors by parameter name).")
    state = timm.models.clean_state_dict(dict(state))
    backbone = {key.removeprefix("backbone."): v for key, v in state.items() if key.startswith("backbone.")}
    return backbone or state


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of length, then a JSON object."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: damaged or cut short ({error}).") from error


def read_torch(path: Path) -> Any:
    """What a PyTorch file of tensors in plain containers holds. Nothing is ever unpickled.

    Raises:
        InputError: it is no such file, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # junk makes torch's restricted reader fail in any way
        raise InputError(
            f"{path}: neither safetensors nor a PyTorch file of plain tensors, and no other is ever opened; "
            "save a state dict, best as .safetensors."
        ) from error


def pretrained_state(name: str) -> dict[str, Tensor]:
    """Weights that timm publishes for a model: from the local cache, else from their source.

    Args:
        name: timm model name, with or without a weight tag.

    Raises:
        WeightsError: timm publishes none, or they are not cached and their source cannot be reached; told
            within seconds rather than after the many retries of a download.
    """
    cfg = pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise WeightsError(f"timm publishes no pretrained weights for {name}; {_ways_out()}.")
    source = cfg.hf_hub_id or cfg.url
    if (cached := _cached(cfg)) is not None:
        return read_state(cached)
    from huggingface_hub import constants

    address = constants.ENDPOINT if cfg.hf_hub_id else cfg.url
    if not is_reachable(address):
        raise WeightsError(
            f"Pretrained weights of {name} are not cached and {address} cannot be reached; {_ways_out()}."
        )
    try:
        if cfg.hf_hub_id:
            files = {"filename": cfg.hf_hub_filename} if cfg.hf_hub_filename else {}
            return timm.models.load_state_dict_from_hf(cfg.hf_hub_id, **files)
        return torch.hub.load_state_dict_from_url(cfg.url, map_location="cpu", weights_only=True)
    except Exception as error:  # clients of three libraries, each with errors of its own
        raise WeightsError(
            f"Pretrained weights of {name} could not be fetched from {source} ({said(error)}); {_ways_out()}."
        ) from error


def _ways_out() -> str:
    return "give a local file (weights=FILE) or train from scratch (pretrained=False)"


def _cached(cfg: Any) -> Path | None:
    """Where the weights lie on this machine, if they were fetched before."""
    if not cfg.hf_hub_id:
        file = Path(torch.hub.get_dir()) / "checkpoints" / cfg.url.rsplit("/", 1)[-1]
        return file if file.is_file() else None
    from huggingface_hub import errors, hf_hub_download

    repository, _, revision = cfg.hf_hub_id.partition("@")
    for filename in (cfg.hf_hub_filename,) if cfg.hf_hub_filename else _HUB_FILES:
        try:
            return Path(
                hf_hub_download(repository, filename, revision=revision or None, local_files_only=True)
            )
        except errors.LocalEntryNotFoundError:
            continue
    return None


def is_reachable(address: str) -> bool:
    """Whether a server answers at all, asked once through the hub's own client (which knows proxies)."""
    from huggingface_hub.utils import get_session

    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(get_session().head(address, timeout=_PATIENCE))
        except Exception:  # no route, no name, refused, offline mode: all mean no
            return

    # in a thread, because looking up a name is under no timeout
    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return bool(answers)
