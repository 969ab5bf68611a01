"""Eyes, lids, lashes and brows."""

import numpy as np

from aucue.rendering.canvas import Mask, curve, mix, vector
from aucue.rendering.geometry import IRIS_RADIUS
from aucue.rendering.scene import Scene

# Below this many pixels per inter-ocular distance single hairs cannot be seen.
_FINE_DETAIL = 36


def paint_eyes(scene: Scene) -> None:
    """Both eyes, from the lids' shadow to the lashes."""
    geometry, unit, canvas = scene.geometry, scene.unit, scene.canvas
    upper, lower = curve(geometry.pair("upper_lid"), 22), curve(geometry.pair("lower_lid"), 22)
    ball = canvas.mask(scene.sides(np.concatenate([upper, lower[:, ::-1]], axis=1)))
    _paint_lid_colour(scene, upper)
    _paint_balls(scene, ball)
    shade = canvas.stroke(scene.sides(upper + vector(0, 0.02)), 0.065 * unit, blur=0.022 * unit, within=ball)
    canvas.paint(shade, np.array([0.16, 0.10, 0.09]), 0.5)
    _paint_lashes(scene, upper, lower)


def _paint_lid_colour(scene: Scene, upper: np.ndarray) -> None:
    """Skin of the upper lid: a little deeper than the cheek, more with make-up."""
    identity = scene.identity
    fold = curve(scene.geometry.pair("lid_fold"), 22)
    lid = scene.canvas.mask(
        scene.sides(np.concatenate([upper, fold[:, ::-1]], axis=1)), blur=0.02 * scene.unit
    )
    colour = identity.skin * mix(np.array([0.8, 0.66, 0.64]), np.array([0.62, 0.45, 0.46]), identity.make_up)
    scene.canvas.paint(lid, colour, 0.2 + 0.25 * identity.make_up)


def _paint_balls(scene: Scene, ball: Mask) -> None:
    identity, view, canvas = scene.identity, scene.view, scene.canvas
    light = scene.image_light
    x, y = _from_eye_centre(scene, ball)
    white = (
        np.array([0.94, 0.92, 0.91]) - 0.05 * identity.tone - np.array([0, 0.01, 0.03]) * identity.wrinkles
    )
    level = 1.0 - 1.6 * (x - 0.06 * light[0]) ** 2 - 1.5 * (y - 0.03 * light[1]) ** 2
    level = (0.72 + 0.36 * view.ambient) * np.clip(level, 0.4, 1)
    canvas.paint(ball, white.astype(np.float32)[:, None, None] * level)
    # Eyes keep to the camera when the head turns away from it.
    dx, dy = view.gaze[0] - 0.003 * view.yaw, view.gaze[1] - 0.002 * view.pitch - 0.012
    _paint_iris(scene, ball, x - dx, y - dy)
    inner = 0.5 - 0.2
    corner = scene.sides(np.array([[inner, 0.012]]))[:, 0]
    cx, cy = _nearest(scene, ball, corner)
    canvas.paint(ball, np.array([0.78, 0.45, 0.42]) * (1 - 0.25 * identity.tone),
                 0.7 * np.exp(-0.5 * (cx**2 + cy**2) / 0.022**2))  # fmt: skip


def _from_eye_centre(scene: Scene, ball: Mask) -> tuple[np.ndarray, np.ndarray]:
    return _nearest(scene, ball, scene.sides(np.array([[0.5, 0.0]]))[:, 0])


