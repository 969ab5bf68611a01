"""`explanations.jsonl`: what a folder of explanations holds, one JSON line per face."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aucue.explanation.explanation import Explanation
from aucue.explanation.files import FaceFiles, write_overview
from aucue.explanation.records import LOG_FILE, face_files, read_records
from aucue.explanation.settings import MapFormat
from aucue.work.files import appearing

SETTINGS = ("model", "method", "detector", "maps")


@dataclass
class Entry:
    """A photograph in the log.

    Attributes:
        settings: What its explanations depend on beside the photograph.
        faces: How many faces were found.
        lines: How many of its lines there are.
        files: Names of its files, as far as there are lines.
    """

    settings: Mapping[str, str | None]
    faces: int
    lines: int = 0
    files: list[str] = field(default_factory=list)


class ExplanationLog:
    """The log of one folder; right after a kill at any moment.

    The lines of a photograph are written at once, before its files, so every file of ours has a line. A
    photograph without a face has one line, too, with 0 faces.

    Args:
        folder: Where the explanations lie; need not exist.

    Raises:
        InputError: The log there is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOG_FILE
        self.entries: dict[str, Entry] = {}
        for record, _ in self._records():
            settings = {name: record.get(name) for name in SETTINGS}
            entry = self.entries.setdefault(record["photo"], Entry(settings, record["faces"]))
            entry.lines += 1
            entry.files += face_files(record)

    def holds(self, photo: str) -> bool:
        """Whether a photograph is explained: all of its lines and files are there."""
        entry = self.entries.get(photo)
        return (
            entry is not None
            and entry.lines == max(1, entry.faces)
            and all((self.folder / file).exists() for file in entry.files)
        )

    def remove(self, photos: Collection[str]) -> None:
        """Remove photographs with their files, and a line that a killed run has left unfinished."""
        removed = [self.entries.pop(photo) for photo in photos if photo in self.entries]
        if not self.path.exists():
            return
        with appearing(self.path) as unfinished, unfinished.open("wb") as file:
            file.writelines(line for record, line in self._records() if record["photo"] in self.entries)
        for file in (file for entry in removed for file in entry.files):
            (self.folder / file).unlink(missing_ok=True)

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines, one after the other."""
        return (record for record, _ in self._records())

    def add(
        self,
        photo: Path,
        name: str,
        explanations: Sequence[Explanation],
        settings: Mapping[str, str],
        maps: MapFormat = "none",
    ) -> list[Path]:
        """Write the lines and the files of a photograph.

        Args:
            photo: The photograph.
            name: File name without ending, of which the files' names are made.
            explanations: Of its faces.
            settings: See `Entry`.
            maps: Kind of map files.

        Returns:
            The pictures, one per face.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count = len(explanations)
        files = [
            FaceFiles.of(f"{name}_face{number}", explanation, maps)
            for number, explanation in enumerate(explanations, start=1)
        ]
        head = {"photo": str(photo), "faces": count, "overview": f"{name}_faces.jpg" if count > 1 else None}
        records = [
            {
                **head,
                "number": number,
                "picture": names.picture,
                "thumbnail": names.thumbnail,
                "map_files": list(names.maps),
                **settings,
                **explanation.to_dict(),
            }
            for number, (names, explanation) in enumerate(zip(files, explanations, strict=True), start=1)
        ] or [{**head, "number": 0, "picture": None, **settings}]
        written = [file for record in records for file in face_files(record)]
        self.entries[str(photo)] = Entry(settings, count, len(records), written)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record, allow_nan=False) + "\n" for record in records))
        if head["overview"]:
            write_overview(self.folder / head["overview"], photo, explanations)
        for names, explanation in zip(files, explanations, strict=True):
            names.write(self.folder, explanation)
        return [self.folder / names.picture for names in files]

    def _records(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        return read_records(self.path, face_files)
