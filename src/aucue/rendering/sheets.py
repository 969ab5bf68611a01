"""Sheets of hair: what they cover and the strands on them, in head coordinates (see `geometry`)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aucue.rendering.canvas import curve


@dataclass(frozen=True)
class Sheet:
    """A surface of hair: what it covers and the strands on it."""

    outline: np.ndarray
    """(n, 2) closed."""
    strands: np.ndarray
    """(k, m, 2)."""
    width: float = 0.022
    """Of a strand."""
    shade: float = 1.0
    """Light it receives, below 1 behind the head."""
    contrast: float = 1.0
    """Between strands."""
    opacity: float = 1.0
    blur: float = 0.0
    """Of the edge."""
    fuzzy: bool = False
    """Strands stand off beyond the outline."""


def mirrored(sheet: Sheet) -> Sheet:
    """The sheet on the other side of the head."""
    return replace(sheet, outline=sheet.outline * (-1, 1), strands=sheet.strands * (-1, 1))


def comb(
    guides: np.ndarray, count: int, rng: np.random.Generator, spread: float = 0.02, samples: int = 12
) -> np.ndarray:
    """Hairs between neighbouring guide curves (g, m, 2): (count, samples, 2)."""
    position = np.sort(rng.random(count)) * (len(guides) - 1)
    position = position[rng.permutation(count)]
    low = np.minimum(position.astype(int), len(guides) - 2)
    share = (position - low)[:, None, None]
    paths = guides[low] * (1 - share) + guides[low + 1] * share
    # Hairs do not keep to their guides: they are shifted and bent.
    paths = paths + rng.normal(size=(count, 1, 2)) * spread * 0.5
    bend = rng.normal(size=(count, 3, 2)) * spread * 0.6
    lines = curve(paths, samples) + curve(bend, samples)
    # Hairs end at different lengths.
    cut = 1 - rng.random(count) * 0.12
    steps = np.linspace(0, 1, samples) * cut[:, None] * (samples - 1)
    index = np.minimum(steps.astype(int), samples - 2)
    part = (steps - index)[..., None]
    rows = np.arange(count)[:, None]
    return lines[rows, index] * (1 - part) + lines[rows, index + 1] * part


def span(
    guides: np.ndarray, count: int, rng: np.random.Generator, spread: float = 0.02, **look: Any
) -> Sheet:
    """A sheet spanned by guide curves (g, m, 2)."""
    roots = curve(guides[:, 0], 3 * len(guides))
    tips = curve(guides[:, -1], 3 * len(guides))
    samples = 3 * guides.shape[1]
    outline = np.concatenate([roots, curve(guides[-1], samples), tips[::-1], curve(guides[0], samples)[::-1]])
    return Sheet(outline, comb(guides, count, rng, spread), **look)


def between(first: np.ndarray, last: np.ndarray, count: int) -> np.ndarray:
    """Guides blended from the first curve to the last: (count, m, 2)."""
    share = np.linspace(0, 1, count)[:, None, None]
    return first * (1 - share) + last * share


def resampled(knots: np.ndarray, count: int = 10) -> np.ndarray:
    """Points at equal distances along a curve: (count, 2)."""
    line = curve(knots, 60)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, line[:, 0]), np.interp(at, length, line[:, 1])], 1)


def coils(outline: np.ndarray, count: int, rng: np.random.Generator, size: float, **look: Any) -> Sheet:
    """A sheet of curls: short arcs of about that radius, strewn over an outline and standing off from it."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    centres = low + rng.random((4 * count, 2)) * (high - low)
    centres = centres[_contains(outline, centres)][:count]
    start = rng.random((len(centres), 1)) * 2 * np.pi
    angle = start + np.linspace(0, 4.2, 7)
    radius = size * (0.6 + 0.8 * rng.random((len(centres), 1, 1)))
    arcs = centres[:, None] + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    return Sheet(outline, arcs, fuzzy=True, **look)


def _contains(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points lie inside a polygon (even-odd rule)."""
    x, y = points[:, :1], points[:, 1:]
    x0, y0 = outline.T
    x1, y1 = np.roll(outline, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return ((crosses & (x < at)).sum(axis=1) % 2).astype(bool)
