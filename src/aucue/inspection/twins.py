"""Faces that are as good as the same, whatever file and size they came in."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 24
"""Side of the small picture that two faces are compared by, in pixels."""

ALIKE = 0.992
"""Correlation of two small pictures from which on they are as good as the same.

Copies at six tenths of the size, of JPEG quality 50 and another brightness, correlate by .992 at least. So do
two photographs of one person, taken alike, if the expressions hardly differ: people have to see which it is.
"""

BITS = 3
"""Of the 64 comparisons of neighbouring pixels, how many may differ: one of four quarters is then equal."""


class Fingerprints(NamedTuple):
    """What faces are compared by.

    Attributes:
        signs: (N,) uint64: in a picture of 9 x 8 pixels, which are brighter than their right neighbours.
        small: (N, `SIDE`²) float32: the picture at `SIDE` pixels, mean 0, length 1.
    """

    signs: np.ndarray
    small: np.ndarray


def fingerprints(crops: Iterable[Image.Image]) -> Fingerprints:
    """What pictures of faces are compared by.

    Args:
        crops: Aligned faces.
    """
    signs, small = [], []
    for crop in crops:
        grey = crop.convert("L")
        tiny = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
        signs.append(np.packbits(tiny[:, 1:] > tiny[:, :-1]).view(np.uint64)[0])
        values = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32).ravel()
        values = values - values.mean()
        small.append(values / max(float(np.linalg.norm(values)), 1e-6))
    return Fingerprints(np.array(signs, np.uint64), np.array(small, np.float32).reshape(-1, SIDE**2))


def find_twins(own: Fingerprints, others: Fingerprints | None = None) -> list[tuple[int, int]]:
    """Pairs of faces that are as good as the same: copies, also in another size, format or brightness, and
    photographs of one person that hardly differ.

    Two faces are compared if one quarter of their signs is equal, so that the time grows little faster than
    their number.

    Args:
        own: The faces.
        others: Those of another set; None compares the faces with one another.

    Returns:
        Pairs (index in `own`, index in `others`), ascending; within one set (later, earlier).
    """
    against = own if others is None else others
    pairs = set()
    for mine, theirs in _candidates(own.signs, against.signs):
        if others is None:
            theirs = theirs[theirs < mine]
        near = np.bitwise_count(against.signs[theirs] ^ own.signs[mine]) <= BITS
        theirs = theirs[near]
        alike = against.small[theirs] @ own.small[mine] > ALIKE
        pairs.update((mine, int(other)) for other in theirs[alike])
    return sorted(pairs)


def _candidates(own: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """For each face and quarter of its signs, the other faces with the same quarter."""
    for quarter in range(4):
        shift = np.uint64(16 * quarter)
        mine, theirs = ((signs >> shift) & np.uint64(0xFFFF) for signs in (own, others))
        order = np.argsort(theirs, kind="stable")
        first = np.searchsorted(theirs[order], mine, side="left")
        last = np.searchsorted(theirs[order], mine, side="right")
        for index in np.flatnonzero(last > first):
            yield int(index), order[first[index] : last[index]]
