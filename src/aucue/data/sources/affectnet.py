"""Source: AffectNet (Mollahosseini, Hasani & Mahoor, IEEE Transactions on Affective Computing 2019)."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from aucue.data.sources.affectnet_releases import (
    SPLIT_FOLDERS,
    AnnotationRelease,
    CsvRelease,
    find_tables,
    read_affect,
    read_landmarks,
)
from aucue.data.sources.expected import Finding, count_findings
from aucue.data.sources.folds import FoldsSource, cut_crop, find_pictures
from aucue.data.sources.listings import unwrapped
from aucue.data.sources.source import Sample
from aucue.errors import InputError, said
from aucue.facs import EXPRESSIONS
from aucue.work.tables import check_among

Layout = Literal["auto", "csv", "annotations"]

_CLASSES = {7: EXPRESSIONS, 8: (*EXPRESSIONS, "contempt")}
_TRAINING = {
    "neutral": 74_874,
    "happiness": 134_415,
    "surprise": 14_090,
    "fear": 6_378,
    "anger": 24_882,
    "disgust": 3_803,
    "sadness": 25_459,
    "contempt": 3_750,
}
_VALIDATION = 500
_LICENCE = "AffectNet: non-commercial research only, under the agreement with its authors"


class AffectNetSource:
    """AffectNet's manually annotated part: 283,901 training faces of 7 classes, or 287,651 of 8.

    Written from public descriptions of the two layouts that circulate; below `root`::

        training.csv, validation.csv               "csv": subDirectory_filePath, face_x, ..., arousal
        Manually_Annotated_Images/689/0a1b2c.jpg   photographs; 689/ may also lie in the root itself

        train_set/images/0.jpg                     "annotations": faces cut to 224 x 224 pixels
        train_set/annotations/0_exp.npy            class
        train_set/annotations/0_lnd.npy            x, y of 68 landmarks
        train_set/annotations/0_val.npy, 0_aro.npy valence and arousal
        val_set/...                                alike

    The tables may lie in Manually_Annotated_file_lists/, too. Validation is split "test", as in the paper:
    the set's own test part is not public. The set's landmarks are used where they are given; valence and
    arousal are attributes. The pictures of the second layout show little more than the face, but it is not
    turned upright nor placed: they are aligned like any photograph. Pictures of other classes (contempt with
    7 classes, none, uncertain, no face) are left out, which is as it should be. The findings say which
    files and lines are missing or odd, and where the numbers of pictures differ from the published ones.

    The folds of the FG 2024 code name pictures of the second layout (our_aligned/train_set/images/0.jpg).
    They decide ids, splits, labels and landmarks, and the pictures are aligned crops, which are not aligned
    again. A crop that is not there is cut anew: the set's own landmarks are brought to where they lie
    in published crops (template "fg2024", 224 x 224 pixels); without landmarks it is the whole picture.
    The landmarks of the folds were found in the authors' crops, which follow a detector's points instead: in
    a crop cut anew they fit to within the difference of the two alignments.

    Args:
        root: Folder of the set.
        classes: 7, or 8 with contempt. With folds, their own classes count.
        layout: "csv", "annotations", or "auto": the tables if there are any.
        folds: Folder of the published folds of AffectNet (the source folds explains them).

    Raises:
        InputError: No such layout is there, a table or the folds cannot be read, no picture can be used, or
            the arguments contradict each other.
    """

    name = "affectnet"

    def __init__(
        self,
        root: str | os.PathLike[str],
        classes: Literal[7, 8] = 7,
        layout: Layout = "auto",
        folds: str | os.PathLike[str] | None = None,
    ) -> None:
        root = Path(root)
        if classes not in _CLASSES:
            raise InputError(f"AffectNet has 7 or 8 classes, not {classes}.")
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; give the one that holds the tables or train_set.")
        self._release: CsvRelease | AnnotationRelease | _Folds
        if folds is not None:
            if layout == "csv":
                raise InputError(
                    "The folds name pictures of the layout annotations; leave out the layout csv."
                )
            self._release = _Folds(root, FoldsSource(folds, root, self.name))
            self.layout, self.classes = "folds", self._release.classes
            self.findings = self._release.findings
        else:
            root = unwrapped(root, _holds_set)
            self.layout, self.classes = _find_layout(root, layout), _CLASSES[classes]
            read = CsvRelease if self.layout == "csv" else AnnotationRelease
            self._release = read(root, self.classes)
            self.findings = [*self._release.findings, *_miscounted(self._release.counts, classes)]
        if not len(self._release):
            where, what = self.findings[0]
            raise InputError(f"{root}: no picture can be used; the first reason: {where}: {said(what)}.")

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The layout, a digest of its files and labels, and what was left out."""
        return {
            "kind": self.name,
            "layout": self.layout,
            "listing_sha256": self._release.digest,
            "left_out": dict(self._release.left_out),
            "licence": _LICENCE,
        }

    def __len__(self) -> int:
        return len(self._release)

    def __getitem__(self, index: int) -> Sample:
        return self._release[index]


class _Folds:
    """Pictures as published folds name them: crops, or what these are cut from."""

    def __init__(self, root: Path, folds: FoldsSource) -> None:
        self._root, self._folds = root, folds
        self.classes = folds.classes
        self.left_out: Counter[str] = Counter()
        originals = [path.removeprefix("our_aligned/") for path in folds.paths]
        pictures, self.findings = find_pictures(root, folds.paths, originals)
        self._pictures = [(row, picture) for row, picture in enumerate(pictures) if picture]
        listing = repr((folds.provenance["sha256"], self._pictures))
        self.digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        row, picture = self._pictures[index]
        sample, path = self._folds[row], self._root / picture.file
        if not picture.cut:
            return replace(sample, image=path)
        image = cut_crop(path, landmarks=read_landmarks(path))
        return replace(sample, image=image, attributes=read_affect(path))


def _holds_set(folder: Path) -> bool:
    return bool(find_tables(folder)) or any((folder / name).is_dir() for name in SPLIT_FOLDERS)


def _find_layout(root: Path, layout: str) -> Literal["csv", "annotations"]:
    """The layout that is there, if it is the one asked for.

    Raises:
        InputError: It is not there.
    """
    check_among(layout, get_args(Layout), "layout")
    if layout != "annotations" and find_tables(root):
        return "csv"
    if layout != "csv" and any((root / folder).is_dir() for folder in SPLIT_FOLDERS):
        return "annotations"
    wanted = {"csv": "training.csv and validation.csv", "annotations": "train_set/ and val_set/"}
    names = " or ".join(text for name, text in wanted.items() if layout in ("auto", name))
    raise InputError(f"{root} does not hold {names}; give the folder that does.")


def _miscounted(counts: Mapping[tuple[str, str], int], classes: int) -> list[Finding]:
    """Numbers of pictures that are not as published.

    With contempt, 3,999 validation pictures circulate as well as 4,000.
    """
    names = _CLASSES[classes]
    found = {(split, name): counts.get((split, name), 0) for split in ("train", "test") for name in names}
    validation = {("test", name): _VALIDATION for name in names}
    there = {pair: found[pair] for pair in validation}
    if classes == 8 and sorted(there.values()) == [_VALIDATION - 1, *[_VALIDATION] * 7]:
        validation = there
    return count_findings(found, {**{("train", name): _TRAINING[name] for name in names}, **validation})
