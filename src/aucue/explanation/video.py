"""A video -> every face of its frames explained and followed: JSON lines, a table, an annotated video.

Frames go through in small batches, so that memory does not grow with the length of the video.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.explanation.annotate import annotate
from aucue.explanation.curves import DIGITS, moment_name
from aucue.explanation.explainer import Explainer
from aucue.explanation.explanation import Explanation, percent
from aucue.explanation.files import map_names, mark_of, save_picture, write_maps
from aucue.explanation.film import FilmReader, FilmWriter, Frame
from aucue.explanation.finder import FaceFinder
from aucue.explanation.settings import ExplainSettings, MapFormat
from aucue.explanation.tracking import Smoother, Tracker
from aucue.faces import Face, FaceReader
from aucue.work.files import appearing, cell, sweep

_BATCH = 8
"""Frames whose faces are explained together."""

_FACE = 96  # side of the pictures of moments
_MAP_FILE = re.compile(r"\d{6,}_track\d+_(maps\.npz|(attention|class-map|expected)\.png)")


@dataclass(frozen=True)
class VideoFiles:
    """Names of a video's files, relative to the folder.

    Attributes:
        annotated: The video with its faces marked.
        lines: JSON, a line per face of a frame.
        table: The same numbers as CSV.
        poster: The frame with most faces, the first of those.
        moments: Folder of the faces at which an expression was most probable, see `moment_name`.
        maps: Folder of the maps of the faces.
    """

    annotated: str
    lines: str
    table: str
    poster: str
    moments: str
    maps: str | None

    @classmethod
    def of(cls, name: str, maps: MapFormat) -> "VideoFiles":
        """The names for a video, `name` being what they begin with."""
        folder = None if maps == "none" else f"{name}_maps"
        films = (f"{name}.mp4", f"{name}.jsonl", f"{name}.csv", f"{name}_poster.jpg")
        return cls(*films, f"{name}_moments", folder)


@dataclass
class Person:
    """What is known of a track.

    Attributes:
        first: When it was first seen, in seconds.
        last: When it was last seen.
        faces: How often it was seen.
        counts: How often it showed which expression.
    """

    first: float
    last: float
    faces: int = 0
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True)
class ExplainedVideo:
    """A video with what was found in it.

    Attributes:
        video: The file.
        seconds: From the first frame that was looked at to the last.
        frames: How many were looked at.
        faces: How many faces they have.
        tracks: Who was followed, by id.
        files: Names of what was written.
        missing: "ends after 0.5 s of 2.0 s" where the file is cut short, else empty.
    """

    video: Path
    seconds: float
    frames: int
    faces: int
    tracks: Mapping[int, Person]
    files: VideoFiles
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; of each track the expression that it showed most."""
        tracks = []
        for id, person in self.tracks.items():
            expression = max(person.counts, key=lambda name: person.counts[name])
            share = person.counts[expression] / person.faces
            times = {"first": round(person.first, 3), "last": round(person.last, 3)}
            tracks.append(
                {"track": id, **times, "faces": person.faces, "expression": expression, "share": share}
            )
        numbers = {"seconds": round(self.seconds, 3), "frames": self.frames, "faces": self.faces}
        numbers |= {"missing": self.missing} if self.missing else {}
        return {"video": str(self.video), **numbers, "tracks": tracks, **vars(self.files)}


def explain_video(
    video: Path,
    explainer: Explainer,
    reader: FaceReader,
    folder: Path,
    name: str,
    settings: ExplainSettings,
    step: Callable[[float], object] | None = None,
) -> ExplainedVideo:
    """Explain the faces of a video.

    Args:
        video: The file.
        explainer: The model.
        reader: Finds and aligns faces.
        folder: Where the files go. They appear when the video is finished.
        name: What their names begin with.
        settings: Frames per second, smoothing and maps.
        step: Called after each batch with the time that was reached, in seconds.

    Raises:
        InputError: The video cannot be read.
        MissingExtraError: PyAV is not installed.
    """
    files = VideoFiles.of(name, settings.maps)
    people: dict[int, Person] = {}
    frames, faces, seconds = 0, 0, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder / files.moments)
    with (
        _without_earlier_maps(folder / f"{name}_maps"),
        FilmReader(video, settings.fps) as film,
        _Outputs(folder, files, film.fps, explainer.model.classes) as out,
    ):
        for batch in explained_frames(
            film, reader, partial(explainer.faces, if_hidden=False), settings.smooth
        ):
            for frame, shown in batch:
                out.add(video, frame, shown, settings.maps)
                for face in shown:
                    face.count(people, frame.time)
                frames, faces, seconds = frames + 1, faces + len(shown), frame.time
            if step:
                step(seconds)
    return ExplainedVideo(video, seconds, frames, faces, people, files, film.missing)


