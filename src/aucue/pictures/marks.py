"""Points and boxes over photographs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.errors import InputError
from aucue.pictures.images import Picture, check_rows, to_array
from aucue.pictures.text import drawable, font
from aucue.pictures.themes import Color

_SUPERSAMPLING = 4  # Pillow does not antialias its shapes: draw larger, then shrink
_TEXT = 1 / 32  # size of a label's letters, of the picture's shorter side
_SMALLER = (1.0, 0.8, 0.65, 0.5)  # times that, where a label has less room
_LEGIBLE = 11.0  # pixels: letters are never smaller


class Tag(NamedTuple):
    """A label where it stands.

    Attributes:
        box: (left, top, right, bottom) in pixels.
        text: The label, or its first word where there is no room for more.
        size: Of the letters in pixels.
    """

    box: tuple[float, float, float, float]
    text: str
    size: float


def draw_landmarks(
    image: Picture,
    landmarks: NDArray,
    color: Color = (60, 230, 190),
    radius: float | None = None,
) -> NDArray[np.uint8]:
    """Draw points as dots with a thin dark rim, visible on light and dark skin alike.

    Args:
        image: Picture (H, W, 3).
        landmarks: Points (n, 2), x then y in pixels, (0, 0) the centre of the top-left pixel; NaN points
            are skipped.
        color: Colour of the dots.
        radius: Radius in pixels; default a 130th of the shorter side, at least 1.

    Returns:
        Picture (H, W, 3).
    """
    pixels = to_array(image)
    points = check_rows(landmarks, 2, "landmarks")
    radius = max(1.0, min(pixels.shape[:2]) / 130) if radius is None else radius

    def dots(draw: ImageDraw.ImageDraw, scale: int) -> None:
        visible = points[np.isfinite(points).all(axis=1)]
        for grow, fill in ((1.45, (10, 10, 20)), (1.0, color)):
            # Pillow's ellipses fill whole pixels from one corner to the other, both included.
            span = 2 * round(radius * grow * scale) - 1
            for x, y in np.rint((visible + 0.5) * scale - 0.5 - span / 2).tolist():
                draw.ellipse((x, y, x + span, y + span), fill=fill)

    return _draw_smoothly(pixels, dots)


def draw_boxes(
    image: Picture,
    boxes: NDArray,
    labels: Sequence[str] | None = None,
    color: Color = (250, 190, 60),
    colors: Sequence[Color] | None = None,
) -> NDArray[np.uint8]:
    """Draw rectangles with an optional label each, see `place_tags`.

    Args:
        image: Picture (H, W, 3).
        boxes: Rectangles (n, 4): x0, y0, x1, y1 in pixels.
        labels: One text per box.
        color: Colour of lines and labels.
        colors: One per box instead.

    Returns:
        Picture (H, W, 3).
    """
    picture = Image.fromarray(to_array(image))
    rectangles = check_rows(boxes, 4, "boxes")
    if labels is not None and len(labels) != len(rectangles):
        raise InputError(f"{len(rectangles)} boxes need as many labels, got {len(labels)}.")
    inks = [color] * len(rectangles) if colors is None else colors
    corners = np.rint(rectangles)
    width = max(2, round(min(picture.size) / 250))
    draw = ImageDraw.Draw(picture)
    for i, box in enumerate(corners.tolist()):
        draw.rounded_rectangle(box, 2 * width, outline=inks[i], width=width)
    # After all of the boxes, so that no outline runs through a label.
    tags = [] if labels is None else place_tags(corners, labels, picture.size)
    for i, tag in enumerate(tags):
        x, y = tag.box[0] + tag.size * 0.4, (tag.box[1] + tag.box[3]) / 2
        draw.rounded_rectangle(tag.box, 2 * width, fill=inks[i])
        draw.text((x, y), tag.text, (20, 20, 27), font(tag.size), "lm")
    return np.asarray(picture)


def place_tags(boxes: NDArray, labels: Sequence[str], size: tuple[int, int]) -> list[Tag]:
    """Where labels stand so that all can be read: on no other label and on no other box.

    Above the top-left corner of its box, inside the picture; or else below the box; or else the same in
    smaller letters; or else its first word alone, at last in the corner of its own box. Where none of these
    is free, what covers least.

    Args:
        boxes: (n, 4) left, top, right, bottom in pixels.
        labels: One text per box; a number comes first in it.
        size: Width and height of the picture.

    Returns:
        One tag per box.
    """
    tags: list[Tag] = []
    for i, (box, label) in enumerate(zip(boxes.tolist(), labels, strict=True)):
        taken = np.array([tag.box for tag in tags]).reshape(-1, 4)
        tags.append(_freest(_choices(box, drawable(label), size), taken, np.delete(boxes, i, axis=0)))
    return tags


def _freest(choices: Iterator[Tag], taken: NDArray, others: NDArray) -> Tag:
    """The first choice that covers nothing, or that which covers least: labels are spared before faces."""
    covered: list[tuple[float, float, Tag]] = []
    for tag in choices:
        of_labels, of_boxes = _shared(tag.box, taken), _shared(tag.box, others)
        if not of_labels + of_boxes:
            return tag
        covered.append((of_labels, of_boxes, tag))
    return min(covered, key=lambda each: each[:2])[2]


def _choices(box: Sequence[float], label: str, size: tuple[int, int]) -> Iterator[Tag]:
    """Where a label may stand, the best first; above the box is always among them."""
    normal = max(_LEGIBLE, min(size) * _TEXT)
    sizes = dict.fromkeys(max(_LEGIBLE, normal * smaller) for smaller in _SMALLER)
    shortest = label.split(" ")[0]
    for text in dict.fromkeys((label, shortest)):
        for letters in sizes:
            width, height = font(letters).getlength(text) + letters * 0.8, letters * 1.5
            x, inside = max(0.0, min(box[0], size[0] - width)), max(0.0, box[1])
            above = box[1] - height if box[1] >= height else inside
            for y in (above, box[3], inside) if text == shortest else (above, box[3]):
                if y == above or 0 <= y <= size[1] - height:
                    yield Tag((x, y, x + width, y + height), text, letters)


def _shared(box: Sequence[float], others: NDArray) -> float:
    """Pixels of a box (4,) that lie in others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return float((high - low).clip(0).prod(axis=1).sum())


def _draw_smoothly(pixels: NDArray[np.uint8], draw_shapes) -> NDArray[np.uint8]:
    """Draw shapes on a larger copy of the image and shrink them together with their edges."""
    height, width = pixels.shape[:2]
    scale = _SUPERSAMPLING if max(height, width) <= 1024 else 2
    large = Image.fromarray(pixels).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    draw_shapes(ImageDraw.Draw(large), scale)
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))
