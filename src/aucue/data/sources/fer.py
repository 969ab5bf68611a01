"""Sources: FER-2013 (Goodfellow et al., 2013), and FER+, its better labels (Barsoum et al., 2016)."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from aucue.data.sources.expected import Finding, count_findings
from aucue.data.sources.fer_tables import ANSWERS, EMOTIONS, PixelTable, read_folder_votes, read_votes
from aucue.data.sources.listings import unwrapped
from aucue.data.sources.source import Sample
from aucue.errors import InputError, said
from aucue.facs import EXPRESSIONS
from aucue.work.files import digest_of
from aucue.work.tables import check_among

Labels = Literal["majority", "soft"]

_PUBLISHED = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "val": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}
_TABLES = ("fer2013.csv", "icml_face_data.csv")
_VOTES_TABLE = "fer2013new.csv"
_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
_NO_MAJORITY = -1


class FER2013Source:
    """FER-2013: 35,887 grey pictures of 48 x 48 pixels, labelled by the words they were searched with.

    Reads `fer2013.csv` (or `icml_face_data.csv`), whose columns are emotion (0 anger, 1 disgust, 2 fear,
    3 happiness, 4 sadness, 5 surprise, 6 neutral), pixels and Usage. PublicTest is the validation split,
    PrivateTest the test split. A sample's key is the number of its row, from 0, in five digits. Pixels are
    read from the table when a sample is asked for. Rows that cannot be used are left out and are findings,
    and so are numbers of pictures other than published.

    Args:
        root: Folder that holds the table.
        name: Name of the set.

    Raises:
        InputError: There is no table, a column is missing, or no row can be used.
    """

    classes = EXPRESSIONS

    def __init__(self, root: str | os.PathLike[str], name: str = "fer2013") -> None:
        self.name = name
        self._table = _pixel_table(Path(root))
        self._rows = [
            position for position, row in enumerate(self._table.rows) if row.emotion and row.trouble is None
        ]
        self.findings = tuple(self._check())
        if not self._rows:
            raise InputError(
                f"{self._table.path}: no row can be used; the first: {said(self.findings[0].what)}."
            )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The table, with the digest of its content."""
        return {"kind": "fer2013", "table": self._table.digest}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        position = self._rows[index]
        row = self._table.rows[position]
        return Sample(f"{position:05d}", row.emotion, row.split, self._table.picture(position))

    def _check(self) -> Iterator[Finding]:
        rows = self._table.rows
        for row in rows:
            if row.trouble or not row.emotion:
                what = row.trouble or "the emotion is none of 0 to 6"
                yield Finding(self._table.where(row), f"{what}; left out")
        found = Counter((rows[position].split, rows[position].emotion) for position in self._rows)
        expected = {
            (split, emotion): count
            for split, counts in _PUBLISHED.items()
            for emotion, count in zip(EMOTIONS, counts, strict=True)
        }
        yield from count_findings(found, expected)


