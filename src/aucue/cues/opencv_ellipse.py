"""The pixels that OpenCV fills for `cv2.ellipse(..., angle=0, thickness=-1)`, as a table.

The published code fills its ellipses with OpenCV, whose shapes are polygons of a few degrees per side in
16-bit fixed point: an outline drawn line by line, and a scan-line fill between its left and right chain. Both
are followed here to the pixel, for all pairs of semi-axes at once. The centre is a whole pixel, so that a
shape depends on its semi-axes alone, and every row of it is one run of pixels.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LONGEST_AXIS = 127
"""Longest semi-axis in the table, in pixels."""

_Whole = NDArray[np.int64]

_ONE = 1 << 16  # one pixel in OpenCV's fixed point
_HALF = _ONE >> 1


@lru_cache(maxsize=1)
def filled_rows() -> Tensor:
    """Return the first and last filled column of every row of every ellipse, relative to its centre.

    Returns:
        (128, 128, 255, 2) int8: [a, b, 127 + row] for the semi-axes a (horizontal) and b (vertical) holds
        (first, last); (127, -127) where the row is empty.
    """
    a, b = (axis.ravel() for axis in np.indices((LONGEST_AXIS + 1, LONGEST_AXIS + 1)))
    rows = np.empty((a.size, 2 * LONGEST_AXIS + 1, 2), dtype=np.int64)
    rows[..., 0], rows[..., 1] = LONGEST_AXIS, -LONGEST_AXIS
    degrees = np.select([np.maximum(a, b) < limit for limit in (3, 10, 15)], [90, 30, 18], default=5)
    for side in (90, 30, 18, 5):
        group = degrees == side
        rows[group] = _filled(a[group], b[group], side, rows[group])
    return torch.from_numpy(rows.astype(np.int8)).view(LONGEST_AXIS + 1, LONGEST_AXIS + 1, -1, 2)


def _filled(a: _Whole, b: _Whole, side: int, rows: _Whole) -> _Whole:
    """Widen the empty rows (n, 255, 2) by polygons with one corner per `side` degrees."""
    angles = np.radians(np.arange(0, 361, side))
    # OpenCV's table of sines has seven digits in single precision.
    cos, sin = (np.round(f(angles), 7).astype(np.float32).astype(np.float64) for f in (np.cos, np.sin))
    x = np.rint(np.outer(cos, a * _ONE)).astype(np.int64)  # (corners, n)
    y = np.rint(np.outer(sin, b * _ONE)).astype(np.int64)
    for corner in range(len(angles) - 1):
        start, end = (x[corner], y[corner]), (x[corner + 1], y[corner + 1])
        _outline(rows, start, end)
        _scan(rows, start, end)
    return rows


def _outline(rows: _Whole, start: tuple[_Whole, ...], end: tuple[_Whole, ...]) -> None:
    """Draw one side of each polygon: a step per pixel along its longer direction, from left or top."""
    (x1, y1), (x2, y2) = start, end
    flat = abs(x2 - x1) > abs(y2 - y1)
    swap = np.where(flat, x2 < x1, y2 < y1)
    x1, x2 = np.where(swap, x2, x1), np.where(swap, x1, x2)
    y1, y2 = np.where(swap, y2, y1), np.where(swap, y1, y2)
    dx: _Whole = x2 - x1
    dy: _Whole = y2 - y1
    steps = np.where(flat, dx, dy) >> 16
    x_step = np.where(flat, _ONE, _quotient(dx << 16, abs(dy) | 1))
    y_step = np.where(flat, _quotient(dy << 16, abs(dx) | 1), _ONE)
    everyone = np.arange(len(x1))
    _widen(rows, everyone, y2, x2)
    for step in range(int(steps.max(initial=0)) + 1):
        on = everyone[steps >= step]
        _widen(rows, on, (y1 + step * y_step)[on], (x1 + step * x_step)[on])


def _scan(rows: _Whole, start: tuple[_Whole, ...], end: tuple[_Whole, ...]) -> None:
    """Add the scan-line fill's bounds on one side: rows between its ends, whose y is rounded first."""
    (x1, y1), (x2, y2) = start, end
    swap = y2 < y1
    x1, x2 = np.where(swap, x2, x1), np.where(swap, x1, x2)
    top, bottom = ((np.where(swap, y, z) + _HALF) >> 16 for y, z in ((y2, y1), (y1, y2)))
    height = bottom - top
    slope = _quotient(2 * (x2 - x1) + height, 2 * np.maximum(height, 1))
    everyone = np.arange(len(x1))
    for row in range(int(height.max(initial=0))):
        on = everyone[height > row]
        _widen(rows, on, (top[on] + row) << 16, (x1 + row * slope)[on])


def _quotient(numerator: _Whole, denominator: _Whole) -> _Whole:
    """Integer division that rounds towards zero, as C does."""
    return np.sign(numerator) * (abs(numerator) // denominator)


def _widen(rows: _Whole, ellipses: _Whole, y: _Whole, x: _Whole) -> None:
    """Extend one row of each of the ellipses to a point given in fixed point."""
    row, column = ((y + _HALF) >> 16) + LONGEST_AXIS, (x + _HALF) >> 16
    rows[ellipses, row, 0] = np.minimum(rows[ellipses, row, 0], column)
    rows[ellipses, row, 1] = np.maximum(rows[ellipses, row, 1], column)
