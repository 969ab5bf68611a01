"""Skin: bumps, creases and wrinkles of the living face, and the light on them."""

from functools import cached_property

import numpy as np

from aucue.rendering.canvas import Mask, Ramp, curve, mix, vector
from aucue.rendering.relief import Relief, Surface
from aucue.rendering.scene import Scene


class Skin:
    """Skin of a scene: relief, light and colour at every pixel."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.identity = scene.identity
        self.colour = scene.identity.skin
        self.ramp = Ramp(self.colour)

    @cached_property
    def surface(self) -> Surface:
        """The relief over the whole picture."""
        relief = Relief()
        _bones(self.scene, relief)
        for side in (0, 1):
            _cheek(self.scene, relief, side)
            _lid_furrows(self.scene, relief, side)
            _mouth_corner(self.scene, relief, side)
        _nose(self.scene, relief)
        _chin(self.scene, relief)
        _forehead(self.scene, relief)
        _glabella(self.scene, relief)
        _freckles(self.scene, relief)
        return relief.evaluate(self.scene.camera, self.scene.canvas.size)

    @cached_property
    def light(self) -> np.ndarray:
        """Light at every pixel (H, W): the rounding of the head, bumps and creases."""
        u, v = self.scene.camera.grid
        jaw = self.scene.geometry.points[0:17]
        heights = np.linspace(-1.8, 2.4, 128)
        halves = (jaw[16:7:-1, 0] - jaw[0:9, 0]) / 2
        half = np.interp(heights, [-1.7, -1.3, -0.8, *jaw[0:9, 1]], [0.55, 0.9, 1.1, *halves])
        half = np.maximum(half, 0.42).astype(np.float32)
        width = half[np.clip((v + 1.8) * (127 / 4.2), 0, 127).astype(np.intp)]
        across = np.clip(u / width + 0.004 * self.scene.view.yaw, -1.1, 1.1)
        nx = 1.15 * across * np.sqrt(np.abs(across)) ** 3
        down = np.clip((v - 1.1) / (jaw[8, 1] - 1.1), 0, 1.15)
        up = np.clip((-0.55 - v) / 1.1, 0, 1.1)
        ny = 0.9 * down * down - 0.75 * up * up
        surface = self.surface
        light = self.scene.lambert(nx - surface.slope_x, ny - surface.slope_y)
        return light * np.exp(-np.maximum(surface.shade, -0.4))

    def paint_neck(self) -> None:
        """Neck, with the shadow of the head on it."""
        scene = self.scene
        half = 0.55 + 0.035 * self.identity.shape.neck + 0.1 * (1 - self.identity.femininity)
        chin = scene.geometry.points[8, 1]
        side = np.array(
            [(half * 1.06, 0.7), (half, 1.5), (half, 1.9), (half * 1.25, 2.2), (1.5, 2.5), (2.0, 2.75)]
        )
        outline = np.concatenate([curve(side * (-1, 1), 16), curve(side, 16)[::-1]])
        mask = scene.canvas.mask(scene.pixels(outline)[None])
        u, v = (mask.crop(plane) for plane in scene.camera.grid)
        nx = np.clip(1.3 * (u / half) * np.abs(u / half), -1.5, 1.5)
        under = np.exp(-np.maximum(v - chin + 0.12 + 0.35 * u * u, 0) / 0.3)
        tendon = 0.05 * np.exp(-(((np.abs(u) - 0.2 - 0.12 * (2.3 - v)) / 0.05) ** 2)) * (v > chin)
        self.scene.canvas.paint(mask, self.ramp(scene.lambert(nx, 0.15) * (0.92 - 0.5 * under - tendon)))

    def paint_ears(self) -> None:
        """Both ears."""
        scene = self.scene
        ears = scene.geometry.pair("ear")
        mask = scene.canvas.mask(scene.sides(curve(ears, 36, closed=True)))
        colours = self.ramp(mask.crop(self.light) * 0.92)
        scene.canvas.paint(mask, colours * np.array([1.0, 0.93, 0.92], np.float32)[:, None, None])
        centre = ears.mean(axis=1, keepdims=True)
        hollow = (ears[:, 2:8] - centre) * 0.58 + centre
        inner = scene.canvas.stroke(
            scene.sides(curve(hollow, 16)), 0.05 * scene.unit, blur=0.02 * scene.unit, within=mask
        )
        scene.canvas.paint(inner, mix(self.colour * 0.6, np.array([0.45, 0.12, 0.08]), 0.15), 0.75)

    def paint_head(self) -> Mask:
        """Face and skull; returns where they are."""
        scene = self.scene
        mask = scene.canvas.mask(scene.pixels(scene.geometry.head)[None])
        colours = self.ramp(mask.crop(self.light))
        blush = np.clip(mask.crop(self.surface.blush), 0, 1) * (0.3 + 0.15 * self.identity.make_up)
        rosy = colours * np.array([1.0, 0.74, 0.72], np.float32)[:, None, None]
        rosy += np.array([0.04, 0, 0.005], np.float32)[:, None, None]
        scene.canvas.paint(mask, colours + (rosy - colours) * blush)
        self._sheen(mask)
        return mask

    def _sheen(self, mask: Mask) -> None:
        """Faint gloss where bumps mirror the lamp."""
        half = self.scene.light + np.array([0, 0, 1])
        x, y = (half[:2] / half[2]).tolist()
        surface = self.surface
        distance = (mask.crop(surface.slope_x) + x) ** 2 + (mask.crop(surface.slope_y) + y) ** 2
        sheen = np.exp(-distance / 0.06 - 4 * np.maximum(mask.crop(surface.shade), 0))
        self.scene.canvas.paint(mask, np.array([1.0, 0.96, 0.9]), 0.12 * sheen)


def _mean(scene: Scene, number: int) -> float:
    return (scene.moves[0][number] + scene.moves[1][number]) / 2


def _bones(scene: Scene, relief: Relief) -> None:
    """Forehead, brow ridge, sockets, cheekbones: what stays when the face is still."""
    shape, male = scene.identity.shape, 1 - scene.identity.femininity
    for x in (-1, 1):
        flip = np.array([x, 1])
        relief.dot(0.38 * x, -0.8, 0.3, 0.08)
        relief.stroke(np.array([(0.85, -0.32), (0.5, -0.44), (0.15, -0.36)]) * flip, 0.1, 0.08 + 0.1 * male)
        relief.dot(0.27 * x, -0.06, 0.1, -0.12, 0.12)
        relief.dot(0.5 * x, -0.02, 0.2, 0.12, 0.04)
        relief.stroke(
            np.array([(1.0, 0.3), (0.75, 0.38), (0.55, 0.45)]) * flip, 0.13, 0.1 + 0.03 * shape.cheekbones
        )
        relief.dot(0.8 * x, 0.86, 0.2, -0.08 - 0.03 * shape.cheekbones - 0.05 * scene.identity.wrinkles)
        relief.dot(1.0 * x, -0.42, 0.16, -0.1)


def _cheek(scene: Scene, relief: Relief, side: int) -> None:
    """The apple of the cheek rises and rounds (AU6, AU12); the nasolabial fold deepens (AU9, 10, 12, 20)."""
    half, move = scene.geometry.halves[side], scene.moves[side]
    flip, old = _flip(side), scene.identity.wrinkles
    lift = max(move[12], 0.8 * move[6])
    x, y = half.cheek * flip
    relief.dot(x, y, 0.2, 0.1 + 0.2 * lift, -0.03 * lift, 0.5 + 0.25 * lift)
    fold = half.fold * flip
    relief.stroke(fold, 0.045, -0.06 * old - 0.02, 0.04)
    depth = (
        0.12 * old + 0.36 * move[12] + 0.24 * move[10] + 0.22 * move[9] + 0.12 * move[20] + 0.06 * move[14]
    )
    relief.stroke(fold, 0.038, -1.1 * depth, 0.36 * depth)
    relief.stroke(fold + vector(0.07 * flip[0], -0.02), 0.07, 0.35 * depth)


def _lid_furrows(scene: Scene, relief: Relief, side: int) -> None:
    """Fold of the upper lid; pouch and furrow of the lower (AU6, 7, 9); crow's feet (AU6)."""
    half, move = scene.geometry.halves[side], scene.moves[side]
    flip, old = _flip(side), scene.identity.wrinkles
    relief.stroke(half.lid_fold * flip, 0.018, -0.12, 0.3 * (0.75 + 0.2 * scene.identity.shape.eye_fold))
    relief.stroke((half.lid_fold + vector(0, 0.035)) * flip, 0.03, 0.16)
    pouch = half.lower_lid + np.array([(-0.02, 0.05), (0, 0.055), (0, 0.06), (0.02, 0.06)])
    relief.stroke(pouch * flip, 0.03, 0.1 + 0.22 * max(move[6], move[7]))
    furrow = 0.08 + 0.25 * old + 0.32 * move[6] + 0.27 * move[7] + 0.2 * move[9]
    relief.stroke((pouch + vector(0, 0.055 - 0.02 * move[6])) * flip, 0.028, -0.4 * furrow, 0.26 * furrow)
    relief.dot(0.33 * flip[0], 0.15, 0.09, 0.0, 0.05 + 0.08 * old)
    depth = 0.22 * old**1.5 + move[6] * (0.32 + 0.45 * old)
    if depth > 0.03:
        for rise, bend in ((-0.09, -0.03), (-0.01, 0.0), (0.07, 0.02)):
            start = half.upper_lid[0] + (0.055, 0.01 + 0.45 * rise)
            end = start + vector(0.14, rise)
            knots = np.stack([start, (start + end) / 2 + (0, bend), end])
            relief.stroke(knots * flip, 0.018, -0.55 * depth, 0.2 * depth)


