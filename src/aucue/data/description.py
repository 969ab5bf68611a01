"""What lies in the folder of a prepared set beside the data: its description, problems and findings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from aucue.data.sources.source import SPLITS
from aucue.errors import InputError
from aucue.work.files import read_json

FORMAT = 1
DESCRIPTION_FILE = "aucue.json"
PROBLEMS_FILE = "problems.csv"
FINDINGS_FILE = "findings.csv"
UNFINISHED_FOLDER = ".unfinished"

REMEDY = "prepare the set again"

WithoutLandmarks = Literal["keep", "drop"]
"""What becomes of samples without landmarks."""


def describe(folder: Path) -> dict[str, Any]:
    """Read the description of a prepared set.

    Args:
        folder: Of the set.

    Raises:
        InputError: There is no set, it is unfinished, or see `read_description`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make a prepared set with aucue prepare.")
    file = folder / DESCRIPTION_FILE
    if not file.is_file():
        if (folder / UNFINISHED_FOLDER).is_dir():
            raise InputError(f"{folder}: its preparation is unfinished; run the same aucue prepare again.")
        raise InputError(
            f"{folder} is no prepared set ({DESCRIPTION_FILE} is missing); make one with aucue prepare."
        )
    return read_description(file, REMEDY)


def require_split(folder: Path, description: Mapping[str, Any], split: str) -> None:
    """Refuse a split that a prepared set has not.

    Raises:
        InputError: It has none of that name.
    """
    if split not in description["samples"]:
        raise InputError(f"{folder}: no split '{split}'; it has {', '.join(description['samples'])}.")


def read_description(path: Path, remedy: str) -> dict[str, Any]:
    """Read the description of a prepared set.

    Args:
        path: The file.
        remedy: What to do if it is damaged, for the error.

    Raises:
        InputError: It cannot be read, another version of aucue wrote it, or an entry is missing or damaged.
    """
    description = read_json(path, remedy)
    if description.get("format") != FORMAT:
        raise InputError(f"{path}: format {description.get('format')!r} instead of {FORMAT}; {remedy}.")
    for name, is_sound in (_ENTRIES | _LATER_ENTRIES).items():
        absent = name not in description
        if absent and name in _LATER_ENTRIES:
            continue
        if absent or not is_sound(description[name]):
            raise InputError(f"{path}: the entry {name} is missing or damaged; {remedy}.")
    return description


def _is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_counts_by_split(value: object) -> bool:
    return isinstance(value, dict) and all(key in SPLITS and _is_counts(value[key]) for key in value)


_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "classes": lambda value: _is_names(value) and len(value) > 0,
    "size": lambda value: _is_number(value) and value > 0,
    "template": lambda value: value is None or _is_text(value),
    "samples": lambda value: _is_counts(value) and len(value) > 0 and set(value) <= set(SPLITS),
    "found": _is_counts_by_split,
    "problems": _is_counts_by_split,
    "skipped": _is_number,
    "dropped": _is_number,
    "notes": _is_names,
    "settings": lambda value: isinstance(value, dict),
}

_LATER_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "labels": _is_counts_by_split,
    "repeated": _is_number,
    "licence": lambda value: value is None or _is_text(value),
    "findings": lambda value: value is None or _is_number(value),
    "aucue": lambda value: value is None or _is_text(value),
}
"""Those that older sets lack."""
