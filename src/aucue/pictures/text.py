"""Text in pictures: one font, letters that it lacks, lines that fit."""

import unicodedata
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFont, features

from aucue.errors import InputError

_FONT = Path(__file__).with_name("DejaVuSans.ttf")


@lru_cache(maxsize=64)
def font(size: float) -> ImageFont.FreeTypeFont:
    """DejaVu, which has Latin, Greek, Cyrillic and more: pictures look the same on every machine."""
    if not features.check("freetype2"):
        raise InputError(
            "This Pillow was built without FreeType, which text in pictures needs; reinstall pillow."
        )
    return ImageFont.truetype(str(_FONT), max(size, 6.0))


def drawable(text: str) -> str:
    """The text in letters that the font has: others without their accents, or else as question marks."""
    return "".join(
        letter if letter == "\n" or _has_glyph(letter) else _replacement(letter)
        for letter in unicodedata.normalize("NFC", text)
    )


def _replacement(letter: str) -> str:
    plain = {"–": "-", "×": "x", "\t": " "}.get(letter) or unicodedata.normalize("NFKD", letter)
    return "".join(part if _has_glyph(part) else "?" for part in plain if not unicodedata.combining(part))


@lru_cache(maxsize=4096)
def _has_glyph(letter: str) -> bool:
    if not letter.isprintable():
        return False
    return letter == " " or _mask(letter) != _mask(_NO_LETTER)


def _mask(letter: str) -> bytes:
    mask: Any = font(20).getmask(letter)  # Pillow does not tell type checkers that this has bytes
    return bytes(mask)


_NO_LETTER = "\uffff"  # is drawn as the box that stands for a missing glyph


def wrap(text: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break text at spaces into lines no wider than `width` pixels; a newline always breaks.

    A word that is wider than a line is broken where the line is full.
    """
    lines: list[str] = []
    for paragraph in drawable(text).splitlines():
        current = ""
        for word in paragraph.split():
            longer = f"{current} {word}".strip()
            if current and face.getlength(longer) > width:
                lines.append(current)
                longer = word
            while len(longer) > 1 and face.getlength(longer) > width:
                lengths = range(1, len(longer) + 1)
                fits = max(
                    1, bisect_right(lengths, width, key=lambda n, word=longer: face.getlength(word[:n]))
                )
                lines.append(longer[:fits])
                longer = longer[fits:]
            current = longer
        lines.append(current)
    return lines


def shorten(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """The text in one line; what is wider than `width` pixels is cut and ends with three dots."""
    text = drawable(text).replace("\n", " ")
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def in_percent(share: float, digits: int = 0) -> str:
    """A share in words: 0.416 is "42 %". One that is not whole never reads as all or nothing.

    Args:
        share: In [0, 1].
        digits: After the point, where that suffices: 0.996 is "99.6 %", 0.99999 is ">99.9 %".
    """
    for places in (digits, max(digits, 1)):
        text = f"{100 * share:.{places}f}"
        if not 0 < share < 1 or float(text) not in (0.0, 100.0):
            return f"{text} %"
    return "<0.1 %" if share < 0.5 else ">99.9 %"
