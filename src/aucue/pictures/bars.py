"""Bars: of probabilities, and of ratios against a line at 1."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.errors import InputError
from aucue.pictures.images import check_rows
from aucue.pictures.text import drawable, font, in_percent, shorten
from aucue.pictures.themes import theme_of

_LEGIBLE = 12.0  # pixels: letters of long names are not made smaller
_LEAST_SCALE = 0.3  # of losses: bars of a few points do not fill the width


def probability_bars(
    probabilities: Mapping[str, float],
    size: tuple[int, int],
    highlight: str | None = None,
    theme: Literal["light", "dark"] = "light",
) -> Image.Image:
    """Horizontal bars with name and percentage, one per class, in the order given.

    Names take about half of the width at most: longer ones are smaller, and at last cut.

    Args:
        probabilities: Class name to probability in [0, 1].
        size: Height and width of the picture.
        highlight: Class whose bar has the accent colour; default the most probable.
        theme: Colours.

    Returns:
        Picture of the given size.
    """
    if not probabilities:
        raise InputError("Probability bars need at least one class.")
    if bad := [f"{name}: {p}" for name, p in probabilities.items() if not 0 <= p <= 1.0001]:
        raise InputError(f"Probabilities must lie in [0, 1], got {', '.join(bad)}.")
    colors = theme_of(theme)
    highlight = highlight or max(probabilities, key=lambda name: probabilities[name])
    height, width = size
    row = height / len(probabilities)
    face = font(min(row * 0.55, width / 17))
    names = max(face.getlength(drawable(name)) for name in probabilities)
    if names > width / 2:
        face = font(min(face.size, max(_LEGIBLE, face.size * width / 2 / names)))
        names = min(width * 0.55, max(face.getlength(drawable(name)) for name in probabilities))
    figures = face.getlength(in_percent(0.99999))  # the widest there is
    gap = face.size * 0.6
    left, right = names + gap, width - figures - gap
    thickness = min(row * 0.6, face.size * 0.95)

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    for i, (name, probability) in enumerate(probabilities.items()):
        y = (i + 0.5) * row
        ink, fill = (colors.text, colors.accent) if name == highlight else (colors.faint, colors.bar)
        draw.text((0, y), shorten(name, face, names), ink, face, "lm")
        draw.text((width, y), in_percent(probability), ink, face, "rm")
        if right > left:
            radius = thickness / 5
            track = (left, y - thickness / 2, right, y + thickness / 2)
            draw.rounded_rectangle(track, radius, colors.track)
            filled = left + (right - left) * min(probability, 1)
            if filled - left >= 1:
                bar = (left, track[1], filled, track[3])
                draw.rounded_rectangle(bar, min(radius, (filled - left) / 2), fill)
    return picture


def loss_bars(
    names: Sequence[str],
    figures: Sequence[str],
    losses: NDArray,
    controls: NDArray,
    size: tuple[int, int],
    theme: Literal["light", "dark"] = "light",
    *,
    marked: Sequence[bool],
) -> Image.Image:
    """Bars of what is lost, each with a tick where its control lies; what is gained goes to the left.

    Args:
        names: One per bar.
        figures: Text at the right of each name.
        losses: (n,), in [-1, 1].
        controls: (n,), in [-1, 1]; NaN has no tick.
        size: Height and width of the picture.
        theme: Colours.
        marked: Which bars have the accent colour.

    Returns:
        Picture of the given size.

    Raises:
        InputError: There are no bars, or not as many names, figures and controls.
    """
    lost, control = np.asarray(losses, dtype=np.float64), np.asarray(controls, dtype=np.float64)
    if not len(names) == len(figures) == len(lost) == len(control) or not len(names):
        raise InputError(
            f"{len(names)} names, {len(figures)} figures, {len(lost)} losses and {len(control)} controls: as "
            "many are needed."
        )
    colors = theme_of(theme)
    height, width = size
    row = min(height / len(names), width / 6)
    face = font(min(row * 0.36, width / 19))
    ends = np.concatenate([lost, control[np.isfinite(control)], [0.0, _LEAST_SCALE]])
    low, high = ends.min(), ends.max()

    def place(value: float) -> float:
        return (value - low) / (high - low) * (width - 1)

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    for i, (value, other) in enumerate(zip(lost, control, strict=True)):
        middle, top, bottom = (i + 0.27) * row, (i + 0.52) * row, (i + 0.82) * row
        figure = drawable(figures[i])
        draw.text((width, middle), figure, colors.text, face, "rm")
        name = shorten(names[i], face, width - face.getlength(figure) - face.size)
        draw.text((0, middle), name, colors.text, face, "lm")
        draw.rectangle((0, top, width, bottom), colors.track)
        left, right = sorted((place(0.0), place(value)))
        if right - left >= 1:
            draw.rectangle((left, top, right, bottom), colors.accent if marked[i] else colors.bar)
        thin = max(1, round(width / 220))
        draw.line((place(0.0), top, place(0.0), bottom), colors.faint, thin)
        if np.isfinite(other):
            at = place(other)
            draw.line(
                (at, top - row * 0.06, at, bottom + row * 0.06), colors.text, max(2, round(width / 150))
            )
    return picture


def ratio_bars(
    names: Sequence[str],
    figures: Sequence[str],
    ratios: NDArray,
    size: tuple[int, int],
    theme: Literal["light", "dark"] = "light",
) -> Image.Image:
    """Groups of horizontal bars against a line at 1, each under its name and figures.

    Args:
        names: One per group.
        figures: Text at the right of each name.
        ratios: Values (n, m) of n groups, not negative; the first of each has the accent colour and is the
            thickest. All bars have one scale, from 0 to the largest value or 3.
        size: Height and width of the picture.
        theme: Colours.

    Returns:
        Picture of the given size.
    """
    values = check_rows(ratios, np.shape(ratios)[-1], "ratios")
    if not len(names) == len(figures) == len(values) or not len(names):
        raise InputError(
            f"{len(names)} names, {len(figures)} figures and {len(values)} ratios: as many are needed."
        )
    colors = theme_of(theme)
    height, width = size
    row = min(height / len(names), width / 5)
    face = font(min(row * 0.36, width / 17))
    thick, gap = row * 0.2, row * 0.05
    unit = width / max(3.0, values.max())

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    for i, group in enumerate(values):
        middle, y = (i + 0.25) * row, (i + 0.48) * row
        figure = drawable(figures[i])
        draw.text((width, middle), figure, colors.text, face, "rm")
        name = shorten(names[i], face, width - face.getlength(figure) - face.size)
        draw.text((0, middle), name, colors.text, face, "lm")
        draw.rectangle((0, y, width, y + thick + (len(group) - 1) * (thick * 0.55 + gap)), colors.track)
        for k, value in enumerate(group):
            bottom = y + (thick if k == 0 else thick * 0.55)
            if value * unit >= 1:
                draw.rectangle((0, y, value * unit, bottom), colors.accent if k == 0 else colors.bar)
            y = bottom + gap
        draw.line((unit, (i + 0.46) * row, unit, y), colors.text, max(1, round(width / 220)))
    return picture
