"""Source: a CSV table of files and labels."""

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aucue.data.sources.expected import Finding
from aucue.data.sources.labels import (
    check_classes,
    check_split,
    find_class,
    find_split,
    read_label_names,
    unknown_label,
)
from aucue.data.sources.listings import find_files, read_text, shorten
from aucue.data.sources.source import Sample
from aucue.data.sources.splitting import groups_of_files, split_of_each
from aucue.errors import InputError, said
from aucue.faces import NUM_LANDMARKS, PHOTO_SUFFIXES
from aucue.facs import EXPRESSIONS
from aucue.work.files import digest_of, inside, printable, table_path

if TYPE_CHECKING:
    import pyarrow as pa

    from aucue.faces import PrecomputedDetector

_POINTS = {f"{axis}{index}" for index in range(NUM_LANDMARKS) for axis in "xy"}
_TEXT = ("file", "label", "split", "person", "mask")
_UNNAMED = "\0"


class CsvSource:
    """Photographs named by a CSV table with the columns `file` and `label`.

    Optional columns: `split` (train, val, test), `person`, and the landmarks `x0, y0, ..., x67, y67`
    (iBUG-68, pixels of the upright picture); soft labels `p neutral`, `p happiness`, ... with a column for
    each class: shares or votes, scaled to the sum 1; `mask`, a file as `file` is that shows what matters in
    the picture, bright on black, for guidance by masks of your own (empty where there is none). Every other
    column is kept as an attribute. Whether a file exists shows when it is prepared.

    Args:
        root: Folder of the collection.
        labels: The table, relative to the root.
        images: Folder the files are relative to, itself relative to the root; by default `images/` beside the
            table, or else the table's folder.
        landmarks: Table of landmarks (`file, x0, y0, ..., x67, y67`; CSV or Parquet) if the first has none,
            relative to the root. Of several faces in a picture, the largest counts; a row with missing or
            infinite values does not.
        classes: Class names in the order of their ids; the table may use synonyms ("happy").
        split: Split of all samples where the table has no such column, instead of a draw: a fifth of each
            class becomes the split test and a tenth the split val, persons and equal files stay together.
        name: Name of the set; by default that of the table's folder.
        label_names: What the labels mean, such as 1=surprise 2=fear, where they are no classes.

    Raises:
        InputError: The table cannot be read, lacks a column, names a file twice, or has a label or split that
            is not known, or soft labels that are none.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        labels: str | os.PathLike[str] = "labels.csv",
        images: str | os.PathLike[str] | None = None,
        landmarks: str | os.PathLike[str] | None = None,
        classes: Sequence[str] = EXPRESSIONS,
        split: str | None = None,
        name: str | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(root, labels)
        self.classes = check_classes(classes)
        self._names = read_label_names(label_names, self.classes)
        self.findings: list[Finding] = []
        self.name = name or self.path.resolve().parent.name
        table, self._lines = _read(self.path)
        self.images = _images(self.path, Path(root, images) if images else None)
        self._files = [table_path(name) for name in table["file"].to_pylist()]
        self._check_files()
        self._paths = self._find_files()
        self._labels = self._resolve_labels(table["label"].to_pylist())
        self._persons = table["person"].to_pylist() if "person" in table.column_names else None
        self._splits = self._resolve_splits(table, None if split is None else check_split(split, "split"))
        has_points = "x0" in table.column_names
        told = "split" in table.column_names  # otherwise the table's digest says nothing of the splits
        text = "" if told else "\n".join(self._splits)
        self._digest_of_splits = text and hashlib.sha256(text.encode()).hexdigest()
        self._landmarks_path = Path(root, landmarks) if landmarks else self.path if has_points else None
        self._landmarks = self._landmarks_path and _points_of(self._landmarks_path)
        self._check_landmarks()
        self._probabilities = self._read_probabilities(table)
        self._masks = self._find_masks(table)
        self._compare_labels()
        known = _POINTS.union(_TEXT, map(_soft_column, self.classes))
        self._attributes = {name: table[name] for name in table.column_names if name not in known}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The tables with digests of their content, and the name of the images' folder."""
        tables = {"table": self.path, "landmarks": self._landmarks_path}
        digests = {
            role: {"file": path.name, "sha256": digest_of(path)}
            for role, path in tables.items()
            if path is not None
        }
        dealt = {"splits_sha256": self._digest_of_splits} if self._digest_of_splits else {}
        return {"kind": "csv", "images": self.images.resolve().name, **digests, **dealt}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        file = self._files[index]
        return Sample(
            key=file,
            label=self._labels[index],
            split=self._splits[index],
            image=self.images / self._paths[index],
            landmarks=self._find_landmarks(file),
            person=(self._persons[index] or None) if self._persons else None,
            attributes={name: values[index].as_py() for name, values in self._attributes.items()},
            probabilities=None if self._probabilities is None else self._probabilities[index],
            mask=self._masks[index] if self._masks else None,
        )

    def _find_landmarks(self, file: str) -> np.ndarray | None:
        if self._landmarks is None:
            return None
        faces = self._landmarks(np.empty((0, 0, 3), np.uint8), file)
        return max(faces, key=lambda face: face.area).landmarks if faces else None

    def _check_files(self) -> None:
        first: dict[str | None, int] = {}
        for row, file in enumerate(self._files):
            if not file:
                raise InputError(f"{self.path}, line {self._lines[row]}: no file is named.")
            if first.setdefault(file, row) != row:
                raise InputError(
                    f"{self.path}, line {self._lines[row]}: {file} was named before, "
                    f"in line {self._lines[first[file]]}; name each picture once."
                )

    def _find_files(self) -> list[str]:
        """Each picture's path below the images' folder, as the disk writes it."""
        there = self._there(self._files)
        pictures = (path for path in self.images.rglob("*") if path.name.lower().endswith(PHOTO_SUFFIXES))
        if not there and (picture := next(pictures, None)):
            raise InputError(
                f"{self.path} names none of the pictures in {self.images}: "
                f"its first is {self._files[0]!r}, one of "
                f"them is {picture.relative_to(self.images).as_posix()!r}."
            )
        return [there.get(file, file) for file in self._files]

    def _there(self, names: list[str]) -> dict[str, str]:
        """Those of each row's names that are there -> as the disk writes them; none may lead out."""
        there = find_files(self.images, names)
        for row, name in enumerate(names):
            if name:
                inside(self.images, there.get(name, name), self._where(row))
        return there

    def _find_masks(self, table: "pa.Table") -> list[Path | None] | None:
        """The mask of each picture; None if the table has no such column."""
        if "mask" not in table.column_names:
            return None
        names = [table_path(name) for name in table["mask"].to_pylist()]
        there = self._there(names)
        return [self.images / there.get(name, name) if name else None for name in names]

    def _check_landmarks(self) -> None:
        if self._landmarks and self._landmarks_path != self.path:
            empty = np.empty((0, 0, 3), np.uint8)
            known = set(self._landmarks.files)
            if not known.intersection(self._files) and not any(
                self._landmarks(empty, f) for f in self._files
            ):
                raise InputError(
                    f"{self._landmarks_path} names none of the pictures of {self.path} (its first is "
                    f"{next(iter(known), '')!r}); give the table of their landmarks."
                )

    def _compare_labels(self) -> None:
        """A label that is not the most probable class of its soft label."""
        if self._probabilities is None:
            return
        chosen = np.array([self.classes.index(label) for label in self._labels])
        own = self._probabilities[np.arange(len(chosen)), chosen]
        for row in np.flatnonzero(own < self._probabilities.max(axis=1) - 1e-6):
            likeliest = self.classes[int(self._probabilities[row].argmax())]
            what = f"labelled {self._labels[row]}, but its soft label says {likeliest}"
            self.findings.append(Finding(self._where(int(row)), what))
        self.findings = shorten(self.findings, self.path)

    def _resolve_labels(self, labels: list[str | None]) -> list[str]:
        found = {
            label: self._names.get((label or "").strip().casefold()) or find_class(label, self.classes)
            for label in set(labels)
        }
        resolved = []
        for row, label in enumerate(labels):
            name = found[label]
            if name is None:
                raise unknown_label(self._where(row), label, self.classes)
            resolved.append(name)
        return resolved

    def _read_probabilities(self, table: "pa.Table") -> np.ndarray | None:
        """Soft labels (N, K); None if the table has none."""
        columns = [_soft_column(name) for name in self.classes]
        missing = [name for name in columns if name not in table.column_names]
        if len(missing) == len(columns):
            return None
        if missing:
            raise InputError(
                f"{self.path}: '{missing[0]}' is missing; soft labels need a column for each class."
            )
        import pyarrow as pa

        try:
            shares = np.stack([table[name].cast(pa.float64()).to_numpy() for name in columns], axis=1)
        except pa.ArrowInvalid as error:
            raise InputError(f"{self.path}: soft labels must be numbers: {said(error)}.") from error
        sums = shares.sum(axis=1, keepdims=True)
        wrong = np.flatnonzero(~((shares >= 0).all(axis=1) & (sums[:, 0] > 0) & np.isfinite(sums[:, 0])))
        if len(wrong):
            raise InputError(
                f"{self._where(wrong[0])}: a soft label holds no negative number, and one above 0."
            )
        return shares / sums

    def _resolve_splits(self, table: "pa.Table", default: str | None) -> list[str]:
        if "split" not in table.column_names:
            if default is not None:
                return [default] * len(self._files)
            persons = self._persons or [None] * len(self._files)
            groups = groups_of_files([self.images / path for path in self._paths], persons)
            return split_of_each(self._labels, groups)
        names = [name or "" for name in table["split"].to_pylist()]
        found = {name: find_split(name) for name in set(names)}
        return [found[name] or check_split(name, self._where(row)) for row, name in enumerate(names)]

    def _where(self, row: int) -> str:
        return f"{self.path}, line {self._lines[row]} ('{self._files[row]}')"