def _mouth_corner(scene: Scene, relief: Relief, side: int) -> None:
    """Pit of the corner (AU12, 14, 15), dimple (AU14), marionette line (AU15), stretch lines (AU20)."""
    half, move = scene.geometry.halves[side], scene.moves[side]
    flip, old = _flip(side), scene.identity.wrinkles
    pit = 0.1 + 0.22 * move[12] + 0.5 * move[14] + 0.25 * move[15] + 0.15 * move[20]
    x, y = (half.corner + vector(0.03, 0.004)) * flip
    relief.dot(x, y, 0.035, -0.25 * pit, 0.55 * pit)
    if move[14] > 0.02:
        dimple = half.corner + vector(0.11, -0.01)
        knots = dimple + np.array([(0.0, -0.09), (0.03, 0), (0, 0.09)])
        relief.stroke(knots * flip, 0.03, -0.9 * move[14], 0.45 * move[14])
        x, y = (dimple + vector(0.08, 0)) * flip
        relief.dot(x, y, 0.07, 0.25 * move[14])
    sag = 0.4 * old**2 + 0.7 * move[15] + 0.2 * move[17]
    if sag > 0.02:
        knots = half.corner + np.array([(0.035, 0.02), (0.08, 0.12), (0.065, 0.23)])
        relief.stroke(knots * flip, 0.034, -0.5 * sag, 0.26 * sag)
    if move[20] > 0.02:
        knots = half.corner + np.array([(0.1, -0.08), (0.125, 0.05), (0.09, 0.21)])
        relief.stroke(knots * flip, 0.034, -0.6 * move[20], 0.22 * move[20])


