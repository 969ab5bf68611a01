"""Photograph -> Faces: read, detect, align."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aucue.errors import InputError, printable
from aucue.faces.alignment import TEMPLATES, Template, invert, rescaled, transform_points, warp
from aucue.faces.detection import Detection, LandmarkDetector
from aucue.faces.detectors import open_detector
from aucue.faces.given_boxes import Boxes, GivenBoxes
from aucue.faces.landmarks import NUM_LANDMARKS, inter_ocular_distance
from aucue.faces.photographs import Photograph, read_image, read_reduced
from aucue.faces.pose import Pose

logger = logging.getLogger(__name__)

LARGEST_CROP = 2048
"""Largest side of a crop, in pixels: twice that of the largest input of a network."""

_PRESENT = 0.9  # less presence than this is doubtful


@dataclass(frozen=True, eq=False)
class Face:
    """An aligned face.

    Attributes:
        crop: (S, S, 3) uint8, RGB.
        landmarks: (68, 2) float32 in pixels of the crop; see `has_landmarks`.
        box: (left, top, right, bottom) in pixels of the upright photograph.
        score: The detector's confidence, NaN if it gives none (see `Detection`).
        how: How it was found, see `Detection`.
        matrix: (2, 3) float64, photograph pixels -> crop pixels.
        presence: Whether there is a face where the landmarks lie, in [0, 1]; NaN where that is not known.
        pose: How the head is turned in the photograph; None where that is not known.
    """

    crop: np.ndarray
    landmarks: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    how: str
    matrix: np.ndarray
    presence: float = math.nan
    pose: Pose | None = None

    @property
    def doubt(self) -> str:
        """Why landmarks and all that rests on them are not to be trusted; empty where nothing speaks
        against.
        """
        if self.presence < _PRESENT:
            return f"may be no face (presence {self.presence:.2f}), not trusted"
        return "" if self.pose is None else self.pose.doubt

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return self.crop.shape[0]

    @property
    def has_landmarks(self) -> bool:
        """Whether all 68 points are known."""
        return bool(np.isfinite(self.landmarks).all())

    @property
    def photo_landmarks(self) -> np.ndarray:
        """(68, 2) float32 in pixels of the upright photograph."""
        return transform_points(invert(self.matrix), self.landmarks).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, of the upright photograph; without the crop."""
        known = self.has_landmarks
        points = np.round(self.photo_landmarks.astype(float), 2).tolist() if known else None
        pose = self.pose and {name: round(angle, 1) for name, angle in self.pose._asdict().items()}
        return {
            "box": [float(value) for value in self.box],
            "score": float(self.score) if math.isfinite(self.score) else None,
            "how": self.how,
            "presence": float(self.presence) if math.isfinite(self.presence) else None,
            "pose": pose,
            "doubt": self.doubt,
            "has_landmarks": known,
            "landmarks": points,
            "photo_to_crop": self.matrix.tolist(),
            "crop_size": self.size,
        }

    def in_photograph(self, factor: int) -> "Face":
        """The same face, found in a picture that is smaller than the photograph by a factor."""
        left, top, right, bottom = (factor * value for value in self.box)
        return replace(self, box=(left, top, right, bottom), matrix=rescaled(self.matrix, factor))