def _soft_column(label: str) -> str:
    return f"p {label}"


def _points_of(table: Path) -> "PrecomputedDetector":
    from aucue.faces import PrecomputedDetector

    return PrecomputedDetector(table)


def _read(path: Path) -> tuple["pa.Table", Sequence[int]]:
    """The table, and the line that each of its rows begins in."""
    if not path.is_file():
        raise InputError(f"{path}: no such table; give a CSV file with the columns file and label.")
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    # Names of files, labels and persons are text even where they look like numbers ("007").
    text = read_text(path)
    names, skipped = _column_names(path, text)
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in _TEXT},
        include_columns=[name for name in names if not name.startswith(_UNNAMED)],
        strings_can_be_null=False,
    )
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=skipped),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    except (pa.ArrowException, OSError, UnicodeError) as error:
        reason = printable((str(error).splitlines() or ["?"])[0][:200])
        raise InputError(f"{path} is not a CSV table that can be read: {said(reason)}.") from error
    missing = [name for name in ("file", "label") if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path}: the column '{missing[0]}' is missing; it has {', '.join(table.column_names)[:200]}."
        )
    if not len(table):
        raise InputError(f"{path}: the table has no rows.")
    return table, _lines(text, len(table))


def _lines(text: str, rows: int) -> Sequence[int]:
    """The line that each row begins in: blank lines are no rows, and quoted values may hold line breaks."""
    plain = range(2, rows + 2)
    if sum(1 for _ in io.StringIO(text, newline="")) == rows + 1:
        return plain
    reader, begins, line = csv.reader(io.StringIO(text, newline="")), [], 1
    try:
        for row in reader:
            begins += [line] * bool(row)
            line = reader.line_num + 1
    except csv.Error:  # a value longer than this reader takes, which Arrow has read
        return plain
    return begins[1:] if len(begins) == rows + 1 else plain


def _column_names(path: Path, text: str) -> tuple[list[str], int]:
    """Names of the columns, and how many lines they take.

    Those without a name, as spreadsheets leave them, are told apart by position.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(filter(None, reader), [])
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table that can be read: {said(error)}.") from error
    names = [name.strip() or f"{_UNNAMED}{position}" for position, name in enumerate(header)]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"{path}: the column '{twice[0]}' occurs more than once; keep the right one.")
    for separator, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and separator in names[0]:
            raise InputError(f"{path}: its columns are separated by {called}; save it with commas.")
    return names, reader.line_num


def _images(table: Path, images: Path | None) -> Path:
    if images is None:
        beside = table.parent / "images"
        return beside if beside.is_dir() else table.parent
    if not images.is_dir():
        raise InputError(f"{images} is not a folder; give the folder that the table's files are relative to.")
    return images
