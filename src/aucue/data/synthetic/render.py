"""Paints a face: light on skin, then eyes, brows, nose, mouth and hair, each from the curves of its geometry."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aucue.data.synthetic.canvas import Canvas, Mask, Ramp, Relief, Surface, curve, mix
from aucue.data.synthetic.geometry import IRIS_RADIUS, Geometry
from aucue.data.synthetic.hair import Hair, Sheet, style_hair
from aucue.data.synthetic.parameters import FaceParameters
from aucue.errors import InputError


@dataclass(frozen=True)
class Rendering:
    """A picture and where its landmarks are."""

    image: np.ndarray
    """(size, size, 3) uint8."""
    landmarks: np.ndarray
    """(68, 2) float32, iBUG-68, image pixels, (0, 0) = centre of the top-left pixel."""


def render(face: FaceParameters, size: int = 112) -> Rendering:
    """Paint a face.

    Args:
        face: what to paint; the same parameters give the same bytes.
        size: side of the square picture in pixels, at least 32.

    Raises:
        InputError: The picture would be too small to show a face.
    """
    if size < 32:
        raise InputError(f"A face cannot be painted on {size} x {size} pixels; ask for a size of at least 32.")
    painter = _Painter(Geometry(face, size), size)
    return Rendering(painter.paint(), painter.geometry.landmarks)


class _Painter:
    def __init__(self, geometry: Geometry, size: int) -> None:
        self.geometry = geometry
        self.camera = geometry.camera
        self.unit = geometry.camera.scale
        self.face = geometry.face
        self.identity = geometry.face.identity
        self.view = geometry.face.view
        self.moves = geometry.moves
        self.canvas = Canvas(size)
        self.skin = Ramp(self.identity.skin)

    def paint(self) -> np.ndarray:
        self._background()
        hair = style_hair(self.geometry)
        self._sheets(hair.behind)
        self._neck()
        self._clothes()
        self._ears()
        self._head()
        for side in (0, 1):
            self._eye(side)
        self._nose()
        self._beard()
        self._mouth()
        for side in (0, 1):
            self._brow(side)
        self._hair(hair)
        self._accessories()
        self._develop()
        return self.canvas.finished()

    # -- frame and light ---------------------------------------------------------------------------------------

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        return self.camera.pixels(points)

    def _sided(self, side: int, points: np.ndarray) -> np.ndarray:
        return self._pixels(self.geometry.sided(side, points))

    @cached_property
    def _light(self) -> np.ndarray:
        """Unit vector towards the lamp, turned into the head's frame: (x, y, z)."""
        angle = np.radians(self.view.roll)
        x, y = self.view.light
        direction = np.array([np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, 1.0])
        return direction / np.linalg.norm(direction)

    @cached_property
    def _image_light(self) -> np.ndarray:
        direction = np.array([*self.view.light, 1.0])
        return direction / np.linalg.norm(direction)

    def _lambert(self, nx: np.ndarray, ny: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Light on a surface with normal (nx, ny, 1): 1 where it faces the viewer, unit-free."""
        cosine = (nx * light[0] + ny * light[1] + light[2]) / np.sqrt(nx**2 + ny**2 + 1)
        ambient = self.view.ambient
        return ambient + (1 - ambient) * np.maximum(cosine, 0) / light[2]

    def _background(self) -> None:
        u, v = self.camera.grid
        near = np.exp(-(u**2 + (v - 0.1) ** 2) / 5.0)
        edge, centre = (np.array(c, np.float32)[:, None, None] for c in self.view.background)
        lean = 1 + 0.1 * (self._light[0] * u + self._light[1] * v) / 2
        self.canvas.planes[:] = (edge + (centre - edge) * near) * lean

    @cached_property
    def _surface(self) -> Surface:
        return self._relief().evaluate(self.canvas.size)

    @cached_property
    def _skin_light(self) -> np.ndarray:
        """Light on the skin at every pixel, (H, W): the rounding of the head, bumps and creases."""
        u, v = self.camera.grid
        jaw = self.geometry.points[0:17]
        depth = np.linspace(-1.8, 2.4, 128)
        half = np.interp(depth, [-1.7, -1.3, -0.8, *jaw[0:9, 1]], [0.55, 0.9, 1.12, *(jaw[16:7:-1, 0] - jaw[0:9, 0]) / 2])
        half = np.maximum(half, 0.42).astype(np.float32)
        width = half[np.clip((v + 1.8) * (127 / 4.2), 0, 127).astype(np.intp)]
        turn = 0.012 * self.view.yaw
        across = np.clip(u / width + turn * 0.35, -1.1, 1.1)
        chin = jaw[8, 1]
        nx = 1.15 * across * np.abs(across) ** 1.4
        ny = 0.9 * np.clip((v - 1.1) / (chin - 1.1), 0, 1.15) ** 2 - 0.75 * np.clip((-0.55 - v) / 1.1, 0, 1.1) ** 2
        surface = self._surface
        light = self._lambert(nx - surface.slope_x, ny - surface.slope_y, self._light)
        return light * np.exp(-np.maximum(surface.shade, -0.4))

    # -- relief of the skin ------------------------------------------------------------------------------------

    def _relief(self) -> Relief:
        self.relief = Relief()
        self._relief_bones()
        for side in (0, 1):
            self._relief_side(side)
        self._relief_middle()
        self._relief_wrinkles()
        return self.relief

    def _dot(self, points: np.ndarray, width: float, height: float = 0.0, shade: float = 0.0, blush: float = 0.0) -> None:
        self.relief.dot(self._pixels(np.atleast_2d(points)), width * self.unit, height, shade, blush)

    def _line(self, knots: np.ndarray, width: float, height: float = 0.0, shade: float = 0.0, taper: bool = True) -> None:
        self.relief.stroke(self._pixels(np.asarray(knots)), width * self.unit, height, shade, taper)

    def _mean(self, number: int) -> float:
        return (self.moves[0][number] + self.moves[1][number]) / 2

    def _relief_bones(self) -> None:
        """Forehead, brow ridge, sockets, cheekbones: what stays when the face is still."""
        shape, male = self.identity.shape, 1 - self.identity.femininity
        for x in (-1, 1):
            self._dot((0.38 * x, -0.8), 0.3, 0.08)
            self._line([(0.85 * x, -0.32), (0.5 * x, -0.44), (0.15 * x, -0.36)], 0.1, 0.08 + 0.1 * male)
            self._dot((0.27 * x, -0.06), 0.1, -0.12, 0.13)
            self._dot((0.5 * x, 0.0), 0.2, 0.12, 0.03)
            self._line([(1.0 * x, 0.3), (0.75 * x, 0.38), (0.55 * x, 0.45)], 0.13, 0.1 + 0.03 * shape.cheekbones)
            self._dot((0.8 * x, 0.86), 0.2, -0.09 - 0.03 * shape.cheekbones + 0.05 * (1 - self.identity.wrinkles) - 0.03)
            self._dot((1.0 * x, -0.42), 0.16, -0.1)

    def _relief_side(self, side: int) -> None:
        half, move = self.geometry.halves[side], self.moves[side]
        sign = -1 if side == 0 else 1
        flip = np.array([sign, 1])
        old = self.identity.wrinkles
        # The apple of the cheek rises and rounds with smiles (AU6, AU12).
        lift = max(move[12], 0.8 * move[6])
        self._dot(half.cheek * flip, 0.2, 0.1 + 0.2 * lift, -0.03 * lift, 0.4 + 0.25 * lift)
        self._line(half.fold * flip, 0.035, -0.07 * old - 0.02, 0.04)
        crease = 0.10 * old + 0.34 * move[12] + 0.22 * move[10] + 0.2 * move[9] + 0.12 * move[20] + 0.06 * move[14]
        self._line(half.fold * flip, 0.032, -1.1 * crease, 0.5 * crease)
        # Lower lid: pouch, and the furrow that cheek raising (AU6) and lid tightening (AU7) deepen.
        lid = half.lower_lid
        pouch = lid[[0, 1, 2, 3]] + np.array([(-0.02, 0.05), (0, 0.055), (0, 0.06), (0.02, 0.06)])
        self._line(pouch * flip, 0.03, 0.12 + 0.2 * max(move[6], move[7]), 0.0)
        furrow = 0.08 + 0.3 * old + 0.3 * move[6] + 0.25 * move[7] + 0.2 * move[9]
        self._line((pouch + (0, 0.055 - 0.02 * move[6])) * flip, 0.026, -0.4 * furrow, 0.3 * furrow)
        self._dot((0.33, 0.15) * flip, 0.09, 0.0, 0.06 + 0.1 * old)
        # Upper lid.
        self._line(half.lid_fold * flip, 0.016, -0.1, 0.22 * (0.55 + 0.25 * self.identity.shape.eye_fold / 2))
        # Corner of the mouth: a small pit, deeper when pulled (AU12, 14, 15).
        pit = 0.13 + 0.25 * move[12] + 0.5 * move[14] + 0.3 * move[15] + 0.15 * move[20]
        self._dot((half.corner + (0.03, 0.004)) * flip, 0.035, -0.25 * pit, 0.6 * pit)
        if move[14] > 0.02:
            dimple = half.corner + (0.11, -0.01)
            self._line([(dimple + (0.0, -0.09)) * flip, (dimple + (0.03, 0)) * flip, (dimple + (0, 0.09)) * flip], 0.026,
                       -0.9 * move[14], 0.55 * move[14])  # fmt: skip
            self._dot((dimple + (0.08, 0)) * flip, 0.07, 0.25 * move[14])
        # Marionette line and the bulge beside it: age, and lowered corners (AU15).
        sag = 0.4 * old**2 + 0.75 * move[15] + 0.2 * move[17]
        start = half.corner + (0.035, 0.02)
        self._line([start * flip, (start + (0.045, 0.1)) * flip, (start + (0.03, 0.21)) * flip], 0.03, -0.5 * sag, 0.32 * sag)
        if move[20] > 0.02:
            outer = half.corner + (0.1, 0.05)
            self._line([(outer + (0, -0.13)) * flip, (outer + (0.025, 0)) * flip, (outer + (-0.01, 0.16)) * flip], 0.03,
                       -0.6 * move[20], 0.28 * move[20])  # fmt: skip
        self._crows_feet(half.upper_lid[0], flip, 0.25 * old**1.5 + move[6] * (0.35 + 0.5 * old))

    def _crows_feet(self, corner: np.ndarray, flip: np.ndarray, depth: float) -> None:
        if depth < 0.03:
            return
        for rise, bend in ((-0.09, -0.03), (-0.01, 0.0), (0.07, 0.02)):
            start = corner + (0.06, 0.01 + 0.45 * rise)
            end = start + (0.14, rise)
            self._line([start * flip, ((start + end) / 2 + (0, bend)) * flip, end * flip], 0.016, -0.55 * depth, 0.26 * depth)

    def _relief_middle(self) -> None:
        """Nose, philtrum, chin and the roundings of the lips."""
        shape, points = self.identity.shape, self.geometry.points
        tip, base = points[30], points[33]
        bridge = 0.3 + 0.06 * shape.nose_bridge
        self._line([points[27] - (0, 0.1), points[28], points[29], tip], 0.065, bridge * 0.75, taper=False)
        self._dot(tip - (0, 0.01), 0.1, 0.42, -0.04, 0.18)
        self._dot(tip - (0, 0.06), 0.028, 0.0, -0.13)
        for side in (0, 1):
            wing = self.geometry.halves[side].nose_wing * ((-1, 1) if side == 0 else (1, 1))
            self._dot(wing[1] * (0.82, 1) + (0, 0.03), 0.068, 0.34, 0.0, 0.1)
            self._line(wing, 0.018, -0.08, 0.2)
        self._dot(base + (0, 0.055), 0.1, -0.1, 0.16)
        # The nose throws a shadow away from the lamp.
        away = -self._light[:2] * np.array([0.26, 0.1])
        self._dot(np.array([(0.06 * s, 0.0) for s in (-1, 1)]) * 0 + base + away - (0, 0.04), 0.1, 0.0, 0.13)
        upper = (points[51] + base) / 2
        self._line([base + (0, 0.05), upper, points[51]], 0.03, -0.14, 0.04)
        self._chin()

    def _chin(self) -> None:
        points = self.geometry.points
        chin, lip = points[8], points[57]
        raised = self._mean(17)
        boss = lip * 0.42 + chin * 0.58 - (0, 0.04 * raised)
        self._dot(boss, 0.2, 0.14 + 0.1 * raised, 0.0, 0.15)
        groove = lip + (0, 0.075)
        reach = 0.2
        self._line([groove + (-reach, 0.01), groove, groove + (reach, 0.01)], 0.05, -0.24 - 0.14 * raised, 0.17 + 0.1 * raised)
        if raised > 0.05:
            # The mentalis dimples the skin of the chin like an orange peel.
            spots = np.array([(-0.16, 0.0), (-0.07, -0.06), (0.03, -0.01), (0.13, -0.05), (-0.1, 0.09), (0.0, 0.08), (0.11, 0.07)])
            spots[:, 0] *= self.identity.side
            self._dot(boss + spots * (1, 0.9), 0.026, -0.42 * raised, 0.2 * raised)

    def _relief_wrinkles(self) -> None:
        """Forehead, glabella and bridge of the nose."""
        old = self.identity.wrinkles
        inner, outer, knit, sneer = (self._mean(n) for n in (1, 2, 4, 9))
        ready = 0.45 + 0.55 * old
        for level, y in enumerate((-0.62, -0.75, -0.88)):
            fade = (1.0, 0.9, 0.65)[level]
            depth = fade * (ready * (0.5 * inner + 0.35 * outer) + 0.16 * old**1.5)
            reach = 0.26 + 0.42 * max(outer, 0.8 * old)
            slant = 0.05 * inner * (1 - outer)
            rise = -0.03 * (inner + outer)
            knots = [(-reach, y + rise + slant), (-reach / 2, y + rise - 0.02), (0, y + rise + 0.012 - slant)]
            knots += [(-x, y) for x, y in knots[-2::-1]]
            if depth > 0.03:
                self._line(np.array(knots), 0.024, -0.62 * depth, 0.2 * depth)
                self._line(np.array(knots) + (0, 0.06), 0.028, 0.3 * depth)
        frown = knit * (0.6 + 0.4 * old) + 0.12 * old**2 + 0.3 * sneer
        inner_brow = [self.geometry.halves[s].brow[-1] for s in (0, 1)]
        for side, x in ((0, -1), (1, 1)):
            height = inner_brow[side][1]
            if frown > 0.03:
                lines = [(0.062 * x, height - 0.13), (0.075 * x, height), (0.055 * x, height + 0.12)]
                self._line(lines, 0.02, -0.75 * frown, 0.4 * frown)
                self._dot((0.14 * x, height - 0.01), 0.06, 0.22 * frown, 0.0)
            if sneer > 0.03:
                for y in (0.0, 0.08, 0.16):
                    self._line([(0.02 * x, y - 0.03), (0.1 * x, y), (0.17 * x, y + 0.06)], 0.018, -0.6 * sneer, 0.3 * sneer)
        if frown > 0.03:
            self._dot((0.0, max(h[1] for h in inner_brow)), 0.05, 0.25 * frown)
        if sneer > 0.03:
            self._line([(-0.12, 0.03), (0.0, 0.0), (0.12, 0.03)], 0.018, -0.6 * sneer, 0.4 * sneer)
        if self.identity.freckles:
            self._freckles()

    def _freckles(self) -> None:
        rng = np.random.default_rng([self.identity.seed, 5])
        count = int(90 * self.identity.freckles)
        spots = rng.normal(size=(count, 2)) * (0.45, 0.16) + (0, 0.36)
        spots[:, 0] *= self.identity.side
        strength = rng.uniform(0.06, 0.2, count)
        self.relief.dot(self._pixels(spots), rng.uniform(0.01, 0.02, count) * self.unit, 0, strength, strength * 1.5)

    # -- head, neck, clothes -----------------------------------------------------------------------------------

    def _skin_colours(self, where: Mask, dim: float | np.ndarray = 1.0) -> np.ndarray:
        return self.skin(where.crop(self._skin_light) * dim)

    def _neck(self) -> None:
        shape = self.identity.shape
        half = 0.64 + 0.04 * shape.neck + 0.06 * (1 - self.identity.femininity)
        chin = self.geometry.points[8, 1]
        side = np.array([(half * 1.04, 0.7), (half, 1.5), (half * 1.0, 1.95), (half * 1.25, 2.25), (1.5, 2.5), (2.0, 2.75)])
        outline = np.concatenate([curve(side * (-1, 1), 16), curve(side, 16)[::-1]])
        mask = self.canvas.mask(self._pixels(outline))
        if mask is None:
            return
        u, v = (mask.crop(plane) for plane in self.camera.grid)
        nx = 1.3 * (u / half) * np.abs(u / half)
        light = self._lambert(np.clip(nx, -1.5, 1.5), 0.15, self._light)
        # The head's shadow, deepest right under the jaw and shifted away from the lamp.
        under = np.exp(-np.maximum(v - chin + 0.12 + 0.35 * u**2, 0) / 0.3)
        tendon = 0.05 * np.exp(-(((np.abs(u) - 0.2 - 0.12 * (2.3 - v)) / 0.05) ** 2)) * (v > chin)
        self.canvas.paint(mask, self.skin(light * (0.9 - 0.5 * under - tendon)))

    def _clothes(self) -> None:
        identity = self.identity
        colour = np.array(identity.clothing_colour)
        broad = 1.9 + 0.25 * (1 - identity.femininity)
        shoulder = np.array([(0.72, 2.02), (1.1, 2.13), (1.6, 2.3), (broad, 2.55), (broad + 0.3, 3.3)])
        dip = {0: 2.28, 1: 2.75, 2: 2.55}[identity.clothing]
        neckline = np.array([(0.72, 2.02), (0.45, (2.02 + dip) / 2 + 0.05 * (identity.clothing == 0)), (0.0, dip)])
        side = np.concatenate([curve(shoulder, 14)[::-1], curve(neckline, 10) if identity.clothing == 0 else neckline])
        outline = np.concatenate([side * (-1, 1), side[::-1]])
        mask = self.canvas.mask(self._pixels(outline))
        if mask is None:
            return
        u, v = (mask.crop(plane) for plane in self.camera.grid)
        fold = 0.06 * np.sin(7 * np.abs(u) + 5 * v) * np.clip(v - 2.1, 0, 1)
        light = self._lambert(np.clip(0.5 * u, -1, 1) + fold * 3, -0.3, self._light)
        shadow = 1 - 0.3 * np.exp(-((u / 0.9) ** 2) - ((v - 2.0) / 0.3) ** 2)
        self.canvas.paint(mask, Ramp(colour, 0.1, 0.4)(light * shadow * 0.92))
        rim = [self._pixels(neckline * (-1, 1)), self._pixels(neckline)]
        if identity.clothing == 2:
            collar = np.array([(0.66, 1.9), (0.86, 2.02), (0.62, 2.62), (0.1, 2.42), (0.4, 2.2)])
            for x in (-1, 1):
                flap = self.canvas.mask(self._pixels(collar * (x, 1)))
                if flap is not None:
                    lit = 1.08 + 0.12 * x * self._light[0]
                    self.canvas.paint(flap, np.clip(colour * lit + 0.05, 0, 1))
                    edge = self.canvas.stroke([self._pixels(collar[[1, 2, 3]] * (x, 1))], 0.02 * self.unit)
                    self.canvas.paint(edge, colour * 0.6, 0.6) if edge is not None else None
            return
        edge = self.canvas.stroke([curve(line, 12) for line in rim] if identity.clothing == 0 else rim, 0.07 * self.unit)
        if edge is not None:
            self.canvas.paint(edge, colour * 0.8, 0.7)

    def _ears(self) -> None:
        if self.identity.hair_style == "scarf":
            return
        for side in (0, 1):
            ear = self.geometry.halves[side].ear
            mask = self.canvas.mask(self._sided(side, curve(ear, 36, closed=True)))
            if mask is None:
                continue
            self.canvas.paint(mask, self._skin_colours(mask, 0.93))
            centre = ear.mean(axis=0)
            hollow = (ear[2:8] - centre) * 0.58 + centre
            inner = self.canvas.stroke([self._sided(side, curve(hollow, 16))], 0.05 * self.unit, blur=0.02 * self.unit, within=mask)
            shade = mix(self.identity.skin * 0.6, np.array([0.45, 0.12, 0.08]), 0.15)
            if inner is not None:
                self.canvas.paint(inner, shade, 0.75)

    def _head(self) -> None:
        mask = self.canvas.mask(self._pixels(self.geometry.head))
        if mask is None:
            return
        self._head_mask = mask
        colours = self._skin_colours(mask)
        blush = np.clip(mask.crop(self._surface.blush), 0, 1) * (0.2 + 0.16 * self.identity.make_up)
        rosy = colours * np.array([1.0, 0.76, 0.74], np.float32)[:, None, None] + np.array([0.03, 0, 0.005], np.float32)[:, None, None]
        self.canvas.paint(mask, colours + (rosy - colours) * blush)
        self._gloss(mask)

    def _gloss(self, mask: Mask) -> None:
        """A faint sheen where bumps mirror the lamp."""
        surface = self._surface
        sx, sy = mask.crop(surface.slope_x), mask.crop(surface.slope_y)
        light = self._light
        half = light + (0, 0, 1)
        half = half / half[2]
        distance = (-sx - half[0]) ** 2 + (-sy - half[1]) ** 2
        sheen = np.exp(-distance / 0.06) * np.exp(-4 * np.maximum(mask.crop(surface.shade), 0))
        self.canvas.paint(mask, np.array([1.0, 0.96, 0.9]), 0.13 * sheen)

    # -- eyes --------------------------------------------------------------------------------------------------

    def _eye(self, side: int) -> None:
        half, unit = self.geometry.halves[side], self.unit
        upper, lower = curve(half.upper_lid, 22), curve(half.lower_lid, 22)
        opening = self._sided(side, np.concatenate([upper, lower[::-1]]))
        ball = self.canvas.mask(opening)
        self._eye_shadow(side, upper)
        if ball is not None:
            centre = self._sided(side, np.array([[0.5, 0.0]]))[0]
            self._eyeball(ball, centre, side)
            # The upper lid and its lashes darken the ball below them.
            lash = self._sided(side, upper + (0, 0.022))
            shade = self.canvas.stroke([lash], 0.07 * unit, blur=0.022 * unit, within=ball)
            if shade is not None:
                self.canvas.paint(shade, np.array([0.16, 0.10, 0.09]), 0.5)
        self._lashes(side, upper, lower)

    def _eye_shadow(self, side: int, upper: np.ndarray) -> None:
        identity = self.identity
        if identity.make_up < 0.5:
            return
        fold = curve(self.geometry.halves[side].lid_fold, 22)
        lid = self.canvas.mask(self._sided(side, np.concatenate([upper, fold[::-1]])), blur=0.03 * self.unit)
        if lid is not None:
            self.canvas.paint(lid, identity.skin * np.array([0.62, 0.45, 0.45]), 0.4 * identity.make_up)

    def _eyeball(self, ball: Mask, centre: np.ndarray, side: int) -> None:
        unit = self.unit
        rows = np.arange(ball.rows.start, ball.rows.stop, dtype=np.float32)[:, None]
        columns = np.arange(ball.columns.start, ball.columns.stop, dtype=np.float32)[None]
        x, y = (columns - centre[0]) / unit, (rows - centre[1]) / unit
        lit = 1.0 - 1.7 * (x - 0.06 * self._image_light[0]) ** 2 - 1.5 * (y - 0.03 * self._image_light[1]) ** 2
        white = np.array([0.93, 0.91, 0.90]) - 0.06 * self.identity.tone - np.array([0, 0.01, 0.03]) * self.identity.wrinkles
        level = (0.62 + 0.38 * self.view.ambient + 0.1) * np.clip(lit, 0.4, 1)
        self.canvas.paint(ball, (white[:, None, None] * level).astype(np.float32))
        gaze = np.array(self.view.gaze) + (0.004 * self.view.yaw, 0.002 * self.view.pitch)
        ix, iy = x - gaze[0], y - gaze[1] + 0.012
        radius = np.sqrt(ix**2 + iy**2)
        edge = 0.6 / unit
        iris = np.clip((IRIS_RADIUS - radius) / edge + 0.5, 0, 1)
        colour = np.array(self.identity.eye_colour)
        # The lamp shines through: the side away from it glows.
        glow = 0.85 + 3.0 * (-ix * self._image_light[0] - iy * self._image_light[1]) + 0.9 * np.exp(-(((radius - 0.062) / 0.02) ** 2)) * 0.35
        angle = np.arctan2(iy, ix)
        fibre = 1 + 0.09 * np.cos(11 * angle) * np.cos(5 * angle)
        limbus = 1 - 0.6 * np.clip((radius - 0.075) / 0.03, 0, 1) ** 2
        shade = np.clip(glow * fibre, 0.5, 1.7) * limbus
        self.canvas.paint(ball, (np.clip(colour[:, None, None] * 1.12 * shade, 0, 1)).astype(np.float32), iris)
        pupil = np.clip((0.043 - radius) / max(edge, 0.012) + 0.5, 0, 1)
        self.canvas.paint(ball, np.array([0.03, 0.025, 0.03]), pupil)
        glint_at = 0.055 * self._image_light[:2] / max(0.3, float(np.linalg.norm(self._image_light[:2])))
        gx, gy = ix - glint_at[0], iy - min(glint_at[1], -0.02)
        glint = np.exp(-0.5 * (gx**2 + gy**2) / max(0.017, 0.35 / unit) ** 2)
        self.canvas.paint(ball, np.array([1.0, 1.0, 1.0]), np.minimum(1.35 * glint, 1))
        second = np.exp(-0.5 * ((ix + 0.04 * np.sign(glint_at[0] or 1)) ** 2 + (iy - 0.045) ** 2) / 0.014**2)
        self.canvas.paint(ball, np.array([1.0, 1.0, 1.0]), 0.3 * second)
        caruncle = self._sided(side, np.array([[0.5 - 0.2, 0.012]]))[0]
        pink = np.exp(-0.5 * ((columns - caruncle[0]) ** 2 + (rows - caruncle[1]) ** 2) / (0.022 * unit) ** 2)
        self.canvas.paint(ball, np.array([0.78, 0.45, 0.42]) * (1 - 0.25 * self.identity.tone), 0.7 * pink)

    def _lashes(self, side: int, upper: np.ndarray, lower: np.ndarray) -> None:
        identity, unit = self.identity, self.unit
        dark = mix(np.array([0.09, 0.06, 0.06]), np.array(identity.hair_colour), 0.2 * (1 - identity.make_up))
        weight = 0.6 + 0.4 * identity.femininity + 0.5 * identity.make_up
        # A wedge, thick over the outer half, that thins towards the nose.
        profile = np.interp(np.linspace(0, 1, len(upper)), [0, 0.12, 0.45, 1], [0.55, 1.0, 0.75, 0.2])[:, None]
        thick = 0.03 * weight
        wing = np.linspace(1, 0, len(upper))[:, None] ** 4 * np.array([0.025 * identity.femininity, -0.008])
        top = upper + profile * (0, -thick * 0.75) + wing
        bottom = upper + profile * (0, thick * 0.35)
        line = self.canvas.mask(self._sided(side, np.concatenate([top, bottom[::-1]])))
        if line is not None:
            self.canvas.paint(line, dark, 0.88)
        if identity.femininity > 0.5:
            self._lash_hairs(side, upper, dark)
        rim = self.canvas.stroke([self._sided(side, lower[1:-2])], 0.014 * unit)
        if rim is not None:
            self.canvas.paint(rim, mix(identity.skin * np.array([0.55, 0.36, 0.34]), dark, 0.35), 0.55)
        wet = self.canvas.stroke([self._sided(side, lower[3:-4] + (0, 0.012))], 0.012 * unit)
        if wet is not None:
            self.canvas.paint(wet, np.clip(identity.skin * 1.1 + 0.04, 0, 1), 0.35)

    def _lash_hairs(self, side: int, upper: np.ndarray, dark: np.ndarray) -> None:
        place = np.array([1, 2, 4, 6, 8, 10, 12, 14])
        root = upper[place]
        lean = np.interp(place, [0, 14], [0.055, 0.005])[:, None] * np.array([1.0, 0]) + np.interp(place, [0, 14], [-0.035, -0.05])[:, None] * np.array([0, 1.0])
        closed = self.moves[side].closure
        tip = root + lean * np.array([1, 1 - 1.6 * closed]) * (0.8 + 0.4 * self.identity.make_up)
        hairs = [self._sided(side, np.stack([a, (a + b) / 2 + (0.004, 0.006), b])) for a, b in zip(root, tip, strict=True)]
        mask = self.canvas.stroke(hairs, 0.011 * self.unit)
        if mask is not None:
            self.canvas.paint(mask, dark, 0.8)

    # -- brows, nose, mouth ------------------------------------------------------------------------------------

    def _brow(self, side: int) -> None:
        identity, half, unit = self.identity, self.geometry.halves[side], self.unit
        line = curve(half.brow, 26)
        width = np.interp(np.linspace(0, 4, 26), np.arange(5), half.brow_width)[:, None]
        normal = _normals(line)
        outline = np.concatenate([line + normal * width * 0.5, (line - normal * width * 0.5)[::-1]])
        area = self.canvas.mask(self._sided(side, outline), blur=0.014 * unit)
        colour = mix(np.array(identity.hair_colour) * 0.72, identity.skin * 0.35, 0.25)
        if sum(identity.hair_colour) > 1.3:
            colour = mix(colour, np.array([0.36, 0.26, 0.18]), 0.5)
        if area is None:
            return
        self.canvas.paint(area, colour, 0.62)
        hairs = self._brow_hairs(side, line, normal, width)
        mask = self.canvas.stroke(hairs, 0.013 * unit)
        if mask is not None:
            self.canvas.paint(mask, colour * 0.8, 0.75)

    def _brow_hairs(self, side: int, line: np.ndarray, normal: np.ndarray, width: np.ndarray) -> list[np.ndarray]:
        """Short hairs that rise from the lower edge near the nose and lie down towards the temple."""
        rng = np.random.default_rng([self.identity.seed, 3])
        count = 34
        place = np.sort(rng.random(count)) * 24
        index = place.astype(int)
        offset = rng.uniform(-0.5, 0.35, (count, 1))
        root = line[index] + normal[index] * width[index] * offset
        along = line[np.maximum(index - 3, 0)] - line[np.minimum(index + 1, 25)]
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        upright = np.interp(place, [0, 14, 25], [0.05, 0.45, 1.3])[:, None]
        direction = along + normal[index] * upright
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        tip = root + direction * (0.05 + 0.03 * rng.random((count, 1))) * np.clip(width[index] / 0.05, 0.6, 1.3)
        return list(self._sided(side, np.stack([root, tip], axis=1)))

    def _nose(self) -> None:
        dark = mix(self.identity.skin * np.array([0.42, 0.25, 0.22]), np.array([0.12, 0.04, 0.03]), 0.3)
        for side in (0, 1):
            half = self.geometry.halves[side]
            hole = self.canvas.mask(self._sided(side, curve(half.nostril, 20, closed=True)), blur=0.014 * self.unit)
            if hole is not None:
                self.canvas.paint(hole, dark, 0.82)
            edge = self.canvas.stroke([self._sided(side, curve(half.nose_wing, 14)[3:])], 0.018 * self.unit, blur=0.012 * self.unit)
            if edge is not None:
                self.canvas.paint(edge, dark, 0.42)

    def _mouth(self) -> None:
        geometry, unit = self.geometry, self.unit
        upper_out, lower_out = geometry.outer_lips
        upper_in, lower_in = geometry.inner_lips
        upper = self._pixels(np.concatenate([upper_out, upper_in[::-1]]))
        lower = self._pixels(np.concatenate([lower_out, lower_in[::-1]]))
        cavity = self.canvas.mask(self._pixels(np.concatenate([upper_in, lower_in[::-1]])))
        lips = self._lip_colour()
        if cavity is not None:
            self._inside_mouth(cavity)
        self._lip(lower, lips, False)
        self._lip(upper, lips, True)
        open_wide = float(np.max(lower_in[:, 1] - upper_in[:, 1]))
        seam = self._pixels(np.concatenate([geometry.points[48][None], (upper_in + lower_in) / 2, geometry.points[54][None]]))
        if open_wide < 0.03:
            press = self._mean(24) + 0.6 * self._mean(23)
            line = self.canvas.stroke([seam], (0.02 + 0.008 * press) * unit, blur=0.006 * unit)
        else:
            corners = [seam[:4], seam[-4:]]
            line = self.canvas.stroke(corners, 0.02 * unit, blur=0.006 * unit)
        if line is not None:
            self.canvas.paint(line, lips * np.array([0.38, 0.26, 0.28]), 0.8)

    def _lip_colour(self) -> np.ndarray:
        identity = self.identity
        natural = mix(identity.skin * np.array([0.86, 0.6, 0.6]), np.array([0.72, 0.3, 0.32]), 0.32 - 0.1 * identity.tone)
        painted = np.array([(0.72, 0.13, 0.2), (0.75, 0.32, 0.36), (0.55, 0.14, 0.2), (0.8, 0.36, 0.3)])[identity.seed % 4]
        return mix(natural, painted, 0.55 * identity.make_up)

    def _lip(self, outline: np.ndarray, colour: np.ndarray, upper: bool) -> None:
        # No blur: the vermilion border stays where the landmarks say.
        mask = self.canvas.mask(outline)
        if mask is None:
            return
        points, grid = self.geometry.points, self.camera.grid
        u, v = (mask.crop(plane) for plane in grid)
        if upper:
            top, bottom = points[50:53, 1].mean(), points[62, 1]
        else:
            top, bottom = points[66, 1], points[57, 1]
        thick = max(bottom - top, 0.02)
        bend = (points[[48, 54], 1].mean() - points[[62, 66], 1].mean()) * (u / points[54, 0]) ** 2
        place = np.clip((v - bend - top) / thick, -0.5, 1.5)
        ny = 1.1 * (place - 0.5) + (0.25 if upper else -0.15)
        light = self._lambert(0.35 * u, ny, self._light) * (0.84 if upper else 0.98)
        crease = 1 + 0.035 * np.sin(u * 75) * np.cos(u * 29)
        self.canvas.paint(mask, Ramp(colour, 0.2, 0.6)(light * crease), 0.9)
        if not upper:
            wet = np.exp(-(((place - 0.36) / 0.2) ** 2) - ((u - 0.1 * self._light[0]) / 0.16) ** 2)
            self.canvas.paint(mask, np.array([1.0, 0.95, 0.93]), (0.16 + 0.2 * self.identity.make_up) * wet)

    def _inside_mouth(self, cavity: Mask) -> None:
        geometry, unit = self.geometry, self.unit
        self.canvas.paint(cavity, np.array([0.17, 0.045, 0.05]))
        low = np.array([[0.0, 3.0]])
        tongue = curve(geometry.both("tongue"), 20)
        mask = self.canvas.mask(self._pixels(np.concatenate([tongue, [[0.5, 2.6], [-0.5, 2.6]]])), blur=0.03 * unit, within=cavity)
        if mask is not None and geometry.moves[0].jaw > 0.05:
            self.canvas.paint(mask, np.array([0.62, 0.25, 0.26]), 0.85)
        teeth = np.array([0.93, 0.905, 0.86]) - np.array([0.03, 0.06, 0.12]) * self.identity.wrinkles
        del low
        lower = curve(geometry.both("lower_teeth"), 24)
        below = lower[::-1] + (0, 0.3)
        mask = self.canvas.mask(self._pixels(np.concatenate([lower, below])), within=cavity)
        if mask is not None:
            self.canvas.paint(mask, teeth * 0.72, 0.9)
        edge = curve(geometry.both("upper_teeth"), 24)
        above = edge[::-1] - (0, 0.3)
        mask = self.canvas.mask(self._pixels(np.concatenate([edge, above])), within=cavity)
        if mask is not None:
            u = mask.crop(self.camera.grid[0])
            falloff = np.clip(1.02 - 1.6 * np.abs(u) ** 2.2, 0.35, 1)
            self.canvas.paint(mask, (teeth[:, None, None] * falloff * 0.95).astype(np.float32))
        upper_in, _ = geometry.inner_lips
        shade = self.canvas.stroke([self._pixels(upper_in)], 0.035 * unit, blur=0.014 * unit, within=cavity)
        if shade is not None:
            self.canvas.paint(shade, np.array([0.14, 0.05, 0.05]), 0.55)

    # -- hair --------------------------------------------------------------------------------------------------

    def _hair(self, hair: Hair) -> None:
        if hair.front and self.identity.hair_style != "buzz":
            # The hair throws a soft shadow on the forehead.
            shift = np.array([-0.04 * self._image_light[0], 0.05]) * self.unit
            mask = self.canvas.mask(
                *(self._pixels(s.outline) + shift for s in hair.front), blur=0.05 * self.unit, within=self._head_mask
            )
            if mask is not None:
                self.canvas.paint(mask, self.identity.skin * np.array([0.5, 0.38, 0.34]), 0.55)
        self._sheets(hair.front)

    def _sheets(self, sheets: list[Sheet]) -> None:
        scarf = self.identity.hair_style == "scarf"
        colour = np.array(self.identity.clothing_colour if scarf else self.identity.hair_colour)
        ramp = Ramp(colour, 0.1 if scarf else 0.3, 0.35 if scarf else 0.6)
        rng = np.random.default_rng([self.identity.seed, 9])
        for sheet in sheets:
            self._sheet(sheet, ramp, rng, 0.0 if scarf else 1.0)

    def _sheet(self, sheet: Sheet, ramp: Ramp, rng: np.random.Generator, gloss: float) -> None:
        lines = self._pixels(sheet.strands)
        area = self.canvas.mask(self._pixels(sheet.outline), *lines[:, [0, -1]].reshape(1, -1, 2)[:0])
        if area is None:
            return
        levels = np.clip(0.5 + 0.22 * rng.normal(size=len(lines)), 0.05, 0.95)
        tone = self.canvas.strands(lines, sheet.width * self.unit, levels, area)
        u, v = (area.crop(plane) for plane in self.camera.grid)
        hx, hy = u / 1.25, (v + 0.4) / 1.35
        hy = np.where(hy > 0, 0.25 * hy, hy)
        light = self._lambert(1.0 * hx * np.abs(hx), 1.1 * hy, self._light) * sheet.shade
        radius = np.sqrt(hx**2 + hy**2)
        facing = np.clip((hx * self._light[0] + hy * self._light[1]) / (radius + 0.05) + 0.35, 0, 1)
        band = np.exp(-(((radius - 0.86) / 0.1) ** 2)) * facing * sheet.shade
        strands = 1 + 1.5 * (tone - 0.5) * sheet.contrast
        shine = gloss * 0.55 * band * np.clip(tone * 1.6, 0, 1.3) * sheet.contrast
        self.canvas.paint(area, ramp(light * strands * 0.95 + shine), sheet.opacity)
        shine_colour = np.array([1.0, 0.94, 0.86])
        self.canvas.paint(area, shine_colour, 0.12 * shine * sheet.opacity)

    def _beard(self) -> None:
        return

    # -- things worn, and the finish ---------------------------------------------------------------------------

    def _accessories(self) -> None:
        if self.identity.glasses:
            self._glasses()
        if self.face.mark is not None:
            centre = self._pixels(np.array([[1.2 * self.face.mark.side, -0.86]]))[0]
            angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            ring = np.stack([np.cos(angle), np.sin(angle)], 1) * self.unit
            for radius, colour in ((0.165, np.array([0.97, 0.97, 0.96])), (0.135, np.array(self.face.mark.colour))):
                disc = self.canvas.mask(centre + ring * radius)
                if disc is not None:
                    self.canvas.paint(disc, colour)

    def _glasses(self) -> None:
        round_frame = self.identity.glasses == 1
        angle = np.linspace(0, 2 * np.pi, 44, endpoint=False)
        power = 1.0 if round_frame else 0.55
        rim = np.stack([np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power, np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power], 1)
        rim = rim * ((0.36, 0.33) if round_frame else (0.38, 0.27)) + (0.5, 0.05)
        colour = np.array([(0.13, 0.11, 0.11), (0.3, 0.18, 0.1), (0.55, 0.45, 0.3)][self.identity.seed % 3])
        lines = [self._sided(side, rim) for side in (0, 1)]
        for line in lines:
            lens = self.canvas.mask(line)
            if lens is not None:
                self.canvas.paint(lens, np.array([0.9, 0.95, 1.0]), 0.05)
        frame = self.canvas.stroke(lines, 0.032 * self.unit, closed=True)
        joints = [self._pixels(curve(np.array([(-0.15, 0.0), (0.0, -0.05), (0.15, 0.0)]), 9))]
        joints += [self._sided(side, np.array([(0.86, -0.03), (1.1, -0.06)])) for side in (0, 1)]
        bars = self.canvas.stroke(joints, 0.034 * self.unit)
        for mask in (frame, bars):
            if mask is not None:
                self.canvas.paint(mask, colour, 0.95)

    def _develop(self) -> None:
        """Colour of the light, vignette, sensor noise."""
        view, planes, size = self.view, self.canvas.planes, self.canvas.size
        tint = view.brightness * (1 + view.warmth * np.array([0.035, 0.0, -0.06]))
        axis = np.linspace(-1, 1, size, dtype=np.float32) ** 2
        vignette = 1 - 0.09 * (axis[None] + axis[:, None])
        planes *= tint.astype(np.float32)[:, None, None] * vignette
        if view.noise:
            rng = np.random.default_rng(view.noise_seed)
            grain = rng.standard_normal((size, size), dtype=np.float32)
            colour = rng.standard_normal((3, size, size), dtype=np.float32)
            planes += (0.8 * grain + 0.5 * colour) * (view.noise / 255)


def _normals(line: np.ndarray) -> np.ndarray:
    """Unit normals of a curve (n, 2) in lateral coordinates, pointing up."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return np.where(normal[:, 1:] > 0, -normal, normal)
