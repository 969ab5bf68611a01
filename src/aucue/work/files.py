"""Files: written whole or not at all, by one process at a time; names that some content gives stay inside."""

import hashlib
import json
import os
import re
import secrets
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from aucue.errors import InputError, OutputExistsError, printable, said

LOCK_FILE = ".aucue.lock"

_NEVER_IN_NAMES = "\\:" if os.name == "nt" else "\\"  # ":" begins a second stream of a file there
_DRIVE = re.compile("[A-Za-z]:")
_UNFINISHED = ".unfinished"
_LEFT_OVER = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(_UNFINISHED)}(\..*)?", re.DOTALL)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Write a file under another name beside it; it takes its place when all of it is there.

    After an error, or a kill, what stood at the path before is still there, whole.

    Args:
        path: The file. Its folder must exist.

    Yields:
        Where to write.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}{_UNFINISHED}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        remedy: What to do if it is damaged, for the error.

    Raises:
        InputError: It is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); {remedy}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold a JSON object; {remedy}.")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with appearing(path) as unfinished:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        # A letter of a name that is no UTF-8 becomes \udcff, which JSON reads back as it was.
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def shipped(folder: Path) -> dict[str, Path]:
    """The YAML files that come with a room, by the names that they go by.

    Args:
        folder: Of the room.
    """
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def inside(folder: Path, name: object, where: str) -> Path:
    """The file or folder that some content names, which has to lie below a folder.

    The one function that decides whether a name read from a file may be opened, written or removed.

    Args:
        folder: What it must not leave, by `..`, an absolute path, a drive or a link.
        name: What the content says; `/` separates folders.
        where: File (and line) that says it, for the error.

    Returns:
        `folder / name`.

    Raises:
        InputError: It is no text, names the folder itself, or leads out of it.
    """
    parts = name.split("/") if isinstance(name, str) else []
    plain = bool(parts) and all(part not in ("", ".", "..") for part in parts)
    forbidden = any(ord(letter) < 32 or letter in _NEVER_IN_NAMES for letter in str(name))
    if not plain or forbidden or _DRIVE.match(str(name)):
        raise InputError(f"{where}: {printable(repr(name))} is no name of a file in {folder}.")
    path = folder / str(name)
    try:
        stays = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a link that names itself, a name that no system has
        stays = False
    if not stays:
        raise InputError(f"{where}: {printable(repr(name))} leads out of {folder}.")
    return path


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def files_below(
    top: Path, tell: Callable[[Path, str], object], skip: Callable[[Path], bool] = lambda folder: False
) -> Iterator[Path]:
    """The files in a folder and in all folders in it, those behind links as well.

    Each folder is searched once, however many links lead to it, and under its own name if it lies below the
    first.

    Args:
        top: Where to begin.
        tell: Is told of each folder that is left out unasked, and why.
        skip: Whether a folder below the first is none to search.

    Yields:
        A folder's files in the order of their names, then those of its folders; those behind links come last.
    """
    above, seen = Path(os.path.realpath(top)), set()
    starts = deque([top])
    while starts:
        start = starts.popleft()
        target = os.path.realpath(start)
        if target not in seen and start != top and above.is_relative_to(target):
            tell(start, "it links to a folder that it lies in")  # with much that does not belong here
            continue
        for parent, folders, files in folders_below(start, tell):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not skip(parent / name))
            starts.extend(parent / name for name in folders if (parent / name).is_symlink())
            yield from (parent / name for name in sorted(files))


def folders_below(
    top: Path, tell: Callable[[Path, str], object]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """What `os.walk` gives, from the top; it is told of each folder that cannot be read, and why."""

    def refuse(error: OSError) -> None:
        tell(Path(error.filename or top), f"it cannot be read: {said(error)}")

    for parent, folders, files in os.walk(top, onerror=refuse):
        yield Path(parent), folders, files


def sweep(folder: Path) -> None:
    """Remove what `appearing` of a killed process has left in a folder.

    Args:
        folder: One that no other process writes to, see `claimed`; need not exist.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if _LEFT_OVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path, lock_file: str = LOCK_FILE) -> Iterator[None]:
    """Let no second process write into a folder at the same time. A killed process claims nothing.

    What a killed one has left half written is removed.

    Args:
        folder: Made if it does not exist.
        lock_file: Name of the file in it that claims are made by. Under another one than the usual, the
            folder is shared with jobs that claim it themselves, and nothing is removed.

    Raises:
        InputError: Another process is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / lock_file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"Another process is writing to {folder}: wait until it has ended, or choose another folder."
        ) from None
    try:
        if lock_file == LOCK_FILE:
            sweep(folder)
        yield
    finally:
        lock.release()


def cell(value: object) -> object:
    """A value as it may stand in a CSV file: text that a spreadsheet would run as a formula is quoted.

    Args:
        value: Numbers stay as they are, text too unless it begins with = + - @ or white space before these.
    """
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip().startswith(("=", "+", "-", "@")) else value


def table_path(text: str | None) -> str:
    r"""A file's name as tables of all systems write it -> the one form that names are compared in.

    `faces\a.jpg` (Windows), `./faces//a.jpg` and `faces/a.jpg` are one file, and so are letters with their
    accents in one piece (NFC) or in two (NFD, as a Mac writes them).

    Args:
        text: What the table says; None and blanks are no name.
    """
    name = unicodedata.normalize("NFC", (text or "").strip().replace("\\", "/"))
    return PurePosixPath(name).as_posix() if name else ""


def check_free(folder: Path, names: Iterable[str], overwrite: bool) -> None:
    """Refuse to replace files unasked.

    Raises:
        InputError: There is a file in the folder's place.
        OutputExistsError: One of the files exists and `overwrite` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose another --out.")
    taken = [name for name in names if (folder / name).exists()]
    if taken and not overwrite:
        raise OutputExistsError(f"{folder / taken[0]} exists; choose another --out or pass --overwrite.")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file unasked.

    Raises:
        OutputExistsError: it exists.
    """
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another name or ask to overwrite it.")
