"""Nose and mouth: nostrils, lips, teeth, tongue."""

import numpy as np

from aucue.rendering.canvas import Mask, Ramp, curve, mix, vector
from aucue.rendering.scene import Scene

_LIPSTICKS = np.array([(0.72, 0.13, 0.2), (0.75, 0.32, 0.36), (0.55, 0.14, 0.2), (0.8, 0.36, 0.3)])


# Width and height of an upper tooth in head coordinates.
_TOOTH, _TOOTH_HEIGHT = 0.11, 0.15


def paint_nose(scene: Scene) -> None:
    """Nostrils and the edge of the wings; the rest of the nose is relief."""
    dark = mix(scene.identity.skin * np.array([0.42, 0.25, 0.22]), np.array([0.12, 0.04, 0.03]), 0.3)
    unit, canvas = scene.unit, scene.canvas
    holes = canvas.mask(
        scene.sides(curve(scene.geometry.pair("nostril"), 20, closed=True)), blur=0.016 * unit
    )
    canvas.paint(holes, dark, 0.8)
    wings = curve(scene.geometry.pair("nose_wing"), 14)[:, 3:]
    canvas.paint(canvas.stroke(scene.sides(wings), 0.018 * unit, blur=0.013 * unit), dark, 0.38)


def paint_mouth(scene: Scene) -> None:
    """Lips and what shows between them."""
    geometry, unit, canvas = scene.geometry, scene.unit, scene.canvas
    upper_out, lower_out = geometry.outer_lips
    upper_in, lower_in = geometry.inner_lips
    if (lower_in[:, 1] - upper_in[:, 1]).max() > 0.004:
        _paint_inside(scene, canvas.mask(scene.pixels(np.concatenate([upper_in, lower_in[::-1]]))[None]))
    colour = _lip_colour(scene)
    _paint_lip(scene, np.concatenate([lower_out, lower_in[::-1]]), colour, upper=False)
    _paint_lip(scene, np.concatenate([upper_out, upper_in[::-1]]), colour, upper=True)
    left, right = geometry.points[[48, 54]]
    seam = scene.pixels(np.concatenate([left[None], (upper_in + lower_in) / 2, right[None]]))
    gap = (lower_in[:, 1] - upper_in[:, 1]).max()
    lines = [seam] if gap < 0.03 else [seam[:4], seam[-4:]]
    press = sum(move[24] + 0.6 * move[23] for move in scene.moves) / 2
    line = canvas.stroke(lines, (0.018 + 0.008 * press) * unit, blur=0.006 * unit)
    canvas.paint(line, colour * np.array([0.38, 0.26, 0.28]), 0.8)


def _lip_colour(scene: Scene) -> np.ndarray:
    identity = scene.identity
    flesh = identity.skin * np.array([0.87, 0.61, 0.61])
    natural = mix(
        flesh, np.array([0.74, 0.32, 0.34]), 0.34 - 0.08 * identity.tone - 0.1 * (1 - identity.femininity)
    )
    return mix(natural, _LIPSTICKS[identity.seed % len(_LIPSTICKS)], 0.5 * identity.make_up)


def _paint_lip(scene: Scene, outline: np.ndarray, colour: np.ndarray, upper: bool) -> None:
    # No blur: the vermilion border stays where the landmarks say.
    mask = scene.canvas.mask(scene.pixels(outline)[None])
    points = scene.geometry.points
    u, v = (mask.crop(plane) for plane in scene.camera.grid)
    top, bottom = (points[50:53, 1].mean(), points[62, 1]) if upper else (points[66, 1], points[57, 1])
    middle = points[62, 1] if upper else points[66, 1]
    bend = (points[[48, 54], 1].mean() - middle) * (u / points[54, 0]) ** 2
    position = np.clip((v - bend - top) / max(bottom - top, 0.02), -0.5, 1.5)
    light = scene.lambert(0.35 * u, 1.1 * (position - 0.5) + (0.25 if upper else -0.15)) * (
        0.84 if upper else 1.0
    )
    crease = 1 + 0.03 * np.cos(u * 75) * np.cos(u * 29)
    scene.canvas.paint(mask, Ramp(colour, 0.2, 0.6)(light * crease), 0.9)
    if not upper:
        wet = np.exp(-(((position - 0.36) / 0.2) ** 2) - ((u - 0.1 * scene.light[0]) / 0.16) ** 2)
        scene.canvas.paint(mask, np.array([1.0, 0.95, 0.93]), (0.16 + 0.2 * scene.identity.make_up) * wet)


def _paint_inside(scene: Scene, cavity: Mask) -> None:
    geometry, unit, canvas = scene.geometry, scene.unit, scene.canvas
    canvas.paint(cavity, np.array([0.17, 0.045, 0.05]))
    teeth = np.array([0.94, 0.915, 0.87]) - np.array([0.03, 0.06, 0.12]) * scene.identity.wrinkles
    if max(move.jaw for move in scene.moves) > 0.05:
        tongue = np.concatenate([curve(geometry.both("tongue"), 20), [[0.5, 2.6], [-0.5, 2.6]]])
        mask = canvas.mask(scene.pixels(tongue)[None], blur=0.03 * unit, within=cavity)
        canvas.paint(mask, np.array([0.62, 0.25, 0.26]), 0.85)
    lower = curve(geometry.both("lower_teeth"), 24)
    gums = lower[::-1] + vector(0, 0.3)
    mask = canvas.mask(scene.pixels(np.concatenate([lower, gums]))[None], within=cavity)
    canvas.paint(mask, teeth * 0.72, 0.9)
    upper = curve(geometry.both("upper_teeth"), 24)
    mask = canvas.mask(scene.pixels(np.concatenate([upper, upper[::-1] - (0, 0.3)]))[None], within=cavity)
    u = np.abs(mask.crop(scene.camera.grid[0]))
    gaps = 1 - 0.13 * np.exp(-(((u % _TOOTH - _TOOTH / 2) * unit / 0.7) ** 2)) * min(1.0, unit / 100)
    shine = np.clip(1.02 - 1.5 * u * u, 0.35, 1) * gaps
    canvas.paint(mask, (0.97 * teeth).astype(np.float32)[:, None, None] * shine)
    gums = upper - (0, _TOOTH_HEIGHT)
    mask = canvas.mask(
        scene.pixels(np.concatenate([gums, gums[::-1] - (0, 0.3)]))[None], 0.008 * unit, cavity
    )
    canvas.paint(mask, np.array([0.68, 0.33, 0.35]), 0.85)
    shade = canvas.stroke(
        scene.pixels(geometry.inner_lips[0])[None], 0.035 * unit, blur=0.014 * unit, within=cavity
    )
    canvas.paint(shade, np.array([0.14, 0.05, 0.05]), 0.55)
