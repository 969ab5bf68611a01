"""The model file: one .safetensors whose metadata rebuilds the network and tells all that using it takes."""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from aucue.classifiers.backbones import bounded_modules, sketched, unfilled
from aucue.classifiers.classifier import Classifier
from aucue.classifiers.weights import is_safetensors
from aucue.errors import InputError, said
from aucue.models.card import Card
from aucue.models.description import check_record, read_description
from aucue.models.hub import local_file
from aucue.models.naming import is_box, require_file
from aucue.work.files import appearing, refuse_existing

BOXED = Path(__file__).parent / "box" / "aucue-fer.safetensors"
FORMAT = 2  # of the metadata; raised when an older aucue could no longer read it (2: calibration, prior)
_KEY = "aucue"
_FLOATS, _INTEGERS = ("F16", "BF16", "F32", "F64"), ("I64", "I32", "I16", "I8", "U8", "BOOL")
_MAX_HEADER = 2**24  # bytes
_MAX_TABLES = 2**29  # bytes that a network computes when it is built and no file holds
_MODULES_PER_TENSOR = 8  # no network of timm has more than 4


def save_model(path: str | Path, classifier: Classifier, info: Card, overwrite: bool = False) -> Path:
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
        InputError: wrong ending, `info` names other classes, it holds what a description cannot, or a weight
            is no number.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: a model file must end in .safetensors.")
    refuse_existing(path, overwrite)
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
    try:
        check_record(record)
    except InputError as error:
        raise InputError(
            f"{path} was not written: its description would not be read again: {said(error)}."
        ) from error
    state = _own_tensors(classifier)
    _check_finite(state, f"{path} was not written")
    content = safetensors.torch.save(state, {_KEY: json.dumps(record), "format": "pt"})
    write_whole(path, content, overwrite)
    return path


def load_model(path: str | Path) -> tuple[Classifier, Card]:
    """Read a file that `save_model` wrote.

    Args:
        path: model file, `hf:OWNER/NAME` for the one in a repository of the model hub, or `box`.

    Returns:
        The classifier, on the CPU in evaluation mode, and what belongs to it.

    Raises:
        InputError: the file is missing, cut short, of another kind or of a newer format, an entry of its
            description is wrong, or a weight is no number. Nothing is unpickled, nothing is fetched but what
            was asked of a hub, no other file is read, and a file cannot make the network larger than itself.
        HubError: the hub does not give it.
    """
    path = model_file(path)
    with _opened(path) as (file, record):
        classifier = _built(path, record["config"], _Header(file))
        # copied: as they lie in the file, their addresses depend on the length of its description, and
        # sums over unaligned memory may have another last digit
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
    _check_finite(state, str(path))
    # assign, because a copy would turn the file's number types into those of a new network
    classifier.load_state_dict(state, assign=True)
    # images meet the head's number type; the normalisation is no part of the file
    number = next(classifier.head.parameters()).dtype
    classifier.mean, classifier.std = classifier.mean.to(number), classifier.std.to(number)
    return classifier.eval(), Card.from_dict(record["info"])


