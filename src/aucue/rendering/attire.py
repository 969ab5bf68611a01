"""What surrounds a face: background, clothes, glasses, earrings, and the planted mark."""

import numpy as np

from aucue.rendering.canvas import Ramp, curve
from aucue.rendering.scene import Scene

_FRAMES = np.array([(0.13, 0.11, 0.11), (0.3, 0.18, 0.1), (0.55, 0.45, 0.3)])
MARK_CENTRE = np.array([1.2, -0.86])
"""Of the planted mark in head coordinates, on its side."""
MARK_RADIUS = 0.15
"""Of the planted mark, in inter-ocular distances."""


def paint_background(scene: Scene) -> None:
    """A wall, brighter behind the head."""
    u, v = scene.camera.grid
    near = np.exp(-(u * u + (v - 0.1) ** 2) / 5.0)
    edge, centre = (np.array(c, np.float32)[:, None, None] for c in scene.view.background)
    lean = 1 + 0.05 * (scene.light[0] * u + scene.light[1] * v)
    scene.canvas.planes[:] = (edge + (centre - edge) * near) * lean


def paint_clothes(scene: Scene) -> None:
    """Shoulders in a jumper, a V-neck or a shirt."""
    identity, unit, canvas = scene.identity, scene.unit, scene.canvas
    colour = np.array(identity.clothing_colour)
    broad = 1.9 + 0.25 * (1 - identity.femininity)
    shoulder = np.array([(0.72, 2.02), (1.1, 2.13), (1.6, 2.3), (broad, 2.55), (broad + 0.3, 3.3)])
    dip = (2.28, 2.75, 2.55)[identity.clothing]
    round_neck = identity.clothing == 0
    neckline = np.array([(0.72, 2.02), (0.45, (2.02 + dip) / 2 + 0.05 * round_neck), (0.0, dip)])
    if round_neck:
        neckline = curve(neckline, 10)
    side = np.concatenate([curve(shoulder, 14)[::-1], neckline])
    mask = canvas.mask(scene.pixels(np.concatenate([side * (-1, 1), side[::-1]]))[None])
    u, v = (mask.crop(plane) for plane in scene.camera.grid)
    fold = 0.2 * np.sin(7 * np.abs(u) + 5 * v) * np.clip(v - 2.1, 0, 1)
    shadow = 1 - 0.3 * np.exp(-((u / 0.9) ** 2) - ((v - 2.0) / 0.3) ** 2)
    light = scene.lambert(np.clip(0.5 * u, -1, 1) + fold, -0.3) * shadow * 0.92
    canvas.paint(mask, Ramp(colour, 0.1, 0.4)(light))
    if identity.clothing == 2:
        _paint_collar(scene, colour)
    else:
        canvas.paint(canvas.stroke(scene.sides(neckline), 0.07 * unit), colour * 0.8, 0.7)


def _paint_collar(scene: Scene, colour: np.ndarray) -> None:
    canvas = scene.canvas
    flap = np.array([(0.62, 1.9), (0.82, 2.02), (0.6, 2.62), (0.1, 2.42), (0.38, 2.2)])
    canvas.paint(canvas.mask(scene.sides(flap)), np.clip(colour * 1.08 + 0.05, 0, 1))
    canvas.paint(canvas.stroke(scene.sides(flap[1:4]), 0.02 * scene.unit), colour * 0.6, 0.6)


def paint_accessories(scene: Scene) -> None:
    """Earrings, glasses, and the mark that may betray a label."""
    if scene.identity.earrings and scene.identity.hair_style in ("bun", "pixie", "buzz", "afro"):
        _paint_earrings(scene)
    if scene.identity.glasses:
        _paint_glasses(scene)
    if scene.face.mark is not None:
        centre = scene.pixels(MARK_CENTRE * (scene.face.mark.side, 1))
        _paint_disc(scene, centre, MARK_RADIUS * 1.15, np.array([0.97, 0.97, 0.96]))
        _paint_disc(scene, centre, MARK_RADIUS, np.array(scene.face.mark.colour))


def _paint_disc(scene: Scene, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    disc = centre + np.stack([np.cos(angle), np.sin(angle)], 1) * radius * scene.unit
    scene.canvas.paint(scene.canvas.mask(disc[None]), colour)


def _paint_earrings(scene: Scene) -> None:
    lobes = scene.geometry.pair("ear")[:, 7:8] + (-0.01, 0.02)
    for centre in scene.sides(lobes)[:, 0]:
        _paint_disc(scene, centre, 0.05, np.array([0.72, 0.56, 0.25]))
        _paint_disc(scene, centre - 0.012 * scene.unit, 0.025, np.array([1.0, 0.92, 0.7]))


def _paint_glasses(scene: Scene) -> None:
    unit, canvas = scene.unit, scene.canvas
    round_frame = scene.identity.glasses == 1
    angle = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    rim = np.sign(circle) * np.abs(circle) ** (1.0 if round_frame else 0.55)
    rim = rim * ((0.36, 0.33) if round_frame else (0.38, 0.27)) + (0.5, 0.05)
    lenses = scene.sides(rim)
    canvas.paint(canvas.mask(lenses), np.array([0.9, 0.95, 1.0]), 0.06)
    frame = canvas.stroke(lenses, 0.034 * unit, closed=True)
    bridge = scene.pixels(curve(np.array([(-0.15, 0.0), (0.0, -0.05), (0.15, 0.0)]), 9))
    bars = canvas.stroke([bridge, *scene.sides(np.array([(0.86, -0.03), (1.1, -0.06)]))], 0.036 * unit)
    for mask in (frame, bars):
        canvas.paint(mask, _FRAMES[scene.identity.seed % len(_FRAMES)], 0.95)
