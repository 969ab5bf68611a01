"""Source: the folds that the code of the paper was distributed with (Belharbi et al., FG 2024)."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aucue.data.crops import FaceCropper
from aucue.data.sources.expected import Finding
from aucue.data.sources.labels import check_classes, find_class
from aucue.data.sources.listings import find_files, list_findings
from aucue.data.sources.source import SPLITS, Sample
from aucue.errors import InputError, said
from aucue.faces import NUM_LANDMARKS, TEMPLATES, no_detector, read_image, similarity, warp
from aucue.facs import EXPRESSIONS
from aucue.work.files import digest_of
from aucue.work.tables import read_mapping

if TYPE_CHECKING:
    import pyarrow.csv as pacsv

logger = logging.getLogger(__name__)

CLASS_IDS = "class_id.yaml"
_IDS, _LABELS, _LANDMARKS = "image_ids.txt", "class_labels.txt", "landmarks.txt"
_CROP = 224
_POINTS = [f"{axis}{number}" for axis in "xy" for number in range(1, NUM_LANDMARKS + 1)]


class FoldsSource:
    """Photographs named by `<root>/{train,val,test}/image_ids.txt`, with labels and landmarks beside it.

    - `class_id.yaml` (in the root or in a split): class name -> id, from 0; names are read
      whatever their case.
    - `<split>/image_ids.txt`: one path below the images' folder per line.
    - `<split>/class_labels.txt`: `path,id` per line.
    - `<split>/landmarks.txt`, if there is one: `path,x1,...,x68,y1,...,y68` per line, iBUG-68 in pixels of
      the picture, (0, 0) the centre of its top-left pixel; 136 times `inf` where none were found.

    The published folds name crops of 224 x 224 pixels that are aligned already. With the crops of the authors
    this source is enough; from the sets as distributed, `RAFDBSource` and `AffectNetSource` make them anew.

    Splits that are not there are left out. The published sets validate on test pictures: a picture that is
    in a second split, too, has that split before its path as a key. Whether a file exists shows when it is
    prepared.

    Args:
        root: Folder of one set's folds (".../RAF-DB").
        images: Folder the paths are relative to.
        name: Name of the set; by default the folder's.
        aligned: The pictures are aligned crops, which are only resized; if not, they are aligned by their
            landmarks, like photographs.

    Raises:
        InputError: A file is missing or cannot be read, a line has another form, a picture has no label or
            no landmarks, or a label is no class.
    """

    findings: tuple[Finding, ...] = ()

    def __init__(
        self,
        root: str | os.PathLike[str],
        images: str | os.PathLike[str],
        name: str | None = None,
        aligned: bool = True,
    ) -> None:
        self.folder, self.images, self.aligned = Path(root), Path(images), aligned
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is not a folder; give the one that holds train, val and test.")
        if not self.images.is_dir():
            raise InputError(f"{self.images} is not a folder; give the one that the folds' paths begin in.")
        self.name = name or self.folder.resolve().name
        splits = [split for split in SPLITS if (self.folder / split / _IDS).is_file()]
        if not splits:
            raise InputError(f"{self.folder}: no folds found; expected {{train,val,test}}/{_IDS}.")
        self._read = [self._class_ids(splits)]
        self.classes = read_class_ids(self._read[0])
        self._entries: list[tuple[str, str, str]] = []  # path, split, class
        self._points: list[np.ndarray | None] = []
        for split in splits:
            self._add(split)
        self._keys = _keys(self._entries)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The folder of the images, and the folds' files with digests of their content."""
        digests = {
            path.relative_to(self.folder).as_posix(): digest_of(path) for path in self._read if path.is_file()
        }
        return {
            "kind": "folds",
            "images": str(self.images),
            "aligned": self.aligned,
            "sha256": digests,
        }

    @property
    def paths(self) -> list[str]:
        """Each sample's picture, as the folds name it."""
        return [path for path, _, _ in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        path, split, label = self._entries[index]
        return Sample(
            key=self._keys[index],
            label=label,
            split=split,
            image=self.images / path,
            landmarks=self._points[index],
            aligned=self.aligned,
        )

    def _class_ids(self, splits: list[str]) -> Path:
        """The file of class ids: the common one, else a split's; all splits must agree with it."""
        files = [self.folder / CLASS_IDS, *(self.folder / split / CLASS_IDS for split in splits)]
        files = [file for file in files if file.is_file()]
        if not files:
            raise InputError(f"{self.folder}: {CLASS_IDS} is missing; it maps class names to ids.")
        for file in files[1:]:
            if read_mapping(file) != read_mapping(files[0]):
                raise InputError(f"{file} and {files[0]} give classes different ids; keep the right one.")
        return files[0]

    def _add(self, split: str) -> None:
        folder = self.folder / split
        paths = _lines(folder / _IDS)
        labels = _read_labels(folder / _LABELS, self.classes)
        landmarks = _read_landmarks(folder / _LANDMARKS) if (folder / _LANDMARKS).is_file() else None
        self._read += [folder / name for name in (_IDS, _LABELS, _LANDMARKS)]
        seen = set()
        for line, path in enumerate(paths, start=1):
            where = f"{folder / _IDS}, line {line}: {path}"
            if path in seen:
                raise InputError(f"{where} is named twice; name each picture once per split.")
            seen.add(path)
            if path not in labels:
                raise InputError(f"{where} has no label in {_LABELS}.")
            if landmarks is not None and path not in landmarks:
                raise InputError(
                    f"{where} has no line in {_LANDMARKS}; 136 times inf say that none were found."
                )
            self._entries.append((path, split, labels[path]))
            self._points.append(landmarks[path] if landmarks is not None else None)


def read_class_ids(path: Path) -> tuple[str, ...]:
    """Class names of a `class_id.yaml` in the order of their ids, in our spelling where it is an expression.

    Raises:
        InputError: The file cannot be read, or its ids are not 0, 1, 2, ...
    """
    ids = read_mapping(path)
    numbers = list(ids.values())
    if any(type(number) is not int for number in numbers) or sorted(numbers) != list(range(len(numbers))):
        raise InputError(f"{path}: the ids of the classes must be 0, 1, 2, ..., each once, not {numbers}.")
    names = [str(name) for name, _ in sorted(ids.items(), key=lambda entry: entry[1])]
    return check_classes(find_class(name, EXPRESSIONS) or name.casefold() for name in names)


class FoldPicture(NamedTuple):
    """Where a picture of the folds comes from.

    Attributes:
        file: Path below the set's folder.
        cut: Whether it is the original that the crop has to be cut from.
    """

    file: str
    cut: bool


def find_pictures(
    folder: Path, crops: Sequence[str], originals: Sequence[str]
) -> tuple[list[FoldPicture | None], list[Finding]]:
    """Look for the pictures of published folds in a set as distributed.

    Args:
        folder: Folder of the set.
        crops: Where the crop of each sample would be, below the folder.
        originals: Where its original would be.

    Returns:
        The crop of each sample if it is there, else its original, else None; and what is missing.
    """
    there, cuttable = find_files(folder, crops), find_files(folder, originals)
    pictures: dict[str, FoldPicture] = {}
    for crop, original in zip(crops, originals, strict=True):
        if crop in there:
            pictures[crop] = FoldPicture(there[crop], False)
        elif original in cuttable:
            pictures[crop] = FoldPicture(cuttable[original], True)
    names = dict.fromkeys(crops)
    lost = [crop for crop in names if crop not in pictures]
    cut = [crop for crop, picture in pictures.items() if picture.cut] if there else []
    findings = list_findings(lost, len(names), "crops", "missing, and so are their originals", folder)
    findings += list_findings(cut, len(names), "crops", "missing and cut anew from the originals", folder)
    return [pictures.get(crop) for crop in crops], findings


def cut_crop(
    photo: Path,
    points: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray | Path:
    """A crop as those of the published folds: the template "fg2024" at 224 x 224 pixels.

    Args:
        photo: The original.
        points: (5, 2) the anchor points, in the order of `Template`; they come first.
        landmarks: (68, 2) landmarks of the original; they come next.
        box: Left, top, right, bottom of the face; the least exact.

    Returns:
        (224, 224, 3) uint8; the path itself if it cannot be read, so that preparing it says why.
    """
    try:
        picture = read_image(photo)
    except InputError:
        return photo
    template = TEMPLATES["fg2024"]
    if points is not None:
        with suppress(InputError):  # points that fall together
            return warp(picture, similarity(points, template.points(_CROP)), _CROP)
    hints = Sample(photo.name, "", "", photo, landmarks, box=box)
    return FaceCropper(no_detector, _CROP, template)(hints, picture)[0].crop


def _lines(path: Path) -> list[str]:
    """Lines of a text file that are not empty."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {said(error)}.") from error
    if "" in lines[:-1]:
        raise InputError(f"{path}, line {lines.index('') + 1}: empty.")
    return [line for line in lines if line]


def _read_labels(path: Path, classes: tuple[str, ...]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        file, _, text = line.rpartition(",")
        where = f"{path}, line {number}"
        if not file or not text.strip().isdecimal():
            raise InputError(f"{where}: expected 'path,id', got '{line[:100]}'.")
        if int(text) >= len(classes):
            raise InputError(f"{where}: class {text} is not among the {len(classes)} of {CLASS_IDS}.")
        label = classes[int(text)]
        if labels.setdefault(file, label) != label:
            raise InputError(f"{where}: {file} was {labels[file]} before and is {label} here.")
    return labels


def _read_landmarks(path: Path) -> dict[str, np.ndarray | None]:
    """(68, 2) float32 by picture; None where none were found."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    refused: list[pacsv.InvalidRow] = []

    def note(row: "pacsv.InvalidRow") -> str:
        refused.append(row)
        return "skip"  # Arrow swallows what a handler raises

    types = {"file": pa.string(), **dict.fromkeys(_POINTS, pa.float32())}
    try:
        table = pacsv.read_csv(
            path,
            # One thread: only then are the numbers of rows known.
            read_options=pacsv.ReadOptions(use_threads=False, column_names=list(types)),
            parse_options=pacsv.ParseOptions(quote_char=False, invalid_row_handler=note),
            convert_options=pacsv.ConvertOptions(column_types=types),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {said(error)}.") from error
    if refused:
        raise InputError(
            f"{path}, line {refused[0].number}: {refused[0].actual_columns} values instead of a path and 136 "
            "numbers (x1, ..., x68, y1, ..., y68)."
        )
    columns = [table[name].fill_null(float("nan")).to_numpy() for name in _POINTS]
    points = np.stack(columns, axis=1).reshape(-1, 2, NUM_LANDMARKS).transpose(0, 2, 1)  # (N, 68, 2)
    failed = np.isposinf(points).reshape(len(points), -1).all(axis=1)
    broken = np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)) & ~failed)
    if len(broken):
        raise InputError(
            f"{path}, line {broken[0] + 1}: some landmarks are not finite; a failure is 136 times inf."
        )
    rows = zip(table["file"].to_pylist(), points, strict=True)
    return {file: found if np.isfinite(found[0, 0]) else None for file, found in rows}


def _keys(entries: list[tuple[str, str, str]]) -> list[str]:
    """Unique name of each entry: its path, behind the split if an earlier split has the picture, too."""
    first: dict[str, str] = {}
    for path, split, _ in entries:
        first.setdefault(path, split)
    if repeated := len(entries) - len(first):
        logger.warning("%d pictures are in a second split, too: no independent evidence", repeated)
    return [path if first[path] == split else f"{split}/{path}" for path, split, _ in entries]
