"""Anything that holds a photograph -> an upright 8-bit RGB image."""

import io
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from aucue.errors import InputError, said

Photograph = str | os.PathLike[str] | bytes | Image.Image | np.ndarray
MAX_PIXELS = 150_000_000
"""Width times height that is decoded: telephones take pictures of up to 108 million pixels."""
FULL_PIXELS = 60_000_000
"""Width times height up to which `read_reduced` keeps every pixel."""
BACKGROUND = (255, 255, 255)

# Decoders that live in the process. Others call programs (EPS calls Ghostscript) or read no photographs.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "HEIF")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")


def _reads_heif() -> bool:
    """Whether pillow-heif is installed; it is made known to Pillow."""
    with suppress(ImportError):
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()
        return True
    return False


_HEIF = _reads_heif()

PHOTO_SUFFIXES: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm"),
    *(_HEIF_SUFFIXES if _HEIF else ()),
)
"""Endings, in small letters, of files that are read as photographs."""

UNREADABLE_SUFFIXES: tuple[str, ...] = (
    *(() if _HEIF else _HEIF_SUFFIXES),
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef"),
    *(".srw", ".x3f", ".3fr", ".iiq", ".jxl", ".psd"),
)
"""Endings, in small letters, of photographs that cannot be read here: they are counted and named."""


def open_picture(file: io.IOBase) -> Image.Image:
    """Open an encoded picture; nothing is decoded yet. The one function that does so.

    Only formats whose decoders run no other program are tried, whatever the file is called.

    Args:
        file: Open for reading bytes.

    Raises:
        Exception: Pillow's own, of nearly any kind, as a decoder may stumble over a broken header.
    """
    return Image.open(file, formats=_formats())  # pyright: ignore[reportArgumentType]


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)  # a Pillow may lack one


