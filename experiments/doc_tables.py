"""Tables in Markdown, and their places in pages of docs/."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aucue.metrics.bootstrap import percentile_interval


def block(name: str, text: str) -> str:
    """A table between the marks by which `paste` finds its place."""
    return f"<!-- {name} -->\n{text}\n<!-- /{name} -->"


def paste(page: Path, texts: Mapping[str, str]) -> None:
    """Put each block in the place of the one that a page has of that name.

    Raises:
        SystemExit: The page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    for name, new in texts.items():
        text, places = re.subn(rf"(?s)<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=new: new, text)
        if places != 1:
            raise SystemExit(f"{page} has {places} places for the table '{name}', not one")
    page.write_text(text, encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def with_interval(value: float, drawn: NDArray, sign: str = "", digits: int = 3) -> str:
    """0.412 (0.380 to 0.451); without an interval where a resample in fifty is undefined."""
    text = f"{value:{sign}.{digits}f}"
    if np.isnan(drawn).mean() > 0.02:
        return text
    low, high = percentile_interval(drawn)
    return f"{text} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"