class FERPlusSource:
    """FER+: the pictures of FER-2013, each labelled by ten people.

    Reads either `fer2013.csv` (see `FER2013Source`) beside `fer2013new.csv`, which belong together row by
    row, or the folders that the code of FER+ writes: `FER2013Train`, `FER2013Valid` and `FER2013Test`, each
    with `label.csv` and the pictures it names. A sample's key is the name of its picture, or the number of
    its row where it has none; its votes are kept as an attribute.

    A label is the majority of the votes, by the rule of the released code: of the eight emotions, "unknown"
    and "NF" (not a face), those with a single vote are set to none, as outliers; the answer with more than
    half of the votes that remain is the label. Pictures without such an answer (a tie among them), and those
    whose answer is "unknown", "NF", or contempt where it is no class, are left out.

    Args:
        root: Folder that holds the two tables, or the three folders.
        labels: "majority", or "soft" for the same pictures and labels with probabilities: the shares of the
            classes in the votes, without single votes and without votes for anything else.
        contempt: Whether contempt is a class, the eighth.
        name: Name of the set.

    Raises:
        InputError: A table or a column is missing, or no row can be used.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        labels: Labels = "majority",
        contempt: bool = False,
        name: str = "ferplus",
    ) -> None:
        check_among(labels, get_args(Labels), "labels")
        self.root, self.name, self.labels = Path(root), name, labels
        self.classes: tuple[str, ...] = (*EXPRESSIONS, "contempt") if contempt else EXPRESSIONS
        self._columns = [ANSWERS.index(expression) for expression in self.classes]
        self._findings: list[Finding] = []
        self._files: list[Mapping[str, str]] = []
        self._table: PixelTable | None = None
        folders = any((self.root / folder).is_dir() for folder in _FOLDERS.values())
        self._faces, self._left_out = self._decide(
            list(self._read_folders() if folders else self._read_tables())
        )
        if not self._faces:
            reasons = [f"{count} {reason}" for reason, count in self._left_out.items()]
            reasons += [": ".join(finding) for finding in self._findings[:1]]
            raise InputError(f"{self.root}: no picture has a label of FER+ ({', '.join(reasons)}).")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Rows that cannot be used, and splits or rows that are missing."""
        return tuple(self._findings)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The tables with digests of their content, how labels were made, and how many pictures have none."""
        return {
            "kind": "ferplus",
            "tables": self._files,
            "labels": self.labels,
            "left_out": dict(self._left_out),
        }

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> Sample:
        face = self._faces[index]
        votes = _without_single(np.array(face.votes))
        shares = votes[self._columns] / votes[self._columns].sum()
        return Sample(
            key=face.key,
            label=ANSWERS[votes.argmax()],
            split=face.split,
            image=self._table.picture(face.position) if self._table else self.root / face.position,
            attributes={"votes": dict(zip(ANSWERS, face.votes, strict=True))},
            probabilities=shares if self.labels == "soft" else None,
        )

    def _read_tables(self) -> Iterator["_Face"]:
        table = self._table = _pixel_table(self.root)
        path = self.root / _VOTES_TABLE
        rated = read_votes(path)
        self._files += [table.digest, _digest(path, self.root)]
        self._check_lengths(table, path, len(rated))
        for position, (row, known) in enumerate(zip(rated, table.rows, strict=False)):
            trouble = row.trouble
            if trouble is None and known.split not in ("", row.split):
                trouble = f"the usage is another than in {table.where(known)}"
            if known.trouble:
                self._findings.append(Finding(table.where(known), f"{known.trouble}; left out"))
            if trouble:
                self._findings.append(Finding(f"{path}, line {row.line}", f"{trouble}; left out"))
            if not (trouble or known.trouble):
                yield _Face(row.name or f"{position:05d}", row.split, row.votes, position)

    def _check_lengths(self, table: PixelTable, path: Path, rated: int) -> None:
        found = Counter((row.split, "pictures") for row in table.rows if row.split)
        published = {(split, "pictures"): sum(counts) for split, counts in _PUBLISHED.items()}
        self._findings += count_findings(found, published)
        if rated != len(table.rows):
            what = (
                f"{rated:,} rows, but {table.path.name} has {len(table.rows):,}: they belong together by "
                "order, so labels behind a lost row are wrong"
            )
            self._findings.append(Finding(str(path), what))

    def _read_folders(self) -> Iterator["_Face"]:
        for split, folder in _FOLDERS.items():
            path = self.root / folder / "label.csv"
            if not path.is_file():
                self._findings.append(Finding(str(path), f"missing: the {split} split has no labels"))
                continue
            self._files.append(_digest(path, self.root))
            for row in read_folder_votes(path):
                trouble = row.trouble or (None if row.name else "no picture is named")
                if trouble:
                    self._findings.append(Finding(f"{path}, line {row.line}", f"{trouble}; left out"))
                else:
                    yield _Face(row.name, split, row.votes, f"{folder}/{row.name}")

    def _decide(self, rated: Sequence["_Face"]) -> tuple[list["_Face"], Counter[str]]:
        """The pictures that have a label, and how many have none for which reason."""
        faces, left_out = [], Counter()
        for face, answer in zip(rated, _majorities([face.votes for face in rated]), strict=True):
            if answer in self._columns:
                faces.append(face)
            else:
                left_out["no majority" if answer == _NO_MAJORITY else ANSWERS[answer]] += 1
        return faces, left_out


class _Face(NamedTuple):
    """A picture with its votes; its position is a row of the table of pixels, or a path below the root."""

    key: str
    split: str
    votes: tuple[int, ...]
    position: Any


def _without_single(votes: np.ndarray) -> np.ndarray:
    return np.where(votes > 1, votes, 0)


def _majorities(votes: Sequence[tuple[int, ...]]) -> list[int]:
    """Of each picture's votes, the answer with more than half of those that do not stand alone."""
    counted = _without_single(np.array(votes, dtype=np.int64).reshape(-1, len(ANSWERS)))
    clear = 2 * counted.max(axis=1) > counted.sum(axis=1)
    return np.where(clear, counted.argmax(axis=1), _NO_MAJORITY).tolist()


def _pixel_table(root: Path) -> PixelTable:
    root = unwrapped(root, lambda folder: any((folder / name).is_file() for name in _TABLES))
    for name in _TABLES:
        if (root / name).is_file():
            return PixelTable(root / name)
    raise InputError(f"{root}: neither {' nor '.join(_TABLES)} is there; give the folder that holds it.")


def _digest(path: Path, root: Path) -> dict[str, str]:
    return {"file": path.relative_to(root).as_posix(), "sha256": digest_of(path)}
