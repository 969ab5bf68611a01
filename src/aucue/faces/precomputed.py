"""Landmarks somebody else has found, read from a CSV or Parquet table."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from aucue.errors import InputError, said
from aucue.faces.detection import Detection
from aucue.faces.landmarks import NUM_LANDMARKS
from aucue.work.files import digest_of, table_path

_POINTS = [f"{axis}{index}" for index in range(NUM_LANDMARKS) for axis in "xy"]
_BOX = ["left", "top", "right", "bottom"]
_MOST_OF_HEADER = 64 * 2**10
_NUMBERS = [*_POINTS, *_BOX, "score"]


class PrecomputedDetector:
    """Looks faces up in a table instead of searching the picture.

    The table has the columns `file, x0, y0, ..., x67, y67` (iBUG-68, pixels of the upright picture) and may
    have `how`, `score` and `left, top, right, bottom`; further columns are ignored. One row per face. A row
    whose points are missing or not finite is a face that could not be marked: it is left out. A picture that
    the table does not name has no face.

    Pictures are looked up by their key as it is, then by their path relative to `root`; where the table names
    files without folders, the name alone is enough.

    Args:
        path: `.csv` or `.parquet`.
        root: Folder the table's file names are relative to.

    Raises:
        InputError: The table cannot be read, lacks or repeats a column, or holds something that is no number.
    """

    def __init__(self, path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        self.root = None if root is None else Path(root)
        table = _read(self.path)
        files = [table_path(name) for name in table["file"].to_pylist()]
        self._landmarks = _numbers(table, _POINTS, np.float32).reshape(-1, NUM_LANDMARKS, 2)
        self._boxes = _boxes(table, self._landmarks)
        self._scores = _numbers(table, ["score"], np.float64)[:, 0] if "score" in table.column_names else None
        self._how = table["how"].to_pylist() if "how" in table.column_names else None
        self._rows: dict[str, list[int]] = {}
        unmarked = set(np.nonzero(~np.isfinite(self._landmarks))[0].tolist())
        for row, file in enumerate(files):
            self._rows.setdefault(file, []).extend([] if row in unmarked else [row])
        self._flat = not any("/" in file for file in self._rows)

    @property
    def files(self) -> list[str]:
        """Every picture the table names, with or without usable landmarks."""
        return list(self._rows)

    @property
    def provenance(self) -> Mapping[str, str]:
        """The table's name, and the digest of its content."""
        return {"file": self.path.name, "sha256": digest_of(self.path)}

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        """Faces of the picture named `key`; the image itself is not looked at.

        Raises:
            InputError: No key was given.
        """
        if key is None:
            raise InputError(
                f"Landmarks in {self.path} are looked up by file name: give the photograph's key."
            )
        return [self._detection(row) for row in self._lookup(key)]

    def _lookup(self, key: str) -> list[int]:
        for name in self._names(key):
            if name in self._rows:
                return self._rows[name]
        return []

    def _names(self, key: str) -> list[str]:
        path = Path(key)
        names = [path.as_posix()]
        if self.root is not None and path.absolute().is_relative_to(self.root.absolute()):
            names.append(path.absolute().relative_to(self.root.absolute()).as_posix())
        return [table_path(name) for name in ([*names, path.name] if self._flat else names)]

    def _detection(self, row: int) -> Detection:
        left, top, right, bottom = self._boxes[row].tolist()
        score = float("nan") if self._scores is None else float(self._scores[row])
        how = (self._how[row] if self._how else None) or "precomputed"
        return Detection((left, top, right, bottom), score, self._landmarks[row], how)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise InputError(f"{path}: no such table of landmarks; give a .csv or .parquet file.")
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    return _read_csv(path)


def _check_columns(names: list[str], path: Path) -> None:
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: the column '{repeated[0]}' occurs more than once.")
    missing = [name for name in ["file", *_POINTS] if name not in names]
    if missing:
        raise InputError(
            f"{path}: the column '{missing[0]}' is missing ({len(missing)} are); a table of landmarks "
            "has the columns file, x0, y0, ..., x67, y67."
        )
    if 0 < sum(name in names for name in _BOX) < 4:
        raise InputError(f"{path}: a box needs all four of the columns left, top, right, bottom.")