def read_image(photo: Photograph, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a photograph as an upright RGB image.

    The EXIF orientation is applied. Grey, palette, CMYK and 16-bit pictures are converted (16 bits by their
    full range, so 65535 becomes 255; 32-bit and float files by the smallest of the ranges 0-1, 0-255, 0-65535
    that holds them, or else by their own); transparent pictures are laid on white, as a viewer shows them. Of
    an animation or a multi-page file the first picture is taken.

    Args:
        photo: Path, encoded bytes, PIL image, or array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA;
            uint8, uint16, or float in [0, 1].
        max_pixels: Limit on width x height, checked from the header before anything is decoded.

    Raises:
        InputError: Nothing there, not an image, broken, or too large.
    """
    return _read(photo, max_pixels, None)[0]


def read_reduced(photo: Photograph) -> tuple[Image.Image, int]:
    """Read a photograph as `read_image` does, a very large one at a half or a quarter of its size.

    A JPEG is decoded at that size, which saves most of the time and of the memory.

    Args:
        photo: See `read_image`.

    Returns:
        The picture, and how many pixels of the photograph one of its pixels is wide: 1 up to `FULL_PIXELS`.

    Raises:
        InputError: See `read_image`.
    """
    return _read(photo, MAX_PIXELS, FULL_PIXELS)


def _read(photo: Photograph, max_pixels: int, full_pixels: int | None) -> tuple[Image.Image, int]:
    """The picture, and by how much it is smaller than the photograph, see `read_reduced`."""
    if isinstance(photo, np.ndarray):
        _check_size(photo.shape[1::-1] if photo.ndim >= 2 else (0, 0), max_pixels, "the array")
        return _to_rgb(_from_array(photo), "the array"), 1
    if isinstance(photo, Image.Image):
        return _decode(photo, "the image", max_pixels, None)
    if isinstance(photo, bytes | bytearray | memoryview):
        if not len(photo):
            raise InputError("The image bytes are empty; pass the content of a JPEG or PNG file.")
        return _open(io.BytesIO(photo), "the image bytes", max_pixels, full_pixels)
    if isinstance(photo, str | os.PathLike):
        return _read_file(Path(photo), max_pixels, full_pixels)
    raise InputError(
        f"A {type(photo).__name__} is no photograph; pass a path, bytes, a PIL image or an array."
    )


def require_picture(path: Path) -> None:
    """Refuse a path at which there is no file.

    Raises:
        InputError: There is none.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an image file; name one picture in it.")
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path.")


def _read_file(path: Path, max_pixels: int, full_pixels: int | None) -> tuple[Image.Image, int]:
    require_picture(path)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty (0 bytes); copy or download it again.")
            file.seek(0)
            return _open(file, str(path), max_pixels, full_pixels)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {said(error)}.") from error


def _open(file: io.IOBase, where: str, max_pixels: int, full_pixels: int | None) -> tuple[Image.Image, int]:
    try:
        image = open_picture(file)
    except UnidentifiedImageError:
        raise InputError(f"{where} is not an image in a known format (JPEG, PNG, TIFF, WebP, ...).") from None
    except Image.DecompressionBombError as error:
        # Pillow's own limit, about 179 million pixels, comes before ours can be looked at.
        raise InputError(f"{where} is too large: {error}; the limit here is {max_pixels:,} pixels.") from None
    except Exception as error:  # a plugin may stumble over a broken header with nearly any exception
        raise InputError(f"{where} is a broken image: {said(error)}.") from error
    with image:
        return _decode(image, where, max_pixels, full_pixels)


def _decode(
    image: Image.Image, where: str, max_pixels: int, full_pixels: int | None
) -> tuple[Image.Image, int]:
    _check_size(image.size, max_pixels, where)
    width, height = image.size
    factor = 1
    while full_pixels is not None and width * height > full_pixels * factor**2:
        factor *= 2
    try:
        if factor > 1:
            image.draft(None, (width // factor, height // factor))  # of JPEG alone; others stay as they are
        image.load()
        left = factor // round(width / image.width)
        upright = ImageOps.exif_transpose(image)  # always another image, which shares nothing with a file
    except Exception as error:  # decoders raise OSError, SyntaxError, EOFError, struct.error, ...
        raise InputError(f"{where} is a broken or truncated image: {said(error)}.") from error
    picture = _to_rgb(upright, where)
    return (picture.reduce(left) if left > 1 else picture), factor


def _check_size(size: tuple[int, ...], max_pixels: int, where: str) -> None:
    width, height = size
    if width * height == 0:
        raise InputError(f"{where} has no pixels ({width} x {height}).")
    if width * height > max_pixels:
        raise InputError(
            f"{where} is too large: {width} x {height} = {width * height:,} pixels, the limit is "
            f"{max_pixels:,}; save it smaller."
        )


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise InputError(f"An image array must be (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}.")
    return Image.fromarray(_to_uint8(array, "the array")).copy()


def _to_uint8(array: np.ndarray, where: str) -> np.ndarray:
    """Values of any supported type to 0-255, from the full range of the type."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InputError(f"{where} holds float values outside [0, 1]; scale them, or pass 8-bit values.")
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise InputError(f"{where} holds {array.dtype} values; expected uint8, uint16, or float in [0, 1].")


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_grey_levels(image, where))
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        layer = image.convert("RGBA")
    except ValueError as error:
        raise InputError(f"{where} has pixels of mode {image.mode}, which cannot be shown as RGB.") from error
    canvas = Image.new("RGBA", image.size, BACKGROUND)
    return Image.alpha_composite(canvas, layer).convert("RGB")


def _grey_levels(image: Image.Image, where: str) -> np.ndarray:
    """Pixels of a grey picture with more than 8 bits as 0-255.

    16 bits by the range of their type, 32 bits and floats by the smallest usual range that holds them, or
    else by their own.
    """
    values = np.asarray(image)
    if values.dtype == np.uint16:
        return _to_uint8(values, where)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError(f"{where} holds no finite pixel; save it with 8 or 16 bits.")
    low, high = float(values[finite].min()), float(values[finite].max())
    usual = (1, 255, 65535) if image.mode == "F" else (255, 65535)
    tops = [top for top in usual if low >= 0 and high <= top]
    bottom, top = (0.0, float(tops[0])) if tops else (low, high)
    scaled = (np.where(finite, values, bottom).astype(np.float64) - bottom) / max(top - bottom, 1e-300)
    return np.rint(scaled * 255).astype(np.uint8)
