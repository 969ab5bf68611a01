"""What all painters share: the canvas, the camera, the light, and the face to paint."""

from functools import cached_property

import numpy as np

from aucue.rendering.canvas import Canvas
from aucue.rendering.geometry import Geometry
from aucue.rendering.parameters import FaceParameters

_SIDES = np.array([[[-1.0, 1.0]], [[1.0, 1.0]]])


class Scene:
    """A face in front of a canvas under a lamp."""

    def __init__(self, face: FaceParameters, size: int) -> None:
        self.face = face
        self.identity = face.identity
        self.view = face.view
        self.geometry = Geometry(face, size)
        self.moves = self.geometry.moves
        self.camera = self.geometry.camera
        self.canvas = Canvas(size)
        self.unit = self.camera.scale
        """Pixels per inter-ocular distance."""

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Head coordinates (..., 2) to pixels."""
        return self.camera.pixels(points)

    def sides(self, points: np.ndarray) -> np.ndarray:
        """Lateral coordinates (2, n, 2), or (n, 2) for both halves alike, to pixels (2, n, 2)."""
        return self.camera.pixels(points * _SIDES)

    def rng(self, purpose: int) -> np.random.Generator:
        """Chance that belongs to the person: the same for each of the person's pictures."""
        return np.random.default_rng([self.identity.seed, purpose])

    @cached_property
    def image_light(self) -> np.ndarray:
        """Unit vector (x, y, z) towards the lamp in image axes."""
        direction = np.array([*self.view.light, 1.0])
        return direction / np.linalg.norm(direction)

    @cached_property
    def light(self) -> np.ndarray:
        """Unit vector towards the lamp in the head's axes."""
        angle = np.radians(self.view.roll)
        x, y, z = self.image_light
        return np.array([np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, z])

    def lambert(self, nx: np.ndarray | float, ny: np.ndarray | float) -> np.ndarray:
        """Light on a surface with normal (nx, ny, 1) in head axes; 1 where it faces the viewer."""
        x, y, z = (float(c) for c in self.light)
        cosine = np.maximum(nx * x + ny * y + z, 0) / np.sqrt(nx**2 + ny**2 + 1)
        ambient = self.view.ambient
        return ambient + (1 - ambient) / z * cosine
