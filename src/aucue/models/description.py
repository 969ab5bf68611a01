"""What a model file says of itself: plain values, each of its kind and size, checked before any is used."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from aucue.classifiers import HEADS, METHODS
from aucue.classifiers.classifier import MAX_CLASSES, MAX_NAME, MAX_SIDE
from aucue.cues.au_cue import REGION_MODELS, region_model_of
from aucue.errors import InputError, said
from aucue.facs import Codebook
from aucue.guidance.losses import LOSSES
from aucue.guidance.names import AttentionKind
from aucue.models.card import CueKind

MAX_TEXT = 100_000
MAX_DEPTH = 32
MAX_WEIGHT = 1e6
_LARGEST = 2**63  # numbers beyond it are no measurement, and some cannot be printed

Check = Callable[[Any, str], None]


def read_description(text: str) -> dict[str, Any]:
    """Read the JSON text of a description.

    Raises:
        InputError: it is no JSON object of plain values of a reasonable size.
    """
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON ({said(error)[:100]}).") from error
    if not isinstance(record, dict):
        raise InputError("it is no JSON object.")
    check_plain(record)
    return record


def check_plain(value: Any, depth: int = MAX_DEPTH) -> None:
    """Refuse what is no plain value: anything nested too deep, text that no file can hold, endless numbers.

    Raises:
        InputError: naming the value.
    """
    if isinstance(value, Mapping | list | tuple):
        if depth == 0:
            raise InputError(f"it is nested more than {MAX_DEPTH} deep.")
        entries = [*value, *value.values()] if isinstance(value, Mapping) else value
        for entry in entries:
            check_plain(entry, depth - 1)
    elif isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise InputError(f"it holds a text of {len(value)} letters.")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"it holds a text that cannot be written as UTF-8 ({value[:40]!a}).")
    elif isinstance(value, int | float) and not abs(value) < _LARGEST:
        raise InputError("it holds a number that is not finite or far too large.")
    elif not isinstance(value, int | float | None):
        raise InputError(f"it holds a {type(value).__name__}, which is no plain value.")


def check_record(record: Mapping[str, Any]) -> None:
    """Check the description of a model file, every entry of it.

    Raises:
        InputError: an entry is missing, unknown, or of a wrong kind or size.
    """
    _RECORD(record, "")
    config, info = record["config"], record["info"]
    if config.get("classes") != info["classes"]:
        raise InputError("it contradicts itself about the classes.")
    if any(set(mix) != set(info["classes"]) for mix in (info.get("prior") or {}).values()):
        raise InputError("'info.prior' must have a share of every class, and of nothing else.")
    if info.get("codebook") is not None:
        Codebook.from_content(info["codebook"], "model information")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(where: str, wanted: str, value: Any) -> InputError:
    return InputError(f"'{where}' must be {wanted}, not {_short(value)}.")


def _name(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME or not value.isprintable():
        raise _wrong(where, f"a text of 1 to {MAX_NAME} printable letters", value)


def _among(known: Collection[str]) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in known:
            raise _wrong(where, f"one of {', '.join(known)}", value)

    return check


def _number(low: float, high: float, whole: bool = False) -> Check:
    def check(value: Any, where: str) -> None:
        kinds = int if whole else int | float
        fits = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
        if not fits or not math.isfinite(value):
            kind = "a whole number" if whole else "a number"
            raise _wrong(where, f"{kind} from {low:g} to {high:g}", value)

    return check


def _switch(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false", value)


def _table(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(where, "a mapping", value)


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise _wrong(where, "a text", value)


def _regions(value: Any, where: str) -> None:
    """The name of a bundled region model, or a table; never the path of one."""
    if isinstance(value, Mapping):
        region_model_of(value, "model information")
    else:
        _among(REGION_MODELS)(value, where)


def _any(value: Any, where: str) -> None:
    """Plain, which is all that is asked of it."""


def _list(of: Check, low: int, high: int) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple) or not low <= len(value) <= high:
            number = f"{low}" if low == high else f"{low} to {high}"
            raise _wrong(where, f"a list of {number}", value)
        for entry in value:
            of(entry, where)

    return check


def _or_null(check: Check) -> Check:
    return lambda value, where: None if value is None else check(value, where)


def _entries(known: Mapping[str, Check], needed: Collection[str] = (), others: Check | None = None) -> Check:
    """A mapping whose entries are known.

    Args:
        known: their checks.
        needed: those that may not be missing.
        others: check of entries that are not known; None refuses them.
    """

    def check(value: Any, where: str) -> None:
        _table(value, where or "description")
        before = f"{where}." if where else ""
        for name in needed:
            if name not in value:
                raise InputError(f"'{before}{name}' is missing.")
        for name, entry in value.items():
            entry_check = known.get(name, others) if isinstance(name, str) else None
            if entry_check is None:
                raise InputError(f"'{before}{_short(name)[1:-1]}' is an unknown entry.")
            entry_check(entry, f"{before}{name}")

    return check


_CLASSES = _list(_name, 2, MAX_CLASSES)
_WEIGHT = _number(0, MAX_WEIGHT)
_MIX = _entries({}, others=_number(1e-9, 1))

_CONFIG = _entries(
    {
        "backbone": _name,
        "classes": _CLASSES,
        "head": _among(HEADS),
        "input_size": _number(1, MAX_SIDE, whole=True),
        "final_stride": _or_null(_number(1, MAX_SIDE, whole=True)),
        "backbone_options": _table,
        "mean": _list(_number(-1000, 1000), 3, 3),
        "std": _list(_number(1e-6, 1000), 3, 3),
        "method": _among(METHODS),
        "head_options": _table,
        "grey": _switch,
        "mirror": _switch,
        "local_from": _or_null(_name),
        "blur": _switch,
        "exposure": _number(0, 1),
    },
    needed=("backbone", "classes", "head", "input_size"),
)

_TRAINED_ON = _entries(
    {
        "name": _text,
        "licence": _or_null(_text),
        "notes": _list(_text, 0, 100),
        "samples": _entries({}, others=_number(0, 1e12, whole=True)),
    },
    others=_any,
)

_INFO = _entries(
    {
        "classes": _CLASSES,
        "template": _or_null(_name),
        "codebook": _or_null(_table),
        "regions": _or_null(_regions),
        "guidance": _or_null(
            _entries(
                {
                    "weight": _WEIGHT,
                    "class_map": _WEIGHT,
                    "contrast": _WEIGHT,
                    "gradients": _WEIGHT,
                    "units": _WEIGHT,
                    "outside": _WEIGHT,
                    "hidden": _WEIGHT,
                    "beside": _WEIGHT,
                    "visible": _switch,
                    "layers": _list(_name, 0, 100),
                    "loss": _among(LOSSES),
                    "attention": _among(get_args(AttentionKind)),
                    "share": _number(0, 1),
                    "cue": _among(get_args(CueKind)),
                },
                others=_any,
            )
        ),
        "method": _among(METHODS),
        "metrics": _table,
        "calibration": _or_null(
            _entries(
                {
                    "temperature": _number(0.01, 100),
                    "faces": _text,
                    "number": _number(0, 1e12, whole=True),
                    "before": _or_null(_number(0, 1)),
                    "after": _or_null(_number(0, 1)),
                    "voters": _switch,
                },
                needed=("temperature",),
            )
        ),
        "prior": _or_null(_entries({"natural": _MIX, "assumed": _MIX}, needed=("natural", "assumed"))),
        "provenance": _entries({"trained_on": _or_null(_TRAINED_ON), "date": _or_null(_text)}, others=_any),
    },
    needed=("classes",),
)

_RECORD = _entries(
    {"format": _number(1, 1000, whole=True), "config": _CONFIG, "info": _INFO}, ("format", "config", "info")
)
