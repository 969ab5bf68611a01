"""From parameters to curves: where every feature of a face lies, and how action units move it.

Head coordinates: the unit is the inter-ocular distance (between the eye centres), the origin lies between
the eyes, x points to image-right and y down. One half of the head is built at a time in *lateral* coordinates
(x = distance from the midline), so that both sides are mirror images unless the parameters say otherwise.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aucue.faces import LEFT_HALF, MIRROR
from aucue.rendering.canvas import curve, vector
from aucue.rendering.parameters import FaceParameters, Identity, View

# Image-left landmarks and those on the midline: what one half of the head defines.
_HALF = np.array([point for point, partner in enumerate(MIRROR) if point in LEFT_HALF or point == partner])
IRIS_RADIUS = 0.104


@dataclass(frozen=True)
class Half:
    """One half of a head in lateral coordinates; all arrays (n, 2) unless said otherwise."""

    landmarks: np.ndarray
    """(68, 2), only the image-left and midline rows are set, x = distance from the midline."""
    upper_lid: np.ndarray
    """Outer to inner corner."""
    lower_lid: np.ndarray
    """Outer to inner corner."""
    lid_fold: np.ndarray
    """Crease above the upper lid, outer to inner."""
    brow: np.ndarray
    """Centre line, outer to inner."""
    brow_width: np.ndarray
    """(n,) thickness along the centre line."""
    nose_wing: np.ndarray
    """Outline of the nostril's wing from above to the base."""
    nostril: np.ndarray
    """Outline of the dark opening."""
    ear: np.ndarray
    """Outline."""
    skull: np.ndarray
    """From the jaw's upper end over the temple to the crown, the crown on the midline."""
    corner: np.ndarray
    """(2,) mouth corner."""
    upper_teeth: np.ndarray
    """Lower edge of the upper teeth, outer to middle."""
    lower_teeth: np.ndarray
    """Upper edge of the lower teeth, outer to middle."""
    tongue: np.ndarray
    """Upper edge of the tongue, outer to middle."""
    cheek: np.ndarray
    """(2,) where the cheek's apple is."""
    fold: np.ndarray
    """Nasolabial fold, from the wing of the nose to beside the mouth corner."""


class Movement:
    """Intensities of one half of the face, with the combinations the geometry needs."""

    def __init__(self, intensities: dict[int, float], gain: float) -> None:
        self._intensity = {number: min(1.0, value * gain) for number, value in intensities.items()}

    def __getitem__(self, number: int) -> float:
        return self._intensity.get(number, 0.0)

    @cached_property
    def jaw(self) -> float:
        """How far the chin drops."""
        return 0.36 * (1 - (1 - 0.5 * self[26]) * (1 - 0.92 * self[27]))

    @cached_property
    def pressed(self) -> float:
        """How firmly the lips stay shut: pressing them (AU24) yields to parting them."""
        return self[24] * (1 - max(self[25], self[26], self[27]))

    @cached_property
    def upper_gap(self) -> float:
        """How far the upper lip leaves the mouth line."""
        parted = max(self[25], self[26], self[27], self[16])
        free = 0.010 * self[25] + 0.02 * self[27] + 0.02 * self[12] * parted
        return free + self[10] * (0.01 + 0.03 * parted)

    @cached_property
    def lower_gap(self) -> float:
        """How far the lower lip leaves the mouth line."""
        free = 0.05 * self[25] + 0.02 * self[25] * self[12] + 0.86 * self.jaw
        return (free + 0.045 * self[16]) * (1 - 0.25 * self[17])

    @cached_property
    def closure(self) -> float:
        """Share by which the lids are closed."""
        return self[43]


def build_half(identity: Identity, move: Movement, lift: float) -> Half:
    """One half of a head.

    Args:
        identity: whose.
        move: the intensities acting on this half.
        lift: share by which this half's features sit higher and open wider (the person's asymmetry).
    """
    landmarks = np.full((68, 2), np.nan)
    brow, brow_width = _brow(identity, move, lift)
    upper, lower, fold = _lids(identity, move, lift)
    mouth = _mouth(identity, move, lift)
    nose, wing, nostril = _nose(identity, move)
    jaw = _jaw(identity, move)
    landmarks[0:9], landmarks[17:22] = jaw, brow
    landmarks[27:34] = nose
    landmarks[36:40] = upper
    landmarks[[41, 40]] = lower[1:3]
    for index, point in mouth.items():
        landmarks[index] = point
    corner = landmarks[48]
    teeth = _teeth(identity, move, corner)
    cheek = np.array([0.6 + 0.02 * move[12], 0.56 - 0.07 * move[6] - 0.07 * move[12]])
    return Half(
        landmarks, upper, lower, fold, brow, brow_width, wing, nostril, _ear(identity, jaw),
        _skull(identity, jaw), corner, *teeth, cheek, _nasolabial(wing, corner, move),
    )  # fmt: skip


