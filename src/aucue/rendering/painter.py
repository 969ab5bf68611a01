"""From parameters to a picture with landmarks."""

from dataclasses import dataclass

import numpy as np

from aucue.errors import InputError
from aucue.rendering.attire import paint_accessories, paint_background, paint_clothes
from aucue.rendering.eyes import paint_brows, paint_eyes
from aucue.rendering.hair import HairPainter
from aucue.rendering.hairstyles import style_hair
from aucue.rendering.mouth import paint_mouth, paint_nose
from aucue.rendering.parameters import FaceParameters
from aucue.rendering.scene import Scene
from aucue.rendering.skin import Skin

SMALLEST = 32
"""Side in pixels below which a face cannot be recognised."""


@dataclass(frozen=True)
class Rendering:
    """A picture and where its landmarks are."""

    image: np.ndarray
    """(size, size, 3) uint8."""
    landmarks: np.ndarray
    """(68, 2) float32, iBUG-68, image pixels, (0, 0) = centre of the top-left pixel."""


def render(face: FaceParameters, size: int = 112) -> Rendering:
    """Paint a face, back to front.

    Args:
        face: what to paint; the same parameters give the same bytes.
        size: side of the square picture in pixels.

    Raises:
        InputError: The picture would be too small to show a face.
    """
    if size < SMALLEST:
        raise InputError(f"A face cannot be painted on {size} x {size} pixels; ask for at least {SMALLEST}.")
    scene = Scene(face, size)
    skin, hair, haircut = Skin(scene), HairPainter(scene), style_hair(face.identity)
    paint_background(scene)
    hair.paint(haircut.behind)
    skin.paint_neck()
    paint_clothes(scene)
    hair.paint(haircut.around)
    skin.paint_ears()
    head = skin.paint_head()
    paint_eyes(scene)
    paint_nose(scene)
    hair.paint_beard()
    paint_mouth(scene)
    paint_brows(scene)
    hair.paint_front(haircut, head)
    paint_accessories(scene)
    _develop(scene)
    return Rendering(scene.canvas.finished(), scene.geometry.landmarks)


def _develop(scene: Scene) -> None:
    """Colour of the light, vignette, sensor noise."""
    view, planes, size = scene.view, scene.canvas.planes, scene.canvas.size
    tint = view.brightness * (1 + view.warmth * np.array([0.035, 0.0, -0.06]))
    axis = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    planes *= tint.astype(np.float32)[:, None, None] * (1 - 0.09 * (axis[None] + axis[:, None]))
    if view.noise:
        grain = np.random.default_rng(view.noise_seed).standard_normal((size, size), dtype=np.float32)
        planes += grain * np.float32(view.noise / 255)