def _read_parquet(path: Path) -> pa.Table:
    try:
        file = papq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no Parquet file that can be read: {_first(error)}.") from error
    with file:
        names = file.schema_arrow.names
        _check_columns(names, path)
        try:
            return _typed(file.read(columns=_wanted(names)))
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path}: a column of landmarks does not hold numbers: {_first(error)}."
            ) from error


def _read_csv(path: Path) -> pa.Table:
    with path.open("rb") as file:
        header = file.readline(_MOST_OF_HEADER)
    _check_utf8(path, header)
    names = [
        name.strip().strip('"') for name in header.decode("utf-8-sig", errors="replace").strip().split(",")
    ]
    _check_columns(names, path)
    try:
        return _parse_csv(path, names, pa.float64())
    except pa.ArrowException as error:
        _explain(path, names, error)


def _parse_csv(path: Path, names: list[str], number: pa.DataType) -> pa.Table:
    refused: list[pacsv.InvalidRow] = []

    def note(row: pacsv.InvalidRow) -> str:
        refused.append(row)
        return "skip"  # Arrow swallows what a handler raises

    types = {name: number if name in _NUMBERS else pa.string() for name in _wanted(names)}
    table = pacsv.read_csv(
        path,
        # One thread: only then are the numbers of refused rows known.
        read_options=pacsv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
        parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        convert_options=pacsv.ConvertOptions(column_types=types, include_columns=list(types)),
    )
    if refused:
        row = refused[0]
        raise InputError(
            f"{path}, line {row.number}: {row.actual_columns} values instead of {row.expected_columns}; "
            "68 landmarks are 136 numbers."
        )
    return table


def _check_utf8(path: Path, header: bytes) -> None:
    """Refuse other text before Arrow reads it, which prints a traceback for a row that is no UTF-8."""
    if header.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls Unicode text
        raise InputError(f"{path} is UTF-16 text; save it as CSV UTF-8.")
    try:
        with path.open(encoding="utf-8", newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV UTF-8.") from error


def _explain(path: Path, names: list[str], error: Exception) -> NoReturn:
    """Raise an error that names the file and line of the first value that is not a number."""
    try:
        table = _parse_csv(path, names, pa.string())
    except pa.ArrowException:
        raise InputError(f"{path} is no CSV file that can be read: {_first(error)}.") from error
    for name in (name for name in table.column_names if name in _NUMBERS):
        for row, text in enumerate(table[name].to_pylist()):
            if not _is_number(text):
                raise InputError(
                    f"{path}, line {row + 2} (file '{table['file'][row]}'): {name} is '{text}', not a number."
                ) from None
    raise InputError(f"{path} is no CSV file that can be read: {_first(error)}.") from error


def _first(error: Exception) -> str:
    """Arrow's message without the lines of data that it quotes."""
    return said(error, first_line=True)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _wanted(names: list[str]) -> list[str]:
    return [name for name in names if name in {"file", "how", *_NUMBERS}]


def _typed(table: pa.Table) -> pa.Table:
    types = {name: pa.float64() if name in _NUMBERS else pa.string() for name in table.column_names}
    return table.cast(pa.schema(types))


def _numbers(table: pa.Table, names: list[str], dtype: type) -> np.ndarray:
    """Columns as an array (rows, columns); missing values are NaN."""
    columns = [pc.fill_null(table[name], float("nan")).to_numpy().astype(dtype) for name in names]
    return np.stack(columns, axis=1)


def _boxes(table: pa.Table, landmarks: np.ndarray) -> np.ndarray:
    """(rows, 4); the box around the landmarks where the table gives none."""
    around = np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1).astype(np.float64)
    if "left" not in table.column_names:
        return around
    boxes = _numbers(table, _BOX, np.float64)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, around)