def explained_frames(
    film: Iterable[Frame],
    reader: FaceReader,
    explain: Callable[[Sequence[Face]], Sequence[Explanation]],
    smooth: float,
) -> Iterator[list[tuple["FollowedFrame", list["Shown"]]]]:
    """The frames of a video with their faces, followed and explained, a few frames at a time.

    Args:
        film: Frames.
        reader: Finds and aligns faces.
        explain: Aligned faces -> an explanation of each.
        smooth: Seconds over which the probabilities of each track are averaged.
    """
    tracker, smoother, finder = Tracker(across_gaps=True), Smoother(smooth), FaceFinder(reader.detector)
    for batch in _batches(_followed(film, finder, reader, tracker)):
        explanations = iter(explain([face for frame in batch for face in frame.faces]))
        yield [
            (frame, [Shown.of(id, next(explanations), smoother, frame.time) for id in frame.ids])
            for frame in batch
        ]


@dataclass(frozen=True, eq=False)
class FollowedFrame:
    """A frame with its faces and their tracks."""

    image: NDArray[np.uint8]
    time: float
    index: int
    faces: list[Face]
    ids: list[int]


@dataclass(frozen=True, eq=False)
class Shown:
    """A face of a frame as it is told: its explanation, and the probabilities after smoothing."""

    track: int
    explanation: Explanation
    smoothed: dict[str, float]

    @classmethod
    def of(cls, track: int, explanation: Explanation, smoother: Smoother, time: float) -> "Shown":
        """Smooth the probabilities of a face."""
        names = list(explanation.probabilities)
        values = smoother(track, time, np.array(list(explanation.probabilities.values())))
        return cls(track, explanation, dict(zip(names, values.tolist(), strict=True)))

    @property
    def expression(self) -> str:
        """The most probable one after smoothing."""
        return max(self.smoothed, key=lambda name: self.smoothed[name])

    def mark(self) -> Any:
        """How it is marked in its frame."""
        label = f"{self.track} {self.expression} {percent(self.smoothed[self.expression])}"
        return mark_of(self.explanation, label, self.track - 1)

    def record(self, video: Path, frame: FollowedFrame, count: int) -> dict[str, Any]:
        """Its JSON line."""
        seen = {"video": str(video), "frame": frame.index, "time": round(frame.time, 4)}
        smoothed = {"expression": self.expression, "probabilities": self.smoothed}
        return {
            **seen,
            "track": self.track,
            "faces": count,
            "smoothed": smoothed,
            **self.explanation.to_dict(),
        }

    def row(self, frame: FollowedFrame) -> list[Any]:
        """Its row in the table."""
        together = self.explanation.evidence.together if self.explanation.unit_evidence else None
        box = [round(value, 1) for value in self.explanation.face.box]
        return [
            round(frame.time, 4),
            frame.index,
            self.track,
            cell(self.expression),
            *(round(value, DIGITS) for value in self.smoothed.values()),
            *box,
            None if together is None else round(together.class_map.share, 5),
            None if together is None else round(together.class_map.ratio, 5),
        ]

    def count(self, people: dict[int, Person], time: float) -> None:
        """Add it to what is known of its track."""
        person = people.setdefault(self.track, Person(time, time))
        person.last = time
        person.faces += 1
        person.counts[self.expression] += 1


