"""Drawing tools of the renderer: smooth curves, antialiased shapes, soft relief, and a picture to paint on.

Points given to these tools are image pixels, (0, 0) = centre of the top-left pixel, unless a name says otherwise.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLING = 4
"""Shapes are rasterised on a grid this much finer and averaged, which gives them smooth edges."""


@lru_cache(maxsize=256)
def _spline_weights(knots: int, samples: int, closed: bool) -> np.ndarray:
    """Weights (samples, knots) of the Catmull-Rom curve through uniformly spaced knots, end points included."""
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

    @property
    def where(self) -> tuple[slice, slice, slice]:
        """Index of the rectangle in a (3, H, W) picture."""
        return (slice(None), self.rows, self.columns)

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

    def paint(self, mask: Mask | None, colour: np.ndarray, opacity: float | np.ndarray = 1.0) -> None:
        """Lay a colour over the picture.

        Args:
            mask: where; None is everywhere.
            colour: (3,) or (3, h, w) planes over the mask's rectangle.
            opacity: scalar or (h, w) over the mask's rectangle.
        """
        if mask is None:
            target, cover = self.planes, opacity
        else:
            target, cover = self.planes[mask.where], mask.values * opacity
        if colour.ndim == 1:
            colour = colour.astype(np.float32)[:, None, None]
        target += (colour - target) * cover

    def mask(self, *shapes: np.ndarray, blur: float = 0.0, within: Mask | None = None) -> Mask | None:
        """Coverage of the union of polygons.

        Args:
            shapes: each (n, 2).
            blur: standard deviation of a Gaussian blur in pixels.
            within: another mask to intersect with.

        Returns:
            None if nothing of it lies in the picture.
        """
        frame = self._frame(np.concatenate(shapes), 3 * blur + 1)
        if frame is None:
            return None
        pen = _Pen(frame)
        for shape in shapes:
            pen.draw.polygon(pen.convert(shape), fill=255)
        return self._finish(pen, blur, within)

    def stroke(
        self, lines: list[np.ndarray], width: float, closed: bool = False, blur: float = 0.0, within: Mask | None = None
    ) -> Mask | None:
        """Coverage of polylines (n, 2) of one width in pixels; faint where thinner than the fine grid can show."""
        frame = self._frame(np.concatenate(lines), 3 * blur + width / 2 + 1)
        if frame is None:
            return None
        pen = _Pen(frame)
        fine = max(1, round(width * OVERSAMPLING))
        for line in lines:
            points = pen.convert(line)
            pen.draw.line(points + points[:2] if closed else points, fill=255, width=fine, joint="curve")
        mask = self._finish(pen, blur, within)
        return mask if mask is None else mask.times(min(1.0, width * OVERSAMPLING))

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
        fine = max(1, round(width * OVERSAMPLING))
        coordinates = pen.convert_many(lines)
        for points, level in zip(coordinates, (levels * 255).astype(int).tolist(), strict=True):
            pen.draw.line(points, fill=level, width=fine)
        return pen.coverage()

    def _frame(self, points: np.ndarray, margin: float) -> tuple[int, int, int, int] | None:
        """Rectangle (top, bottom, left, right) around points, clipped to the picture."""
        low = np.floor(points.min(axis=0) - margin).astype(int)
        high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        right, bottom = min(self.size, int(high[0])), min(self.size, int(high[1]))
        return None if left >= right or top >= bottom else (top, bottom, left, right)

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


class _Pen:
    """A grey picture on the fine grid over one rectangle."""

    def __init__(self, frame: tuple[int, int, int, int], ground: int = 0) -> None:
        top, bottom, left, right = self.frame = frame
        size = ((right - left) * OVERSAMPLING, (bottom - top) * OVERSAMPLING)
        self.image = Image.new("L", size, ground)
        self.draw = ImageDraw.Draw(self.image)
        # Pixel x covers [x - .5, x + .5): its centre lies between the fine pixels.
        self.offset = np.array([left, top]) - 0.5

    def convert_many(self, points: np.ndarray) -> list[list[float]]:
        fine = (points - self.offset) * OVERSAMPLING - 0.5
        return fine.reshape(len(fine), -1).tolist()

    def convert(self, points: np.ndarray) -> list[float]:
        return self.convert_many(points[None])[0]

    def coverage(self, blur: float = 0.0) -> np.ndarray:
        coarse = self.image.reduce(OVERSAMPLING)
        if blur > 0:
            coarse = coarse.filter(ImageFilter.GaussianBlur(blur))
        return np.asarray(coarse, np.float32) / 255


@dataclass
class Relief:
    """A sum of round Gaussians that gives the skin its bumps, creases, shadows and blushes.

    A stroke is a chain of such dots. Everything soft on a face is described this way, because the whole sum
    and its slopes are then four small matrix products, whatever the number of dots.
    """

    _dots: list[np.ndarray] = field(default_factory=list)

    def dot(
        self,
        points: np.ndarray,
        width: float | np.ndarray,
        height: float | np.ndarray = 0.0,
        shade: float | np.ndarray = 0.0,
        blush: float | np.ndarray = 0.0,
    ) -> None:
        """Add dots.

        Args:
            points: (n, 2) or (2,).
            width: standard deviation.
            height: of the bump in units of its width: about the steepest slope.
            shade: darkening; about the share of light that is lost.
            blush: redness, 1 = a strong blush.
        """
        points = np.atleast_2d(points)
        block = np.empty((len(points), 6))
        block[:, :2] = points
        for column, value in enumerate((width, height, shade, blush), start=2):
            block[:, column] = value
        self._dots.append(block)

    def stroke(
        self, knots: np.ndarray, width: float, height: float = 0.0, shade: float = 0.0, taper: bool = True
    ) -> None:
        """Add a soft line through knots (n, 2), fading towards both ends if tapered."""
        length = np.hypot(*np.diff(knots, axis=0).T).sum()
        count = int(np.clip(np.ceil(length / (0.9 * width)), 3, 40))
        # Neighbouring dots add up; this keeps a stroke as strong as a single dot.
        density = min(1.0, length / (count - 1) / width / 2.5066)
        profile = np.sin(np.linspace(0.12, 0.88, count) * np.pi) if taper else np.ones(count)
        self.dot(curve(knots, count), width, height * density * profile, shade * density * profile)

    def evaluate(self, size: int) -> "Surface":
        """Sum all dots over a picture of that size; points and widths in pixels."""
        x, y, width, height, shade, blush = np.concatenate(self._dots).astype(np.float32).T[:, :, None]
        width = np.maximum(width, 0.45)  # narrower than a pixel would flicker with the position
        axis = np.arange(size, dtype=np.float32)
        dx, dy = (axis - x) / width, (axis - y) / width
        gx, gy = np.exp(-0.5 * dx**2), np.exp(-0.5 * dy**2)
        return Surface(
            slope_x=gy.T @ (-height * dx * gx),
            slope_y=(-height * dy * gy).T @ gx,
            shade=gy.T @ (shade * gx),
            blush=gy.T @ (blush * gx),
        )


@dataclass(frozen=True)
class Surface:
    """What a relief does to each pixel; all (H, W) float32."""

    slope_x: np.ndarray
    slope_y: np.ndarray
    shade: np.ndarray
    blush: np.ndarray


def mix(first: np.ndarray, second: np.ndarray | float, share: float) -> np.ndarray:
    """Colour between two colours: share 0 is the first, 1 the second."""
    return first + (second - first) * share


class Ramp:
    """The colours of one material from deep shadow to bright light.

    Shadows of skin are redder than the skin itself (light travels inside it), lights take the lamp's colour.
    """

    STEPS = 512
    TOP = 1.7

    def __init__(self, colour: np.ndarray, warmth: float = 0.25, gloss: float = 0.55) -> None:
        level = np.linspace(0, self.TOP, self.STEPS)[:, None]
        exponent = 1.0 + warmth * np.array([-0.55, 0.35, 0.6])
        dark = colour * np.minimum(level, 1.0) ** exponent
        light = np.clip(level - 1, 0, None) * gloss
        self.table = (dark + (1 - dark) * np.minimum(light, 1.0) * np.array([1, 0.95, 0.87])).astype(np.float32)

    def __call__(self, light: np.ndarray) -> np.ndarray:
        """Colours (3, h, w) for amounts of light (h, w); 1 shows the material's own colour."""
        index = np.clip(light * (self.STEPS / self.TOP), 0, self.STEPS - 1).astype(np.intp)
        return self.table[index].transpose(2, 0, 1)