def _nose(scene: Scene, relief: Relief) -> None:
    shape, points = scene.identity.shape, scene.geometry.points
    tip, base = points[30], points[33]
    bridge = 0.24 + 0.05 * shape.nose_bridge
    relief.stroke(
        np.stack([points[27] - (0, 0.16), points[27], points[28], points[29], tip]), 0.068, 1.15 * bridge
    )
    relief.dot(tip[0], tip[1] - 0.01, 0.1, 0.42, -0.04, 0.35)
    relief.dot(tip[0], tip[1] - 0.06, 0.028, 0.0, -0.12)
    for side in (0, 1):
        wing = scene.geometry.halves[side].nose_wing * _flip(side)
        relief.dot(wing[1, 0] * 0.82, wing[1, 1] + 0.03, 0.068, 0.34, 0.0, 0.25)
        relief.stroke(wing, 0.02, -0.08, 0.2)
    relief.dot(base[0], base[1] + 0.055, 0.1, -0.1, 0.14)
    # The nose throws a shadow away from the lamp.
    x, y = base - scene.light[:2] * (0.26, 0.1)
    relief.dot(x, y - 0.04, 0.1, 0.0, 0.12)
    relief.stroke(np.stack([base + vector(0, 0.05), (points[51] + base) / 2, points[51]]), 0.03, -0.14, 0.04)


