"""The colours of what is drawn beside photographs, on light and on dark."""

from collections.abc import Mapping
from dataclasses import dataclass

from aucue.errors import InputError

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """The colours of a panel."""

    background: Color
    text: Color
    faint: Color
    bar: Color
    track: Color
    accent: Color


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        background=(255, 255, 255),
        text=(28, 28, 38),
        faint=(112, 112, 124),
        bar=(186, 188, 200),
        track=(239, 239, 243),
        accent=(196, 62, 96),
    ),
    "dark": Theme(
        background=(20, 20, 27),
        text=(240, 240, 245),
        faint=(158, 158, 172),
        bar=(96, 98, 114),
        track=(41, 41, 52),
        accent=(242, 114, 92),
    ),
}


def theme_of(name: str) -> Theme:
    """The theme of that name.

    Raises:
        InputError: No such theme.
    """
    if name not in THEMES:
        raise InputError(f"Unknown theme '{name}'; choose {' or '.join(THEMES)}.")
    return THEMES[name]
