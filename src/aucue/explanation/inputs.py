"""What a user names on the command line -> photographs and videos."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv")
)


@dataclass(frozen=True)
class Inputs:
    """Files to explain, each once, in the order in which they were named.

    Attributes:
        photos: Photographs, and every other file that was named itself: reading it says what it is.
        videos: Video files, by their ending.
        empty: Folders and patterns in which there is neither, a sentence each.
    """

    photos: tuple[Path, ...]
    videos: tuple[Path, ...]
    empty: tuple[str, ...]


def find_inputs(inputs: Iterable[str | Path]) -> Inputs:
    """Look for photographs and videos.

    Args:
        inputs: Files, folders (searched with all folders in them, in the order of the names) and patterns
            such as "shots/*.jpg" or "**/*.mp4".
    """
    files: dict[Path, None] = {}
    empty = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = [path for path in sorted(given.rglob("*")) if _is_wanted(path)]
            what = f"{given} holds no photograph and no video"
        elif not given.exists() and glob.has_magic(str(given)):
            found = [
                path for path in map(Path, sorted(glob.glob(str(given), recursive=True))) if path.is_file()
            ]
            what = f"{given} matches no file"
        else:
            found, what = [given], ""
        files |= dict.fromkeys(found)
        if not found:
            empty.append(what)
    videos = tuple(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)
    return Inputs(tuple(path for path in files if path not in set(videos)), videos, tuple(empty))


def _is_wanted(path: Path) -> bool:
    suffix = path.suffix.lower()
    picture = Image.registered_extensions().get(suffix) in _PICTURES
    return path.is_file() and not path.name.startswith(".") and (picture or suffix in VIDEO_SUFFIXES)


_PICTURES = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF", "PPM", "MPO"))
"""Formats of Pillow that hold photographs."""
