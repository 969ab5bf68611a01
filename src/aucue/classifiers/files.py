"""The model file: one .safetensors whose metadata rebuilds the network and tells all that using it takes."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from aucue.classifiers import guided
from aucue.classifiers.classifier import Classifier
from aucue.classifiers.hub import local_file
from aucue.classifiers.weights import is_safetensors
from aucue.errors import InputError, OutputExistsError

BOXED = Path(__file__).parent / "models" / "aucue-fer.safetensors"
FORMAT = 1  # of the metadata; raised when an older aucue could no longer read it
_KEY = "aucue"


@dataclass
class ModelInfo:
    """What a user of a trained network has to know, beside its weights. Plain values only (JSON).

    Attributes:
        classes: names of the classes, in the order of the logits.
        template: name of the face template that crops are aligned to.
        codebook: the codebook that guided it, as `Codebook.to_dict` gives it.
        regions: name of the region model that drew the cues.
        guidance: settings of the guidance: weight, class_map, contrast, layers, loss, attention.
        method: name of the method (backbone, head, regulariser and read-out).
        metrics: figures measured on data the training did not see. Undefined ones (NaN) are stored as null.
        provenance: data, settings, versions, dates. `save_model` adds the versions it runs under.
    """

    classes: tuple[str, ...]
    template: str | None = None
    codebook: dict[str, Any] | None = None
    regions: str | None = None
    guidance: dict[str, Any] | None = None
    method: str = "cam"
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = tuple(self.classes)
        kinds = {"template": str, "codebook": Mapping, "regions": str, "guidance": Mapping}
        for name, kind in {**kinds, "method": str, "metrics": Mapping, "provenance": Mapping}.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (name in kinds and value is None):
                raise InputError(f"model information: '{name}' cannot be {value!r}.")

    @property
    def guided(self) -> bool:
        """Whether any term of the guidance had a weight."""
        return guided.is_guided(self.guidance)

    @property
    def guided_layers(self) -> tuple[str, ...]:
        """The layers whose attention was guided; none where the class map alone was."""
        return guided.guided_layers(self.guidance)

    @property
    def how_guided(self) -> str:
        """How it was guided, in words: "guided: attention of layer4 (weight 4)", or "not guided"."""
        return guided.how_guided(self.guidance)

    def layer_shown(self, layers: Sequence[str]) -> str:
        """The layer whose attention is shown: the deepest one that the guidance names, else the last.

        Args:
            layers: all layers of the network, shallow to deep (`Classifier.layers`).
        """
        return guided.layer_shown(self.guidance, layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a model file stores them."""
        return {name: _plain(value, name) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from plain values.

        Raises:
            InputError: an entry is unknown, missing or of a wrong kind.
        """
        if unknown := sorted(values.keys() - {entry.name for entry in fields(cls)}):
            raise InputError(f"model information: unknown entry '{unknown[0]}'.")
        if "classes" not in values:
            raise InputError("model information: 'classes' is missing.")
        return cls(**values)


def save_model(path: str | Path, classifier: Classifier, info: ModelInfo, overwrite: bool = False) -> Path:
    """Write a classifier and all that using it takes into one file. It appears complete or not at all.

    Args:
        path: file to write, ending in .safetensors.
        classifier: the network; tensors keep their type.
        info: what belongs to it.
        overwrite: replace an existing file.

    Returns:
        The path.

    Raises:
        OutputExistsError: the file exists and `overwrite` is not set.
        InputError: wrong ending, `info` names other classes, or it holds what JSON cannot.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: a model file must end in .safetensors.")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another name or ask to overwrite it.")
    if not isinstance(classifier, Classifier):
        raise TypeError(
            f"save_model takes the Classifier itself, not a {type(classifier).__name__} around it"
        )
    if info.classes != classifier.classes:
        raise InputError(
            f"{path}: model information is about {info.classes}, the network about {classifier.classes}."
        )
    described = info.to_dict()
    described["provenance"] = {"written_by": _versions(), **described["provenance"]}
    record = {"format": FORMAT, "config": classifier.config, "info": described}
    metadata = {_KEY: json.dumps(record), "format": "pt"}
    write_atomically(path, safetensors.torch.save(_own_tensors(classifier), metadata))
    return path


def load_model(path: str | Path) -> tuple[Classifier, ModelInfo]:
    """Read a file that `save_model` wrote.

    Args:
        path: model file, or `hf:OWNER/NAME` for the one in a repository of the model hub.

    Returns:
        The classifier, on the CPU in evaluation mode, and what belongs to it.

    Raises:
        InputError: the file is missing, cut short, of another kind, or of a newer format. Nothing is
            unpickled, and nothing is fetched but what was asked of a hub.
        HubError: the hub does not give it.
    """
    path = local_file(path)
    record, state = _read(path)
    try:
        info = ModelInfo.from_dict(record["info"])
        classifier = Classifier(**record["config"])
        # assign, because a copy would turn the file's number types into those of a new network
        classifier.load_state_dict(state, assign=True)
    except KeyError as error:
        raise InputError(
            f"{path}: its description lacks {error}; the file was not written by aucue."
        ) from error
    except (TypeError, InputError) as error:
        raise InputError(f"{path}: its network cannot be rebuilt: {error}") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: its weights do not fit the network it describes: {reason}") from error
    if info.classes != classifier.classes:
        raise InputError(f"{path}: its description contradicts itself about the classes.")
    # images meet the head's number type; the normalisation is no part of the file
    number = next(classifier.head.parameters()).dtype
    classifier.mean, classifier.std = classifier.mean.to(number), classifier.std.to(number)
    return classifier.eval(), info


def boxed_model() -> Path:
    """The model in the box: the small network that is used where no model is named.

    Raises:
        InputError: this installation carries none.
    """
    if not BOXED.is_file():
        raise InputError("this installation of aucue carries no model; name a model file (.safetensors).")
    return BOXED


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of a model file."""
    if not path.is_file():
        raise InputError(f"{path}: no such model file.")
    if not is_safetensors(path):
        raise InputError(
            f"{path}: not a model file of aucue (.safetensors); pickles and archives are never opened."
        )
    try:
        with safe_open(path, "pt") as file:
            record = _record(path, (file.metadata() or {}).get(_KEY))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise InputError(f"{path}: damaged or cut short ({error}); copy or train it again.") from error
    return record, state


def _record(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise InputError(
            f"{path}: holds tensors but is no model file of aucue; train with it as weights={path.name}."
        )
    try:
        record = json.loads(text)
        number = int(record["format"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: its description cannot be read; the file was not written by aucue."
        ) from error
    if number > FORMAT:
        raise InputError(
            f"{path}: written in format {number} by a newer aucue; this one reads up to {FORMAT}: upgrade."
        )
    return record


def _own_tensors(classifier: Classifier) -> dict[str, Tensor]:
    """Tensors on the CPU, in plain memory order, none sharing memory with another."""
    return {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
        for name, tensor in classifier.state_dict().items()
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("aucue", "torch", "timm")},
    }


def _plain(value: Any, where: str) -> Any:
    """Value in JSON's own kinds, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, where) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(f"model information: '{where}' is a {type(value).__name__}, which JSON cannot hold.")
