"""What data sets ship beside their photographs: lists and many small files, read without trust."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

from aucue.data.sources.expected import Finding
from aucue.errors import InputError, said

LISTED = 1000
"""No more findings of one kind are listed one by one."""

_READERS, _CHUNK = 16, 256
_Item = TypeVar("_Item")
_Read = TypeVar("_Read")


IGNORED = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
"""What systems leave in folders and archives, in small letters; names that begin with a dot as well."""


def is_ignored(name: str) -> bool:
    """Whether a file or folder is none of a data set, but left there by a system."""
    return name.startswith(".") or name.casefold() in IGNORED


def folders_in(root: Path) -> list[Path]:
    """The folders of a folder in the order of their names, without what systems leave there.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not is_ignored(path.name))
    except OSError as error:
        raise InputError(f"{root} cannot be read: {said(error)}.") from error


def unwrapped(root: Path, is_it: Callable[[Path], bool]) -> Path:
    """The folder that was meant: archives that are unpacked into folders of their own name nest.

    Args:
        root: The folder that somebody named.
        is_it: Whether a folder is what is looked for.

    Returns:
        `root`, or the one folder in it (or in that one, ...) that is; `root` where none is.
    """
    folder = root
    for _ in range(4):
        if not folder.is_dir():
            break
        if is_it(folder):
            return folder
        inner = folders_in(folder)
        if len(inner) != 1:
            break
        folder = inner[0]
    return root


def read_text(path: Path) -> str:
    """A text file as spreadsheets save it: UTF-8, or UTF-16 with its mark.

    Raises:
        InputError: It cannot be read, or is no such text.
    """
    content = b""
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {said(error)}.") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text; save it as CSV UTF-8.") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, with their numbers from 1.

    Any line end will do, and a byte-order mark; bytes that are no UTF-8 are replaced.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {said(error)}.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def names_in(folder: Path) -> dict[str, str]:
    """Files of a folder (not those of its sub-folders): name in lower case (NFC) -> name.

    One look at the folder, instead of one per file a list names. A folder that is not there is empty.
    """
    return {_key(name): name for name in _all_names(folder) if not is_ignored(name)}


def _all_names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _key(name: str) -> str:
    """What names are compared by: whatever their case, and however their accents are written."""
    return unicodedata.normalize("NFC", name).casefold()


def find_files(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Which files are there, whatever the case of their names and their folders' names, and their accents.

    Of names that differ in nothing else, the one that is asked for counts.

    Args:
        folder: Where the paths begin.
        paths: Relative paths with "/"; each folder among them is looked at once. No `..` leads anywhere.

    Returns:
        Of the paths that are there: the path -> the path as it is written there. A link in it may lead out.
    """

    @cache
    def names(place: str) -> dict[str, str]:
        there = _all_names(folder / place)
        return {_key(name): name for name in there} | {name: name for name in there}

    @cache
    def written(parent: str) -> str | None:
        place = ""
        for part in PurePosixPath(parent).parts:
            name = _named(part, names(place))
            if name is None:
                return None
            place = f"{place}{name}/"
        return place

    found = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        place = written(parent)
        there = None if place is None else _named(name, names(place))
        if there is not None and not is_ignored(there):
            found[path] = f"{place}{there}"
    return found


def _named(name: str, names: dict[str, str]) -> str | None:
    return names.get(name) or names.get(_key(name))


def read_each(read: Callable[[_Item], _Read], items: Sequence[_Item]) -> list[_Read]:
    """Read many small files, several at a time: a slow disk makes one after the other wait."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    with ThreadPoolExecutor(_READERS) as pool:
        return [value for values in pool.map(lambda chunk: [*map(read, chunk)], chunks) for value in values]


def list_findings(names: Sequence[str], of: int, things: str, state: str, where: Path) -> list[Finding]:
    """Findings of one kind: their number, then each by its name.

    Args:
        names: What is concerned, such as names of files.
        of: How many there are of the things in all; if all are concerned, none is named.
        things: Their name in the plural ("photographs").
        state: What is the matter with each ("missing").
        where: The folder or file that they belong to.
    """
    if len(names) > 1 and len(names) == of:
        return [Finding(str(where), f"all {of:,} {things} are {state}")]
    each = [Finding(str(where / name), state) for name in names[:LISTED]]
    total = Finding(str(where), f"{len(names):,} of {of:,} {things} are {state}")
    return [total, *each] if len(names) > 1 else each


def shorten(findings: Sequence[Finding], where: Path) -> list[Finding]:
    """Findings of one kind, cut where they become too many to read, with the number of the others."""
    rest = len(findings) - LISTED
    return [*findings[:LISTED], *[Finding(str(where), f"{rest:,} more of the same kind")] * (rest > 0)]
