"""What every landmark detector does: a picture in, detections out."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aucue.faces.pose import Pose


@dataclass(frozen=True, eq=False)
class Detection:
    """One face in a picture.

    Attributes:
        box: (left, top, right, bottom) in pixels of the picture; may reach beyond it.
        score: The detector's own confidence, larger is surer, not a probability; NaN if there is none.
        landmarks: (68, 2) float32, iBUG-68, pixels of the picture.
        how: "plain" (found as it is), "tile" (found in a part of the picture), "padded" (found after the
            picture was given a border), "turned" (found after it was turned by a quarter or a half), "given
            box" (the box was drawn by somebody), "full-frame" (not found: the whole picture was taken as the
            box) or "precomputed" (read from a table).
        presence: Whether there is a face where the landmarks lie, in [0, 1]; NaN where the detector cannot
            tell.
        pose: How the head is turned; None where it is not known.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray
    how: str
    presence: float = math.nan
    pose: Pose | None = None

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return _area(*self.box)


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom), in [0, 1]."""
    both = _area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    either = _area(*a) + _area(*b) - both
    return both / either if either > 0 else 0.0


def _area(left: float, top: float, right: float, bottom: float) -> float:
    return max(right - left, 0.0) * max(bottom - top, 0.0)


class LandmarkDetector(Protocol):
    """Finds faces and their landmarks.

    One that never looks a picture up, so that a very large photograph may be reduced before it is searched,
    says so with an attribute `sees_pixels_alone = True`.
    """

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        """Detect.

        Args:
            image: (H, W, 3) uint8, RGB, upright.
            key: Name of the picture (path, relative to the data set's root), for detectors that look it up.

        Returns:
            Any number of faces, in any order; none is an empty list.
        """
        ...
