"""`explanations.jsonl`: what a folder of explanations holds, one JSON line per face."""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aucue.errors import InputError
from aucue.explanation.explanation import Explanation

LOG_FILE = "explanations.jsonl"


@dataclass
class Entry:
    """A photograph in the log.

    Attributes:
        settings: What its explanations depend on beside the photograph.
        faces: How many faces were found.
        pictures: File names of the faces' pictures, as far as there are lines.
    """

    settings: Mapping[str, str]
    faces: int
    pictures: list[str] = field(default_factory=list)


class ExplanationLog:
    """The log of one folder; right after a kill at any moment.

    The lines of a photograph are written at once, before its pictures, so every picture of ours has a line. A
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
            settings = {name: record[name] for name in ("model", "method", "detector")}
            entry = self.entries.setdefault(record["photo"], Entry(settings, record["faces"]))
            entry.pictures += [record["picture"]] if record["picture"] else []

    def holds(self, photo: str) -> bool:
        """Whether a photograph is explained: all of its lines and pictures are there."""
        entry = self.entries.get(photo)
        return (
            entry is not None
            and len(entry.pictures) == entry.faces
            and all((self.folder / picture).exists() for picture in entry.pictures)
        )

    def remove(self, photos: Collection[str]) -> None:
        """Remove photographs with their pictures, and a line that a killed run has left unfinished."""
        removed = [self.entries.pop(photo) for photo in photos if photo in self.entries]
        if not self.path.exists():
            return
        unfinished = self.path.with_suffix(".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            file.writelines(line for record, line in self._records() if record["photo"] in self.entries)
        os.replace(unfinished, self.path)
        for picture in (picture for entry in removed for picture in entry.pictures):
            (self.folder / picture).unlink(missing_ok=True)

    def add(
        self, photo: str, name: str, explanations: Sequence[Explanation], settings: Mapping[str, str]
    ) -> list[Path]:
        """Write the lines and the pictures of a photograph.

        Args:
            photo: The photograph as the log names it.
            name: File name without ending, of which the pictures' names are made.
            explanations: Of its faces.
            settings: See `Entry`.

        Returns:
            The pictures.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        pictures = [f"{name}_face{number}.png" for number in range(1, len(explanations) + 1)]
        self.entries[photo] = Entry(settings, len(explanations), pictures)
        head = {"photo": photo, "faces": len(explanations)}
        records = [
            {**head, "number": number, "picture": picture, **settings, **explanation.to_dict()}
            for number, (picture, explanation) in enumerate(zip(pictures, explanations, strict=True), start=1)
        ] or [{**head, "number": 0, "picture": None, **settings}]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record, allow_nan=False) + "\n" for record in records))
        paths = [self.folder / picture for picture in pictures]
        for path, explanation in zip(paths, explanations, strict=True):
            unfinished = path.with_suffix(".unfinished")
            explanation.picture().save(unfinished, format="PNG")
            os.replace(unfinished, path)
        return paths

    def _records(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Each line, parsed and as it is; without a last one that is unfinished."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith("\n"):
                    return
                try:
                    record = json.loads(line)
                    _ = record["photo"], record["faces"], record["picture"]
                except (ValueError, KeyError, TypeError) as error:
                    raise InputError(
                        f"{self.path}, line {number}: no line that aucue explain wrote; choose another folder"
                    ) from error
                yield record, line
