"""Faces of consecutive frames, looked for where they were."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.faces import Detection, LandmarkDetector, overlap

_FACE = 120.0
"""Width in pixels at which a face is looked for again where it was."""

_AROUND = 0.8  # of the face's width, added on each side of where it is expected
_SEARCHED = 960  # longer side of the frame when all of it is searched
_SEARCH_EVERY = 1.0
_SEARCH_LOST_EVERY = 0.25


class FaceFinder:
    """Finds the faces of consecutive frames, mostly where they were.

    The whole frame is searched once a second, and four times a second while a followed face is not found; in
    between each face is looked for in a window around the position where its track expects it, shrunk so that
    the face is about 120 pixels wide.

    Args:
        detector: Finds faces in whole frames and in windows alike.
    """

    def __init__(self, detector: LandmarkDetector) -> None:
        self.detector = detector
        self._searched, self._lost = -np.inf, False

    def __call__(self, image: NDArray[np.uint8], time: float, expected: Sequence[NDArray]) -> list[Detection]:
        """Find the faces of the next frame.

        Args:
            image: (H, W, 3).
            time: In seconds.
            expected: Landmarks (68, 2) of the followed faces, where they should be by now.
        """
        wait = _SEARCH_LOST_EVERY if self._lost or not expected else _SEARCH_EVERY
        whole = time - self._searched >= wait - 1e-6
        found = self._search(image) if whole else []
        for points in expected:
            if not any(_same(points, detection) for detection in found):
                found += self._look(image, points, found)
        if whole:
            self._searched = time
        self._lost = not all(any(_same(points, detection) for detection in found) for points in expected)
        return found

    def _search(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        return self._detect(image, (0, 0, width, height), min(1.0, _SEARCHED / max(height, width)))

    def _look(
        self, image: NDArray[np.uint8], points: NDArray, others: Sequence[Detection]
    ) -> list[Detection]:
        """Look for one face where it should be."""
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        side = max(right - left, bottom - top)
        room = _AROUND * side
        height, width = image.shape[:2]
        window = (
            max(0, int(left - room)),
            max(0, int(top - room)),
            min(width, int(right + room) + 1),
            min(height, int(bottom + room) + 1),
        )
        if window[2] - window[0] < side / 2 or window[3] - window[1] < side / 2:
            return []  # it has left the frame
        found = self._detect(image, window, min(1.0, _FACE / side))
        new = [face for face in found if all(overlap(face.box, other.box) < 0.3 for other in others)]
        centre = points.mean(axis=0)
        nearest = min(new, key=lambda face: np.linalg.norm(face.landmarks.mean(0) - centre), default=None)
        return [] if nearest is None else [nearest]

    def _detect(
        self, image: NDArray[np.uint8], window: tuple[int, int, int, int], scale: float
    ) -> list[Detection]:
        """Faces in a window of the frame, looked at in another size."""
        left, top, right, bottom = window
        seen = image[top:bottom, left:right]
        size = (max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale)))
        if scale < 1:
            seen = np.asarray(Image.fromarray(seen).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        factors = np.array((right - left, bottom - top)) / (seen.shape[1], seen.shape[0])
        found = []
        for face in self.detector(np.ascontiguousarray(seen)):
            box = np.reshape(face.box, (2, 2)) * factors + (left, top)
            points = (face.landmarks + 0.5) * factors - 0.5 + (left, top)
            x0, y0, x1, y1 = box.ravel().tolist()
            found.append(replace(face, box=(x0, y0, x1, y1), landmarks=points.astype(np.float32)))
        return found


def _same(points: NDArray, detection: Detection) -> bool:
    """Whether a detection lies where a face is expected."""
    boxes = [(*p.min(axis=0).tolist(), *p.max(axis=0).tolist()) for p in (points, detection.landmarks)]
    return overlap(*boxes) > 0.3
