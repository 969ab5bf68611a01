"""What a folder of explanations holds: `explanations.jsonl` (a line per face), `videos.jsonl` (per film)."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aucue.explanation.explanation import Explanation
from aucue.explanation.files import FaceFiles, write_overview
from aucue.explanation.records import (
    LOG_FILE,
    VIDEO_FILES,
    VIDEO_LOG,
    Record,
    face_files,
    read_records,
    video_files,
)
from aucue.explanation.settings import MapFormat
from aucue.explanation.video import ExplainedVideo
from aucue.work.files import appearing


@dataclass
class Entry:
    """A photograph or video in a log.

    Attributes:
        settings: What its explanations depend on beside the file.
        wanted: How many lines it has when all of them are there.
        lines: How many of them there are.
        files: Names of its files, as far as there are lines.
    """

    settings: Mapping[str, Any]
    wanted: int
    lines: int = 0
    files: list[str] = field(default_factory=list)


class Log:
    """A log of one folder, JSON lines in the order in which inputs were explained; right after a kill at any
    moment.

    Args:
        folder: Where the explanations lie; need not exist.

    Attributes:
        entries: By the path of the input.

    Raises:
        InputError: The log there is none of ours.
    """

    name: ClassVar[str]
    key: ClassVar[str]  # of the input in a line
    settings: ClassVar[tuple[str, ...]]
    checked: ClassVar[Callable[[Record], list[Any]]]  # refuses a line that is none of ours

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / self.name
        self.entries: dict[str, Entry] = {}
        for record in self.records():
            self._note(record, {name: record.get(name) for name in self.settings})

    def holds(self, file: str) -> bool:
        """Whether an input is explained: all of its lines and files are there."""
        entry = self.entries.get(file)
        return (
            entry is not None
            and entry.lines == entry.wanted
            and all((self.folder / name).exists() for name in entry.files)
        )

    def remove(self, files: Collection[str]) -> None:
        """Remove inputs with what was written of them, and a line that a killed run has left unfinished."""
        removed = [self.entries.pop(file) for file in files if file in self.entries]
        if not self.path.exists():
            return
        with appearing(self.path) as unfinished, unfinished.open("wb") as log:
            log.writelines(line for record, line in self._lines() if record[self.key] in self.entries)
        for name in (name for entry in removed for name in entry.files):
            (self.folder / name).unlink(missing_ok=True)

    def records(self) -> Iterator[Record]:
        """The lines, one after the other."""
        return (record for record, _ in self._lines())

    def written(self, record: Record) -> tuple[int, list[str]]:
        """How many lines its input has, and the names of the files that a line speaks of."""
        raise NotImplementedError

    def _append(self, records: Iterable[Record], settings: Mapping[str, Any]) -> None:
        records = list(records)
        for record in records:
            self._note(record, settings)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record, allow_nan=False) + "\n" for record in records))

    def _note(self, record: Record, settings: Mapping[str, Any]) -> None:
        wanted, files = self.written(record)
        entry = self.entries.setdefault(record[self.key], Entry(settings, wanted))
        entry.lines += 1
        entry.files += files

    def _lines(self) -> Iterator[tuple[Record, bytes]]:
        return read_records(self.path, type(self).checked)


class ExplanationLog(Log):
    """`explanations.jsonl`: a line per face of a photograph; one without a face has one line, with 0 faces.

    The lines of a photograph are written at once, before its files, so every file of ours has a line.
    """

    name, key = LOG_FILE, "photo"
    settings = ("model", "readout", "detector", "maps", "prior", "hiding")
    checked = staticmethod(face_files)

    def written(self, record: Record) -> tuple[int, list[str]]:
        """A line per face, or one; picture, thumbnail, maps and overview."""
        return max(1, record["faces"]), face_files(record)

    def add(
        self,
        photo: Path,
        name: str,
        explanations: Sequence[Explanation],
        settings: Mapping[str, Any],
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
        self._append(records, settings)
        if head["overview"]:
            write_overview(self.folder / head["overview"], photo, explanations)
        for names, explanation in zip(files, explanations, strict=True):
            names.write(self.folder, explanation)
        return [self.folder / names.picture for names in files]


class VideoLog(Log):
    """`videos.jsonl`: a line per finished video, written after its files."""

    name, key = VIDEO_LOG, "video"
    settings = ("model", "readout", "detector", "maps", "prior", "fps", "smooth")
    checked = staticmethod(video_files)

    def written(self, record: Record) -> tuple[int, list[str]]:
        """One line; the files but for those of its maps."""
        return 1, [record[name] for name in VIDEO_FILES]

    def add(self, video: ExplainedVideo, settings: Mapping[str, Any]) -> None:
        """Note a finished video."""
        self._append([{**video.to_dict(), **settings}], settings)
