"""Hair styles in head coordinates (see `geometry`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from aucue.rendering.canvas import curve
from aucue.rendering.parameters import Identity
from aucue.rendering.sheets import Sheet, between, coils, comb, mirrored, resampled, span

_CENTRE = np.array([0.0, -0.4])
_RADII = np.array([1.135, 1.27])


@dataclass(frozen=True)
class Hair:
    """Sheets from back to front."""

    behind: list[Sheet]
    """Behind neck and head."""
    front: list[Sheet]
    """Over forehead, ears and shoulders."""
    around: list[Sheet] = field(default_factory=list)
    """Over neck and clothes, behind the head."""
    parting: np.ndarray | None = None
    """(n, 2) line where the scalp shows between two sheets."""


@lru_cache(maxsize=64)
def style_hair(identity: Identity) -> Hair:
    """The hair of a person, strand by strand; kept, because a person is usually painted several times."""
    rng = np.random.default_rng([identity.seed, 77])
    hair = _STYLES[identity.hair_style](_Head(identity), identity, rng)
    return hair if identity.side == 1 else _mirrored(hair)


def _mirrored(hair: Hair) -> Hair:
    behind, front, around = (
        [mirrored(sheet) for sheet in sheets] for sheets in (hair.behind, hair.front, hair.around)
    )
    return Hair(behind, front, around, None if hair.parting is None else hair.parting * (-1, 1))


class _Head:
    """The contour of the skull, in proportion to this person's."""

    def __init__(self, identity: Identity) -> None:
        shape = identity.shape
        self.wide = 1 + 0.03 * shape.face_width
        self.high = 1 + 0.03 * shape.forehead
        self.shape = shape

    def cap(self, degrees: np.ndarray, k: np.ndarray | float) -> np.ndarray:
        """Points around the skull at angles from straight up, at k times its size."""
        angle = np.radians(degrees)
        stretch = _RADII * (self.wide, self.high)
        return _CENTRE + np.stack([np.sin(angle), -np.cos(angle)], -1) * stretch * np.asarray(k)[..., None]

    def hairline(self, recess: float = 0.0, low: float = 0.1) -> np.ndarray:
        """From image-left sideburn over the forehead to the right, (11, 2)."""
        half = np.array(
            [
                (1.14, low),
                (1.08, -0.25),
                (1.0, -0.55),
                (0.84, -0.86 - 0.16 * recess),
                (0.45, -1.0 - 0.1 * recess),
            ]
        )
        middle = np.array([[0.0, -1.02 - 0.03 * recess]])
        line = np.concatenate([half * (-1, 1), middle, half[::-1]])
        return self.fit(line)

    def fit(self, points: np.ndarray) -> np.ndarray:
        """Points given for the mean head, moved to this one."""
        scaled = points * (self.wide, 1.0)
        scaled[..., 1] *= np.where(points[..., 1] < -0.5, self.high, 1.0)
        return scaled


def _swept(hairline: np.ndarray, contour: np.ndarray, lift: float = 0.0, shift: int = 0) -> np.ndarray:
    """Guides that rise from the hairline to the contour, combed sideways by some positions."""
    ends = contour[np.clip(np.arange(len(contour)) + shift, 0, len(contour) - 1)]
    middle = hairline * 0.45 + ends * 0.55
    outward = (middle - _CENTRE) / np.linalg.norm(middle - _CENTRE, axis=1, keepdims=True)
    return np.stack([hairline, middle + outward * lift, contour * 0.8 + ends * 0.2], axis=1)


_ANGLES = np.array([-101, -84, -66, -47, -24, 0, 24, 47, 66, 84, 101.0])


