"""Figures back from a file: plain values become what they were, and whatever does not fit is refused."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from aucue.errors import InputError


def built(hint: Any, value: Any, where: str) -> Any:
    """A value of a type from the plain values (of JSON) it was written as.

    Args:
        hint: A dataclass, a number, text, a dict, a list, a tuple, a union of these, or `Any`.
        value: What the file says.
        where: Entry, for the error.

    Raises:
        InputError: The value is of another type; entries of a dataclass are missing or unknown.
    """
    if hint is Any:
        return value
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return built(next(part for part in parts if part is not NoneType), value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, where)
    if origin is dict and isinstance(value, Mapping):
        return {key: built(parts[1], entry, f"{where}, {key}") for key, entry in value.items()}
    if origin is list and isinstance(value, list):
        return [built(parts[0], entry, where) for entry in value]
    if origin is tuple and isinstance(value, list):
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) == len(value):
            return tuple(built(kind, entry, where) for kind, entry in zip(kinds, value, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(value) < math.inf else _no(where)
    if hint in (int, str, NoneType) and type(value) is hint:
        return value
    return _no(where)


def _dataclass(kind: type[Any], value: Any, where: str) -> Any:
    """The entries that the dataclass compares: the others (rows, pictures) are kept in other files."""
    if not isinstance(value, Mapping):
        return _no(where)
    hints = get_type_hints(kind)
    known = {entry.name: entry for entry in fields(kind) if entry.compare}
    if unknown := sorted(set(value) - set(known)):
        raise InputError(f"{where}: unknown entry {unknown[0]!r}.")
    for name, entry in known.items():
        if name not in value and entry.default is MISSING and entry.default_factory is MISSING:
            raise InputError(f"{where}: '{name}' is missing.")
    return kind(**{name: built(hints[name], entry, f"{where}, {name}") for name, entry in value.items()})


def _no(where: str) -> Any:
    raise InputError(f"{where}: a value of another type was expected.")