class FaceReader:
    """Turns a photograph into aligned faces.

    Can be pickled into worker processes; a detector is loaded where it is first used.

    Args:
        detector: A name in `DETECTORS`, a table of landmarks, or any `LandmarkDetector`; default the mesh.
        size: Side of the crops in pixels.
        template: Where the face lies in the crop: a name in `TEMPLATES`, or a `Template`.
        boxes: Where faces lie that the detector does not find, drawn by hand: see `GivenBoxes`.

    Raises:
        InputError: Unknown detector or template, a size out of range, or a box that is none.
        MissingExtraError: The detector is dlib, and it is not installed.
    """

    def __init__(
        self,
        detector: str | LandmarkDetector | None = None,
        size: int = 224,
        template: str | Template = "aucue",
        *,
        boxes: Mapping[str, Boxes] | Boxes | None = None,
    ) -> None:
        if not 1 <= size <= LARGEST_CROP:
            raise InputError(f"The size of a face crop must be from 1 to {LARGEST_CROP} pixels, got {size}.")
        finds = open_detector(detector)
        self.detector = finds if boxes is None else GivenBoxes(boxes, finds)
        self.size = size
        self.template = _template(template)

    def __call__(self, photo: Photograph, key: str | None = None) -> list[Face]:
        """Read all faces of a photograph.

        Args:
            photo: Anything `read_image` takes.
            key: Name of the photograph for detectors that look it up; by default the path, if it is one.

        Returns:
            The faces, largest box first; an empty list if there is none.

        Raises:
            InputError: The photograph cannot be read.
        """
        if key is None and isinstance(photo, str | os.PathLike):
            key = os.fspath(photo)
        if not getattr(self.detector, "sees_pixels_alone", False):  # it may know the photograph's own pixels
            image = np.asarray(read_image(photo))
            return self.align_all(image, self.detector(image, key), key)
        picture, factor = read_reduced(photo)
        image = np.asarray(picture)
        faces = self.align_all(image, self.detector(image, key), key)
        return faces if factor == 1 else [face.in_photograph(factor) for face in faces]

    def align_all(
        self, image: np.ndarray, detections: Sequence[Detection], key: str | None = None
    ) -> list[Face]:
        """Crop detected faces.

        Args:
            image: (H, W, 3) uint8.
            detections: Faces in it; one that cannot be aligned is left out, and the log says why.
            key: Name of the picture for the log.

        Returns:
            The faces, largest box first.
        """
        size = (image.shape[1], image.shape[0])
        found = [detection for detection in detections if _usable(detection, size, key)]
        found.sort(key=lambda detection: detection.area, reverse=True)
        return [self.align(image, detection) for detection in found]

    def read_all(self, photos: Sequence[Photograph]) -> list[list[Face] | InputError]:
        """Read the faces of photographs; where one cannot be read, the reason stands in their place.

        Args:
            photos: Anything `read_image` takes.
        """
        return [self._faces_or_reason(photo) for photo in photos]

    def _faces_or_reason(self, photo: Photograph) -> list[Face] | InputError:
        try:
            return self(photo)
        except InputError as error:
            return error

    def align(self, image: np.ndarray, detection: Detection) -> Face:
        """Crop one detected face.

        Args:
            image: (H, W, 3) uint8.
            detection: A face in it with finite landmarks.
        """
        matrix = self.template.matrix(detection.landmarks, self.size)
        landmarks = transform_points(matrix, detection.landmarks).astype(np.float32)
        crop = warp(image, matrix, self.size)
        seen = detection.presence, detection.pose
        return Face(crop, landmarks, detection.box, detection.score, detection.how, matrix, *seen)


def _template(template: str | Template) -> Template:
    if isinstance(template, Template):
        return template
    if template not in TEMPLATES:
        raise InputError(f"Unknown template '{template}'; known: {', '.join(TEMPLATES)}.")
    return TEMPLATES[template]


def _usable(detection: Detection, size: tuple[int, int], key: str | None) -> bool:
    """Whether a face can be aligned; says in the log why not."""
    points = np.asarray(detection.landmarks)
    name = printable(key or "photograph")
    if points.shape != (NUM_LANDMARKS, 2) or not np.isfinite(points).all():
        reason = "its landmarks are incomplete"
    elif inter_ocular_distance(points) < 1.0:
        reason = "its eyes lie less than a pixel apart"
    elif np.mean(((points > -1) & (points < size)).all(axis=1)) < 0.5:
        reason = "most of its landmarks lie outside the picture"
    else:
        return True
    logger.warning("%s: a face (%s) is left out: %s", name, detection.how, reason)
    return False