class _Outputs:
    """The files of a video, which appear when all of them are finished; a context manager.

    Args:
        folder: Where they go.
        files: Their names.
        fps: Of the annotated video.
        classes: Names of the model's classes.
    """

    def __init__(self, folder: Path, files: VideoFiles, fps: float, classes: Sequence[str]) -> None:
        self._folder, self._files, self._fps, self._classes = folder, files, fps, classes
        self._stack = ExitStack()
        self._poster, self._most = np.zeros((9, 16, 3), np.uint8), -1
        self._moments = Moments(classes)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._film = stack.enter_context(FilmWriter(self._folder / self._files.annotated, self._fps))
            self._lines = stack.enter_context(_appearing(self._folder / self._files.lines))
            self._table = csv.writer(stack.enter_context(_appearing(self._folder / self._files.table)))
            self._table.writerow(map(cell, film_columns(self._classes)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
        if error[0] is None:
            save_picture(self._folder / self._files.poster, Image.fromarray(self._poster))
            self._moments.write(self._folder / self._files.moments)

    def add(self, video: Path, frame: FollowedFrame, shown: Sequence[Shown], maps: MapFormat) -> None:
        """Write a frame and its faces."""
        for face in shown:
            record = face.record(video, frame, len(shown))
            self._lines.write(json.dumps(record, allow_nan=False) + "\n")
            self._table.writerow(face.row(frame))
            self._moments.add(face)
            if self._files.maps:
                stem = f"{self._files.maps}/{frame.index:06d}_track{face.track}"
                write_maps(self._folder, map_names(stem, face.explanation, maps), face.explanation)
        image = annotate(frame.image, [face.mark() for face in shown])
        self._film.write(image, frame.time)
        if len(shown) > self._most:
            self._poster, self._most = image, len(shown)


class Moments:
    """Of every track the face at which each expression was most probable, of those that were ever the answer.

    They are kept as JPEG: a long video has many tracks.

    Args:
        classes: Names of the model's classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._found: dict[tuple[int, str], tuple[float, bytes]] = {}

    def add(self, shown: Shown) -> None:
        """Look at a face."""
        key, probability = (shown.track, shown.expression), round(shown.smoothed[shown.expression], DIGITS)
        if probability > self._found.get(key, (-1.0, b""))[0]:
            buffer = BytesIO()
            face = Image.fromarray(shown.explanation.face.crop)
            face.resize((_FACE, _FACE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=85)
            self._found[key] = probability, buffer.getvalue()

    def write(self, folder: Path) -> None:
        """Write the pictures."""
        folder.mkdir(exist_ok=True)
        for name, picture in self.pictures().items():
            with appearing(folder / name) as unfinished:
                unfinished.write_bytes(picture)

    def pictures(self) -> dict[str, bytes]:
        """The pictures, JPEG files by their names: see `moment_name`."""
        return {
            moment_name(track, self._classes.index(expression)): picture
            for (track, expression), (_, picture) in self._found.items()
        }


@contextmanager
def _without_earlier_maps(folder: Path) -> Iterator[None]:
    """Leave no maps of a run before, which may have had other settings, nor of one that fails."""
    _remove_maps(folder)
    try:
        yield
    except BaseException:
        _remove_maps(folder)
        raise


def _remove_maps(folder: Path) -> None:
    """They are in no log, but told by their names; what else lies there stays."""
    sweep(folder)
    for path in folder.glob("*"):
        if _MAP_FILE.fullmatch(path.name):
            path.unlink()
    with suppress(OSError):  # it is not there, or holds something else
        folder.rmdir()


def film_columns(classes: Sequence[str]) -> list[str]:
    """Names of the columns of a video's table; `Shown.row` gives a value for each."""
    box = ("left", "top", "right", "bottom")
    return ["time", "frame", "track", "expression", *classes, *box, "class_map_share", "class_map_ratio"]


def _followed(
    film: Iterable[Frame], finder: FaceFinder, reader: FaceReader, tracker: Tracker
) -> Iterator[FollowedFrame]:
    """Frames with their faces, aligned, and their tracks."""
    for frame in film:
        found = finder(frame.image, frame.time, tracker.expected(frame.time))
        faces = reader.align_all(frame.image, found)
        ids = tracker.update([face.photo_landmarks for face in faces], frame.time)
        yield FollowedFrame(frame.image, frame.time, frame.index, faces, ids)


def _batches(frames: Iterable[FollowedFrame]) -> Iterator[list[FollowedFrame]]:
    batch: list[FollowedFrame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _appearing(path: Path) -> Iterator[IO[str]]:
    """A text file to write, which appears when all went well."""
    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file
