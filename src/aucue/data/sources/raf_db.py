"""Source: RAF-DB (Li, Deng & Du, CVPR 2017; Li & Deng, IEEE Transactions on Image Processing 2019)."""

import hashlib
import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from aucue.data.sources.expected import Finding, count_findings
from aucue.data.sources.folds import FoldsSource, cut_crop, find_pictures
from aucue.data.sources.listings import (
    find_files,
    folders_in,
    list_findings,
    names_in,
    read_each,
    read_lines,
    shorten,
    unwrapped,
)
from aucue.data.sources.source import Sample
from aucue.errors import InputError, said
from aucue.faces import PHOTO_SUFFIXES
from aucue.facs import EXPRESSIONS
from aucue.work.files import table_path
from aucue.work.tables import check_among

Images = Literal["original", "aligned"]

COMPOUND = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
)
"""Classes of the compound part; the set numbers them from 1 in this order."""

ATTRIBUTES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""Words of the codes 0, 1, 2, ... in the set's manual annotation, in the order of its lines."""

_LICENCE = "RAF-DB: non-commercial research only, under the agreement with its authors"
_BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
_COMPOUND_COUNTS = (697, 266, 129, 163, 86, 738, 150, 560, 176, 841, 148)
_EVERY_CLASS, _EVERY_SPLIT = "all classes", "all splits"
_LIST, _ORIGINAL, _ALIGNED = "EmoLabel/list_patition_label.txt", "Image/original", "Image/aligned"
_BOXES, _MANUAL = "Annotation/boundingbox", "Annotation/manual"
_SHARED_SPLITS = ("train", "test")
_LINE = re.compile(r"(\S+)\s+(\d+)")
_TEMPLATE_ORDER = [0, 1, 3, 4, 2]
"""The set's points (left eye, right eye, nose, left and right corner of the mouth) as `Template` has them."""


_Value = TypeVar("_Value")


@dataclass(frozen=True)
class _Part:
    """One of the two parts of the set.

    Attributes:
        folder: Its folder.
        coded: Classes in the order of the list's codes, from 1.
        classes: Classes in the order of our ids.
        expected: What it should hold.
    """

    folder: str
    coded: tuple[str, ...]
    classes: tuple[str, ...]
    expected: Mapping[tuple[str, str], int]

    def count(self, entries: Sequence["_Entry"]) -> Mapping[tuple[str, str], int]:
        """Photographs per split and class, as far as their published numbers are known."""
        found: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            for pair in itertools.product((entry.split, _EVERY_SPLIT), (entry.label, _EVERY_CLASS)):
                found[pair] += pair in self.expected
        return found


_PARTS = {
    False: _Part(
        "basic",
        _BASIC,
        EXPRESSIONS,
        {
            (split, name): count
            for split, counts in {
                "train": (1290, 281, 717, 4772, 1982, 705, 2524),
                "test": (329, 74, 160, 1185, 478, 162, 680),
            }.items()
            for name, count in zip(_BASIC, counts, strict=True)
        },
    ),
    True: _Part(
        "compound",
        COMPOUND,
        COMPOUND,
        {
            ("train", _EVERY_CLASS): 3162,
            ("test", _EVERY_CLASS): 792,
            **{(_EVERY_SPLIT, name): n for name, n in zip(COMPOUND, _COMPOUND_COUNTS, strict=True)},
        },
    ),
}


class _Annotation(NamedTuple):
    """What the set says of a photograph besides its label."""

    points: tuple[float, ...] | None
    """x, y of the left eye (as seen in the picture), right eye, nose, left and right corner of the mouth."""
    attributes: Mapping[str, str]
    box: tuple[float, float, float, float] | None


class _Entry(NamedTuple):
    key: str
    label: str
    split: str
    file: str
    """Path below the part's folder."""
    annotation: _Annotation
    cut: bool = False
    """Whether the file is an original that a crop of the folds has to be cut from."""


