"""A picture as overlapping squares, in which a detector of small pictures finds small faces."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_OVERLAP = 0.3  # of a tile's side, shared with the next one: a face that is cut by one is whole in the other


class Tile(NamedTuple):
    """A square of a picture; what of it lies outside the picture is black.

    Attributes:
        left: Of its corner, in pixels of the picture.
        top: The same.
        side: In pixels of the picture.
    """

    left: float
    top: float
    side: float


def tiles(size: tuple[int, int], across: int) -> list[Tile]:
    """The tiles of a picture.

    Args:
        size: Width and height of the picture.
        across: How many tiles lie along its longer side; 1 is the whole picture in one square.
    """
    side = max(size) / (1 + (across - 1) * (1 - _OVERLAP))
    lefts, tops = (_starts(length, side) for length in size)
    return [Tile(left, top, side) for top in tops for left in lefts]


def cut(picture: Image.Image, where: list[Tile], size: int) -> NDArray[np.uint8]:
    """Tiles of one side, each drawn `size` pixels wide (N, size, size, 3)."""
    if not where:
        return np.zeros((0, size, size, 3), np.uint8)
    scale = size / where[0].side
    shape = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR, reducing_gap=2.0))
    drawn = np.zeros((len(where), size, size, 3), np.uint8)
    for canvas, tile in zip(drawn, where, strict=True):
        left, top = round(tile.left * scale), round(tile.top * scale)
        x, y = max(left, 0), max(top, 0)
        seen = small[y : top + size, x : left + size]
        canvas[y - top : y - top + seen.shape[0], x - left : x - left + seen.shape[1]] = seen
    return drawn


def _starts(length: int, side: float) -> list[float]:
    """Where tiles begin so that they cover a length evenly; one that is longer lies in its middle."""
    if length <= side:
        return [(length - side) / 2]
    count = math.ceil((length - side) / (side * (1 - _OVERLAP)) - 1e-6) + 1
    return np.linspace(0, length - side, count).tolist()