def load_card(path: str | Path) -> Card:
    """Read what a model file tells of its model, without the network.

    Args:
        path: as for `load_model`.

    Returns:
        The card that `load_model` gives beside the classifier.

    Raises:
        InputError: the file is missing, of another kind or of a newer format, or an entry of its description
            is wrong. Whether its weights are whole and fit the network is not looked at.
        HubError: the hub does not give it.
    """
    with _opened(model_file(path)) as (_, record):
        return Card.from_dict(record["info"])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An open model file and its description, every entry of which is checked."""
    require_file(path)
    if not is_safetensors(path):
        raise InputError(
            f"{path}: not a model file of aucue (.safetensors); pickles and archives are never opened."
        )
    _check_header(path)
    try:
        with safe_open(path, "pt") as file:
            yield file, _record(path, (file.metadata() or {}).get(_KEY))
    except SafetensorError as error:
        raise InputError(f"{path}: damaged or cut short ({error}); copy or train it again.") from error


def boxed_model() -> Path:
    """The model in the box: the small network that is used where no model is named.

    Raises:
        InputError: this installation carries none.
    """
    if not BOXED.is_file():
        raise InputError("This installation of aucue carries no model; name a model file (.safetensors).")
    return BOXED


def model_file(model: str | Path | None = None) -> Path:
    """Where a model lies on this machine.

    Args:
        model: model file, `hf:OWNER/NAME`, which is fetched first; `box` or None for the model in the box.

    Raises:
        InputError: this installation carries none, or the address is none.
        HubError: the hub does not give it.
    """
    return boxed_model() if model is None or is_box(model) else local_file(model)


def holds_model(path: Path) -> bool:
    """Whether a file says that it is a model file of aucue, and not of weights alone."""
    if not path.is_file() or not is_safetensors(path):
        return False
    _check_header(path)
    try:
        with safe_open(path, "pt") as file:
            return _KEY in (file.metadata() or {})
    except SafetensorError:  # whoever reads it says why
        return False


class _Header:
    """Names, shapes and number types of the tensors of a model file."""

    def __init__(self, file: Any) -> None:
        self.slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)

    def differences(self, wanted: Mapping[str, Tensor]) -> list[str]:
        """Where the file's tensors are not those of a network, in words."""
        told = [f"'{name}' is missing" for name in wanted if name not in self.slices]
        told += [f"'{name}' is no part of it" for name in self.slices if name not in wanted]
        for name in wanted.keys() & self.slices.keys():
            shape, number = tuple(self.slices[name].get_shape()), self.slices[name].get_dtype()
            if shape != tuple(wanted[name].shape):
                told.append(f"'{name}' is {shape} instead of {tuple(wanted[name].shape)}")
            elif number not in (_FLOATS if wanted[name].is_floating_point() else _INTEGERS):
                told.append(f"'{name}' holds numbers of the type {number}")
        return sorted(told)


def _check_header(path: Path) -> None:
    """Refuse a header that alone would fill the memory."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _MAX_HEADER:
        raise InputError(f"{path}: damaged or no model file of aucue: its header has {size} bytes.")


def _built(path: Path, config: Mapping[str, Any], header: _Header) -> Classifier:
    """The network that a file describes, still without its weights; built only if the file's tensors fit it.

    It is built without memory first: a small file may name a network of any size.
    """
    with sketched(), bounded_modules(_MODULES_PER_TENSOR * len(header.slices) + 1000):
        sketch = _network(path, config)
    if different := header.differences(sketch.state_dict()):
        more = f" and {len(different) - 3} more" if len(different) > 3 else ""
        raise InputError(
            f"{path}: its weights do not fit the network it describes: {'; '.join(different[:3])}{more}."
        )
    computed = dict(sketch.named_buffers()).keys() - sketch.state_dict().keys()
    if sum(sketch.get_buffer(name).nbytes for name in computed) > _MAX_TABLES:
        raise InputError(f"{path}: its network computes tables of more than {_MAX_TABLES >> 20} MiB.")
    with unfilled():
        return _network(path, config)


def _network(path: Path, config: Mapping[str, Any]) -> Classifier:
    try:
        return Classifier(**config)
    except InputError as error:
        raise InputError(f"{path}: its network cannot be rebuilt: {said(error)}.") from error


def _check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights of a training that diverged."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(
                f"{where}: '{name}' holds values that are no numbers (NaN or infinite), as after a training "
                "that diverged; train again with a lower learning rate."
            )


def _record(path: Path, text: str | None) -> dict[str, Any]:
    """The description in a file, with every entry checked."""
    if text is None:
        raise InputError(
            f"{path}: holds tensors but is no model file of aucue; train with it as weights={path.name}."
        )
    try:
        record = read_description(text)
        number = record.get("format")
        newer = isinstance(number, int) and number > FORMAT
        if not newer:
            check_record(record)
    except InputError as error:
        raise InputError(f"{path}: its description cannot be read: {said(error)}.") from error
    if newer:
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


def write_whole(path: Path, content: bytes, overwrite: bool = False) -> None:
    """Write a file that appears whole or not at all, and the folders above it.

    Args:
        path: The file.
        content: What it holds.
        overwrite: Replace an existing file.

    Raises:
        OutputExistsError: The file exists and `overwrite` is not set.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as unfinished:
        unfinished.write_bytes(content)
        refuse_existing(path, overwrite)  # it may have come while this one was made


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("aucue", "torch", "timm")},
    }
