"""What is wrong with a training is told before anything is read or written, and before torch is imported."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from aucue.data.description import describe, require_split
from aucue.errors import InputError
from aucue.facs import Codebook
from aucue.guidance.names import check_loss
from aucue.models import require_file
from aucue.training.config import TrainConfig
from aucue.training.folder import is_finished
from aucue.training.loggers import logger_names
from aucue.training.names import START
from aucue.work.devices import read_devices
from aucue.work.files import printable
from aucue.work.tables import did_you_mean


class _Range(NamedTuple):
    """Numbers that a setting may be.

    Attributes:
        low: the lowest.
        high: the highest.
        above: `low` itself is too low.
        below: `high` itself is too high.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in it; NaN and infinity never do."""
        high_enough = value > self.low if self.above else value >= self.low
        return high_enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'from'} {self.low:g}"
        return f"{low} {'and below' if self.below else 'and at most' if self.above else 'to'} {self.high:,}"


_COUNT = _Range(1, 1_000_000)
_SIDE = _Range(1, 1024)
_WEIGHT = _Range(0, 1_000_000)
_SHARE = _Range(0, 1, above=True, below=True)

RANGES = {
    "data.holdout": _SHARE,
    "data.batch_size": _COUNT,
    "data.workers": _Range(0, 1024),
    "classifier.input_size": _SIDE,
    "classifier.final_stride": _SIDE,
    "classifier.exposure": _Range(0, 1),
    "guidance.weight": _WEIGHT,
    "guidance.class_map": _WEIGHT,
    "guidance.contrast": _WEIGHT,
    "guidance.gradients": _WEIGHT,
    "guidance.units": _WEIGHT,
    "guidance.outside": _WEIGHT,
    "guidance.hidden": _WEIGHT,
    "guidance.beside": _WEIGHT,
    "guidance.share": _Range(0, 1, above=True),
    "guidance.barrier": _Range(0, 1_000_000, above=True),
    "guidance.first_epoch": _COUNT,
    "guidance.last_epoch": _COUNT,
    "select_times": _COUNT,
    "label_smoothing": _Range(0, 1, below=True),
    "optimizer.head_lr": _Range(0, 1_000_000, above=True),
    "optimizer.clip_norm": _Range(0, 1_000_000, above=True),
    "optimizer.lr": _Range(0, 1_000_000, above=True),
    "optimizer.weight_decay": _WEIGHT,
    "optimizer.momentum": _Range(0, 1, below=True),
    "optimizer.warmup_epochs": _WEIGHT,
    "optimizer.step_epochs": _COUNT,
    "optimizer.step_factor": _Range(0, 1, above=True),
    "trainer.num_nodes": _COUNT,
    "epochs": _COUNT,
    "balance": _WEIGHT,
    "seed": _Range(0, 2**32 - 1),
}
"""Numbers that settings may be, by dotted name."""

_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list of names",
    dict: "a mapping",
}


def check_settings(config: TrainConfig) -> None:
    """Refuse settings that no training can have.

    Raises:
        InputError: A setting is of a wrong kind, out of its range or no known name; the error says which and
            what it may be.
    """
    for name, hint, value in _settings(config):
        optional = get_origin(hint) is not Literal and type(None) in get_args(hint)
        if not (optional and value is None):
            _check(name, get_args(hint)[0] if optional else hint, value)
    for name, folder in (("out", config.out), ("data.path", config.data.path)):
        if not folder.strip() or "\0" in folder:
            raise InputError(f"{name}: the name of a folder is needed, not {_shown(folder)}.")
    if config.teacher is not None and (config.balance or config.class_weights != "none"):
        raise InputError(
            "teacher: its answers are for the mix of expressions that it was made for; set balance to 0 and "
            "class_weights to none."
        )
    _check_guidance(config)
    logger_names(config.trainer.logger)
    read_devices(config.trainer.device)


def _check_guidance(config: TrainConfig) -> None:
    """Refuse guidance that would never come, or stop the training at its first step."""
    guidance, epochs = config.guidance, config.epochs
    last = min(guidance.last_epoch or epochs, epochs)
    if guidance.guided and guidance.first_epoch > last:
        raise InputError(
            f"guidance: of {epochs} epochs none is guided, from epoch {guidance.first_epoch} to {last}; set "
            f"guidance.first_epoch to {last} at most, or guidance.weight and its other weights to 0."
        )
    if guidance.guided:
        check_loss(guidance.loss, guidance.softmax, guidance.barrier)


def check_start(config: TrainConfig, overwrite: bool = False) -> None:
    """Refuse what can be refused quickly: settings, a folder of other ones, a set that is not there.

    A training that is finished needs no set and no codebook.

    Args:
        config: The settings.
        overwrite: Whether what the folder holds is to be replaced.

    Raises:
        OutputExistsError: `out` holds a training with other settings.
        InputError: A setting is none, or the codebook, the set or a split of it is missing.
    """
    check_settings(config)
    if not is_finished(Path(config.out), config, overwrite):
        _check_teacher(config)
        Codebook.load(config.guidance.codebook)
        check_set(config)


def _check_teacher(config: TrainConfig) -> None:
    if config.teacher == START and config.classifier.weights is None:
        raise InputError("teacher: the training starts from no model; give one with --from, or name another.")
    if config.teacher not in (None, START):
        require_file(config.teacher)


def check_set(config: TrainConfig, *more: str) -> None:
    """Refuse a set that is not there, or lacks a split that a training needs.

    Args:
        config: The settings.
        more: Further splits that it must have.

    Raises:
        InputError: It cannot be used.
    """
    folder = Path(config.data.path)
    description = describe(folder)
    selecting = ("test",) if config.select_on == "test" else ()
    for split in ("train", *selecting, *more):
        require_split(folder, description, split)


def _settings(group: Any, before: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted name, type and value of every setting."""
    hints = get_type_hints(type(group))
    for entry in fields(group):
        name, hint, value = f"{before}{entry.name}", hints[entry.name], getattr(group, entry.name)
        if not is_dataclass(hint):
            yield name, hint, value
        elif isinstance(value, hint):  # pyright: ignore[reportArgumentType]
            yield from _settings(value, f"{name}.")
        else:
            raise InputError(f"{name}: settings are needed, not {_shown(value)}.")


def _check(name: str, wanted: Any, value: Any) -> None:
    """Refuse a value of one setting."""
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise InputError(
                f"{name}: {_shown(value)} is none of {', '.join(get_args(wanted))}."
                f"{did_you_mean(value, get_args(wanted))}"
            )
        return
    kind: Any = get_origin(wanted) or wanted
    if not _is_of(value, kind) or (kind is list and not all(isinstance(entry, str) for entry in value)):
        raise InputError(f"{name}: {_KINDS[kind]} is needed, not {_shown(value)}.")
    if name in RANGES and not RANGES[name].holds(value):
        raise InputError(f"{name}: {_KINDS[kind]} {RANGES[name]} is needed, not {_shown(value)}.")


def _is_of(value: Any, kind: type) -> bool:
    """Whether a value is of a kind; whole numbers are numbers, true and false are none."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _shown(value: Any) -> str:
    try:
        text = printable(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits, a list nested as deep
        text = f"this {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}..."
