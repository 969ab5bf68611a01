"""Drawing tools of the renderer: smooth curves, antialiased shapes, soft relief, and a picture to paint on.

Points are image pixels, (0, 0) = centre of the top-left pixel.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Polygons = Sequence[np.ndarray] | np.ndarray
"""Polylines or polygons: a list of (n, 2) arrays or one (k, n, 2) array."""

OVERSAMPLING = 3
"""Shapes are rasterised on a grid this much finer and averaged, which gives them smooth edges."""


@lru_cache(maxsize=256)
def _spline_weights(knots: int, samples: int, closed: bool) -> np.ndarray:
    """Weights (samples, knots) of a Catmull-Rom curve through evenly spaced knots."""
    last = knots if closed else knots - 1
    position = np.linspace(0, last, samples, endpoint=not closed)
    segment = np.minimum(position.astype(int), last - 1)
    t = position - segment
    cubic = np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    weights = np.zeros((samples, knots))
    for offset in range(4):
        index = segment + offset - 1
        # An open curve continues straight beyond its ends: ghost knot = 2 * end - neighbour.
        if closed:
            np.add.at(weights, (np.arange(samples), index % knots), cubic[:, offset] / 2)
            continue
        inside = np.clip(index, 0, knots - 1)
        reflected = np.clip(2 * inside - index, 0, knots - 1)
        outside = index != inside
        np.add.at(weights, (np.arange(samples), inside), np.where(outside, 2, 1) * cubic[:, offset] / 2)
        np.add.at(weights, (np.arange(samples), reflected), np.where(outside, -1, 0) * cubic[:, offset] / 2)
    return weights


def curve(knots: np.ndarray, samples: int = 24, closed: bool = False) -> np.ndarray:
    """Smooth curve through its knots (Catmull-Rom).

    Args:
        knots: (..., n, 2), n >= 2.
        samples: points on the curve; the first and last are knots if the curve is open.
        closed: join the last knot to the first.

    Returns:
        (..., samples, 2).
    """
    return _spline_weights(knots.shape[-2], samples, closed) @ knots


@dataclass(frozen=True)
class Mask:
    """Coverage in [0, 1] of a rectangle of the picture."""

    rows: slice
    columns: slice
    values: np.ndarray
    """(h, w) float32."""

    def crop(self, plane: np.ndarray) -> np.ndarray:
        """The rectangle of an (..., H, W) array."""
        return plane[..., self.rows, self.columns]

    def times(self, factor: np.ndarray | float) -> "Mask":
        """This coverage times a factor (scalar or (h, w))."""
        return Mask(self.rows, self.columns, self.values * factor)


class Canvas:
    """A square RGB picture, float32 planes (3, size, size) in [0, 1], painted back to front."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.planes = np.zeros((3, size, size), np.float32)

    def paint(self, mask: Mask, colour: np.ndarray, opacity: float | np.ndarray = 1.0) -> None:
        """Lay a colour over the picture.

        Args:
            mask: where.
            colour: (3,) or (3, h, w) planes over the mask's rectangle.
            opacity: scalar or (h, w) over the mask's rectangle.
        """
        target = self.planes[:, mask.rows, mask.columns]
        if colour.ndim == 1:
            colour = colour[:, None, None]
        target += (colour.astype(np.float32, copy=False) - target) * (mask.values * opacity)

    def mask(
        self,
        shapes: Polygons,
        blur: float = 0.0,
        within: Mask | None = None,
        fringe: Polygons = (),
        fringe_width: float = 0.0,
    ) -> Mask:
        """Coverage of the union of polygons.

        Args:
            shapes: (n, 2) each.
            fringe: polylines (n, 2) that are covered as well, such as hairs that stand off.
            fringe_width: of those, in pixels.
            blur: standard deviation of a Gaussian blur in pixels.
            within: another mask to intersect with.
        """
        pen = _Pen(self._frame([*shapes, *fringe] if len(fringe) else shapes, 3 * blur + 1))
        for points in pen.convert(shapes):
            pen.draw.polygon(points, fill=255)
        for points in pen.convert(fringe):
            pen.draw.line(points, fill=255, width=_fine_width(fringe_width))
        return self._finish(pen, blur, within)

    def stroke(
        self,
        lines: Polygons,
        width: float,
        blur: float = 0.0,
        closed: bool = False,
        within: Mask | None = None,
    ) -> Mask:
        """Coverage of polylines (n, 2) of one width in pixels; faint if thinner than the fine grid."""
        pen = _Pen(self._frame(lines, 3 * blur + width / 2 + 1))
        fine = _fine_width(width)
        for points in pen.convert(lines):
            pen.draw.line(
                points + points[:4] if closed else points,
                fill=255,
                width=fine,
                joint="curve" if fine > 2 else None,
            )
        mask = self._finish(pen, blur, within)
        return mask.times(min(1.0, width * OVERSAMPLING / fine))

    def strands(self, lines: np.ndarray, width: float, levels: np.ndarray, area: Mask) -> np.ndarray:
        """Draw hairs of various grey levels over a rectangle.

        Args:
            lines: (n, m, 2).
            width: in pixels.
            levels: (n,) in [0, 1].
            area: whose rectangle is drawn on.

        Returns:
            (h, w) float32 in [0, 1]; .5 where no hair is.
        """
        pen = _Pen((area.rows.start, area.rows.stop, area.columns.start, area.columns.stop), ground=128)
        fine = _fine_width(width)
        for points, level in zip(pen.convert(lines), (levels * 255).astype(int).tolist(), strict=True):
            pen.draw.line(points, fill=level, width=fine)
        return pen.coverage()

    def _frame(self, shapes: Polygons, margin: float) -> tuple[int, int, int, int]:
        """Rectangle (top, bottom, left, right) around points; at least one pixel, inside the picture."""
        points = shapes.reshape(-1, 2) if isinstance(shapes, np.ndarray) else np.concatenate(shapes)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        low = [min(max(0, math.floor(edge - margin)), self.size - 1) for edge in (top, left)]
        high = [max(min(self.size, math.ceil(edge + margin) + 1), 1) for edge in (bottom, right)]
        return low[0], max(high[0], low[0] + 1), low[1], max(high[1], low[1] + 1)

    def _finish(self, pen: "_Pen", blur: float, within: Mask | None) -> Mask:
        values = pen.coverage(blur)
        top, bottom, left, right = pen.frame
        if within is not None:
            values = values * _align(within, pen.frame)
        return Mask(slice(top, bottom), slice(left, right), values)

    def finished(self) -> np.ndarray:
        """(size, size, 3) uint8."""
        levels = np.clip(self.planes * 255 + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _align(mask: Mask, frame: tuple[int, int, int, int]) -> np.ndarray:
    """A mask's values over another rectangle, zero outside its own."""
    top, bottom, left, right = frame
    values = np.zeros((bottom - top, right - left), np.float32)
    y0, y1 = max(top, mask.rows.start), min(bottom, mask.rows.stop)
    x0, x1 = max(left, mask.columns.start), min(right, mask.columns.stop)
    if y0 < y1 and x0 < x1:
        own = mask.values[
            y0 - mask.rows.start : y1 - mask.rows.start, x0 - mask.columns.start : x1 - mask.columns.start
        ]
        values[y0 - top : y1 - top, x0 - left : x1 - left] = own
    return values


def _fine_width(width: float) -> int:
    """Pixels to an odd number of fine pixels: lines of even width lie to one side of their path."""
    return max(1, 2 * round((width * OVERSAMPLING - 1) / 2) + 1)


class _Pen:
    """A grey picture on the fine grid over one rectangle."""

    def __init__(self, frame: tuple[int, int, int, int], ground: int = 0) -> None:
        top, bottom, left, right = self.frame = frame
        size = ((right - left) * OVERSAMPLING, (bottom - top) * OVERSAMPLING)
        self.image = Image.new("L", size, ground)
        self.draw = ImageDraw.Draw(self.image)
        # Pixel x covers [x - .5, x + .5), fine pixel i of it the i-th part; Pillow drops the decimals.
        self.offset = np.array([left, top]) - 0.5

    def convert(self, shapes: Polygons) -> list[list[float]]:
        """Polylines as flat lists of fine coordinates."""
        if isinstance(shapes, np.ndarray):
            fine = (shapes - self.offset) * OVERSAMPLING
            return fine.reshape(len(fine), -1).tolist()
        return [((shape - self.offset) * OVERSAMPLING).ravel().tolist() for shape in shapes]

    def coverage(self, blur: float = 0.0) -> np.ndarray:
        coarse = self.image.reduce(OVERSAMPLING)
        if blur > 0:
            coarse = coarse.filter(ImageFilter.GaussianBlur(blur))
        return np.asarray(coarse, np.float32) / 255


def vector(x: float, y: float) -> np.ndarray:
    """A displacement in the plane, (2,)."""
    return np.array((x, y))


def mix(first: np.ndarray, second: np.ndarray | float, share: float) -> np.ndarray:
    """Colour between two colours: share 0 is the first, 1 the second."""
    return first + (second - first) * share


class Ramp:
    """The colours of one material from deep shadow to bright light.

    Shadows of skin are redder than the skin itself (light travels inside it), lights take the lamp's colour.
    """

    STEPS = 256
    TOP = 1.7

    def __init__(self, colour: np.ndarray, warmth: float = 0.25, gloss: float = 0.55) -> None:
        level = np.linspace(0, self.TOP, self.STEPS)[:, None]
        exponent = 1.0 + warmth * np.array([-0.55, 0.35, 0.6])
        dark = colour * np.minimum(level, 1.0) ** exponent
        light = np.clip(level - 1, 0, None) * gloss
        table = dark + (1 - dark) * np.minimum(light, 1.0) * np.array([1, 0.95, 0.87])
        self.table = np.ascontiguousarray(table.T, np.float32)

    def __call__(self, light: np.ndarray) -> np.ndarray:
        """Colours (3, h, w) for amounts of light (h, w); 1 shows the material's own colour."""
        index = np.clip(light * (self.STEPS / self.TOP), 0, self.STEPS - 1).astype(np.intp)
        return self.table.take(index, axis=1)
