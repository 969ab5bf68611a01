"""How a head is turned, from the points of its mesh."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ACROSS = ((33, 263), (234, 454), (61, 291))  # from the picture's left to its right: eyes, ears, mouth
_DOWN = (10, 152)  # forehead, chin
_LEANING = 1.5  # degrees by which that line leans where a face looks straight ahead

PROFILE = 45.0
"""Degrees of yaw beyond which half of a face is hidden, and its landmarks are guesses."""

STEEP = 40.0
"""The same for pitch."""


class Pose(NamedTuple):
    """Angles in degrees.

    Attributes:
        roll: Towards a shoulder; positive turns the face clockwise in the picture.
        yaw: Positive where the face looks to the picture's right.
        pitch: Positive where it looks down.
    """

    roll: float
    yaw: float
    pitch: float

    @property
    def doubt(self) -> str:
        """Why landmarks of a head in this pose are not to be trusted; empty where they are."""
        if abs(self.yaw) > PROFILE:
            return f"turned to profile (yaw {self.yaw:.0f} degrees), not trusted"
        if abs(self.pitch) > STEEP:
            where = "above" if self.pitch > 0 else "below"
            return f"seen from {where} (pitch {self.pitch:.0f} degrees), not trusted"
        return ""


def pose_of(points: NDArray) -> Pose:
    """The pose of a mesh (468, 3), z in the unit of x and y, less is nearer."""
    across = _unit(np.sum([_unit(points[right] - points[left]) for left, right in _ACROSS], axis=0))
    down = points[_DOWN[1]] - points[_DOWN[0]]
    down = _unit(down - (down @ across) * across)
    roll, yaw = np.arctan2(across[1], across[0]), np.arctan2(across[2], np.hypot(across[0], across[1]))
    level = np.array([-np.sin(roll), np.cos(roll), 0])
    pitch = np.arctan2(down[2], down @ level)
    roll, yaw, pitch = np.degrees([roll, yaw, pitch]).tolist()
    return Pose(roll, yaw, pitch - _LEANING)


def _unit(vector: NDArray) -> NDArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