def _brow(identity: Identity, move: Movement, lift: float) -> tuple[np.ndarray, np.ndarray]:
    shape = identity.shape
    line = np.array([(0.92, -0.225), (0.785, -0.31), (0.59, -0.35), (0.385, -0.335), (0.195, -0.29)])
    line[:, 1] -= 0.025 * shape.brow_height + 0.5 * lift
    line[:, 1] += 0.012 * shape.brow_arch * np.array([1.5, -1.4, -1.2, 0.6, 1])
    inner = np.array([0, 0.05, 0.25, 0.65, 1])
    outer = np.array([0.6, 1, 1, 0.45, 0])
    knit = np.array([0.1, 0.3, 0.6, 0.9, 1.0])
    line[:, 1] -= 0.15 * move[1] * inner + 0.13 * move[2] * outer
    # A raised inner brow (AU1) cannot also be lowered: with AU4 it is drawn together and slants.
    line[:, 1] += (0.12 * move[4] * (1 - 0.75 * move[1]) + 0.06 * move[9]) * knit
    line[:, 0] -= (0.055 * move[4] + 0.02 * move[9]) * knit
    line[:, 1] += 0.02 * move[6] * outer
    width = (0.072 + 0.013 * shape.brow_thickness) * np.array([0.2, 0.66, 0.95, 1.1, 0.95])
    return line, width