class RAFDBSource:
    """RAF-DB as it is distributed: 15,339 photographs of the basic expressions, or 3,954 of compound ones.

    Written from public descriptions of the layout; below `root`::

        basic/EmoLabel/list_patition_label.txt                    train_00001.jpg 5
        basic/Image/original/train_00001.jpg
        basic/Image/aligned/train_00001_aligned.jpg               100 x 100 pixels
        basic/Annotation/boundingbox/train_00001_boundingbox.txt  left top right bottom
        basic/Annotation/manual/train_00001_manu_attri.txt        five points, gender, race, age
        compound/...                                              alike, with the 11 classes of `COMPOUND`

    The basic part as it is passed around is read, too: aligned crops in one folder per class, numbered as in
    the label list, with or without their tables::

        train/5/train_00001_aligned.jpg    test/...
        train_labels.csv, test_labels.csv  image,label

    Samples have the attributes "gender", "race" and "age" (in words, see `ATTRIBUTES`) as far as they are
    known. The findings say which files and lines are missing or odd, and which classes have other numbers of
    photographs than published.

    The folds of the FG 2024 code take the place of the label list and of a landmark detector: ids,
    splits, labels and landmarks are theirs, and the pictures are aligned crops, which are not aligned again.
    A crop (basic/Image/our_aligned/...) that is not there is cut anew from the original: the annotation's
    five points are brought to where they lie in the published crops (template "fg2024", 224 x 224 pixels);
    without points, the box is widened by 30 % and stretched. The landmarks of the folds were found in the
    authors' crops, which follow a detector's points instead: in a crop cut anew they fit to within the
    difference of the two alignments.

    Args:
        root: The folder that holds basic and compound, or that of the part itself.
        compound: The compound part instead of the basic one.
        images: The "original" photographs, whose faces are found with the help of the set's boxes; or the
            set's own "aligned" crops, which are only resized.
        folds: Folder of the published folds of RAF-DB (the source folds explains them); they are of the basic
            part and cut from the original photographs.

    Raises:
        InputError: The label list or the folds cannot be read, no photograph can be used, or the arguments
            contradict each other.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        compound: bool = False,
        images: Images = "original",
        folds: str | os.PathLike[str] | None = None,
    ) -> None:
        check_among(images, get_args(Images), "images")
        if folds is not None and (compound or images == "aligned"):
            raise InputError("Folds are of the basic part, original images; leave out compound and images.")
        part = _PARTS[compound]
        self.name = "raf-db-compound" if compound else "raf-db"
        shared = None if compound or folds is not None else find_shared(Path(root))
        self.images = "aligned" if shared else images
        self._folder = shared or _find(Path(root), part.folder)
        self.classes, self.findings = part.classes, list[Finding]()
        self._folds: FoldsSource | None = None
        self._rows: list[int] = []  # of each entry, its position in the folds
        if folds is not None:
            self._folds = FoldsSource(folds, self._folder.parent, self.name)
            self.classes = self._folds.classes
            self._entries = self._read_folds(self._folds)
        elif shared:
            self._entries = self._read_shared(part)
        else:
            self._entries = self._read_set(part)
        if not self._entries:
            where, what = self.findings[0]
            raise InputError(
                f"{self._folder}: no photograph can be used; the first reason: {where}: {said(what)}."
            )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Which pictures, and a digest of all files, labels and annotations."""
        listing = "\n".join(map(repr, self._entries))
        return {
            "kind": self.name,
            "images": self.images,
            "folds": self._folds and self._folds.provenance["sha256"],
            "listing_sha256": hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest(),
            "licence": _LICENCE,
        }

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        key, label, split, file, annotation, cut = self._entries[index]
        path = self._folder / file
        if self._folds:
            image = _cut(path, annotation) if cut else path
            return replace(self._folds[self._rows[index]], image=image, attributes=annotation.attributes)
        aligned = self.images == "aligned"
        box = None if aligned else annotation.box
        return Sample(key, label, split, path, attributes=annotation.attributes, box=box, aligned=aligned)

    def _read_set(self, part: _Part) -> list[_Entry]:
        """The photographs that the label list names."""
        listed = self._read_list(part)
        aligned = self.images == "aligned"
        folder, ending = (_ALIGNED, "_aligned") if aligned else (_ORIGINAL, "")
        paths = {name: f"{folder}/{_stem(name)}{ending}{PurePosixPath(name).suffix}" for name in listed}
        there = find_files(self._folder, paths.values())
        where = self._folder / folder
        missing = [PurePosixPath(path).name for path in paths.values() if path not in there]
        self.findings += list_findings(missing, len(paths), "photographs", "missing", where)
        self.findings += _unlisted(where, {PurePosixPath(path).name for path in there.values()})
        names = [name for name in listed if paths[name] in there]
        annotations = self._annotate(names, boxes=not aligned)
        entries = [_Entry(name, *listed[name], there[paths[name]], annotations[name]) for name in names]
        self.findings += count_findings(part.count(entries), part.expected)
        return entries

    def _read_shared(self, part: _Part) -> list[_Entry]:
        """The aligned crops as they are passed around, in one folder per class."""
        entries = []
        for split in _SHARED_SPLITS:
            listed, missing = self._read_table(split), []
            for folder in folders_in(self._folder / split) if (self._folder / split).is_dir() else []:
                label = _coded(folder.name, part.coded)
                if label is None:
                    what = f"no class; classes are 1 to {len(part.coded)}; left out"
                    self.findings.append(Finding(str(folder), what))
                    continue
                for name in sorted(names_in(folder).values()):
                    if name.lower().endswith(PHOTO_SUFFIXES):
                        if listed and _coded(listed.get(name, ""), part.coded) != label:
                            missing.append(f"{folder.name}/{name}")
                        file = f"{split}/{folder.name}/{name}"
                        key = name.replace("_aligned", "")
                        entries.append(_Entry(key, label, split, file, _Annotation(None, {}, None)))
            where = self._folder / split
            state = "with another label in the table, or none; the folder counts"
            self.findings += list_findings(missing, len(missing) + 1, "pictures", state, where)
        self.findings += count_findings(part.count(entries), part.expected)
        return entries

    def _read_table(self, split: str) -> dict[str, str]:
        """Label by picture, as the table beside the folders says; empty without one."""
        path = self._folder / f"{split}_labels.csv"
        if not path.is_file():
            return {}
        rows = (line.split(",") for _, line in read_lines(path)[1:])
        return {PurePosixPath(table_path(row[0])).name: row[-1].strip() for row in rows}

    def _read_folds(self, folds: FoldsSource) -> list[_Entry]:
        """The pictures that the folds name, as crops or as the originals these are cut from."""
        crops = [path.removeprefix("basic/") for path in folds.paths]
        names = [PurePosixPath(path).name.replace("_aligned", "") for path in crops]
        originals = [f"{_ORIGINAL}/{name}" for name in names]
        pictures, self.findings = find_pictures(self._folder, crops, originals)
        annotations = self._annotate(list(dict.fromkeys(names)), boxes=True)
        entries, unknown = [], []
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True)):
            if picture is None:
                continue
            if picture.cut and not (annotations[name].points or annotations[name].box):
                unknown.append(name)
                continue
            sample = folds[row]
            entries.append(
                _Entry(
                    sample.key,
                    sample.label,
                    sample.split,
                    picture.file,
                    annotations[name],
                    picture.cut,
                )
            )
            self._rows.append(row)
        where = self._folder / _ORIGINAL
        what = "without points and box, so that no crop can be cut"
        self.findings += list_findings(unknown, len(names), "photographs", what, where)
        return entries

    def _read_list(self, part: _Part) -> dict[str, tuple[str, str]]:
        """Label and split of each name in the label list."""
        path = self._folder / _LIST
        if not path.is_file():
            raise InputError(f"{path} is missing; it lists the photographs and their labels.")
        listed: dict[str, tuple[str, str]] = {}
        odd: list[Finding] = []
        lines = read_lines(path)
        for number, line in lines:
            try:
                name, label, split = _parse_line(line, part.coded)
                if name in listed:
                    raise ValueError(f"{name} is listed a second time")
                listed[name] = label, split
            except ValueError as error:
                odd.append(Finding(f"{path}, line {number}", f"{error}; the line is left out"))
        self.findings += shorten(odd, path)
        if not listed:
            raise InputError(
                f"{path}: no line can be read{'; ' + odd[0].what if odd else ''}; expected lines such as "
                "'train_00001.jpg 5'."
            )
        return listed

    def _annotate(self, names: list[str], boxes: bool) -> dict[str, _Annotation]:
        """Points, attributes and, if asked for, boxes of photographs, as far as they can be read."""
        manual = self._read_files(names, _MANUAL, "_manu_attri", _parse_manual)
        boxed = self._read_files(names, _BOXES, "_boundingbox", _parse_box) if boxes else {}
        return {name: _Annotation(*manual.get(name, (None, {})), boxed.get(name)) for name in names}

    def _read_files(
        self,
        names: list[str],
        folder: str,
        ending: str,
        parse: Callable[[list[float]], tuple[_Value, list[str]]],
    ) -> dict[str, _Value]:
        """What the files of one kind say, by photograph; what is odd about them becomes a finding."""
        where = self._folder / folder
        files = {name: f"{_stem(name)}{ending}.txt" for name in names}
        there = find_files(where, files.values())
        missing = [file for file in files.values() if file not in there]
        self.findings += list_findings(missing, len(files), "annotations", "missing", where)

        def read(name: str) -> tuple[_Value | None, list[str]]:
            try:
                return parse(_numbers(where / there[files[name]]))
            except (InputError, ValueError) as error:
                return None, [str(error)]

        found = [name for name in names if files[name] in there]
        values, troubles = {}, []
        for name, (value, odd) in zip(found, read_each(read, found), strict=True):
            troubles += [Finding(str(where / files[name]), trouble) for trouble in odd]
            if value is not None:
                values[name] = value
        self.findings += shorten(troubles, where)
        return values


