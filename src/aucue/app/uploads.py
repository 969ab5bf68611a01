"""What a browser sends -> a picture, or one sentence why not."""

import io
from collections.abc import Callable
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

from PIL import Image

from aucue.errors import InputError
from aucue.faces import open_picture, read_image

MAX_BYTES = 20 * 2**20
"""Size of an uploaded file in bytes."""

MAX_PIXELS = 60_000_000
"""Width times height of an uploaded picture: those of telephones have 12 to 50 million pixels."""

_HEAD = 8 * 2**10  # bytes of the head of a file in a form that are read
_PARTS = 10_000  # of a form: far more than files would be taken


class Sent(NamedTuple):
    """A file of a form.

    Attributes:
        name: What it is called; empty if that is not said.
        data: Its content.
    """

    name: str
    data: bytes


def sent_files(body: bytes, content_type: str) -> list[Sent]:
    """The files of a request: its body as it is, or those of a form (multipart/form-data), all in memory.

    Args:
        body: What was sent.
        content_type: The header of that name.

    Raises:
        InputError: The form is none, or holds no file.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        return [Sent("", body)]
    boundary = _said_in("Content-Type: " + content_type, Message.get_boundary)
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _PARTS) if boundary else []
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise InputError("This form is damaged or cut short; send the photographs as multipart/form-data.")
    files = [sent for part in parts[1:-1] if (sent := _file_of(part)) is not None]
    if not files:
        raise InputError("No photograph arrived: the form holds no file.")
    return files


def _file_of(part: bytes) -> Sent | None:
    """The file that a part of a form holds; None where it holds a field."""
    head, blank, data = part.partition(b"\r\n\r\n")
    lines = head[:_HEAD].decode(errors="replace").partition("\r\n")[2]  # below what is left of the boundary
    name = _said_in(lines, Message.get_filename)
    return Sent(name, data) if blank and name is not None else None


def _said_in(head: str, what: Callable[[Message], str | None]) -> str | None:
    """What the lines of a head say, quoted, escaped and encoded as they may be; None if nothing."""
    try:
        return what(HeaderParser().parsestr(head))
    except (TypeError, ValueError):  # parts of a name are numbered in a way that Python's reader minds
        return None


def read_upload(data: bytes, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an uploaded photograph as an upright RGB image; its size is checked before it is decoded.

    Args:
        data: The uploaded file.
        max_bytes: Largest file.
        max_pixels: Largest width times height.

    Raises:
        InputError: No photograph, a damaged one, or one that is too large; one sentence for the person who
            sent it.
    """
    if not data:
        raise InputError("No photograph arrived: the file is empty.")
    if len(data) > max_bytes:
        raise InputError(f"This file is too large: at most {max_bytes / 2**20:g} MB are taken.")
    try:
        with open_picture(io.BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise InputError(_too_many_pixels(max_pixels)) from None
    except Exception as error:  # a plugin may stumble over a broken header with nearly any exception
        raise InputError(
            "This file is not a picture that can be read; choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF."
        ) from error
    if width * height > max_pixels:
        raise InputError(_too_many_pixels(max_pixels))
    try:
        return read_image(data, max_pixels)
    except InputError as error:
        raise InputError("This photograph is damaged or cut short; copy or save it again.") from error


def _too_many_pixels(most: int) -> str:
    return f"This picture has too many pixels: at most {most / 1e6:g} million are taken; make it smaller."
