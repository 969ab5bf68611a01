"""The templates of a room, with what all pages share."""

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aucue.errors import printable
from aucue.pages.palette import PALETTE, gradient
from aucue.pictures import in_percent
from aucue.work.files import appearing

_MARKDOWN = str.maketrans({"\\": "\\\\", "<": "&lt;", "|": "\\|", "[": "\\[", "`": "'"})


@cache
def environment(room: str) -> Environment:
    """The HTML templates of a room; everything that is put into them is escaped.

    Args:
        room: Such as "evaluation"; its folder `templates` is looked into before that of `pages`.
    """
    return _environment(room, autoescape=True)


@cache
def markdown_environment(room: str) -> Environment:
    """The Markdown templates of a room. Values are text: what they hold is neither Markdown nor HTML, but for
    `markupsafe.Markup`.

    Args:
        room: Such as "export".
    """
    return _environment(room, finalize=_as_text, keep_trailing_newline=True)


def _environment(room: str, **options: Any) -> Environment:
    loaders: list[BaseLoader] = [PackageLoader(f"aucue.{room}"), PackageLoader("aucue.pages")]
    shared = Environment(
        loader=ChoiceLoader(loaders),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    shared.globals |= {
        "zip": zip,
        "version": version("aucue"),
        "palette": PALETTE,
        "gradient": gradient(),
    }
    shared.filters |= {"percent": percent, "cosine": cosine, "link": quote, "printable": printable}
    return shared


def percent(value: float | None, digits: int = 1) -> str:
    """A share in words: 0.416 is "41.6 %", none is a dash; see `in_percent`."""
    return "–" if value is None else in_percent(value, digits)


def cosine(value: float | None) -> str:
    """A cosine with two digits, none is a dash."""
    return "–" if value is None else f"{value:.2f}"


def write_page(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page, replacing an earlier one; its folder is created if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def _as_text(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value).translate(_MARKDOWN)
