"""Beards in head coordinates (see `geometry`)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from aucue.faces import MIRROR
from aucue.rendering.canvas import curve
from aucue.rendering.geometry import Geometry
from aucue.rendering.sheets import Sheet, mirrored, span


def grow_beard(geometry: Geometry) -> list[Sheet]:
    """The beard of a face, laid around its mouth and jaw as they are now."""
    identity, points = geometry.face.identity, geometry.points
    if identity.beard == "none":
        return []
    rng = np.random.default_rng([identity.seed, 78])
    if identity.side == 1:
        return _BEARDS[identity.beard](points, rng)
    return [mirrored(sheet) for sheet in _BEARDS[identity.beard](points[MIRROR] * (-1, 1), rng)]


def _moustache(points: np.ndarray, rng: np.random.Generator) -> list[Sheet]:
    over = points[51] * 0.45 + points[33] * 0.55
    positions = np.stack([points[48], points[49], over, over, over, points[53], points[54]])
    rise = [
        (-0.05, 0.04),
        (-0.02, -0.07),
        (-0.14, 0.03),
        (0, 0.05),
        (0.14, 0.03),
        (0.02, -0.07),
        (0.05, 0.04),
    ]
    top = curve(positions + np.array(rise), 9)
    bottom = curve(points[48:55] + np.array([(0.0, 0.05), *[(0.0, 0.02)] * 5, (0.0, 0.05)]), 9)
    guides = np.stack([top, (top + bottom) / 2, bottom], axis=1)
    return [span(guides, 90, rng, 0.02, width=0.018, blur=0.01, opacity=0.92, fuzzy=True)]


def _jaw(points: np.ndarray, rng: np.random.Generator, first: int, length: float) -> Sheet:
    """Hair from one landmark of the jaw to its mirror image, below the mouth."""
    jaw = points[first : 17 - first]
    along = np.linspace(0, 1, len(jaw))
    edge = jaw * (1.01, 1) + np.stack([np.zeros(len(jaw)), 4 * length * along * (1 - along)], axis=1)
    left, right, lip = points[48], points[54], points[57]
    shift = np.array([(-0.03, 0.06), (-0.16, 0.03), (0, 0.05), (0.16, 0.03), (0.03, 0.06)])
    inner = np.stack([left, lip, lip, lip, right]) + shift
    if first < 4:
        cheeks = [points[1] * 0.94, points[3] * (0.86, 0.98), left - (0.12, -0.03)]
        far = [right - (-0.12, -0.03), points[13] * (0.86, 0.98), points[15] * 0.94]
        inner = np.concatenate([cheeks, inner, far])
    inner = curve(inner, len(edge))
    guides = np.stack([inner, (inner + edge) / 2, edge], axis=1)
    return span(guides, 260, rng, 0.035, width=0.02, blur=0.012, opacity=0.94, fuzzy=True)


def _full(points: np.ndarray, rng: np.random.Generator) -> list[Sheet]:
    return [_jaw(points, rng, 1, 0.09), *_moustache(points, rng)]


def _goatee(points: np.ndarray, rng: np.random.Generator) -> list[Sheet]:
    return [_jaw(points, rng, 6, 0.05), *_moustache(points, rng)]


def _stubble(points: np.ndarray, rng: np.random.Generator) -> list[Sheet]:
    sheets = [_jaw(points, rng, 1, 0.0), *_moustache(points, rng)]
    return [
        replace(sheet, opacity=0.26, blur=0.05, fuzzy=False, strands=_stumps(sheet.strands, rng))
        for sheet in sheets
    ]


def _stumps(strands: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A short piece of each strand: (k, 2, 2)."""
    start = rng.integers(0, strands.shape[1] - 1, len(strands))
    rows = np.arange(len(strands))
    return np.stack(
        [strands[rows, start], 0.7 * strands[rows, start] + 0.3 * strands[rows, start + 1]], axis=1
    )


_BEARDS: dict[str, Callable[[np.ndarray, np.random.Generator], list[Sheet]]] = {
    "stubble": _stubble,
    "moustache": _moustache,
    "goatee": _goatee,
    "full": _full,
}
