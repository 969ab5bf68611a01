"""What a user names on the command line -> photographs and videos."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aucue.errors import InputError, said
from aucue.explanation.records import LOG_FILE, VIDEO_LOG, face_files, read_records, video_files
from aucue.faces.photographs import PHOTO_SUFFIXES, UNREADABLE_SUFFIXES, require_picture
from aucue.work.files import files_below, printable

VIDEO_SUFFIXES = frozenset((
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".vob",
    ".webm", ".wmv",
))  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Files to explain, each once, in the order in which they were named.

    Attributes:
        photos: Photographs, and every other file that was named itself: reading it says what it is.
        videos: Video files, by their ending.
        empty: Arguments that give no file, folders that cannot be searched, and photographs of kinds that are
            not read, a sentence each.
    """

    photos: tuple[Path, ...]
    videos: tuple[Path, ...]
    empty: tuple[str, ...]


def find_inputs(inputs: Iterable[str | Path], out: Path | None = None) -> Inputs:
    """Look for photographs and videos.

    Args:
        inputs: Files, folders (searched with all folders in them, those behind links as well, in the order of
            the names) and patterns such as "shots/*.jpg" or "**/*.mp4".
        out: A folder in which folders and patterns find nothing: what lies there was written by the program.
            Of other folders that it wrote to, they find nothing that was written.
    """
    files: dict[Path, None] = {}
    left_out = []
    for given in map(Path, inputs):
        found, why = _found(given, out)
        files |= dict.fromkeys(found)
        left_out += why
    videos = tuple(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)
    return Inputs(tuple(path for path in files if path not in set(videos)), videos, tuple(left_out))


def why_nothing_can_be_read(found: Inputs) -> list[str]:
    """A sentence for each file and argument if no file is there at all; none if one may be read."""
    reasons = []
    for path in (*found.photos, *found.videos):
        try:
            require_picture(path)
        except InputError as error:
            reasons.append(str(error))
        else:
            return []
    return [*found.empty, *reasons]


def _found(given: Path, out: Path | None) -> tuple[list[Path], list[str]]:
    """The files that an argument names, and a sentence for what is left out."""
    if os.path.isdir(given):
        found, passed = _searched(given)
        read, sentences = _unwritten(given, found, f"{given} holds no photograph and no video.", out)
        return read, [*passed, *sentences]
    if not os.path.exists(given) and glob.has_magic(str(given)):
        return _unwritten(given, _matching(str(given)), f"{given} matches no file.", out)
    problem = _problem(given)
    return ([], [problem]) if problem else ([given], [])


def _matching(pattern: str) -> list[Path]:
    """The files that match, each once under its shortest name: `**` follows links, in circles, too."""
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)), key=lambda path: (len(path.parts), path))
    once = {(os.path.realpath(path.parent), path.name): path for path in reversed(matches)}
    return sorted(filter(os.path.isfile, once.values()))


def _searched(folder: Path) -> tuple[list[Path], list[str]]:
    """The photographs and videos below a folder, and a sentence for each folder that is not searched."""
    passed: list[str] = []

    def tell(path: Path, why: str) -> None:
        passed.append(f"{printable(path)} is left out: {why}.")

    return sorted(filter(_is_wanted, files_below(folder, tell))), passed


def _unwritten(
    given: Path, found: list[Path], nothing: str, out: Path | None
) -> tuple[list[Path], list[str]]:
    """Those of an argument's files that are to be read, none that was written here, and what to say of it."""
    ours = out.resolve() if out else None
    outside = [path for path in found if ours is None or not path.resolve().is_relative_to(ours)]
    if found and not outside:
        return [], [
            f"{given} holds only files in {out}, which are never explained; choose another folder with --out."
        ]
    written = _written(outside)
    if outside and not (outside := [path for path in outside if path not in written]):
        return [], [f"{given} holds only what aucue explain wrote, which is never explained."]
    unreadable = [path for path in outside if path.suffix.lower() in UNREADABLE_SUFFIXES]
    read = [path for path in outside if path.suffix.lower() not in UNREADABLE_SUFFIXES]
    sentences = [_unreadable(given, unreadable)] if unreadable else []
    return read, sentences or ([] if read else [nothing])


def _written(files: Iterable[Path]) -> set[Path]:
    """What earlier runs wrote, of files and whatever lies beside them, as their logs say.

    A log lies in the folder of pictures and films, or above the one of thumbnails or of a film's maps.
    """
    folders = {folder for path in files for folder in (path.parent, path.parent.parent)}
    written: set[Path] = set()
    for folder in folders:
        for name, names in ((LOG_FILE, face_files), (VIDEO_LOG, video_files)):
            with suppress(InputError):  # of another program: it says nothing of these files
                for record, _ in read_records(folder / name, names):
                    written |= {folder / file for file in names(record)}
    return written | {path for path in files if path.parent in written}  # maps of a film's frames


def _problem(given: Path) -> str:
    """Why a file that was named cannot be one; what else is wrong with it is said when it is read."""
    if url := re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(.*)", str(given)):  # a path has lost one of two slashes
        return f"{url[1]}://{url[2]} is a URL; URLs are not read: download it and name the file."
    try:
        os.stat(given)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f"{printable(given)} cannot be read: {said(error)}."
    return ""


def _unreadable(given: Path, files: list[Path]) -> str:
    kinds = Counter(path.suffix.lower() for path in files)
    counted = ", ".join(f"{count} {suffix}" for suffix, count in sorted(kinds.items()))
    return (
        f"{given} holds photographs of kinds that cannot be read here ({counted}), such as {files[0]}; "
        "save them as JPEG (HEIC is read where pillow-heif is installed)."
    )


def _is_wanted(path: Path) -> bool:
    suffix = path.suffix.lower()
    known = suffix in PHOTO_SUFFIXES or suffix in UNREADABLE_SUFFIXES or suffix in VIDEO_SUFFIXES
    return known and not path.name.startswith(".") and os.path.isfile(path)
