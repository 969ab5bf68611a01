"""What landmarks tell of action units: distances that grow when a unit moves the face."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aucue.faces.landmarks import LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER, eye_centres, inter_ocular_distance

_INNER_BROWS, _OUTER_BROWS = ([20, 21], [22, 23]), ([17, 18, 19], [24, 25, 26])
_BROWS = ([17, 18, 19, 20, 21], [22, 23, 24, 25, 26])
_EYE_CORNERS = ([36, 39], [42, 45])
_UPPER_LIDS, _LOWER_LIDS = [37, 38, 43, 44], [41, 40, 47, 46]
_UPPER_LIP, _LOWER_LIP = [61, 62, 63], [67, 66, 65]
_UPPER_LIP_MIDDLE = 62


def unit_distances(landmarks: ArrayLike) -> Mapping[int, NDArray[np.float64]]:
    """How much landmarks show of each action unit that moves them, compared with other faces.

    In units of the distance between the eyes, down the face, square to the line through the eyes, so that
    place, size and roll of the face do not matter:

    - brows above the corners of their eyes: inner ends AU1, outer ends AU2, the whole of them negative AU4;
    - upper above lower lids: AU5, negative AU7 and AU43;
    - inner edge of the upper above that of the lower lip: AU25, AU26, AU27;
    - distance of the corners of the mouth: AU20;
    - their height above the middle of the upper lip: negative AU15; with their distance: AU12.

    A face at rest has any of these values, since people differ: they say something beside other faces.

    Args:
        landmarks: (..., 68, 2) in iBUG order.

    Returns:
        By the number of the unit, (...); NaN where landmarks are NaN.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    eyes, unit = eye_centres(points), inter_ocular_distance(points)[..., None]
    along = (eyes[..., 1, :] - eyes[..., 0, :]) / unit
    x = (points * along[..., None, :]).sum(-1) / unit
    y = (points[..., 1] * along[..., None, 0] - points[..., 0] * along[..., None, 1]) / unit

    def above(upper: list[int], lower: list[int]) -> NDArray[np.float64]:
        return y[..., lower].mean(-1) - y[..., upper].mean(-1)

    def brows(parts: tuple[list[int], list[int]]) -> NDArray[np.float64]:
        sides = [above(part, eye) for part, eye in zip(parts, _EYE_CORNERS, strict=True)]
        return (sides[0] + sides[1]) / 2

    lids, lips = above(_UPPER_LIDS, _LOWER_LIDS), above(_UPPER_LIP, _LOWER_LIP)
    width = x[..., RIGHT_MOUTH_CORNER] - x[..., LEFT_MOUTH_CORNER]
    corners = above([LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER], [_UPPER_LIP_MIDDLE])
    return {
        1: brows(_INNER_BROWS),
        2: brows(_OUTER_BROWS),
        4: -brows(_BROWS),
        5: lids,
        7: -lids,
        12: width + corners,
        15: -corners,
        20: width,
        25: lips,
        26: lips,
        27: lips,
        43: -lids,
    }
