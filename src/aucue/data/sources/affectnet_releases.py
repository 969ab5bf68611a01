"""The two layouts in which AffectNet circulates, each a list of samples."""

import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from aucue.data.sources.expected import Finding
from aucue.data.sources.listings import find_files, list_findings, names_in, read_each, shorten
from aucue.data.sources.source import Sample
from aucue.errors import InputError, said
from aucue.faces import NUM_LANDMARKS, PHOTO_SUFFIXES

CODES = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no face",
)
"""What the set's numbers 0, 1, 2, ... mean."""

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
"""Columns of the tables; a table without a header has them in this order."""

SPLIT_FOLDERS = {"train_set": "train", "val_set": "test"}
"""Folders of the annotation release, and our splits."""

_TABLES = {"training.csv": "train", "validation.csv": "test"}
_TABLE_FOLDERS = (".", "Manually_Annotated_file_lists")
_IMAGE_FOLDERS = (".", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
_PROBED = 1000
_NOT_GIVEN = ("", "null", "nan", "none")


class CsvRelease:
    """`training.csv` and `validation.csv`, and the photographs that they name.

    Only where each line begins is kept: the landmarks of 280,000 faces would take 160 MB in every process
    that prepares some of them. A line is read again when its sample is asked for.

    Args:
        root: Folder that holds the tables.
        classes: Class names; lines of another class are left out.

    Attributes:
        findings: What is missing or odd.
        counts: Samples per (split, class).
        left_out: Lines per class that was not asked for; that there are some is as it should be.
        digest: Of everything that decides the samples.

    Raises:
        InputError: A table cannot be read or lacks a column.
    """

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self.left_out: Counter[str] = Counter()
        self._classes = tuple(classes)
        self._tables = [_Table(path, split) for path, split in find_tables(root).items()]
        self.findings += [
            Finding(str(root / name), f"missing, so there are no {split} samples")
            for name, split in _TABLES.items()
            if split not in [table.split for table in self._tables]
        ]
        hashed = hashlib.sha256()
        positions, labels, paths = self._read_tables(hashed)
        self._images = _find_images(root, paths[:_PROBED])
        there = find_files(self._images, paths)
        missing = [path for path in paths if path not in there]
        self.findings += list_findings(missing, len(paths), "photographs", "missing", self._images)
        kept = [position for position, path in enumerate(paths) if path in there]
        self._positions = np.array(positions, np.int64).reshape(-1, 2)[kept]
        self._renamed = {
            index: there[paths[position]]
            for index, position in enumerate(kept)
            if there[paths[position]] != paths[position]
        }
        self.counts = Counter(
            (self._tables[positions[position][0]].split, labels[position]) for position in kept
        )
        hashed.update(self._positions.tobytes())
        self.digest = hashed.hexdigest()

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Sample:
        number, offset = self._positions[index].tolist()
        table = self._tables[number]
        row = _parse(table.fields_at(offset), table.columns, self._classes)
        return Sample(
            key=row.path,
            label=row.label,
            split=table.split,
            image=self._images / self._renamed.get(index, row.path),
            landmarks=row.landmarks,
            attributes=row.attributes,
            box=row.box,
        )

    def _read_tables(self, hashed: "hashlib._Hash") -> tuple[list[tuple[int, int]], list[str], list[str]]:
        """Of each usable line: its table and offset, its label, its photograph."""
        positions, labels, paths = [], [], []
        seen: set[str] = set()
        for number, table in enumerate(self._tables):
            odd: list[Finding] = []
            for line, offset, fields in table.lines(hashed):
                where = f"{table.path}, line {line}"
                try:
                    row = _parse(fields, table.columns, self._classes)
                    if row.label not in self._classes:
                        self.left_out[row.label] += 1
                        continue
                    if row.path in seen:
                        raise ValueError(f"{row.path} is listed a second time")
                except ValueError as error:
                    odd.append(Finding(where, f"{error}; the line is left out"))
                    continue
                odd += [Finding(where, sentence) for sentence in row.odd]
                seen.add(row.path)
                positions.append((number, offset))
                labels.append(row.label)
                paths.append(row.path)
            self.findings += shorten(odd, table.path)
        return positions, labels, paths


_MOST_OF_ANNOTATION = 64 * 2**10  # bytes; landmarks have 1.2 kB


def find_tables(root: Path) -> dict[Path, str]:
    """The tables of the CSV release at or below `root`, with their splits."""
    paths = [f"{folder}/{name}" for name in _TABLES for folder in _TABLE_FOLDERS]
    found = find_files(root, paths)
    tables = {}
    for name, split in _TABLES.items():
        there = [found[path] for path in paths if path.endswith(f"/{name}") and path in found]
        tables |= {root / path: split for path in there[:1]}
    return tables


class _Table:
    """One table: lines with commas between their fields, with or without a header."""

    def __init__(self, path: Path, split: str) -> None:
        self.path, self.split = path, split
        try:
            with path.open("rb") as file:
                header = [name.strip().casefold() for name in _fields(file.readline())]
        except OSError as error:
            raise InputError(f"{path} cannot be read: {said(error)}.") from error
        _check_text(path, header)
        self._has_header = COLUMNS[0].casefold() in header
        names = header if self._has_header else [name.casefold() for name in COLUMNS]
        missing = [name for name in (COLUMNS[0], "expression") if name.casefold() not in names]
        if missing:
            raise InputError(
                f"{path}: the column '{missing[0]}' is missing; it has {', '.join(names)[:200]}."
            )
        self.columns = {name: names.index(name.casefold()) for name in COLUMNS if name.casefold() in names}

    def lines(self, hashed: "hashlib._Hash") -> Iterator[tuple[int, int, list[str]]]:
        """Number from 1, offset and fields of every line that is not blank."""
        offset = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                hashed.update(line)
                if line.strip() and not (number == 1 and self._has_header):
                    yield number, offset, _fields(line)
                offset += len(line)

    def fields_at(self, offset: int) -> list[str]:
        """Fields of the line that begins there."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return _fields(file.readline())


def _check_text(path: Path, header: Sequence[str]) -> None:
    first = header[0] if header else ""
    if "\0" in first or "\ufffd" in first:
        raise InputError(f"{path} is not UTF-8 text (UTF-16, perhaps); save it as CSV UTF-8.")
    if len(header) == 1 and ";" in first:
        raise InputError(f"{path}: its columns are separated by semicolons; save it with commas.")


def _fields(line: bytes) -> list[str]:
    text = line.decode("utf-8", errors="replace").strip("\ufeff\r\n")
    try:
        return next(csv.reader([text]), [])
    except csv.Error:  # a bare CR within a line, or a field of megabytes
        return []


@dataclass(frozen=True)
class _Row:
    """A line of a table; what is not given or cannot be read is None."""

    path: str
    label: str
    box: tuple[float, float, float, float] | None
    landmarks: np.ndarray | None
    attributes: Mapping[str, float]
    odd: tuple[str, ...]


def _parse(fields: Sequence[str], columns: Mapping[str, int], classes: Sequence[str]) -> _Row:
    """Read a line; of one whose class is not among those asked for, no more than that.

    Raises:
        ValueError: No file or no class; the message is a sentence.
    """
    given = {name: fields[position].strip() for name, position in columns.items() if position < len(fields)}
    given = {name: text for name, text in given.items() if text.casefold() not in _NOT_GIVEN}
    path, code = given.get(COLUMNS[0]), given.get("expression")
    if path is None or code is None:
        raise ValueError(f"expected a file and an expression, got {','.join(fields)[:100]!r}")
    label = _label(code)
    if label not in classes:
        return _Row(path, label, None, None, {}, ())
    odd: list[str] = []

    def numbers(*names: str, count: int) -> list[float] | None:
        texts = [text for name in names for text in given.get(name, "").split(";") if text.strip()]
        if not texts:
            return None
        try:
            values = [float(text) for text in texts]
        except ValueError:
            values = []
        if len(values) == count and all(map(math.isfinite, values)):
            return values
        wanted = "a number" if count == 1 else f"{count} numbers"
        odd.append(f"expected {wanted} as {', '.join(names)}, got {';'.join(texts)[:60]!r}")
        return None

    box = None
    if face := numbers(*COLUMNS[1:5], count=4):
        x, y, width, height = face
        box = (x, y, x + width, y + height) if min(width, height) > 0 else None
        odd += ["the face's box is empty"] * (box is None)
    points = numbers("facial_landmarks", count=2 * NUM_LANDMARKS)
    affect = {name: numbers(name, count=1) for name in ("valence", "arousal")}
    return _Row(
        path=PurePosixPath(path.replace("\\", "/").lstrip("/")).as_posix(),
        label=label,
        box=box,
        landmarks=None if points is None else np.array(points, np.float32).reshape(-1, 2),
        attributes={name: value[0] for name, value in affect.items() if value},
        odd=tuple(odd),
    )


def _label(code: str | float) -> str:
    """The class that a number means.

    Raises:
        ValueError: None.
    """
    try:
        number = float(code)
    except ValueError:
        number = math.nan
    if number not in range(len(CODES)):
        raise ValueError(f"{str(code)[:20]!r} is no class; classes are 0 to {len(CODES) - 1}")
    return CODES[int(number)]


def _find_images(root: Path, paths: Sequence[str]) -> Path:
    """The folder that most of the paths begin in."""
    folders = [root / folder for folder in _IMAGE_FOLDERS]
    return max(folders, key=lambda folder: len(find_files(folder, paths)))


class AnnotationRelease:
    """`train_set` and `val_set`, with `images/N.jpg` and `annotations/N_exp.npy`, `N_lnd.npy`, ... each.

    Landmarks, valence and arousal are read when a sample is asked for.

    Args:
        root: Folder that holds train_set and val_set.
        classes: Class names; pictures of another class are left out.

    Attributes:
        findings: What is missing or odd.
        counts: Samples per (split, class).
        left_out: Pictures per class that was not asked for; that there are some is as it should be.
        digest: Of everything that decides which samples there are.
    """

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self._root, self._classes = root, tuple(classes)
        self.findings: list[Finding] = []
        self.left_out: Counter[str] = Counter()
        self._paths: list[str] = []
        self._labels: list[int] = []
        for folder, split in SPLIT_FOLDERS.items():
            if (root / folder).is_dir():
                self._read_split(folder)
            else:
                self.findings.append(Finding(str(root / folder), f"missing, so there are no {split} samples"))
        self.counts = Counter(
            (_split(path), self._classes[label])
            for path, label in zip(self._paths, self._labels, strict=True)
        )
        listing = "\n".join([*self._paths, str(self._labels)])
        self.digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Sample:
        path = self._paths[index]
        return Sample(
            key=path,
            label=self._classes[self._labels[index]],
            split=_split(path),
            image=self._root / path,
            landmarks=read_landmarks(self._root / path),
            attributes=read_affect(self._root / path),
        )

    def _read_split(self, folder: str) -> None:
        images, annotations = self._root / folder / "images", self._root / folder / "annotations"
        pictures = {
            PurePosixPath(name).stem: name
            for name in names_in(images).values()
            if name.lower().endswith(PHOTO_SUFFIXES)
        }
        ending = "_exp.npy"
        labels = {
            name.removesuffix(ending) for name in names_in(annotations).values() if name.endswith(ending)
        }
        lost = sorted(labels - pictures.keys(), key=_numerically)
        bare = sorted(pictures.keys() - labels, key=_numerically)
        self.findings += list_findings([f"{n}.jpg" for n in lost], len(labels), "pictures", "missing", images)
        self.findings += list_findings(
            [pictures[name] for name in bare], len(pictures), "pictures", "without a class", images
        )
        names = sorted(pictures.keys() & labels, key=_numerically)
        odd: list[Finding] = []
        kept = []
        for name, label in zip(names, _read_labels(annotations, names), strict=True):
            if isinstance(label, ValueError):
                odd.append(Finding(str(annotations / f"{name}{ending}"), f"{label}; the picture is left out"))
            elif label in self._classes:
                kept.append(name)
                self._paths.append(f"{folder}/images/{pictures[name]}")
                self._labels.append(self._classes.index(label))
            else:
                self.left_out[label] += 1
        self.findings += shorten(odd, annotations)
        there = find_files(annotations, [f"{name}_lnd.npy" for name in kept])
        none = [f"{name}_lnd.npy" for name in kept if f"{name}_lnd.npy" not in there]
        self.findings += list_findings(none, len(kept), "files of landmarks", "missing", annotations)


def _read_labels(folder: Path, names: Sequence[str]) -> list[str | ValueError]:
    """The class of each picture, or why it cannot be read."""
    known: dict[bytes, str | ValueError] = {}  # there are as many contents as classes

    def read(name: str) -> str | ValueError:
        try:
            content = _bytes(folder / f"{name}_exp.npy")
        except OSError as error:
            return ValueError(f"cannot be read: {said(error)}")
        if content not in known:
            try:
                known[content] = _label(_number(_array(content)))
            except ValueError as error:
                known[content] = error
        return known[content]

    return read_each(read, names)


def read_landmarks(picture: Path) -> np.ndarray | None:
    """Landmarks (68, 2) float32 beside a picture of the annotation release.

    NaN if the file is there and holds no 136 numbers, so that preparing the picture lists it; None without a
    file.
    """
    path = _annotation(picture, "lnd")
    if not path.exists():
        return None
    try:
        return _array(_bytes(path)).astype(np.float32).reshape(NUM_LANDMARKS, 2)
    except (ValueError, OSError, SystemError):  # the last: text of letters that there are none of
        return np.full((NUM_LANDMARKS, 2), np.nan, np.float32)


def read_affect(picture: Path) -> dict[str, float]:
    """Valence and arousal beside a picture of the annotation release, as far as they can be read."""
    values = {}
    for name, ending in (("valence", "val"), ("arousal", "aro")):
        try:
            values[name] = float(_number(_array(_bytes(_annotation(picture, ending)))))
        except (ValueError, OSError):
            continue
    return values


def _annotation(picture: Path, ending: str) -> Path:
    return picture.parent.with_name("annotations") / f"{picture.stem}_{ending}.npy"


def _bytes(path: Path) -> bytes:
    """A small file whole; of one that is none of these annotations, no more than is needed to see it."""
    with path.open("rb") as file:
        return file.read(_MOST_OF_ANNOTATION)


def _array(content: bytes) -> np.ndarray:
    """The array of a .npy file.

    Raises:
        ValueError: It is none, or one that would have to be unpickled.
    """
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python and stumbles in nearly any way
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ValueError(f"is no .npy array that can be read ({reason})") from error
    if array.dtype.kind not in "biufUS":
        raise ValueError(f"is an array of {array.dtype}, not of numbers")
    return array


def _number(array: np.ndarray) -> float:
    """The number in an array of one element, which may be text.

    Raises:
        ValueError: More or fewer elements, or no number.
    """
    if array.size != 1:
        raise ValueError(f"expected one number, got an array {array.shape}")
    try:
        return float(array.reshape(())[()])
    except SystemError as error:  # text of letters that there are none of
        raise ValueError("holds text that is none") from error


def _split(path: str) -> str:
    return SPLIT_FOLDERS[path.partition("/")[0]]


def _numerically(name: str) -> tuple[bool, int, str]:
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name
