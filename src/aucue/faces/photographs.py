"""Anything that holds a photograph -> an upright 8-bit RGB image."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from aucue.errors import InputError

Photograph = str | os.PathLike[str] | bytes | Image.Image | np.ndarray
MAX_PIXELS = 100_000_000
BACKGROUND = (255, 255, 255)


def read_image(photo: Photograph, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a photograph as an upright RGB image.

    The EXIF orientation is applied. Grey, palette, CMYK and 16-bit pictures are converted (16 bits by their
    full range, so 65535 becomes 255); transparent pictures are laid on white, as a viewer shows them. Of an
    animation or a multi-page file the first picture is taken.

    Args:
        photo: Path, encoded bytes, PIL image, or array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA;
            uint8, uint16, or float in [0, 1].
        max_pixels: Limit on width x height, checked from the header before anything is decoded.

    Raises:
        InputError: Nothing there, not an image, broken, or too large.
    """
    if isinstance(photo, np.ndarray):
        _check_size(photo.shape[1::-1] if photo.ndim >= 2 else (0, 0), max_pixels, "the array")
        return _to_rgb(_from_array(photo), "the array")
    if isinstance(photo, Image.Image):
        return _decode(photo, "the image", max_pixels)
    if isinstance(photo, bytes | bytearray | memoryview):
        if not len(photo):
            raise InputError("the image bytes are empty; pass the content of a JPEG or PNG file")
        return _open(io.BytesIO(photo), "the image bytes", max_pixels)
    if isinstance(photo, str | os.PathLike):
        return _read_file(Path(photo), max_pixels)
    raise InputError(
        f"cannot read a photograph from a {type(photo).__name__}; pass a path, bytes, a PIL image or an array"
    )


def _read_file(path: Path, max_pixels: int) -> Image.Image:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an image file; name one picture in it")
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty (0 bytes); copy or download it again")
            file.seek(0)
            return _open(file, str(path), max_pixels)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _open(file: io.IOBase, where: str, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(file)  # pyright: ignore[reportArgumentType]
    except UnidentifiedImageError:
        raise InputError(f"{where} is not an image in a known format (JPEG, PNG, TIFF, WebP, ...)") from None
    except Image.DecompressionBombError as error:
        # Pillow's own limit, about 179 million pixels, comes before ours can be looked at.
        raise InputError(f"{where} is too large: {error}; the limit here is {max_pixels:,} pixels") from None
    except Exception as error:  # a plugin may stumble over a broken header with nearly any exception
        raise InputError(f"{where} is a broken image: {error}") from error
    with image:
        return _decode(image, where, max_pixels)


def _decode(image: Image.Image, where: str, max_pixels: int) -> Image.Image:
    _check_size(image.size, max_pixels, where)
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
    except Exception as error:  # decoders raise OSError, SyntaxError, EOFError, struct.error, ...
        raise InputError(f"{where} is a broken or truncated image: {error}") from error
    return _to_rgb(upright, where)


def _check_size(size: tuple[int, ...], max_pixels: int, where: str) -> None:
    width, height = size
    if width * height == 0:
        raise InputError(f"{where} has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise InputError(
            f"{where} is too large: {width} x {height} = {width * height:,} pixels, the limit is "
            f"{max_pixels:,}; shrink it or raise max_pixels"
        )


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise InputError(f"an image array must be (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}")
    return Image.fromarray(_to_uint8(array, "the array"))


def _to_uint8(array: np.ndarray, where: str) -> np.ndarray:
    """Values of any supported type to 0-255, from the full range of the type."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InputError(f"{where} holds float values outside [0, 1]; scale them, or pass 8-bit values")
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise InputError(f"{where} holds {array.dtype} values; expected uint8, uint16, or float in [0, 1]")


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode == "F":
        image = Image.fromarray(_to_uint8(np.asarray(image), where))
    elif image.mode.startswith("I"):
        image = Image.fromarray(_to_uint8(_sixteen_bits(image, where), where))
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        layer = image.convert("RGBA")
    except ValueError as error:
        raise InputError(f"{where} has pixels of mode {image.mode}, which cannot be shown as RGB") from error
    canvas = Image.new("RGBA", image.size, BACKGROUND)
    return Image.alpha_composite(canvas, layer).convert("RGB")


def _sixteen_bits(image: Image.Image, where: str) -> np.ndarray:
    """Pixels of the integer modes "I;16" and "I", in which Pillow keeps 16-bit grey."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{where} holds integers outside 0-65535; save it with 8 or 16 bits")
    return values.astype(np.uint16)
