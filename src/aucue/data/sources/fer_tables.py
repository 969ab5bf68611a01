"""The tables of FER-2013 (pixels) and FER+ (votes), read line by line, with what is wrong with each."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aucue.errors import InputError

SIDE = 48
"""Of the pictures, in pixels."""

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In the order of their numbers in FER-2013."""

RATINGS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
ANSWERS = (*RATINGS, "unknown", "nf")
"""What people voted for in FER+, in the order of the columns; NF is not a face."""

_USAGES = {"training": "train", "publictest": "val", "privatetest": "test"}


class PixelRow(NamedTuple):
    """A row of the table of pixels.

    Attributes:
        offset: Where it begins in the file, in bytes.
        line: Number of its line, from 1.
        split: "train", "val" or "test"; empty if it cannot be read.
        emotion: Empty if it cannot be read.
        trouble: Why it has no picture or no split; None if it has both.
    """

    offset: int
    line: int
    split: str
    emotion: str
    trouble: str | None


class PixelTable:
    """`fer2013.csv`, of which only the positions of the rows are held: the pixels are 280 MB of text.

    Args:
        path: The table.

    Raises:
        InputError: A column is missing, or there are no rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[PixelRow] = []
        digest = hashlib.sha256()
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                digest.update(line)
                if number == 1:
                    self._columns = _columns(path, _fields(line), ("emotion", "pixels", "usage"))
                elif line.strip():
                    self.rows.append(self._row(line, offset, number))
                offset += len(line)
        if not self.rows:
            raise InputError(f"{path}: the table has no rows.")
        self.digest = {"file": path.name, "sha256": digest.hexdigest()}

    def picture(self, row: int) -> np.ndarray:
        """The picture of a row, (48, 48, 3) uint8."""
        with self.path.open("rb") as file:
            file.seek(self.rows[row].offset)
            grey = _pixels(_fields(file.readline())[self._columns["pixels"]])
        return np.repeat(grey.reshape(SIDE, SIDE, 1), 3, axis=2)

    def where(self, row: PixelRow) -> str:
        """The file and the line of a row."""
        return f"{self.path}, line {row.line}"

    def _row(self, line: bytes, offset: int, number: int) -> PixelRow:
        fields = _fields(line)
        if len(fields) <= max(self._columns.values()):
            return PixelRow(offset, number, "", "", "a column is missing")
        emotion, pixels, usage = (fields[position].strip() for position in self._columns.values())
        split = _USAGES.get(usage.casefold(), "")
        trouble = None if split else f"unknown usage '{usage[:40]}'"
        try:
            _pixels(pixels)
        except ValueError as error:
            trouble = str(error)
        known = emotion in tuple("0123456")
        return PixelRow(offset, number, split, EMOTIONS[int(emotion)] if known else "", trouble)


def _pixels(text: str) -> np.ndarray:
    """Pixels (2304,) uint8; a ValueError says what is wrong with them."""
    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    except ValueError:
        raise ValueError("the pixels are not whole numbers") from None
    if len(values) != SIDE * SIDE:
        raise ValueError(f"{len(values)} pixels instead of {SIDE * SIDE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("a pixel is not between 0 and 255")
    return values.astype(np.uint8)


class VotesRow(NamedTuple):
    """A row of a table of votes.

    Attributes:
        line: Number of its line, from 1.
        name: Of the picture; empty if it has none, as pictures without a face.
        split: "train", "val" or "test"; empty if the table does not say.
        votes: One number per entry of `ANSWERS`.
        trouble: Why it cannot be used; None if it can.
    """

    line: int
    name: str = ""
    split: str = ""
    votes: tuple[int, ...] = ()
    trouble: str | None = None


def read_votes(path: Path) -> list[VotesRow]:
    """The rows of `fer2013new.csv`.

    Raises:
        InputError: There is no such file, or a column is missing.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing: the votes of FER+, which come with its code (github.com/microsoft/FERPlus)."
        )
    lines = _lines(path)
    header = lines.pop(0)[1] if lines else []
    columns = _columns(path, header, ("usage", *ANSWERS), optional=("image name",))
    return [_votes_row(line, fields, columns) for line, fields in lines]


def read_folder_votes(path: Path) -> list[VotesRow]:
    """The rows of a `label.csv`: a picture's name, perhaps a box (always the whole picture), ten votes."""
    columns = {"image name": 0} | {answer: position - len(ANSWERS) for position, answer in enumerate(ANSWERS)}
    return [_votes_row(line, fields, columns) for line, fields in _lines(path)]


def _votes_row(line: int, fields: Sequence[str], columns: Mapping[str, int]) -> VotesRow:
    fields = [field.strip() for field in fields]
    try:
        votes = tuple(int(fields[columns[answer]]) for answer in ANSWERS)
    except (IndexError, ValueError):
        return VotesRow(line, trouble="the votes are not ten whole numbers")
    if min(votes) < 0:
        return VotesRow(line, trouble="a number of votes is negative")
    name = fields[columns["image name"]] if "image name" in columns else ""
    if "usage" not in columns:
        return VotesRow(line, name, "", votes)
    usage = fields[columns["usage"]]
    split = _USAGES.get(usage.casefold(), "")
    return VotesRow(line, name, split, votes, None if split else f"unknown usage '{usage[:40]}'")


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file that are not empty, with their numbers."""
    lines = path.read_bytes().splitlines()
    return [(number, _fields(line)) for number, line in enumerate(lines, start=1) if line.strip()]


def _fields(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8-sig", "replace")]), [])
    except csv.Error:  # no table at all: a field of megabytes
        return []


def _columns(
    path: Path, header: Sequence[str], names: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, int]:
    """Positions of columns by name, whatever their case and the blanks around them."""
    found = {name.strip().casefold(): position for position, name in enumerate(header)}
    for name in names:
        if name not in found:
            listed = ", ".join(map(str.strip, header))[:200] or "none"
            raise InputError(f"{path}: the column '{name}' is missing; it has {listed}.")
    return {name: found[name] for name in (*names, *optional) if name in found}