def find_shared(root: Path) -> Path | None:
    """The folder that holds train/1 to train/7 and test/1 to test/7; None where there is none."""
    if not root.is_dir():
        return None

    def is_it(folder: Path) -> bool:
        return any((folder / split / "1").is_dir() for split in _SHARED_SPLITS)

    for folder in (root, root / "DATASET"):
        if folder.is_dir() and is_it(found := unwrapped(folder, is_it)):
            return found
    return None


def _coded(code: str, coded: Sequence[str]) -> str | None:
    """The class of a number from 1."""
    return coded[int(code) - 1] if code.isdecimal() and 1 <= int(code) <= len(coded) else None


def _find(root: Path, part: str) -> Path:
    """The folder of a part of the set: below `root`, or `root` itself."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds basic and compound.")
    root = unwrapped(root, lambda folder: (folder / part).is_dir() or (folder / _LIST).is_file())
    if (root / part).is_dir():
        return root / part
    name = root.resolve().name
    if name == part or ((root / _LIST).is_file() and name not in [p.folder for p in _PARTS.values()]):
        return root
    raise InputError(f"{root} holds no folder {part}; give the folder that holds basic and compound.")


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _parse_line(line: str, coded: Sequence[str]) -> tuple[str, str, str]:
    """Name, label and split of a line such as "train_00001.jpg 5".

    Raises:
        ValueError: It is another kind of line; the message is a sentence.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"expected a file and a class number, got '{line[:100]}'")
    name, number = match[1], int(match[2])
    split = next((split for split in ("train", "test") if name.casefold().startswith(split)), None)
    if split is None:
        raise ValueError(f"{name} begins with neither train nor test")
    if not 1 <= number <= len(coded):
        raise ValueError(f"{number} is no class; classes are 1 to {len(coded)}")
    return name, coded[number - 1], split


