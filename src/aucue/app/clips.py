"""A short video from the page: its faces followed and explained, told while it is being looked at."""

import csv
import io
from collections.abc import Generator
from functools import partial
from typing import IO, Any

from aucue.app import views
from aucue.app.service import Service
from aucue.errors import InputError
from aucue.explanation.curves import draw_curves
from aucue.explanation.film import FilmReader
from aucue.explanation.video import FollowedFrame, Moments, Shown, explained_frames, film_columns
from aucue.pictures.images import encoded_uri

MAX_BYTES = 100 * 2**20
"""Size of a video in bytes."""

MAX_SECONDS = 300.0
"""Length of a video."""

MAX_PIXELS = 9_000_000
"""Width times height of a frame: 4K has 8.3 million."""

FPS = 10.0
"""Frames per second that are looked at."""

SMOOTH = 0.5
"""Seconds over which the probabilities of each track are averaged."""

_TOO_LONG = (
    f"This video is longer than {MAX_SECONDS / 60:g} minutes; cut it, or run 'aucue explain' on it, which "
    "takes any length."
)


def told(
    service: Service, file: IO[bytes], model: str | None = None, readout: str | None = None
) -> Generator[dict[str, Any], None, None]:
    """Explain a video piece by piece.

    Args:
        service: Who explains.
        file: The video, to read and to seek in; nothing else is opened, whatever it says.
        model: One of the service's; default the first.
        readout: Read-out of the class maps; default the model's own.

    Yields:
        After each few frames the `time` that was reached and the length (`seconds`, None if the file does not
        say), how many `frames` and `faces` there were, and the new rows of the table (`rows`, text; the first
        begin with the names of the columns). At the end `html`: the curves of the tracks and their moments.

    Raises:
        InputError: The video, the model or the read-out cannot be used.
        MissingExtraError: PyAV is not installed.
    """
    model = model or service.models[0]
    reader, classes = service.reader(model), service.model(model).classes
    with FilmReader(file, FPS, "This video", MAX_PIXELS) as film:
        if (film.seconds or 0) > MAX_SECONDS:
            raise InputError(_TOO_LONG)
        found = _Found(classes)
        explain = partial(service.unmeasured, model=model, readout=readout)
        for batch in explained_frames(film, reader, explain, SMOOTH):
            rows = [row for frame, shown in batch for row in found.add(frame, shown)]
            reached = batch[-1][0].time
            if reached > MAX_SECONDS:
                raise InputError(_TOO_LONG)
            text = found.text(rows)
            yield {"time": reached, "seconds": film.seconds, **found.counts, "rows": text}
        yield {"html": found.html(film.missing), **found.counts}


class _Found:
    """What is kept of a video: of each track its probabilities, and the faces of its moments.

    Args:
        classes: Names of the model's classes.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.counts = {"frames": 0, "faces": 0}
        self._classes, self._moments = classes, Moments(classes)
        self._tracks: dict[int, list[tuple[float, list[float]]]] = {}
        self._head: list[list[Any]] = [film_columns(classes)]

    def add(self, frame: FollowedFrame, shown: list[Shown]) -> list[list[Any]]:
        """Look at a frame; returns the rows of its faces."""
        self.counts = {
            "frames": self.counts["frames"] + 1,
            "faces": self.counts["faces"] + len(shown),
        }
        for face in shown:
            self._moments.add(face)
            self._tracks.setdefault(face.track, []).append((frame.time, list(face.smoothed.values())))
        return [face.row(frame) for face in shown]

    def text(self, rows: list[list[Any]]) -> str:
        """Rows as a part of a CSV file, the first time below the names of the columns."""
        file = io.StringIO(newline="")
        csv.writer(file).writerows([*self._head, *rows])
        self._head = []
        return file.getvalue()

    def html(self, missing: str) -> str:
        """The curves."""
        pictures = {name: encoded_uri(jpeg, "jpeg") for name, jpeg in self._moments.pictures().items()}
        curves = draw_curves(self._tracks, self._classes, pictures)
        left_out = len(self._tracks) - len(curves)
        return views.curves(curves, pictures, left_out=left_out, missing=missing)
