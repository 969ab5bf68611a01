"""Pictures of a camera that come one after another: the faces of each, followed and smoothed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from aucue.app.clips import SMOOTH
from aucue.app.gallery import bars
from aucue.app.service import Service
from aucue.explanation.finder import FaceFinder
from aucue.explanation.tracking import Smoother, Tracker
from aucue.faces import Face

MAX_BYTES = 2**19
"""Size of a picture of a camera in bytes."""

MAX_PIXELS = 1_000_000
"""Width times height of a picture of a camera."""


@dataclass(eq=False)
class _Camera:
    """What is remembered of a camera: where faces were and what was said of them, no picture."""

    model: str
    finder: FaceFinder
    touched: float
    tracker: Tracker = field(default_factory=Tracker)
    smoother: Smoother = field(default_factory=lambda: Smoother(SMOOTH))
    lock: threading.Lock = field(default_factory=threading.Lock)


class Live:
    """The cameras that people look into now, by a name that their page has drawn.

    Args:
        service: Who answers.
        seconds: How long one is remembered that sends nothing.
        most: How many are remembered.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        service: Service,
        seconds: float = 15,
        most: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service, self._seconds, self._most, self._clock = service, seconds, most, clock
        self._lock = threading.Lock()
        self._cameras: OrderedDict[str, _Camera] = OrderedDict()  # longest silent first

    def __len__(self) -> int:
        return len(self._cameras)

    def look(self, name: str, picture: Image.Image, model: str | None = None) -> list[dict[str, Any]]:
        """The faces of the next picture of a camera, largest first.

        Args:
            name: Of the camera.
            picture: Upright and RGB.
            model: One of the service's; default the first.

        Returns:
            Of each its track, box and landmarks in pixels, the most probable expression and the
            probabilities, smoothed as those of a video.

        Raises:
            InputError: No such model.
        """
        model = model or self._service.models[0]
        reader = self._service.reader(model)
        camera = self._camera(name, model, FaceFinder(reader.detector))
        image = np.asarray(picture)
        with camera.lock:
            now = camera.touched
            faces = reader.align_all(image, camera.finder(image, now, camera.tracker.expected(now)))
            tracks = camera.tracker.update([face.photo_landmarks for face in faces], now)
            said = self._service.probabilities(faces, model)
            return [
                _seen(face, track, _smoothed(camera, track, now, each))
                for face, track, each in zip(faces, tracks, said, strict=True)
            ]

    def sweep(self) -> None:
        """Forget cameras that have been silent for long."""
        with self._lock:
            self._sweep()

    def _camera(self, name: str, model: str, finder: FaceFinder) -> _Camera:
        with self._lock:
            now = self._clock()
            camera = self._cameras.pop(name, None)
            if camera is None or camera.model != model:
                camera = _Camera(model, finder, now)
            camera.touched = now
            self._cameras[name] = camera
            self._sweep()
            return camera

    def _sweep(self) -> None:
        while self._cameras:
            first = next(iter(self._cameras.values()))
            if len(self._cameras) <= self._most and self._clock() - first.touched <= self._seconds:
                return
            self._cameras.popitem(last=False)


def _smoothed(camera: _Camera, track: int, now: float, said: dict[str, float]) -> dict[str, float]:
    values = camera.smoother(track, now, np.array(list(said.values())))
    return dict(zip(said, values.tolist(), strict=True))


def _seen(face: Face, track: int, probabilities: dict[str, float]) -> dict[str, Any]:
    return {
        "track": track,
        "box": [round(value, 1) for value in face.box],
        "landmarks": np.round(face.photo_landmarks, 1).tolist(),
        "expression": max(probabilities, key=lambda name: probabilities[name]),
        "doubt": face.doubt,
        "bars": bars(probabilities),
    }