def _chin(scene: Scene, relief: Relief) -> None:
    """Boss of the chin and groove below the lip; AU17 lifts the boss and dimples it like orange peel."""
    points = scene.geometry.points
    chin, lip = points[8], points[57]
    raised = _mean(scene, 17)
    x, y = lip * 0.42 + chin * 0.58 - (0, 0.04 * raised)
    relief.dot(x, y, 0.2, 0.14 + 0.1 * raised, 0.0, 0.25)
    groove = lip + np.array([(-0.2, 0.085), (0.0, 0.075), (0.2, 0.085)])
    relief.stroke(groove, 0.05, -0.24 - 0.14 * raised, 0.15 + 0.1 * raised)
    if raised > 0.05:
        spots = [
            (-0.16, 0.0),
            (-0.07, -0.06),
            (0.03, -0.01),
            (0.13, -0.05),
            (-0.1, 0.09),
            (0.0, 0.08),
            (0.11, 0.07),
        ]
        for dx, dy in spots:
            relief.dot(x + dx * scene.identity.side, y + 0.9 * dy, 0.036, -0.3 * raised, 0.06 * raised)


def _forehead(scene: Scene, relief: Relief) -> None:
    """Furrows across the forehead: raised brows (AU1 in the middle, AU2 to the sides) and age."""
    old = scene.identity.wrinkles
    inner, outer = _mean(scene, 1), _mean(scene, 2)
    ready = 0.45 + 0.55 * old
    for y, fade in ((-0.62, 1.0), (-0.75, 0.9), (-0.88, 0.65)):
        depth = fade * (ready * (0.5 * inner + 0.35 * outer) + 0.14 * old**1.5)
        if depth < 0.03:
            continue
        reach = 0.26 + 0.42 * max(outer, 0.8 * old)
        slant = 0.05 * inner * (1 - outer)
        y -= 0.03 * (inner + outer)
        half = np.array([(-reach, y + slant), (-reach / 2, y - 0.02)])
        knots = np.concatenate([half, [(0.0, y + 0.012 - slant)], half[::-1] * (-1, 1)])
        relief.stroke(knots, 0.026, -0.6 * depth, 0.16 * depth)
        relief.stroke(knots + vector(0, 0.06), 0.03, 0.3 * depth)


def _glabella(scene: Scene, relief: Relief) -> None:
    """Frown lines between the brows (AU4) and bunny lines on the nose (AU9)."""
    old = scene.identity.wrinkles
    knit, sneer = _mean(scene, 4), _mean(scene, 9)
    frown = knit * (0.6 + 0.4 * old) + 0.1 * old**2 + 0.3 * sneer
    for side in (0, 1):
        flip = _flip(side)
        height = scene.geometry.halves[side].brow[-1, 1]
        if frown > 0.03:
            lines = np.array([(0.062, height - 0.14), (0.078, height), (0.055, height + 0.12)])
            relief.stroke(lines * flip, 0.026, -0.75 * frown, 0.27 * frown)
            relief.dot(0.15 * flip[0], height - 0.01, 0.06, 0.22 * frown)
            relief.dot(0.0, height, 0.05, 0.12 * frown)
        if sneer > 0.03:
            for y in (0.0, 0.08, 0.16):
                knots = np.array([(0.02, y - 0.03), (0.1, y), (0.17, y + 0.06)])
                relief.stroke(knots * flip, 0.023, -0.55 * sneer, 0.15 * sneer)
    if sneer > 0.03:
        relief.stroke(np.array([(-0.12, 0.03), (0.0, 0.0), (0.12, 0.03)]), 0.023, -0.55 * sneer, 0.2 * sneer)


def _freckles(scene: Scene, relief: Relief) -> None:
    if not scene.identity.freckles:
        return
    rng = scene.rng(5)
    count = int(130 * scene.identity.freckles)
    spots = rng.normal(size=(count, 2)) * (0.42, 0.15) + (0, 0.36)
    spots[:, 0] *= scene.identity.side
    strength, width = rng.uniform(0.04, 0.16, count), rng.uniform(0.008, 0.016, count)
    for (x, y), depth, wide in zip(spots.tolist(), strength.tolist(), width.tolist(), strict=True):
        relief.dot(x, y, wide, 0.0, depth, 1.2 * depth)


def _flip(side: int) -> np.ndarray:
    """Turns lateral coordinates of a half (0 image-left, 1 image-right) into head coordinates."""
    return np.array([-1 if side == 0 else 1, 1])
