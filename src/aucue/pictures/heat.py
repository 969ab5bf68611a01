"""Heat maps in colours, and over photographs."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.errors import InputError
from aucue.pictures.images import Picture, to_array

_POSITIVE, _NEGATIVE = (214, 40, 57), (29, 88, 205)  # told apart by the colour-blind, too
_COLORS = Path(__file__).with_name("heat.txt")


def colormap(heat: NDArray) -> NDArray[np.uint8]:
    """Colours of heat values: dark indigo (0), magenta, orange, pale yellow (1).

    Equal differences of heat look about equally large, and lightness rises with heat, so the order survives a
    black-and-white print and colour blindness.

    Args:
        heat: Values (...) in [0, 1].

    Returns:
        Colours (..., 3).

    Raises:
        InputError: A value is not finite or not in [0, 1].
    """
    return _table()[np.rint(_check_heat(heat) * 255).astype(np.intp)]


def normalize(heat: NDArray) -> NDArray[np.float32]:
    """Stretch a map linearly to [0, 1]; a constant map becomes zero everywhere.

    Args:
        heat: Finite values (...).

    Returns:
        Values (...) in [0, 1].
    """
    heat = np.asarray(heat, dtype=np.float32)
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def upsample(heat: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a map smoothly (bicubic, clamped to the map's own range).

    Args:
        heat: Values (h, w).
        size: Height and width of the result.

    Returns:
        Values of the given size.
    """
    heat = np.asarray(heat, dtype=np.float32)
    if heat.ndim != 2 or 0 in heat.shape:
        raise InputError(f"A heat map must have shape (h, w), got {heat.shape}.")
    resized = Image.fromarray(heat).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized).clip(heat.min(), heat.max())


def overlay(image: Picture, heat: NDArray, opacity: float = 0.5) -> NDArray[np.uint8]:
    """Blend a heat map over an image: (1 - opacity) * image + opacity * colour of the heat.

    Args:
        image: Picture (H, W, 3).
        heat: Map (h, w) in [0, 1] of any resolution; it is enlarged smoothly to the image.
        opacity: Share of the heat colours in [0, 1].

    Returns:
        Picture (H, W, 3).

    Raises:
        InputError: A shape or a value range is wrong.
    """
    pixels = to_array(image)
    if not 0 <= opacity <= 1:
        raise InputError(f"Opacity must lie in [0, 1], got {opacity}.")
    colors = colormap(upsample(_check_heat(heat), pixels.shape[:2]))
    return np.rint((1 - opacity) * pixels + opacity * colors).astype(np.uint8)


def overlay_signed(
    image: Picture, values: NDArray, largest: float, opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Lay a signed map over an image: red where it is positive, blue where negative, nothing where it is 0.

    The scale is the caller's, never the map's own: a weak map looks weak.

    Args:
        image: Picture (H, W, 3).
        values: Map (h, w) of any resolution and range; it is enlarged smoothly to the image.
        largest: Value, up or down, from which the colour is full.
        opacity: Share of a full colour, in [0, 1].

    Returns:
        Picture (H, W, 3).

    Raises:
        InputError: A shape or a range is wrong.
    """
    pixels = to_array(image)
    if not (largest > 0 and 0 <= opacity <= 1):
        raise InputError(f"The largest value must be positive and opacity in [0, 1]: {largest}, {opacity}.")
    strength = (upsample(values, pixels.shape[:2]) / largest).clip(-1, 1)[..., None]
    share = opacity * np.abs(strength)
    colors = np.where(strength > 0, _POSITIVE, _NEGATIVE)
    return np.rint((1 - share) * pixels + share * colors).astype(np.uint8)


@cache
def _table() -> NDArray[np.uint8]:
    """The 256 colours (256, 3) of the map."""
    codes = (line for line in _COLORS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return np.array([list(bytes.fromhex(code)) for code in codes], dtype=np.uint8)


def _check_heat(heat: NDArray) -> NDArray[np.float32]:
    heat = np.asarray(heat, dtype=np.float32)
    if heat.size and not (heat.min() >= -1e-6 and heat.max() <= 1 + 1e-6):  # false for NaN as well
        raise InputError(
            f"Heat {heat.shape} must lie in [0, 1], got {heat.min():g} to {heat.max():g}; see normalize."
        )
    return heat.clip(0, 1)
