"""Pictures as arrays, and as text in a page."""

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.errors import InputError

Picture = NDArray[np.uint8] | Image.Image


def to_array(image: Picture) -> NDArray[np.uint8]:
    """The picture as an array (H, W, 3); grey pictures (H, W) get three equal channels.

    Raises:
        InputError: The array is not uint8 or has another shape, or the picture has more than 8 bits.
    """
    if isinstance(image, Image.Image):
        if image.mode[0] in "IF":  # of which Pillow would show all above 255 as white
            raise InputError(
                f"An image must have 8 bits per channel, not mode {image.mode}: scale it to 0 to 255."
            )
        return np.asarray(image.convert("RGB"))
    if image.dtype == np.uint8 and image.ndim == 2 and 0 not in image.shape:
        return np.repeat(image[..., None], 3, axis=-1)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"An image must be uint8 of shape (H, W, 3), got {image.dtype} of shape {image.shape}."
        )
    return image


def to_data_uri(image: Picture, format: Literal["png", "jpeg"] = "png", quality: int = 88) -> str:
    """The picture as text that HTML shows without a file: data:image/png;base64,...

    Args:
        image: Picture (H, W, 3).
        format: PNG keeps every pixel; JPEG is several times smaller for photographs.
        quality: JPEG quality, 1 to 95.

    Returns:
        Data URI.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(to_array(image))
    if format == "png":
        picture.save(buffer, "PNG", optimize=True)
    elif format == "jpeg":
        picture.save(buffer, "JPEG", quality=quality)
    else:
        raise InputError(f"Unknown picture format '{format}'; choose png or jpeg.")
    return encoded_uri(buffer.getvalue(), format)


def encoded_uri(content: bytes, format: Literal["png", "jpeg"]) -> str:
    """The content of a picture file as such a text."""
    return f"data:image/{format};base64,{base64.b64encode(content).decode('ascii')}"


def check_rows(values: NDArray, columns: int, name: str) -> NDArray[np.float64]:
    """Rows (n, columns) of numbers.

    Raises:
        InputError: The values have another shape.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != columns:
        raise InputError(f"{name} must have shape (n, {columns}), got {values.shape}.")
    return values
