"""Soft relief: bumps, creases, shadows and blushes as one sum of Gaussians."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aucue.rendering.canvas import curve
from aucue.rendering.geometry import Camera


@dataclass(frozen=True)
class Surface:
    """What a relief does to each pixel; all (H, W) float32."""

    slope_x: np.ndarray
    slope_y: np.ndarray
    shade: np.ndarray
    blush: np.ndarray


class Relief:
    """A sum of round Gaussians that gives the skin its bumps, creases, shadows and blushes.

    A stroke is a chain of such dots. Everything soft on a face is described this way, because the whole
    sum and its slopes are then two small matrix products, whatever the number of dots. Points and widths are
    in head coordinates.
    """

    def __init__(self) -> None:
        self._dots: list[tuple[float, ...]] = []
        self._strokes: dict[int, list[tuple[np.ndarray, float, float, float]]] = {}

    def dot(
        self, x: float, y: float, width: float, height: float = 0.0, shade: float = 0.0, blush: float = 0.0
    ) -> None:
        """Add a dot.

        Args:
            x: of its centre.
            y: of its centre.
            width: standard deviation.
            height: of the bump in units of its width: about the steepest slope.
            shade: darkening; about the share of light that is lost.
            blush: redness, 1 = a strong blush.
        """
        self._dots.append((x, y, width, height, shade, blush))

    def stroke(self, knots: np.ndarray, width: float, height: float = 0.0, shade: float = 0.0) -> None:
        """Add a soft line through knots (n, 2) that fades towards both ends."""
        self._strokes.setdefault(len(knots), []).append((knots, width, height, shade))

    def evaluate(self, camera: Camera, size: int) -> Surface:
        """Sum all dots over a picture.

        Args:
            camera: takes head coordinates to pixels.
            size: side of the picture.
        """
        dots = np.concatenate([np.array(self._dots), *self._chains()])
        position = camera.pixels(dots[:, :2]).astype(np.float32)
        width, height, shade, blush = dots.astype(np.float32).T[2:, :, None]
        # A narrower dot would flicker between pixels.
        width = np.maximum(width * np.float32(camera.scale), 0.45)
        axis = np.arange(size, dtype=np.float32)
        dx, dy = (axis - position[:, :1]) / width, (axis - position[:, 1:]) / width
        gx, gy = np.exp(-0.5 * dx**2), np.exp(-0.5 * dy**2)
        columns = np.concatenate([-height * dx * gx, shade * gx, blush * gx], axis=1)
        slope_x, dark, red = np.split(gy.T @ columns, 3, axis=1)
        return Surface(slope_x=slope_x, slope_y=(-height * dy * gy).T @ gx, shade=dark, blush=red)

    def _chains(self) -> list[np.ndarray]:
        """All strokes as dots, (n, 6) each; strokes alike in knots and length are made together."""
        chains = []
        for strokes in self._strokes.values():
            knots = np.stack([stroke[0] for stroke in strokes])
            look = np.array([stroke[1:] for stroke in strokes])
            steps = np.diff(knots, axis=1)
            length = np.sqrt((steps**2).sum(axis=2)).sum(axis=1)
            counts = 4 * np.ceil(np.clip(length / (2.0 * look[:, 0]), 4, 32) / 4).astype(int)
            for count in np.unique(counts):
                rows = counts == count
                chains.append(_chain(knots[rows], look[rows], length[rows], int(count)))
        return chains


@lru_cache
def _taper(count: int) -> np.ndarray:
    """Strength along a stroke: (count,), fading towards both ends."""
    return np.sin(np.linspace(0.12, 0.88, count) * np.pi)


def _chain(knots: np.ndarray, look: np.ndarray, length: np.ndarray, count: int) -> np.ndarray:
    width, height, shade = look.T
    # Neighbouring dots add up; this keeps a stroke as strong as a single dot.
    density = np.minimum(1.0, length / (count - 1) / width / 2.5066)
    profile = _taper(count) * density[:, None]
    dots = np.zeros((len(knots), count, 6))
    dots[..., :2] = curve(knots, count)
    dots[..., 2] = width[:, None]
    dots[..., 3] = height[:, None] * profile
    dots[..., 4] = shade[:, None] * profile
    return dots.reshape(-1, 6)