def _bald(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    return Hair([], [])


def _balding(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    root = head.fit(np.array([(1.12, 0.12), (1.07, -0.2), (1.02, -0.45), (1.0, -0.68)]))
    tip = head.cap(np.array([104, 90, 78, 64]), np.array([1.03, 1.08, 1.09, 1.05]))
    sides = []
    for sign in (-1, 1):
        guides = np.stack([root, (root + tip) / 2 + (0.01, 0.03), tip], axis=1) * (sign, 1)
        sides.append(span(guides, 60, rng, 0.025, fuzzy=True))
    return Hair([], sides)


def _buzz(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    recess = 0.3 * (1 - identity.femininity) + 0.6 * identity.wrinkles
    guides = _swept(head.hairline(recess), head.cap(_ANGLES, 1.025))
    strands = comb(guides, 500, rng, 0.06, samples=12)
    start = rng.integers(0, 10, 500)[:, None] + np.arange(2)
    dots = strands[np.arange(500)[:, None], start]
    return Hair([], [Sheet(span(guides, 1, rng).outline, dots, 0.014, 1.0, 0.4, 0.9)])


def _short(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    recess = 0.35 + 0.8 * identity.wrinkles
    bulk = (
        np.array([1.02, 1.07, 1.1, 1.11, 1.12, 1.12, 1.12, 1.11, 1.1, 1.07, 1.02])
        + 0.03 * identity.hair_volume
    )
    guides = _swept(head.hairline(recess), head.cap(_ANGLES, bulk), 0.02, shift=1)
    return Hair([], [span(guides, 330, rng, 0.045, fuzzy=True)])


def _quiff(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = np.array([1.01, 1.05, 1.07, 1.12, 1.2, 1.25, 1.25, 1.17, 1.09, 1.05, 1.01])
    bulk = 1 + (bulk - 1) * (1.1 + 0.25 * identity.hair_volume)
    guides = _swept(head.hairline(0.35), head.cap(_ANGLES, bulk), 0.06, shift=2)
    return Hair([], [span(guides, 330, rng, 0.035, width=0.026, fuzzy=True)])


def _parted_sheets(
    head: _Head,
    rng: np.random.Generator,
    part: float,
    length: float,
    bulk: float,
    wave: float = 0.0,
    face: float = 1.0,
) -> list[Sheet]:
    """Two sheets falling from a parting to both sides.

    Args:
        head: whose.
        rng: for the strands.
        part: x of the parting.
        length: y of the tips.
        bulk: added to the skull's contour.
        wave: amplitude of waves.
        face: how far the hair's inner edge stays from the middle; 1 just covers the ears.
    """
    sheets = []
    drop = np.linspace(0.1, length, 3)[:, None]
    for sign in (-1, 1):
        p = part * sign
        edge = np.array([(p, -1.04), ((p + 0.8) / 2, -1.0), (0.85 * face, -0.72), (1.02 * face, -0.28)])
        inner = np.concatenate([edge, np.concatenate([np.full((3, 1), 1.05 * face), drop], 1)])
        contour = head.cap(
            np.linspace(28 * p, 96, 7), 1 + bulk * np.array([0.6, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0])
        )
        hang = np.concatenate([contour[-1, 0] + np.array([[0.3], [0.6], [0.7]]) * bulk, drop], 1)
        outer = np.concatenate([contour, hang])
        if length > 0.5:
            inner[-1, 0] += 0.02
            outer[-1, 0] -= 0.08
        guides = between(resampled(head.fit(inner)), resampled(outer), 5)
        if wave:
            along = np.linspace(0, 1, guides.shape[1])
            guides[..., 0] += wave * np.sin(2.8 * np.pi * along) * along
        sheets.append(span(guides * (sign, 1), 190, rng, 0.02, width=0.026))
    return sheets


def _parting(head: _Head, part: float, bulk: float) -> np.ndarray:
    top = head.cap(np.array([28 * part]), 1 + 0.6 * bulk)[0]
    root = head.fit(np.array([[part, -1.04]]))[0]
    return curve(np.stack([root, (root + top) / 2 + (-0.02 * np.sign(part), 0), top]), 9)


def _parted(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = 0.06 + 0.03 * identity.hair_volume
    return Hair([], _parted_sheets(head, rng, 0.42, 0.1, bulk, face=1.02), parting=_parting(head, 0.42, bulk))


def _curtain(head: _Head, rng: np.random.Generator, length: float, half: float, wave: float = 0.0) -> Sheet:
    """Hair behind the neck."""
    top = np.array([-1.1, -0.6, 0, 0.6, 1.1])
    guides = np.stack(
        [
            np.stack([x * np.array([0.8, 1.0, half, half]), np.array([-0.8, 0.0, 0.6 * length, length])], 1)
            for x in top
        ]
    )
    guides[..., 0] += wave * np.sin(np.linspace(0, 2 * np.pi, 4))
    return span(head.fit(guides), 130, rng, 0.04, shade=0.5, width=0.03)


def _bob(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = 0.07 + 0.03 * identity.hair_volume
    if identity.seed % 2:
        sheets = _parted_sheets(head, rng, 0.3, 1.2, bulk)
        return Hair([_curtain(head, rng, 1.2, 1.12)], sheets, parting=_parting(head, 0.3, bulk))
    return Hair([_curtain(head, rng, 1.2, 1.12)], _fringed(head, rng, 1.22, bulk))


def _fringed(head: _Head, rng: np.random.Generator, length: float, bulk: float) -> list[Sheet]:
    """Hair that falls from the crown to both sides, with a fringe over the forehead."""
    sheets = _parted_sheets(head, rng, 0.0, length, bulk)
    tips = np.array([-0.98, -0.6, -0.2, 0.2, 0.6, 0.98])
    fall = np.array([-0.4, -0.53, -0.56, -0.56, -0.53, -0.4])
    guides = np.stack(
        [
            np.array([(0.12 * x, -1.62), (0.8 * x, -1.3), (1.02 * x, -0.92), (x, y)])
            for x, y in zip(tips, fall, strict=True)
        ]
    )
    return [*sheets, span(head.fit(guides), 170, rng, 0.03, width=0.024)]


def _long(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = 0.05 + 0.03 * identity.hair_volume
    behind = [_curtain(head, rng, 2.4, 1.25)]
    if identity.seed % 3 == 0:
        return Hair(behind, _fringed(head, rng, 2.4, bulk))
    part = 0.25 * (identity.seed % 2)
    return Hair(behind, _parted_sheets(head, rng, part, 2.4, bulk), parting=_parting(head, part, bulk))


def _waves(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = 0.12 + 0.04 * identity.hair_volume
    behind = [_curtain(head, rng, 2.2, 1.3, 0.05)]
    return Hair(
        behind, _parted_sheets(head, rng, 0.3, 2.2, bulk, wave=0.075), parting=_parting(head, 0.3, bulk)
    )


def _pixie(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = 1.1 + 0.03 * identity.hair_volume
    tips = np.array(
        [(-1.06, 0.3), (-1.03, -0.1), (-0.95, -0.42), (-0.62, -0.58), (-0.1, -0.72), (0.5, -0.86),
         (0.94, -0.6), (1.05, -0.1), (1.06, 0.3)]
    )  # fmt: skip
    angles = np.array([-88, -80, -66, -42, -12, 30, 64, 80, 88.0])
    outward = np.array([bulk + 0.02, 1.0, 0.9, 0.82, 0.86, 0.88, 0.95, 1.0, bulk + 0.02])
    middle = head.cap(angles, outward)
    upper = head.cap(angles * 0.55, np.array([bulk, 1.05, 0.98, 0.95, 0.95, 0.98, 1.0, 1.05, bulk]))
    crown = head.cap(np.linspace(-14, 26, 9), bulk)
    guides = np.stack([crown, upper, middle, head.fit(tips)], axis=1)
    return Hair([], [span(guides, 330, rng, 0.035, fuzzy=True)])


def _bun(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    guides = _swept(head.hairline(0.1, low=0.0), head.cap(_ANGLES, 1.05), 0.01)
    centre, radius = np.array([0.0, -1.93]), 0.4 + 0.05 * identity.hair_volume
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ball = centre + radius * np.stack([np.cos(angle), 0.82 * np.sin(angle)], 1)
    turns = rng.random((80, 1)) * 2 * np.pi + np.linspace(0, 2.2, 8)
    rings = (0.25 + 0.72 * np.sqrt(rng.random((80, 1, 1)))) * radius
    swirl = centre + rings * np.stack([np.cos(turns), 0.82 * np.sin(turns)], -1)
    return Hair([Sheet(ball, swirl, shade=0.8)], [span(guides, 260, rng, 0.02)])


def _bumpy(
    head: _Head, angles: np.ndarray, k: np.ndarray | float, rng: np.random.Generator, bump: float
) -> np.ndarray:
    """A contour with lobes, for curls."""
    coarse = np.linspace(angles[0], angles[-1], 25)
    size = np.interp(coarse, angles, np.broadcast_to(k, angles.shape)) + rng.normal(size=25) * bump
    return curve(head.cap(coarse, size), 97)


def _curly(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    bulk = (
        np.array([1.03, 1.06, 1.1, 1.16, 1.22, 1.24, 1.22, 1.16, 1.1, 1.06, 1.03])
        + 0.05 * identity.hair_volume
    )
    contour = _bumpy(head, _ANGLES, bulk, rng, 0.014)
    line = curve(head.hairline(0.1 + 0.4 * identity.wrinkles) + rng.normal(size=(11, 2)) * 0.015, 40)
    outline = np.concatenate([line, contour[::-1]])
    return Hair([], [coils(outline, 700, rng, 0.055, width=0.024, contrast=0.75)])


def _afro(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    grow = 0.08 * identity.hair_volume
    bulk = np.array([1.14, 1.28, 1.34, 1.37, 1.38, 1.38, 1.38, 1.37, 1.34, 1.28, 1.14]) + grow
    angles = _ANGLES * 1.08
    contour = _bumpy(head, angles, bulk, rng, 0.01)
    line = curve(head.hairline(0.0, low=0.05), 40)
    outline = np.concatenate([line, contour[::-1]])
    return Hair([], [coils(outline, 1000, rng, 0.035, width=0.02, contrast=0.7)])


def _curls(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    grow = 0.06 * identity.hair_volume
    angles = np.array([-139, -128, -110, -84, -60, -30, 0, 30, 60, 84, 110, 128, 139.0])
    bulk = np.array([1.38, 1.5, 1.48, 1.4, 1.32, 1.26, 1.22, 1.26, 1.32, 1.4, 1.48, 1.5, 1.38]) + grow
    contour = _bumpy(head, angles, bulk, rng, 0.025)
    edge = np.array(
        [(0.99, 0.98), (1.06, 0.72), (1.07, 0.3), (1.05, -0.2), (0.98, -0.5), (0.8, -0.8), (0.35, -1.0)]
    )
    edge = head.fit(edge)
    line = np.concatenate([edge * (-1, 1), [[0.12, -1.06]], edge[::-1]])
    line = curve(line + rng.normal(size=line.shape) * 0.025, 60)
    outline = np.concatenate([line, contour[::-1]])
    back = head.cap(np.linspace(-140, 140, 30), 1.3)
    behind = coils(back, 200, rng, 0.09, shade=0.5, width=0.03)
    return Hair([behind], [coils(outline, 900, rng, 0.085, width=0.026, contrast=0.8)])


def _scarf(head: _Head, identity: Identity, rng: np.random.Generator) -> Hair:
    """A headscarf; its cloth is laid in folds instead of strands."""
    opening = np.array(
        [(0.0, -1.08), (0.5, -1.0), (0.88, -0.7), (1.04, -0.2), (1.06, 0.35), (0.99, 0.9),
         (0.84, 1.35), (0.66, 1.8)]
    )  # fmt: skip
    outside = np.array(
        [
            (0.0, -1.8),
            (0.62, -1.68),
            (1.1, -1.15),
            (1.28, -0.4),
            (1.3, 0.4),
            (1.26, 1.1),
            (1.3, 1.75),
            (1.5, 2.6),
        ]
    )
    opening, outside = head.fit(opening), head.fit(outside)
    sides = []
    for sign in (-1, 1):
        folds = comb(between(opening, outside, 6) * (sign, 1), 46, rng, 0.03, samples=14)
        outline = np.concatenate([curve(opening, 24), curve(outside, 24)[::-1]]) * (sign, 1)
        sides.append(Sheet(outline, folds, width=0.045, contrast=0.42))
    below = np.array([(-1.5, 2.8), (-1.2, 0.4), (0.0, 1.5), (1.2, 0.4), (1.5, 2.8)])
    step = np.linspace(0, 1, 6)[:, None, None]
    drape = np.array([[(-0.8, 1.2), (0.1, 1.95), (0.9, 1.5)]]) + step * [
        [(0.5, 0.75), (0.0, 0.8), (0.0, 1.0)]
    ]
    chest = Sheet(head.fit(below), comb(head.fit(drape), 30, rng, 0.03), width=0.05, shade=0.8, contrast=0.42)
    return Hair([], sides, around=[chest])


_STYLES: dict[str, Callable[[_Head, Identity, np.random.Generator], Hair]] = {
    "bald": _bald, "balding": _balding, "buzz": _buzz, "short": _short, "parted": _parted, "quiff": _quiff,
    "curly": _curly, "afro": _afro, "pixie": _pixie, "bob": _bob, "long": _long, "waves": _waves,
    "curls": _curls, "bun": _bun, "scarf": _scarf,
}  # fmt: skip
