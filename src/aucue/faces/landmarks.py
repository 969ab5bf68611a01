"""The iBUG-68 landmark scheme: which index is what, the mirror, and checks.

Landmarks are arrays (68, 2) of (x, y) = (column, row) in pixels; (0, 0) is the centre of the top-left pixel.
"Left" is the left of the picture throughout, so the left eye is 36-41.
"""

import numpy as np
from numpy.typing import ArrayLike

from aucue.errors import InputError

NUM_LANDMARKS = 68

JAW = slice(0, 17)
LEFT_BROW = slice(17, 22)
RIGHT_BROW = slice(22, 27)
BROWS = slice(17, 27)
NOSE_BRIDGE = slice(27, 31)
NOSTRILS = slice(31, 36)
NOSE = slice(27, 36)
LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
EYES = slice(36, 48)
OUTER_LIP = slice(48, 60)
INNER_LIP = slice(60, 68)
MOUTH = slice(48, 68)

CHIN = 8
NOSE_TIP = 30
LEFT_MOUTH_CORNER = 48
RIGHT_MOUTH_CORNER = 54


def _mirror() -> np.ndarray:
    """Index of each landmark's partner on the other half of the face."""
    parts = (
        range(16, -1, -1),
        range(26, 16, -1),
        range(27, 31),
        range(35, 30, -1),
        (45, 44, 43, 42, 47, 46),
        (39, 38, 37, 36, 41, 40),
        range(54, 47, -1),
        range(59, 54, -1),
        range(64, 59, -1),
        range(67, 64, -1),
    )
    mirror = np.array([index for part in parts for index in part])
    mirror.setflags(write=False)
    return mirror


MIRROR = _mirror()
"""(68,) left-right index swap: `landmarks[MIRROR]` after `x -> width - 1 - x` is again in iBUG order."""

LEFT_HALF = frozenset((*range(8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 58, 59, 60, 61, 67))
"""Landmarks of the picture's left half; the others are their partners, or lie on the midline."""


def check_landmarks(landmarks: ArrayLike, where: str = "landmarks") -> np.ndarray:
    """Return the landmarks as float32 (68, 2), or say what is wrong with them.

    Args:
        landmarks: (68, 2), x = column, y = row, pixels.
        where: What they belong to (file, row, face); the message begins with it.

    Raises:
        InputError: Not 68 x 2 numbers, or a coordinate is missing (NaN) or infinite.
    """
    try:
        points = np.asarray(landmarks, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{where}: landmarks must be a 68 x 2 array of numbers.") from None
    if points.shape != (NUM_LANDMARKS, 2):
        raise InputError(f"{where}: expected 68 landmarks as an array (68, 2), got shape {points.shape}.")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError(
            f"{where}: landmark {bad[0]} is not finite ({len(bad)} of 68 are missing or infinite)."
        )
    return points


def eye_centres(landmarks: ArrayLike) -> np.ndarray:
    """Centres of the left and the right eye (in the picture), each the mean of the eye's six points.

    Args:
        landmarks: (..., 68, 2).

    Returns:
        (..., 2 eyes, 2).
    """
    points = np.asarray(landmarks)
    return np.stack([points[..., LEFT_EYE, :].mean(-2), points[..., RIGHT_EYE, :].mean(-2)], axis=-2)


def inter_ocular_distance(landmarks: ArrayLike) -> np.ndarray:
    """Distance between the eye centres in pixels, (...) for landmarks (..., 68, 2)."""
    left, right = np.moveaxis(eye_centres(landmarks), -2, 0)
    return np.linalg.norm(right - left, axis=-1)
