"""The colours of all pages, in light and in dark."""

from functools import cache
from typing import NamedTuple

import numpy as np

from aucue.pictures import colormap


class Colour(NamedTuple):
    """A colour by its use.

    Attributes:
        light: On a light page, as CSS.
        dark: On a dark one.
    """

    light: str
    dark: str


PALETTE = {
    "paper": Colour("#fbfaf8", "#16161c"),
    "card": Colour("#ffffff", "#1f1f27"),
    "ink": Colour("#23222c", "#ecebf1"),
    "soft": Colour("#6c6a78", "#a09eae"),
    "line": Colour("#e6e3de", "#33323d"),
    "accent": Colour("#b8385f", "#f0708f"),
    "track": Colour("#efece8", "#2c2b36"),
    "control": Colour("#b5b1bd", "#6b6979"),
    "good": Colour("#1f7a55", "#62c79b"),
    "bad": Colour("#b23a2f", "#f28a7c"),
    "heat": Colour("184, 56, 95", "240, 112, 143"),
}
"""By the name that style sheets use: `var(--ink)`."""

ACCENT = PALETTE["accent"]


@cache
def gradient() -> str:
    """The colour map of all heat maps as the stops of a CSS gradient."""
    return ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in colormap(np.linspace(0, 1, 9)).tolist())