def _lids(identity: Identity, move: Movement, lift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = identity.shape
    scale = 1.07 + 0.045 * shape.eye_size
    old = identity.wrinkles
    tilt = 0.012 + 0.014 * shape.eye_tilt - 0.02 * old
    outer = np.array([0.5 + 0.222 * scale, -tilt - 0.01 * move[6]])
    inner = np.array([0.5 - 0.212 * scale, 0.022 + 0.3 * tilt])
    open_up = (0.115 + 0.011 * shape.eye_opening - 0.018 * old) * scale * (1 + lift)
    open_down = (0.068 + 0.004 * shape.eye_opening) * scale
    open_up += (
        0.055 * move[5]
        - 0.028 * move[7]
        - 0.015 * move[6]
        - 0.018 * move[4] * (1 - move[5])
        - 0.015 * move[9]
    )
    open_down += 0.012 * move[5] - 0.042 * move[7] - 0.036 * move[6] - 0.018 * move[12] - 0.028 * move[9]
    upper = np.stack([outer, (0.5 + 0.088, -open_up * 0.99), (0.5 - 0.078, -open_up), inner])
    lower = np.stack([outer, (0.5 + 0.085, open_down), (0.5 - 0.085, open_down * 0.96), inner])
    # Sadness pulls the inner part of the lid up with the brow.
    upper[2, 1] -= 0.012 * move[1] * (1 - move[5])
    shut = np.stack([outer, (0.5 + 0.085, 0.055), (0.5 - 0.085, 0.052), inner])
    upper[1:3] += (shut[1:3] - upper[1:3]) * move.closure
    lower[1:3] += (shut[1:3] + vector(0, 0.004) - lower[1:3]) * move.closure
    depth = 0.062 + 0.012 * shape.eye_fold - 0.02 * move[5] - 0.016 * move[4] - 0.01 * move[9]
    rise = np.array([0.35, 0.9, 1.0, 0.5])[:, None] * np.array([0, -max(depth, 0.02)])
    fold = upper + rise + np.array([(0.02, 0.01), (0, 0), (0, 0), (0.01, -0.015)])
    # A closing lid stretches: its fold stays with the brow bone.
    fold[1:3, 1] -= 0.6 * move.closure * (open_up + 0.05)
    return upper, lower, fold


def _nose(identity: Identity, move: Movement) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = identity.shape
    length = 1 + 0.055 * shape.nose_length
    width = 0.215 * (1 + 0.075 * shape.nose_width) + 0.014 * move[9] + 0.016 * move[12] + 0.01 * move[10]
    raised = 0.05 * move[9] + 0.028 * move[10] + 0.012 * move[12]
    tip = -0.4 * raised
    line = [(0, 0.0), (0, 0.17 * length), (0, 0.35 * length), (0, 0.53 * length + tip)]
    base = 0.655 * length - raised
    line += [(width * 0.98, base), (width * 0.52, base + 0.045), (0, base + 0.07 + 0.5 * raised)]
    wing = np.array(
        [
            (width * 0.72, base - 0.15),
            (width * 1.02, base - 0.075),
            (width * 0.98, base),
            (width * 0.62, base + 0.035),
        ]
    )
    centre = np.array([width * 0.53, base + 0.02])
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    flare = 1 + 0.25 * move[9]
    nostril = centre + np.stack(
        [
            0.068 * flare * np.cos(angle) * width / 0.215,
            0.026 * flare * np.sin(angle) - 0.012 * np.cos(2 * angle),
        ],
        1,
    )
    return np.array(line), wing, nostril


def _mouth(identity: Identity, move: Movement, lift: float) -> dict[int, np.ndarray]:
    shape = identity.shape
    half = 0.405 + 0.022 * shape.mouth_width
    middle = 1.075 + 0.022 * shape.mouth_height
    old = identity.wrinkles
    corner = np.array([half, middle - 0.03 + 0.018 * old - 0.3 * lift])
    corner += move[12] * np.array([0.095, -0.125]) + move[15] * np.array([0.0, 0.105])
    corner += move[20] * np.array([0.125, 0.012]) + move[14] * np.array([0.03, -0.012])
    corner += move[10] * np.array([-0.005, -0.012]) + move[17] * np.array([-0.02, 0.02])
    corner[0] -= 0.035 * move[23] + 0.02 * move[24] + 0.3 * move.jaw * (1 - 0.8 * move[12] - 0.6 * move[20])
    corner[1] += 0.42 * move.jaw
    centre = middle - 0.02 * move[12] - 0.065 * move[17] - 0.012 * move[24]

    slim = (1 - 0.5 * move[23]) * (1 - 0.62 * move[24] * (0.4 + 0.6 * move.pressed)) * (1 - 0.25 * old)
    stretch = (1 - 0.22 * move[12]) * (1 - 0.22 * move[20])
    upper = max(0.016, (0.098 + 0.018 * shape.upper_lip) * slim * stretch * (1 - 0.28 * move.jaw / 0.36))
    lower = max(0.02, (0.128 + 0.02 * shape.lower_lip) * slim * stretch * (1 - 0.2 * move.jaw / 0.36))
    lower *= 1 + 0.12 * move[17]
    raise_up = 0.075 * move[10] + 0.03 * move[9]
    push_down = 0.035 * move[16]

    def line(share: float) -> float:
        return centre + (corner[1] - centre) * share**2.2

    def opening(share: float) -> float:
        return (1 - share**2.4) ** 0.75

    def inner(x_share: float, upward: bool) -> np.ndarray:
        gap = -move.upper_gap - 0.55 * raise_up * max(move[25], move[26]) if upward else move.lower_gap
        lifted = -0.25 * raise_up * (1 - max(move[25], move[26]))
        return np.array([corner[0] * x_share, line(x_share) + (gap + lifted) * opening(x_share)])

    def outer(x_share: float, thickness: float, upward: bool) -> np.ndarray:
        point = inner(x_share, upward)
        extra = -0.4 * raise_up * opening(x_share) if upward else push_down * opening(x_share)
        point[1] += extra + (-upper if upward else lower) * thickness
        return point

    dip = 0.86 - 0.06 * shape.cupid_bow
    return {
        48: corner, 49: outer(0.64, 0.6, True), 50: outer(0.25, 1.06 + 0.02 * shape.cupid_bow, True),
        51: outer(0.0, dip, True), 57: outer(0.0, 1.02, False), 58: outer(0.3, 1.0, False),
        59: outer(0.63, 0.72, False), 60: corner + np.array([-0.035, 0.002]),
        61: inner(0.36, True), 62: inner(0.0, True), 66: inner(0.0, False), 67: inner(0.36, False),
    }  # fmt: skip


def _teeth(
    identity: Identity, move: Movement, corner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    middle = 1.075 + 0.022 * identity.shape.mouth_height
    reach = corner[0] * 0.98
    bend = corner[1] - middle
    edge = middle + 0.062 - 0.02 * identity.wrinkles
    share = np.array([1.0, 0.66, 0.33, 0.0])
    upper = np.stack([share * reach, edge + (0.35 * bend - 0.02) * share**2], 1)
    drop = 0.93 * move.jaw
    lower = np.stack([share * reach, middle + 0.05 + drop + (0.35 * bend - 0.03) * share**2], 1)
    tongue = np.stack([share * reach * 0.85, middle + 0.03 + drop * 0.97 + (0.0 + 0.12 * drop) * share**2], 1)
    return upper, lower, tongue


def _jaw(identity: Identity, move: Movement) -> np.ndarray:
    shape = identity.shape
    line = np.array(
        [(1.11, 0.08), (1.105, 0.36), (1.075, 0.64), (1.005, 0.91), (0.885, 1.155), (0.705, 1.37),
         (0.48, 1.545), (0.25, 1.665), (0.0, 1.705)]
    )  # fmt: skip
    line[:, 0] *= 1 + 0.03 * shape.face_width
    # Youth is lean, a heavy jaw is square, age adds jowls: all act below the cheekbones.
    line[:, 0] *= 1 + (0.028 * shape.jaw_width + 0.02 * identity.wrinkles) * np.array(
        [0, 0.2, 0.6, 1, 1.25, 1.2, 0.8, 0.3, 0]
    )
    line[:, 0] *= 1 + 0.05 * shape.chin_width * np.array([0, 0, 0, 0, 0, 0.3, 0.9, 1, 0])
    line[:, 0] += 0.012 * shape.cheekbones * np.array([0.5, 1, 1, 0.3, -0.5, -0.6, -0.3, 0, 0])
    line[:, 1] += 0.035 * shape.chin_length * np.linspace(0, 1, 9) ** 2
    follow = np.array([0, 0, 0.06, 0.18, 0.4, 0.68, 0.9, 0.98, 1.0])
    line[:, 1] += move.jaw * follow - 0.028 * move[17] * follow**2
    line[:, 0] -= 0.1 * move.jaw * np.sin(np.pi * follow) * line[:, 0]
    return line


def _ear(identity: Identity, jaw: np.ndarray) -> np.ndarray:
    size = 1 + 0.06 * identity.shape.ears + 0.08 * identity.wrinkles
    edge = jaw[0, 0]
    shape = np.array(
        [(-0.05, -0.12), (0.045, -0.205), (0.13, -0.185), (0.175, -0.08), (0.165, 0.06), (0.125, 0.19),
         (0.095, 0.33), (0.045, 0.415), (-0.02, 0.39), (-0.08, 0.2)]
    )  # fmt: skip
    return shape * size + (edge - 0.02, 0.12)


def _skull(identity: Identity, jaw: np.ndarray) -> np.ndarray:
    wide = jaw[0, 0] / 1.11
    top = 1.66 + 0.05 * identity.shape.forehead
    return np.array(
        [jaw[0], (1.115 * wide, -0.25), (1.1 * wide, -0.6), (1.02 * wide, -1.0), (0.8 * wide, -0.8 * top),
         (0.43 * wide, -0.955 * top), (0.0, -top)]
    )  # fmt: skip


def _nasolabial(wing: np.ndarray, corner: np.ndarray, move: Movement) -> np.ndarray:
    start = wing[1] + (0.035, 0.01)
    end = corner + vector(0.085 + 0.02 * move[12], 0.02 + 0.1 * (1 - move[12]) * (1 - move[20]))
    middle = (start + end) / 2 + (0.055 + 0.035 * move[12], -0.045)
    return np.stack([start, middle, end])


@dataclass(frozen=True)
class Camera:
    """From head coordinates to pixels: a small turn of the head, then a similarity."""

    view: View
    size: int

    @property
    def scale(self) -> float:
        """Pixels per inter-ocular distance."""
        return self.view.scale * self.size

    @cached_property
    def _origin(self) -> np.ndarray:
        # The eyes rest a little above the middle; the middle of the picture is (size - 1) / 2.
        return (self.size - 1) / 2 + self.size * (np.array([0, -0.04]) + self.view.shift)

    @cached_property
    def _turn(self) -> np.ndarray:
        """(3, 2) from (x, y, depth) to pixels: yaw and pitch shift near points, roll turns the picture."""
        roll, yaw, pitch = np.radians([self.view.roll, self.view.yaw, self.view.pitch])
        tilt = np.array([[np.cos(yaw), 0], [0, np.cos(pitch)], [np.sin(yaw), np.sin(pitch)]])
        return tilt @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) * self.scale

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Head coordinates (..., 2) to image pixels (..., 2)."""
        flat, towards = self._turn[:2], self._turn[2]
        return points @ flat + (_depth(points)[..., None] * towards + self._origin)

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Head coordinates (x, y) of every pixel, each (H, W) float32; the turn of the head left out."""
        axis = np.arange(self.size, dtype=np.float32)
        c, s = (np.float32(f(np.radians(self.view.roll))) for f in (np.cos, np.sin))
        dx = ((axis - self._origin[0]) / self.scale).astype(np.float32)[None, :]
        dy = ((axis - self._origin[1]) / self.scale).astype(np.float32)[:, None]
        return c * dx + s * dy, c * dy - s * dx


_BOWL_CENTRE, _BOWL = np.array([0.0, 0.3]), np.array([0.5, 0.12])
_NOSE_CENTRE, _NOSE = np.array([0.0, 0.52]), np.array([-25.0, -12.8])


def _depth(points: np.ndarray) -> np.ndarray:
    """How far the surface of the head lies before its axis of rotation: a bowl with a nose on it."""
    bowl = 0.45 - (points - _BOWL_CENTRE) ** 2 @ _BOWL
    return np.maximum(bowl, -0.55) + 0.32 * np.exp((points - _NOSE_CENTRE) ** 2 @ _NOSE)


class Geometry:
    """All curves of a face in head coordinates and its landmarks in pixels."""

    def __init__(self, face: FaceParameters, size: int) -> None:
        self.face = face
        self.camera = Camera(face.view, size)
        intensities = dict(face.action_units)
        lift = face.identity.asymmetry
        self.moves = (Movement(intensities, 1 + face.skew), Movement(intensities, 1 - face.skew))
        self.halves = (
            build_half(face.identity, self.moves[0], lift),
            build_half(face.identity, self.moves[1], -lift),
        )
        self.points = self._landmarks()

    def _landmarks(self) -> np.ndarray:
        """(68, 2) in head coordinates."""
        left, right = (half.landmarks[_HALF] for half in self.halves)
        points = np.empty((68, 2))
        points[MIRROR[_HALF]] = right
        middle = MIRROR[_HALF] == _HALF
        points[_HALF] = left * (-1, 1)
        points[_HALF[middle]] = np.stack(
            [np.zeros(middle.sum()), (left[middle, 1] + right[middle, 1]) / 2], axis=1
        )
        return points

    @cached_property
    def landmarks(self) -> np.ndarray:
        """(68, 2) float32, image pixels."""
        return self.camera.pixels(self.points).astype(np.float32)

    def pair(self, name: str) -> np.ndarray:
        """A curve of both halves in lateral coordinates: (2, n, 2), image-left first."""
        return np.stack([getattr(half, name) for half in self.halves])

    def both(self, name: str) -> np.ndarray:
        """A curve that runs lateral to medial in each half, joined: from image-left to image-right."""
        left, right = (getattr(half, name) for half in self.halves)
        seam = (left[-1] + right[-1]) / 2 * (0, 1)
        return np.concatenate([left[:-1] * (-1, 1), seam[None], right[-2::-1]])

    @cached_property
    def head(self) -> np.ndarray:
        """Outline of the head without ears, closed, in head coordinates."""
        jaw = curve(self.points[0:17], 49)
        crown = curve(self.both("skull"), 40)
        return np.concatenate([jaw, crown[::-1]])

    @cached_property
    def outer_lips(self) -> tuple[np.ndarray, np.ndarray]:
        """Upper and lower outer lip line, each from image-left to image-right corner."""
        upper = curve(self.points[48:55], 31)
        lower = curve(self.points[[48, 59, 58, 57, 56, 55, 54]], 31)
        return upper, lower

    @cached_property
    def inner_lips(self) -> tuple[np.ndarray, np.ndarray]:
        """Upper and lower inner lip line, each from image-left to image-right."""
        return curve(self.points[60:65], 25), curve(self.points[[60, 67, 66, 65, 64]], 25)
