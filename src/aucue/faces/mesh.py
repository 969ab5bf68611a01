"""The face mesh (Kartynnik et al. 2019): a face's surroundings -> 468 points, presence, and iBUG-68."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.faces.alignment import invert, transform_points
from aucue.faces.landmarks import MIRROR, NUM_LANDMARKS
from aucue.faces.network import Network

NUM_POINTS = 468

_WIDER = 1.5  # side of the surroundings over the longer side of the face's box, as the mesh was trained
_ASKEW = np.radians(10)  # by which a detector may have a face's angle wrong
_MOVED = 0.12  # and its place, as a share of the surroundings' side
_LOOKS = 2  # for a face that lies elsewhere
_OUTER_EYES = [33, 263]  # the corners that say which way is up
_MIDLINE = (*range(3), 4, 5, 6, *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)


def _mirror() -> NDArray[np.intp]:
    """Which point each one becomes in the mirror: left ones, in their order, are followed by the right
    ones.
    """
    table = np.arange(NUM_POINTS)
    left = np.setdiff1d(table[:248], _MIDLINE)
    table[left], table[248:] = np.arange(248, NUM_POINTS), left
    return table


MESH_MIRROR = _mirror()
"""(468,): index of the point that lies on the other side of the face."""

_LEFT_HALF = {
    **{0: (127,), 1: (227, 234), 2: (137, 177), 3: (58, 177, 215), 4: (138, 172), 5: (136,)},
    **{6: (149, 150), 7: (148, 176), 8: (152,)},
    **{17: (70, 156), 18: (63,), 19: (66, 105), 20: (66, 107), 21: (55, 107)},
    **{27: (168,), 28: (197,), 29: (5, 195), 30: (4,), 31: (75,), 32: (97,), 33: (2,)},
    **{36: (33,), 37: (159, 160), 38: (158,), 39: (133,), 40: (153,), 41: (144,)},
    **{48: (61,), 49: (39, 40), 50: (37,), 51: (0,), 57: (17,), 58: (84,), 59: (91, 181)},
    **{60: (78,), 61: (82,), 62: (13,), 66: (14,), 67: (87,)},
}
"""iBUG-68 point -> points of the mesh whose mean it is, on the picture's left half and the midline.

Corners of eyes and mouth, lids, lips and nose are the same points in both schemes; along brows and jaw, where
the schemes divide a line differently, those were taken that lie nearest on 648 frontal photographs.
"""


def _ibug_weights() -> NDArray[np.float64]:
    weights = np.zeros((NUM_LANDMARKS, NUM_POINTS))
    for landmark, points in _LEFT_HALF.items():
        weights[landmark, list(points)] = 1 / len(points)
        weights[MIRROR[landmark], MESH_MIRROR[list(points)]] = 1 / len(points)
    return weights


_IBUG = _ibug_weights()


class Surroundings(NamedTuple):
    """A square of a picture around a face, turned with it.

    Attributes:
        centre: (x, y), counted from the picture's corner.
        side: In pixels.
        angle: By which the face is turned, in radians; positive is clockwise in the picture.
    """

    centre: tuple[float, float]
    side: float
    angle: float

    @classmethod
    def of(cls, box: NDArray, angle: float) -> "Surroundings":
        """Those of a box (4,) whose sides are turned by an angle."""
        x, y = ((box[:2] + box[2:]) / 2).tolist()
        return cls((x, y), _WIDER * max(float((box[2:] - box[:2]).max()), 1.0), angle)

    def matrix(self, size: int) -> NDArray[np.float64]:
        """The similarity (2, 3), picture -> crop of that size, both counted from pixel centres."""
        scale = size / self.side
        cos, sin = scale * np.cos(self.angle), scale * np.sin(self.angle)
        linear = np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([linear, size / 2 - 0.5 - linear @ (np.array(self.centre) - 0.5)])


class Meshes(NamedTuple):
    """Meshes of faces.

    Attributes:
        points: (N, 468, 3) in pixels of the picture, counted from pixel centres; z in the same unit, less is
            nearer.
        presence: (N,) in [0, 1]: whether there is a face, in about this position.
        seen: (N, 4) the surroundings in which they were seen: x, y, side, angle.
    """

    points: NDArray[np.float64]
    presence: NDArray[np.float64]
    seen: NDArray[np.float64]

    @classmethod
    def none(cls) -> "Meshes":
        """No faces."""
        return cls(np.zeros((0, NUM_POINTS, 3)), np.zeros(0), np.zeros((0, 4)))

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """iBUG-68 (N, 68, 2)."""
        return (_IBUG @ self.points[..., :2]).astype(np.float32)

    @property
    def boxes(self) -> NDArray[np.float64]:
        """Left, top, right, bottom (N, 4), counted from the picture's corner: forehead to chin."""
        corners = self.points[..., :2] + 0.5
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    @property
    def moved(self) -> NDArray[np.bool_]:
        """Which lie elsewhere than where they were looked for, (N,)."""
        if not len(self.seen):
            return np.zeros(0, bool)
        x, y, side, angle = self.seen.T
        now = np.array([(*each.centre, each.side, each.angle) for each in self.surroundings])
        away = np.hypot(now[:, 0] - x, now[:, 1] - y) / side
        larger = np.abs(np.log(now[:, 2] / side))
        return (away > _MOVED) | (larger > 2 * _MOVED) | (np.cos(now[:, 3] - angle) < np.cos(_ASKEW))

    @property
    def surroundings(self) -> list[Surroundings]:
        """Where to look again, more exactly."""
        return [_around(points) for points in self.points[..., :2] + 0.5]

    def taken(self, which: NDArray[np.intp] | Sequence[int]) -> "Meshes":
        """Some of them."""
        which = np.asarray(which, dtype=np.intp)
        return Meshes(self.points[which], self.presence[which], self.seen[which])


