"""Points and boxes over photographs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.errors import InputError
from aucue.pictures.images import Picture, check_rows, to_array
from aucue.pictures.text import drawable, font
from aucue.pictures.themes import Color

_SUPERSAMPLING = 4  # Pillow does not antialias its shapes: draw larger, then shrink


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
    """Draw rectangles with an optional label above their top-left corner, inside the picture.

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
    short = min(picture.size)
    width, face = max(2, round(short / 250)), font(max(11.0, short / 32))
    draw = ImageDraw.Draw(picture)
    for i, (x0, y0, x1, y1) in enumerate(np.rint(rectangles).tolist()):
        draw.rounded_rectangle((x0, y0, x1, y1), 2 * width, outline=inks[i], width=width)
        if labels is not None:
            text = drawable(labels[i])
            tag = face.getlength(text) + face.size * 0.8, face.size * 1.5
            x = max(0.0, min(x0, picture.width - tag[0]))
            y = y0 - tag[1] if y0 >= tag[1] else max(0.0, y0)
            draw.rounded_rectangle((x, y, x + tag[0], y + tag[1]), 2 * width, fill=inks[i])
            draw.text((x + face.size * 0.4, y + tag[1] / 2), text, (20, 20, 27), face, "lm")
    return np.asarray(picture)


def _draw_smoothly(pixels: NDArray[np.uint8], draw_shapes) -> NDArray[np.uint8]:
    """Draw shapes on a larger copy of the image and shrink them together with their edges."""
    height, width = pixels.shape[:2]
    scale = _SUPERSAMPLING if max(height, width) <= 1024 else 2
    large = Image.fromarray(pixels).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    draw_shapes(ImageDraw.Draw(large), scale)
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))