def _nearest(scene: Scene, mask: Mask, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (x, y) in head units of a mask's pixels from the nearer of two centres (2, 2), image axes."""
    columns = np.arange(mask.columns.start, mask.columns.stop, dtype=np.float32)[None]
    rows = np.arange(mask.rows.start, mask.rows.stop, dtype=np.float32)[:, None]
    left = columns < centres[:, 0].mean()
    (x0, y0), (x1, y1) = centres.astype(np.float32)
    unit = np.float32(scene.unit)
    return (columns - np.where(left, x0, x1)) / unit, (rows - np.where(left, y0, y1)) / unit


def _paint_iris(scene: Scene, ball: Mask, x: np.ndarray, y: np.ndarray) -> None:
    canvas, light = scene.canvas, scene.image_light
    radius = np.sqrt(x * x + y * y)
    edge = 0.6 / scene.unit
    colour = np.array(scene.identity.eye_colour, np.float32)
    # The lamp shines through the eye: the side away from it glows.
    glow = 0.95 - 3.2 * (x * light[0] + y * light[1]) + 0.3 * np.exp(-(((radius - 0.062) / 0.02) ** 2))
    angle = np.arctan2(y, np.abs(x))
    fibre = 1 + 0.09 * np.cos(11 * angle) * np.cos(5 * angle)
    limbus = 1 - 0.6 * np.clip((radius - 0.075) / 0.03, 0, 1) ** 2
    shade = np.clip(glow * fibre, 0.55, 1.7) * limbus
    canvas.paint(
        ball,
        np.clip(1.15 * colour[:, None, None] * shade, 0, 1),
        np.clip((IRIS_RADIUS - radius) / edge + 0.5, 0, 1),
    )
    canvas.paint(
        ball, np.array([0.03, 0.025, 0.03]), np.clip((0.043 - radius) / max(edge, 0.012) + 0.5, 0, 1)
    )
    side = light[0] / max(0.25, float(np.hypot(light[0], light[1])))
    gx, gy = x - 0.05 * side, y + 0.045
    glint = 1.4 * np.exp(-0.5 * (gx * gx + gy * gy) / max(0.018, 0.4 / scene.unit) ** 2)
    canvas.paint(ball, np.ones(3), np.minimum(glint, 1))
    gx, gy = x + 0.04 * side, y - 0.045
    canvas.paint(ball, np.ones(3), 0.3 * np.exp(-0.5 * (gx * gx + gy * gy) / 0.014**2))


def _paint_lashes(scene: Scene, upper: np.ndarray, lower: np.ndarray) -> None:
    identity, unit, canvas = scene.identity, scene.unit, scene.canvas
    dark = mix(np.array([0.09, 0.06, 0.06]), np.array(identity.hair_colour), 0.2 * (1 - identity.make_up))
    weight = 0.6 + 0.4 * identity.femininity + 0.5 * identity.make_up
    # A wedge, thick over the outer half, that thins towards the nose.
    along = np.linspace(0, 1, upper.shape[1])
    profile = 0.03 * weight * np.interp(along, [0, 0.12, 0.45, 1], [0.55, 1.0, 0.75, 0.2])[:, None]
    wing = (1 - along[:, None]) ** 4 * np.array([0.025 * identity.femininity, -0.008])
    wedge = np.concatenate(
        [upper - profile * (0, 0.75) + wing, (upper + profile * (0, 0.35))[:, ::-1]], axis=1
    )
    canvas.paint(canvas.mask(scene.sides(wedge)), dark, 0.88)
    if identity.femininity > 0.5 and unit > _FINE_DETAIL:
        canvas.paint(canvas.stroke(_lash_hairs(scene, upper), 0.011 * unit), dark, 0.8)
    rim = canvas.stroke(scene.sides(lower[:, 1:-2]), 0.014 * unit)
    canvas.paint(rim, mix(identity.skin * np.array([0.55, 0.36, 0.34]), dark, 0.35), 0.55)
    if unit > _FINE_DETAIL:
        wet = canvas.stroke(scene.sides(lower[:, 3:-4] + (0, 0.012)), 0.012 * unit)
        canvas.paint(wet, np.clip(identity.skin * 1.1 + 0.04, 0, 1), 0.35)


def _lash_hairs(scene: Scene, upper: np.ndarray) -> np.ndarray:
    """Single lashes, (n, 3, 2) pixels; they point down when the eye is closed."""
    position = np.array([1, 2, 4, 6, 8, 10, 12, 14])
    root = upper[:, position]
    lean = np.stack(
        [np.interp(position, [0, 14], [0.055, 0.005]), np.interp(position, [0, 14], [-0.035, -0.05])], axis=1
    )
    turn = np.array([1 - 1.6 * move.closure for move in scene.moves])[:, None]
    lean = lean * np.stack([np.ones_like(turn), turn], axis=-1) * (0.8 + 0.4 * scene.identity.make_up)
    hairs = np.stack([root, root + lean / 2 + (0.004, 0.006), root + lean], axis=2)
    return scene.sides(hairs.reshape(2, -1, 2)).reshape(-1, 3, 2)


def paint_brows(scene: Scene) -> None:
    """Both brows: a soft body and hairs on it."""
    identity, unit, canvas = scene.identity, scene.unit, scene.canvas
    line = curve(scene.geometry.pair("brow"), 26)
    knots = scene.geometry.halves[0].brow_width
    width = np.interp(np.linspace(0, 4, 26), np.arange(5), knots)[:, None]
    normal = _normals(line)
    outline = np.concatenate([line + normal * width * 0.5, (line - normal * width * 0.5)[:, ::-1]], axis=1)
    colour = mix(np.array(identity.hair_colour) * 0.75, identity.skin * 0.4, 0.22)
    if sum(identity.hair_colour) > 1.3:  # brows of the fair and the grey are darker than their hair
        colour = mix(colour, identity.skin * np.array([0.5, 0.38, 0.3]), 0.5)
    body = canvas.mask(scene.sides(outline), blur=0.013 * unit)
    if unit <= _FINE_DETAIL:
        canvas.paint(body, colour * 0.92, 0.82)
        return
    canvas.paint(body, colour, 0.7)
    canvas.paint(canvas.stroke(_brow_hairs(scene, line, normal, width), 0.011 * unit), colour * 0.72, 0.6)


def _brow_hairs(scene: Scene, line: np.ndarray, normal: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Short hairs, (n, 2, 2) pixels: upright near the nose, lying down towards the temple."""
    rng = scene.rng(3)
    count = 50
    position = np.sort(rng.random(count)) * 24
    index = position.astype(int)
    offset = rng.uniform(-0.5, 0.3, (count, 1))
    root = line[:, index] + normal[:, index] * width[index] * offset
    along = line[:, np.maximum(index - 3, 0)] - line[:, np.minimum(index + 1, 25)]
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    upright = np.interp(position, [0, 14, 25], [0.05, 0.4, 1.2])[:, None]
    direction = along + normal[:, index] * upright
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    reach = (0.04 + 0.03 * rng.random((count, 1))) * np.clip(width[index] / 0.06, 0.6, 1.2)
    hairs = np.stack([root, root + direction * reach], axis=2)
    return scene.sides(hairs.reshape(2, -1, 2)).reshape(-1, 2, 2)


def _normals(line: np.ndarray) -> np.ndarray:
    """Unit normals of curves (2, n, 2) in lateral coordinates, pointing up."""
    along = np.gradient(line, axis=1)
    normal = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    return np.where(normal[..., 1:] > 0, -normal, normal)