def read_meshes(
    network: Network, picture: Image.Image, where: Sequence[Surroundings], mirrored: bool = False
) -> Meshes:
    """The meshes of faces of one picture.

    Args:
        network: `mesh`.
        picture: RGB.
        where: One per face.
        mirrored: Show the network each face in the mirror; the points come back as they are in the picture.
    """
    if not where:
        return Meshes.none()
    side = network.side
    crops = np.stack([draw(picture, each, side) for each in where])
    raw, logits = network(np.ascontiguousarray(crops[:, :, ::-1]) if mirrored else crops)
    raw = raw.reshape(-1, NUM_POINTS, 3).astype(np.float64)
    if mirrored:
        raw = raw[:, MESH_MIRROR] * (-1, 1, 1) + (side - 1, 0, 0)
    points = np.empty_like(raw)
    for i, its in enumerate(where):
        points[i, :, :2] = transform_points(invert(its.matrix(side)), raw[i, :, :2])
        points[i, :, 2] = raw[i, :, 2] * its.side / side
    presence = 1 / (1 + np.exp(-logits[:, 0].clip(-80, 80).astype(np.float64)))
    return Meshes(points, presence, np.array([(*each.centre, each.side, each.angle) for each in where]))


def refined(network: Network, picture: Image.Image, first: Meshes) -> Meshes:
    """The mean of meshes and a second look, at where they lie and in the mirror: the network's left and right
    differ, and its errors in part cancel. Presence is that of the less sure look.

    A face that was looked at askew or beside it, because the detector was wrong, is looked at straight first.
    """
    for _ in range(_LOOKS):
        where = first.surroundings
        moved = np.flatnonzero(first.moved)
        again = read_meshes(network, picture, [where[i] for i in moved])
        for mine, its in zip(first, again, strict=True):
            mine[moved] = its
    second = read_meshes(network, picture, first.surroundings, mirrored=True)
    presence = np.minimum(first.presence, second.presence)
    return Meshes((first.points + second.points) / 2, presence, second.seen)


def _around(points: NDArray) -> Surroundings:
    """The surroundings of the points (468, 2) of a face, whose sides are turned with it."""
    left, right = points[_OUTER_EYES]
    angle = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # picture -> face
    seen = points @ turn.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    centre, half = (low + high) / 2 @ turn, (high - low) / 2
    return Surroundings.of(np.concatenate([centre - half, centre + half]), angle)


def draw(picture: Image.Image, where: Surroundings, size: int) -> NDArray[np.uint8]:
    """The surroundings of a face (size, size, 3); what lies outside the picture repeats its border.

    `warp`, which draws what people and classifiers see, is bicubic and takes five times as long.
    """
    to_picture = invert(where.matrix(size))
    shrink = max(1, round(where.side / size))
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)]) - 0.5
    seen = transform_points(to_picture, corners) + 0.5
    left, top = (np.floor(seen.min(axis=0)).astype(int) - 2 * shrink).tolist()
    right, bottom = (np.ceil(seen.max(axis=0)).astype(int) + 2 * shrink).tolist()
    region, corner = _region(picture, (left, top, right, bottom), shrink)
    origin = to_picture[:, 2] + 0.5 - to_picture[:, :2] @ (0.5, 0.5) - corner
    affine = np.column_stack([to_picture[:, :2], origin]) / shrink
    drawn = region.transform(
        (size, size), Image.Transform.AFFINE, affine.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return np.asarray(drawn)


def _region(
    picture: Image.Image, box: tuple[int, int, int, int], shrink: int
) -> tuple[Image.Image, tuple[int, int]]:
    """A box of a picture, shrunk, and its corner in the picture; outside of the picture, its border."""
    left, top = (min(max(low, 0), end - 1) for low, end in zip(box[:2], picture.size, strict=True))
    right, bottom = max(min(box[2], picture.width), left + 1), max(min(box[3], picture.height), top + 1)
    inner = picture.crop((left, top, right, bottom))
    inner = inner.reduce(shrink) if shrink > 1 else inner
    if (left, top, right, bottom) == box:
        return inner, (left, top)
    before = [-(-max(inside - low, 0) // shrink) for inside, low in ((top, box[1]), (left, box[0]))]
    after = [-(-max(high - inside, 0) // shrink) for inside, high in ((bottom, box[3]), (right, box[2]))]
    padded = np.pad(np.asarray(inner), (*zip(before, after, strict=True), (0, 0)), mode="edge")
    return Image.fromarray(padded), (left - before[1] * shrink, top - before[0] * shrink)