def _numbers(path: Path) -> list[float]:
    """All numbers of a small file."""
    words = re.split(r"[\s,;]+", " ".join(line for _, line in read_lines(path)))
    try:
        numbers = [float(word) for word in words if word]
    except ValueError as error:
        raise ValueError(f"holds something else than numbers: {error}") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("holds a number that is not finite")
    return numbers


def _parse_manual(numbers: list[float]) -> tuple[tuple[tuple[float, ...], dict[str, str]], list[str]]:
    """Points and attributes, and what is odd."""
    if len(numbers) != 10 + len(ATTRIBUTES):
        raise ValueError(f"expected five points and three codes, 13 numbers, got {len(numbers)}")
    attributes, odd = {}, []
    for (name, words), code in zip(ATTRIBUTES.items(), numbers[10:], strict=True):
        if code in range(len(words)):
            attributes[name] = words[int(code)]
        else:
            odd.append(f"{code:g} is no code for {name}; codes are 0 to {len(words) - 1}")
    return (tuple(numbers[:10]), attributes), odd


def _parse_box(numbers: list[float]) -> tuple[tuple[float, float, float, float], list[str]]:
    """The box; whatever follows its four numbers is not read."""
    if len(numbers) < 4:
        raise ValueError(f"expected left, top, right, bottom, got {len(numbers)} numbers")
    left, top, right, bottom = numbers[:4]
    if left >= right or top >= bottom:
        raise ValueError(f"the box {left:g} {top:g} {right:g} {bottom:g} is empty")
    return (left, top, right, bottom), []


def _unlisted(folder: Path, listed: set[str]) -> list[Finding]:
    """Photographs that no line names."""
    names = sorted(names_in(folder).values())
    pictures = [name for name in names if name.lower().endswith(PHOTO_SUFFIXES)]
    unlisted = [name for name in pictures if name not in listed]
    return list_findings(unlisted, len(pictures), "photographs", "in no line of the label list", folder)


def _cut(photo: Path, annotation: _Annotation) -> np.ndarray | Path:
    """The crop of a photograph, by its points or else its box."""
    points = None
    if annotation.points is not None:
        points = np.array(annotation.points).reshape(5, 2)[_TEMPLATE_ORDER]
    return cut_crop(photo, points, box=annotation.box)
