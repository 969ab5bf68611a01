"""One sample's picture -> the crop that is stored, whatever is known of where its face lies."""

import math
from dataclasses import replace
from functools import cached_property

import numpy as np
from PIL import Image

from aucue.data.sources.source import Sample
from aucue.errors import InputError
from aucue.faces import (
    NUM_LANDMARKS,
    Detection,
    Face,
    FaceReader,
    LandmarkDetector,
    Template,
    check_landmarks,
    no_detector,
    overlap,
    transform_points,
)

NO_FACE = ("no face", "bad landmarks", "bad box")
"""What may be amiss with a picture that can be read."""

WIDENED = 0.15
"""Share of its width and height that a box grows by on each side, where the box is all that is known."""

_Box = tuple[float, float, float, float]


class FaceCropper:
    """Aligns the face that a sample means.

    Landmarks of the sample's own come first; otherwise the detector looks for them, and of several faces the
    one that overlaps the sample's box most counts, or the largest. Without any, the crop is the widened box,
    or else the centre square of the picture. A picture that is an aligned crop already is only resized.

    Args:
        detector: A name in `aucue.faces.DETECTORS`, or a detector; made when it is first needed.
        size: Side of the crops in pixels.
        template: Where the face lies in the crop.
    """

    def __init__(self, detector: str | LandmarkDetector, size: int, template: Template) -> None:
        self.detector, self.size, self.template = detector, size, template

    def __call__(self, sample: Sample, picture: Image.Image) -> tuple[Face, tuple[str, str] | None]:
        """Crop the face of one sample.

        Args:
            sample: Whose landmarks, box and kind of picture count.
            picture: Its picture, RGB and upright.

        Returns:
            The face, and if anything is amiss, a kind of `NO_FACE` and the reason. Without landmarks the crop
            is what is most likely to show the face, and its landmarks are NaN.
        """
        image = np.asarray(picture)
        box, trouble = sample.box, None
        if box is not None and not _usable(box, picture.size):
            box, trouble = None, ("bad box", f"most of the box {box} lies outside the picture {picture.size}")
        if sample.landmarks is None:
            face = _choose(self._reader(picture, key=sample.key), box)
            trouble = trouble or (None if face else ("no face", "no face found"))
        else:
            try:
                face, trouble = self._aligned(image, sample.landmarks), None
            except InputError as error:
                face, trouble = None, ("bad landmarks", str(error))
        if sample.aligned:
            return self._resized(image, face), trouble
        return face or self._guess(image, box), trouble

    def _aligned(self, image: np.ndarray, landmarks: np.ndarray) -> Face:
        points = check_landmarks(landmarks, "landmarks")
        height, width = image.shape[:2]
        inside = ((points >= -0.5) & (points <= (width - 0.5, height - 0.5))).all(axis=1)
        if inside.sum() < NUM_LANDMARKS / 2:
            raise InputError(
                f"{NUM_LANDMARKS - inside.sum()} of {NUM_LANDMARKS} landmarks lie outside the picture "
                f"({width} x {height})."
            )
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        box = (left, top, right, bottom)
        return self._aligner.align(image, Detection(box, float("nan"), points, "precomputed"))

    def _resized(self, image: np.ndarray, face: Face | None) -> Face:
        """A whole picture, which is an aligned crop already, with the landmarks of the face in it."""
        height, width = image.shape[:2]
        whole = self._stretched(image, (0, 0, width, height), "none")
        if face is None:
            return whole
        landmarks = transform_points(whole.matrix, face.photo_landmarks).astype(np.float32)
        return replace(face, crop=whole.crop, landmarks=landmarks, matrix=whole.matrix)

    def _guess(self, image: np.ndarray, box: _Box | None) -> Face:
        """The widened box, or the centre square of the picture, as a face whose landmarks are not known."""
        if box is not None:
            left, top, right, bottom = box
            dx, dy = WIDENED * (right - left), WIDENED * (bottom - top)
            return self._stretched(image, (left - dx, top - dy, right + dx, bottom + dy), "box")
        height, width = image.shape[:2]
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        return self._stretched(image, (left, top, left + side, top + side), "none")

    def _stretched(self, image: np.ndarray, box: _Box, how: str) -> Face:
        """A box of a picture, stretched to the crop; what lies outside the picture repeats its border."""
        left, top, right, bottom = box
        columns, rows = (np.arange(math.floor(a), math.ceil(b)) for a, b in ((left, right), (top, bottom)))
        height, width = image.shape[:2]
        region = Image.fromarray(image[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)])
        inner = (left - columns[0], top - rows[0], right - columns[0], bottom - rows[0])
        crop = region.resize((self.size, self.size), Image.Resampling.BICUBIC, inner)
        x, y = self.size / (right - left), self.size / (bottom - top)
        matrix = np.array([[x, 0, (0.5 - left) * x - 0.5], [0, y, (0.5 - top) * y - 0.5]])
        landmarks = np.full((NUM_LANDMARKS, 2), np.nan, np.float32)
        return Face(np.asarray(crop), landmarks, box, float("nan"), how, matrix)

    @cached_property
    def _reader(self) -> FaceReader:
        # Made when it is first needed: a source with landmarks of its own does not need it installed.
        return FaceReader(self.detector, self.size, self.template)

    @cached_property
    def _aligner(self) -> FaceReader:
        return FaceReader(no_detector, self.size, self.template)


def _choose(faces: list[Face], box: _Box | None) -> Face | None:
    """The largest face; with a box, the one that overlaps it most, if any does."""
    if box is not None:
        faces = sorted(
            (face for face in faces if overlap(face.box, box) > 0), key=lambda face: -overlap(face.box, box)
        )
    return faces[0] if faces else None


def _usable(box: _Box, size: tuple[int, int]) -> bool:
    """Whether a box is one, and at least half of it lies in a picture of that size (width, height)."""
    left, top, right, bottom = box
    if not (np.isfinite(box).all() and left < right and top < bottom):
        return False
    width, height = (min(b, end) - max(a, 0) for a, b, end in zip(box[:2], box[2:], size, strict=True))
    return max(width, 0) * max(height, 0) >= (right - left) * (bottom - top) / 2
