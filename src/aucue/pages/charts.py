"""Curves as SVG in a page: they follow its colours, and need no script."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from markupsafe import Markup

WIDTH, HEIGHT = 460, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 26
_INKS = ("accent", "good", "soft", "bad", "control")

PLOT = {
    "width": WIDTH,
    "left": _LEFT,
    "across": WIDTH - _LEFT - _RIGHT,
    "top": _TOP - 4,
    "bottom": HEIGHT - _BOTTOM,
}
"""Width of the drawing, where its curves begin and how wide they are, and from where to where a line across
them reaches; for scripts that read a click and mark a time."""

CURVES_SCRIPT = Path(__file__).with_name("templates") / "curves.js"
"""Script of `curves.html.j2`: a module for pages that ask for it, and a template for pages that hold it."""

Point = tuple[float, float]


def line_chart(
    series: Mapping[str, Sequence[Point]],
    title: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Curves over one axis, with their names and last values below.

    Args:
        series: Points (x, y) by the name of the curve, x ascending; values that are no numbers are left out.
        title: What is drawn, for those who do not see it.
        unit: What x is, such as "epoch".
        limits: Lowest and highest y; by default those of the curves.

    Returns:
        HTML; nothing if there is no point. The drawing says between which x it lies (`data-from`, `data-to`).
    """
    curves = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    every = [point for points in curves.values() for point in points]
    if not every:
        return Markup("")
    xs, ys = zip(*every, strict=True)
    across, up = _span(min(xs), max(xs)), limits or _span(min(ys), max(ys))

    def place(x: float, y: float) -> Point:
        right = (x - across[0]) / (across[1] - across[0])
        high = min(max((y - up[0]) / (up[1] - up[0]), 0.0), 1.0)
        return _LEFT + right * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - high * (HEIGHT - _TOP - _BOTTOM)

    parts = [*_axes(across, up, place, unit)]
    for ink, points in zip(_inks(len(curves)), curves.values(), strict=True):
        ends = points * 2 if len(points) == 1 else points  # a line with one end is not drawn, not even a dot
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in ends))
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="var(--{ink})" stroke-width="2" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
    last = {name: _number(points[-1][1]) for name, points in curves.items() if points}
    told = escape(f"{title}: " + ", ".join(f"{name} {value} at the end" for name, value in last.items()))
    names = "".join(
        f'<span><i style="background: var(--{ink})"></i>{escape(name)} <b>{last.get(name, "–")}</b></span>'
        for ink, name in zip(_inks(len(curves)), curves, strict=True)
    )
    drawing = (
        f'<svg class="chart" data-from="{across[0]:.6g}" data-to="{across[1]:.6g}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}" '
        f'style="width:100%;height:auto;font:11px system-ui,sans-serif">{"".join(parts)}</svg>'
    )
    return Markup(f'{drawing}<div class="legend">{names}</div>')


def _inks(count: int) -> list[str]:
    return [_INKS[index % len(_INKS)] for index in range(count)]


def _span(low: float, high: float) -> Point:
    """Limits that differ."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _axes(across: Point, up: Point, place, unit: str) -> list[str]:
    """Three lines with their values, and what x begins and ends with."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = up[0] + share * (up[1] - up[0])
        (left, y), (right, _) = place(across[0], value), place(across[1], value)
        parts.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="var(--line)"/>')
        parts.append(_text(left - 6, y + 4, _number(value), "end"))
    bottom = HEIGHT - 8
    parts.append(_text(_LEFT, bottom, _number(across[0]), "start"))
    parts.append(_text(WIDTH - _RIGHT, bottom, _number(across[1]), "end"))
    parts.append(_text((WIDTH + _LEFT) / 2, bottom, escape(unit), "middle"))
    return parts


def _number(value: float) -> str:
    """Three digits, and up to six before the point: 0.123, 1234, 1.23e+06."""
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--soft)">{text}</text>'
