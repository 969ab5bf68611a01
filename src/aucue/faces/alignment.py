"""Photograph + landmarks -> square crop: templates, the similarity that fits best, and the warp."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image

from aucue.errors import InputError
from aucue.faces.landmarks import LEFT_MOUTH_CORNER, NOSE_TIP, RIGHT_MOUTH_CORNER, eye_centres

_BORDER = 3  # pixels around what the crop shows, for the support of bicubic interpolation
_LARGEST_ENLARGEMENT = 16  # keeps memory bounded where a face is a few pixels wide


@dataclass(frozen=True)
class Template:
    """Where a face's anchor points lie in the square crop, (x, y) as fractions of the crop's side.

    A fraction f is pixel f * size - 0.5: fractions count from the crop's edge, pixels from the centre of the
    first one. The nose tip is optional: it moves most when a head turns.
    """

    name: str
    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    left_mouth_corner: tuple[float, float]
    right_mouth_corner: tuple[float, float]
    nose_tip: tuple[float, float] | None = None

    def points(self, size: int) -> np.ndarray:
        """Anchor points (4 or 5, 2) in pixels of a crop of that size."""
        fractions = [self.left_eye, self.right_eye, self.left_mouth_corner, self.right_mouth_corner]
        if self.nose_tip is not None:
            fractions.append(self.nose_tip)
        return np.array(fractions) * size - 0.5

    def anchors(self, landmarks: np.ndarray) -> np.ndarray:
        """The same points (4 or 5, 2) of a face, from its landmarks (68, 2)."""
        points = np.asarray(landmarks, dtype=np.float64)
        indices = [LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER] + [NOSE_TIP] * (self.nose_tip is not None)
        return np.concatenate([eye_centres(points), points[indices]])

    def matrix(self, landmarks: np.ndarray, size: int) -> np.ndarray:
        """The similarity (2, 3) that brings a face with these landmarks into a crop of that size."""
        return similarity(self.anchors(landmarks), self.points(size))


def _arcface() -> Template:
    pixels = [(76.6, 103.4), (147.1, 103.0), (83.0, 185.0), (142.0, 184.0), (112.05, 143.47)]
    return Template("fg2024", *(((x + 0.5) / 224, (y + 0.5) / 224) for x, y in pixels))


TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "aucue": Template("aucue", (0.35, 0.37), (0.65, 0.37), (0.365, 0.69), (0.635, 0.69)),
        "fg2024": _arcface(),
    }
)
"""`aucue` (default) shows brows, cheeks and chin (also of an open mouth) with some air around.

`fg2024` is the tight frame of the published RAF-DB crops, which cuts the chin: the five points of ArcFace
(Deng et al. 2019) x 2 at 224 pixels.
"""


def similarity(src: np.ndarray, dst: np.ndarray) -> np.ndarray:
    """Least-squares similarity (rotation, one scale, translation; no reflection) from `src` to `dst`.

    With points as complex numbers, src_i -> a src_i + b, the optimum on the centred points is
    a = sum conj(s_i) d_i / sum |s_i|^2; in the plane this equals Umeyama (1991) without the reflection.

    Args:
        src: (n, 2), n >= 2, not all the same point.
        dst: (n, 2).

    Returns:
        (2, 3) float64 matrix M with dst ~ M[:, :2] @ src + M[:, 2].

    Raises:
        InputError: The shapes do not match, a value is not finite, or either set falls into one point.
    """
    source, target = np.asarray(src, dtype=np.float64), np.asarray(dst, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise InputError(
            f"A similarity needs two sets of n >= 2 points (n, 2), got {source.shape} and {target.shape}."
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise InputError("A similarity needs finite points.")
    s, d = source @ (1, 1j), target @ (1, 1j)
    s_mean, d_mean = s.mean(), d.mean()
    spread = np.sum(np.abs(s - s_mean) ** 2)
    a = np.vdot(s - s_mean, d - d_mean) / spread if spread > 0 else 0
    if abs(a) < 1e-9:
        raise InputError("The points fall together, so that no similarity maps one set to the other.")
    b = d_mean - a * s_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def rescaled(matrix: np.ndarray, scale: float) -> np.ndarray:
    """The same transform for a picture that is `scale` times as large.

    Args:
        matrix: (2, 3), pixels of the picture -> somewhere.
        scale: Pixels of the other picture per pixel of this one; pixel centres stay, not corners.

    Returns:
        (2, 3) float64, pixels of the other picture -> the same positions.
    """
    linear = matrix[:, :2]
    return np.column_stack([linear / scale, matrix[:, 2] + linear @ np.full(2, 0.5 / scale - 0.5)])


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply an affine map (2, 3) to points (..., 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine map (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def warp(image: np.ndarray | Image.Image, matrix: np.ndarray, size: int) -> np.ndarray:
    """Draw a square crop of a picture.

    Bicubic; antialiased where the picture shrinks; what lies outside the picture repeats its border.

    Args:
        image: (H, W, 3) uint8, or an RGB image.
        matrix: (2, 3) similarity from picture pixels to crop pixels.
        size: Side of the crop in pixels.

    Returns:
        (size, size, 3) uint8; what was at p in the picture is at `transform_points(matrix, p)`.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    to_picture = invert(matrix)
    window = _window(to_picture, size)
    left, top, right, bottom = _inside(window, image.size)
    region = image.crop((left, top, right, bottom))

    # The size is changed first, by Pillow's antialiased resize; its affine map, a sharp cubic with which an
    # enlarged edge comes out as stairs, is left with turning and shifting.
    shrink = max(_scale(to_picture), 1 / _LARGEST_ENLARGEMENT)
    resized = (max(1, round(region.width / shrink)), max(1, round(region.height / shrink)))
    factors = np.array(region.size) / resized
    region = region.resize(resized, Image.Resampling.BICUBIC, reducing_gap=3.0)

    before = np.ceil(((left, top) - np.array(window[:2])) / factors).clip(0).astype(int)
    after = np.ceil((np.array(window[2:]) - (right, bottom)) / factors).clip(0).astype(int)
    padding = (before[1], after[1]), (before[0], after[0]), (0, 0)
    region = Image.fromarray(np.pad(np.asarray(region), padding, mode="edge"))

    # Pillow counts from the corner of the first pixel, our points from its centre.
    origin = to_picture[:, 2] + 0.5 - to_picture[:, :2] @ (0.5, 0.5)
    coefficients = np.column_stack([to_picture[:, :2], origin - (left, top)]) / factors[:, None]
    coefficients[:, 2] += before
    affine = Image.Transform.AFFINE
    crop = region.transform((size, size), affine, coefficients.ravel().tolist(), Image.Resampling.BICUBIC)
    return np.array(crop)


def _scale(matrix: np.ndarray) -> float:
    """Factor by which an affine map enlarges lengths."""
    return math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def _window(to_picture: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) of the picture that a crop shows, with room for interpolation."""
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)]) - 0.5
    seen = transform_points(to_picture, corners) + 0.5
    room = _BORDER * max(1.0, _scale(to_picture))
    low, high = np.floor(seen.min(0) - room).astype(int), np.ceil(seen.max(0) + room).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _inside(window: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a box that lies on the picture; its nearest border pixels if none does."""
    width, height = size
    left, top = min(max(window[0], 0), width - 1), min(max(window[1], 0), height - 1)
    return left, top, max(min(window[2], width), left + 1), max(min(window[3], height), top + 1)
