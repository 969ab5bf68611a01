"""Source: a data set of the Hugging Face hub, or one stored in its format."""

import os
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aucue.data.sources.expected import Finding
from aucue.data.sources.labels import check_classes, check_split, find_class, find_split
from aucue.data.sources.listings import is_ignored
from aucue.data.sources.source import SPLITS, Sample
from aucue.errors import InputError, said
from aucue.faces import NUM_LANDMARKS, PHOTO_SUFFIXES
from aucue.facs import EXPRESSIONS
from aucue.work.files import folders_below, inside, read_json

if TYPE_CHECKING:  # imported where it is used: listing the sources should not take seconds
    import datasets

_SAVED = ("dataset_dict.json", "state.json")
_REMEDY = "save the data set again"
_LABEL_TYPES = (
    "string",
    "large_string",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


class HuggingFaceSource:
    """Pictures and labels in columns of a data set of the Hugging Face hub, or of one on this machine.

    Splits are known by their names ("validation" is val); others are left out, and so are pictures whose
    label is no class: both are findings. A sample's key is its split's name and row ("test/000017"). The
    column "person", if there is one, says who is seen; other columns with one value per picture are kept as
    attributes. Code that a data set brings along is never run.

    Args:
        root: Name on the hub ("owner/name"), or folder: of a saved data set, of Parquet files, or of pictures
            laid out as the hub's are. Of a folder, only what lies in it is read: no address that a file in it
            names is fetched, and no picture outside of it is opened.
        image: Column of the pictures.
        label: Column of the labels: names, or numbers with names.
        landmarks: Column of landmarks, (68, 2) or flat, iBUG-68 in pixels of the picture.
        label_names: Names of labels that are numbers without names, in the order of these numbers.
        classes: Class names in the order of their ids; labels may use synonyms ("happy").
        split: Split of all samples where the data set has no splits.
        config: Which of the data set's configurations, where it has several.
        revision: Commit or tag on the hub.
        name: Name of the set; by default the last part of the root.

    Raises:
        InputError: The data set cannot be loaded, lacks a column, or no picture has a label that is a class.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        image: str = "image",
        label: str = "label",
        landmarks: str | None = None,
        label_names: Sequence[str] | None = None,
        classes: Sequence[str] = EXPRESSIONS,
        split: str = "train",
        config: str | None = None,
        revision: str | None = None,
        name: str | None = None,
    ) -> None:
        self.root = os.fspath(root)
        self.image, self.label, self.landmarks = image, label, landmarks
        self.config, self.revision = config, revision
        self.classes = check_classes(classes)
        self.name = name or Path(self.root).resolve().name
        self._label_names = label_names
        self._findings: list[Finding] = []
        loaded = _load(self.root, config, revision, self._findings)
        splits = loaded if isinstance(loaded, Mapping) else {check_split(split, "split"): loaded}
        self._parts = self._sort(splits)
        self._stops = np.cumsum([len(part.rows) for part in self._parts])
        if not len(self):
            reasons = ", ".join(f"{where}: {what}" for where, what in self._findings) or "it is empty"
            raise InputError(f"{self.root}: no picture can be used ({reasons}).")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What means nothing to us, and how many pictures it costs; folders that are not searched."""
        return tuple(self._findings)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Name, version and fingerprints of the data set, the columns read, and its licence if it says so."""
        licence = self._parts[0].table.info.license
        return {
            "kind": "huggingface",
            "root": Path(self.root).resolve().name if Path(self.root).exists() else self.root,
            "config": self.config,
            "revision": self.revision,
            "columns": [self.image, self.label, self.landmarks],
            "labels": None if self._label_names is None else list(self._label_names),
            # What `datasets` itself knows a version of the content by.
            "fingerprints": {part.name: part.table._fingerprint for part in self._parts},
            **({"licence": licence} if licence else {}),
        }

    def __len__(self) -> int:
        return int(self._stops[-1]) if len(self._stops) else 0

    def __getitem__(self, index: int) -> Sample:
        number = int(np.searchsorted(self._stops, index, side="right"))
        part = self._parts[number]
        position = index - (int(self._stops[number - 1]) if number else 0)
        row = int(part.rows[position])
        values = part.table[row]
        picture = values[self.image] or {}
        person = values.get("person")
        return Sample(
            key=f"{part.name}/{row:06d}",
            label=self.classes[part.labels[position]],
            split=part.split,
            image=picture.get("bytes") or self._path(picture.get("path"), f"{part.name}, row {row}") or b"",
            landmarks=_points(values[self.landmarks]) if self.landmarks else None,
            person=None if person is None else str(person),
            attributes={name: _value(values[name], part.table.features[name]) for name in part.attributes},
        )

    def _path(self, path: str | None, where: str) -> Path | None:
        """A picture that is stored beside the table; None where the set keeps none there."""
        if not path:
            return None
        folder = Path(self.root)
        if not folder.is_dir():  # of the hub: `datasets` has put it into its own cache
            return Path(path)
        given = Path(path)
        name = given.relative_to(folder.absolute()) if given.is_relative_to(folder.absolute()) else given
        return inside(folder, name.as_posix(), f"{self.root}, {where}")

    def _sort(self, loaded: Mapping[Any, "datasets.Dataset"]) -> list["_Part"]:
        """The splits we know, in our order."""
        parts = []
        for name, table in loaded.items():
            split = find_split(str(name))
            if split is None:
                self._findings.append(
                    Finding(
                        str(name), f"{len(table):,} samples in a split that is none of {', '.join(SPLITS)}"
                    )
                )
            else:
                parts.append(self._part(str(name), split, table))
        return sorted(parts, key=lambda part: SPLITS.index(part.split))

    def _part(self, name: str, split: str, table: "datasets.Dataset") -> "_Part":
        import datasets

        for column in filter(None, (self.image, self.label, self.landmarks)):
            if column not in table.features:
                raise InputError(
                    f"{self.root}: there is no column '{column}'; it has {', '.join(table.features)}."
                )
        if not isinstance(table.features[self.image], datasets.Image):
            raise InputError(f"{self.root}: the column '{self.image}' does not hold pictures.")
        kind = table.features[self.label]
        if not isinstance(kind, datasets.ClassLabel) and getattr(kind, "dtype", "") not in _LABEL_TYPES:
            raise InputError(
                f"{self.root}: the column '{self.label}' holds neither names nor numbers; "
                "give another label column."
            )
        labels = self._labels(name, table)
        special = {self.image, self.label, self.landmarks, "person"}
        attributes = tuple(
            column
            for column, feature in table.features.items()
            if column not in special and isinstance(feature, datasets.Value | datasets.ClassLabel)
        )
        wanted = [column for column in table.features if column in special or column in attributes]
        table = table.select_columns(wanted).cast_column(self.image, datasets.Image(decode=False))
        rows = np.flatnonzero(labels >= 0)
        return _Part(name, split, table, rows, labels[rows], attributes)

    def _labels(self, name: str, table: "datasets.Dataset") -> np.ndarray:
        """Class ids of all rows, -1 where a label is no class."""
        values: list[Hashable] = list(table[self.label])
        names = self._names(table, set(values))
        ids = {
            value: -1 if (known := find_class(text, self.classes)) is None else self.classes.index(known)
            for value, text in names.items()
        }
        for value, count in Counter(values).items():
            if ids[value] < 0:
                what = f"{count:,} samples whose label is no class; left out"
                self._findings.append(Finding(f"{name}/{names[value] or 'no label'}", what))
        return np.array([ids[value] for value in values], dtype=np.int64)

    def _names(self, table: "datasets.Dataset", values: set[Hashable]) -> dict[Hashable, str]:
        """What the labels are called."""
        names = getattr(table.features[self.label], "names", self._label_names)
        if names is None and not all(isinstance(value, str) for value in values - {None}):
            raise InputError(
                f"{self.root}: the column '{self.label}' holds numbers without names; give the names of the "
                "labels in the order of these numbers."
            )
        if names is None:
            return {value: str(value or "") for value in values}
        return {
            value: names[value] if isinstance(value, int) and 0 <= value < len(names) else ""
            for value in values
        }


class _Part(NamedTuple):
    """One split: its name on the hub and ours, its rows that have a class, with the ids of these classes."""

    name: str
    split: str
    table: "datasets.Dataset"
    rows: np.ndarray
    labels: np.ndarray
    attributes: tuple[str, ...]


def _load(root: str, config: str | None, revision: str | None, findings: list[Finding]) -> Any:
    """A data set, or several by the names of splits; what a folder has that is not searched is added."""
    import datasets

    folder = Path(root)
    if any((folder / name).is_file() for name in _SAVED):
        for saved in _saved_parts(folder):
            _check_saved(saved)
    try:
        if any((folder / name).is_file() for name in _SAVED):
            loaded = datasets.load_from_disk(root)
        elif folder.is_dir():
            loaded = _load_files(folder, findings)
        else:
            loaded = datasets.load_dataset(root, config, revision=revision)
        for table in loaded.values() if isinstance(loaded, Mapping) else [loaded]:
            table.data.validate(full=True)  # or an offset beyond a column's end would be followed
    except InputError:
        raise
    except Exception as error:  # of whatever library is at work: the hub's client, Arrow, ...
        raise InputError(
            f"{root} cannot be loaded, neither as a folder nor from the hub: {said(error)}."
        ) from error
    return loaded


def _saved_parts(folder: Path) -> list[Path]:
    """The folders of a saved data set's splits."""
    index = folder / _SAVED[0]
    if not index.is_file():
        return [folder]
    splits = read_json(index, _REMEDY).get("splits")
    if not isinstance(splits, list):
        raise InputError(f"{index} names no splits; {_REMEDY}.")
    return [inside(folder, name, str(index)) for name in splits]


def _check_saved(folder: Path) -> None:
    """Refuse a saved split that names files outside of its folder."""
    state = folder / _SAVED[1]
    files = read_json(state, _REMEDY).get("_data_files")
    if not isinstance(files, list):
        raise InputError(f"{state} names no files; {_REMEDY}.")
    for entry in files:
        inside(folder, entry.get("filename") if isinstance(entry, Mapping) else None, str(state))


def _load_files(folder: Path, findings: list[Finding]) -> Any:
    """Parquet files, or pictures in folders, by their own names: what README.md may say is not asked."""
    import datasets

    paths = _files_in(folder, findings)
    tables = [path for path in paths if path.suffix.lower() == ".parquet"]
    if tables:
        splits: dict[str, list[str]] = {}
        for path in tables:
            splits.setdefault(_split_of(path.relative_to(folder)), []).append(str(path))
        return datasets.load_dataset("parquet", data_files=splits)
    if any(path.name.lower().endswith(PHOTO_SUFFIXES) for path in paths):
        return datasets.load_dataset("imagefolder", data_dir=str(folder))
    why = "".join(f" ({where}: {what})" for where, what in findings[:1])
    raise InputError(f"{folder} holds neither Parquet files nor pictures{why}.")


def _files_in(folder: Path, findings: list[Finding]) -> list[Path]:
    """The files below a folder; folders that cannot be read, and links to others, become findings.

    `datasets` follows no such link either, and would not say so.
    """

    def leave_out(path: Path, why: str) -> None:
        findings.append(Finding(str(path), f"left out: {why}"))

    paths = []
    for parent, folders, files in folders_below(folder, leave_out):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        for path in (parent / name for name in folders):
            if path.is_symlink():
                leave_out(path, "a link; put the folder itself here")
        paths += [parent / name for name in files if not is_ignored(name)]
    return sorted(path for path in paths if path.is_file())


def _split_of(path: Path) -> str:
    """The split that a file's name or folder says, as the hub's files do: "test-00000-of-00001.parquet"."""
    words = [*path.parts[:-1], *re.split(r"[-_.]", path.name)]
    return next((word for word in words if find_split(word)), SPLITS[0])


def _value(value: Any, feature: Any) -> Any:
    """A value of a column, by name where it is a class."""
    names = getattr(feature, "names", None)
    return names[value] if names and isinstance(value, int) and value >= 0 else value


def _points(values: Any) -> np.ndarray | None:
    """Landmarks (68, 2) float32; what has another shape keeps it, so that it is listed as bad."""
    if values is None:
        return None
    try:
        points = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):  # ragged, or no numbers
        return np.empty((0, 2), np.float32)
    return points.reshape(NUM_LANDMARKS, 2) if points.size == 2 * NUM_LANDMARKS else points
