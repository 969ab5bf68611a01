"""BlazeFace (Bazarevsky et al. 2019): what the detectors' numbers mean, and which of them mean one face."""

from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from aucue.faces.network import Network

_GRIDS = {"near": ((16, 2), (8, 6)), "far": ((48, 1),)}
"""Cells a side, and boxes per cell, of each detector."""

_SAME = 0.3  # of the union that two boxes of one face share at least


class Candidates(NamedTuple):
    """Where faces may be; all in pixels of one picture, which corners are counted from.

    Attributes:
        boxes: (N, 4) left, top, right, bottom.
        eyes: (N, 2, 2) the picture's left and right eye, where the face is upright.
        scores: (N,) in [0, 1].
    """

    boxes: NDArray[np.float64]
    eyes: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def none(cls) -> Self:
        """No candidates."""
        return cls(np.zeros((0, 4)), np.zeros((0, 2, 2)), np.zeros(0))

    @classmethod
    def joined(cls, parts: list["Candidates"]) -> Self:
        """The candidates of several tiles."""
        return cls(*map(np.concatenate, zip(*parts, strict=True))) if parts else cls.none()

    def taken(self, which: NDArray) -> "Candidates":
        """Some of them."""
        return Candidates(self.boxes[which], self.eyes[which], self.scores[which])

    def placed(self, scale: float, offset: tuple[float, float]) -> "Candidates":
        """The same in another picture, in which a pixel of this one is `scale` wide."""
        return Candidates(
            self.boxes * scale + np.tile(offset, 2), self.eyes * scale + np.asarray(offset), self.scores
        )


def detect(network: Network, pictures: NDArray[np.uint8], threshold: float) -> list[Candidates]:
    """The candidates of each picture, in its pixels, those that mean one face merged.

    Args:
        network: `near` or `far`.
        pictures: (N, side, side, 3).
        threshold: Least score, in [0, 1].
    """
    raw, logits = network(pictures)
    anchors, found = _anchors(network.name), []
    scores = 1 / (1 + np.exp(-logits.clip(-80, 80).astype(np.float64)))
    for values, score in zip(raw, scores, strict=True):
        sure = score >= threshold
        points = values[sure].reshape(-1, 8, 2).astype(np.float64)  # centre, size, six points
        here = anchors[sure] * network.side
        centre, half = points[:, 0] + here, points[:, 1] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        found.append(merged(Candidates(boxes, points[:, 2:4] + here[:, None], score[sure])))
    return found


def merged(candidates: Candidates) -> Candidates:
    """One candidate per face, surest first: the mean of those that share a place, weighted by their
    scores.
    """
    left = candidates.taken(np.argsort(-candidates.scores, kind="stable"))
    kept = []
    while len(left.scores):
        same = share(left.boxes[0], left.boxes)[0] > _SAME
        weights = left.scores[same] / left.scores[same].sum()
        boxes, eyes = (np.tensordot(weights, values[same], 1) for values in (left.boxes, left.eyes))
        kept.append(Candidates(boxes[None], eyes[None], left.scores[:1]))
        left = left.taken(~same)
    return Candidates.joined(kept)


def separate(boxes: NDArray, order: NDArray, within: NDArray) -> list[int]:
    """Which boxes are kept so that no two mean one face, those that come first in the order before others.

    Args:
        boxes: (N, 4).
        order: (N,) of their numbers.
        within: (N,) how much of the smaller one each may share with a box that is kept.
    """
    kept: list[int] = []
    for i in order.tolist():
        union, smaller = share(boxes[i], boxes[kept])
        if not ((union > _SAME) | (smaller > within[i])).any():
            kept.append(i)
    return kept


def share(box: NDArray, others: NDArray) -> tuple[NDArray, NDArray]:
    """What a box (4,) and others (N, 4) have in common, as shares (N,) of the union and of the smaller
    one.
    """
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = (high - low).clip(0).prod(axis=1)
    own, their = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(axis=1)
    return both / np.maximum(own + their - both, 1e-9), both / np.maximum(np.minimum(own, their), 1e-9)


@cache
def _anchors(name: str) -> NDArray[np.float64]:
    """Centres (A, 2) of the cells, as fractions of the picture's side."""
    centres = []
    for cells, boxes in _GRIDS[name]:
        rows, columns = np.mgrid[0:cells, 0:cells]
        grid = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / cells
        centres.append(grid.repeat(boxes, axis=0))
    return np.concatenate(centres)
