"""Whole photographs and frames with their faces marked: box, label, and the class map laid over the face."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.explanation.explanation import Map
from aucue.faces import invert, transform_points
from aucue.pictures import Color, colormap, draw_boxes, upsample

COLORS: tuple[Color, ...] = (
    (250, 190, 60),
    (96, 200, 255),
    (140, 225, 130),
    (255, 140, 165),
    (200, 165, 255),
    (255, 160, 90),
    (110, 225, 210),
    (225, 225, 120),
)
"""One after the other for the faces of a picture, or the tracks of a video."""

_OPACITY = 0.65
_EDGE = 0.12  # share of the crop's side over which the map fades out


@dataclass(frozen=True, eq=False)
class Mark:
    """A face to be marked.

    Attributes:
        box: (left, top, right, bottom) in pixels of the picture.
        matrix: (2, 3), pixels of the picture -> pixels of the face's crop.
        size: Side of the crop.
        heat: Map (h, w) in [0, 1] over the crop.
        label: Text at the box.
        color: Of the box.
    """

    box: tuple[float, float, float, float]
    matrix: NDArray
    size: int
    heat: Map
    label: str
    color: Color


def annotate(image: NDArray[np.uint8], marks: Sequence[Mark]) -> NDArray[np.uint8]:
    """Mark faces in a picture.

    Args:
        image: (H, W, 3).
        marks: The faces; none leaves the picture as it is.

    Returns:
        A picture of the same size.
    """
    if not marks:
        return image
    image = image.copy()
    for mark in marks:
        _lay_over(image, mark)
    boxes = np.array([mark.box for mark in marks])
    colors = [mark.color for mark in marks]
    return draw_boxes(image, boxes, [mark.label for mark in marks], colors=colors)


def _lay_over(image: NDArray[np.uint8], mark: Mark) -> None:
    """Blend a face's map into a picture, the more opaque the higher it is."""
    side = mark.size - 0.5
    corners = transform_points(
        invert(mark.matrix), np.array([(-0.5, -0.5), (side, -0.5), (-0.5, side), (side, side)])
    )
    (left, top), (right, bottom) = (
        np.floor(corners.min(0)).astype(int),
        np.ceil(corners.max(0)).astype(int) + 1,
    )
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, image.shape[1]), min(bottom, image.shape[0])
    if right <= left or bottom <= top:
        return
    # Pillow counts from the corner of the first pixel, our points from its centre.
    linear = mark.matrix[:, :2]
    origin = mark.matrix[:, 2] + 0.5 + linear @ (left - 0.5, top - 0.5)
    coefficients = np.column_stack([linear, origin]).ravel().tolist()

    def placed(values: NDArray) -> NDArray:
        picture = Image.fromarray(values.astype(np.float32))
        shape = (int(right - left), int(bottom - top))
        affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        return np.asarray(picture.transform(shape, affine, coefficients, bilinear))

    heat = placed(upsample(mark.heat, (mark.size, mark.size))).clip(0, 1)
    opacity = (_OPACITY * heat * placed(_window(mark.size)))[..., None]
    patch = image[top:bottom, left:right]
    patch[:] = np.rint(patch * (1 - opacity) + colormap(heat) * opacity)


@cache
def _window(size: int) -> NDArray[np.float32]:
    """(size, size): 1 inside, falling to 0 at the border."""
    position = (np.arange(size) + 0.5) / size
    fade = np.minimum(position, 1 - position).clip(0, _EDGE) / _EDGE
    return np.minimum.outer(fade, fade).astype(np.float32)
