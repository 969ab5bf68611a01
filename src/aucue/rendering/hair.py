"""Paints hair and beards on the sheets of `hairstyles`."""

import numpy as np

from aucue.rendering.beards import grow_beard
from aucue.rendering.canvas import Mask, Ramp
from aucue.rendering.hairstyles import Hair
from aucue.rendering.scene import Scene
from aucue.rendering.sheets import Sheet

# Pictures with fewer pixels per inter-ocular distance get fewer, thicker strands.
_ALL_STRANDS = 100


class HairPainter:
    """Paints sheets of hair (or the folds of a scarf) in a person's colour."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        cloth = scene.identity.hair_style == "scarf"
        self.colour = np.array(scene.identity.clothing_colour if cloth else scene.identity.hair_colour)
        self.ramp = Ramp(self.colour, 0.1 if cloth else 0.3, 0.35)
        self.gloss = 0.1 if cloth else 0.42
        self.rng = scene.rng(9)
        self.share = float(np.clip(scene.unit / _ALL_STRANDS, 0.22, 1))

    def paint_front(self, hair: Hair, head: Mask) -> None:
        """Shadow on the forehead, hair in front of it, parting."""
        self._shadow(hair.front, head)
        self.paint(hair.front)
        if hair.parting is not None:
            scene = self.scene
            line = scene.canvas.stroke(
                scene.pixels(hair.parting)[None], 0.02 * scene.unit, blur=0.012 * scene.unit
            )
            scene.canvas.paint(line, scene.identity.skin * 0.45, 0.5)

    def paint(self, sheets: list[Sheet]) -> None:
        """Paint sheets in their order."""
        for sheet in sheets:
            self._paint_sheet(sheet)

    def _shadow(self, sheets: list[Sheet], head: Mask) -> None:
        """The hair throws a soft shadow on the forehead."""
        scene = self.scene
        if not sheets or scene.identity.hair_style == "buzz":
            return
        shift = np.array([-0.04 * scene.image_light[0], 0.05]) * scene.unit
        outlines = [scene.pixels(sheet.outline) + shift for sheet in sheets]
        mask = scene.canvas.mask(outlines, blur=0.05 * scene.unit, within=head)
        scene.canvas.paint(mask, scene.identity.skin * np.array([0.5, 0.38, 0.34]), 0.5)

    def paint_beard(self) -> None:
        """Stubble or a grown beard; the mouth is painted after it."""
        for sheet in grow_beard(self.scene.geometry):
            self._paint_sheet(sheet)

    def _paint_sheet(self, sheet: Sheet) -> None:
        scene = self.scene
        count = int(np.ceil(self.share * len(sheet.strands)))
        coarse = 2 if self.share < 0.5 and sheet.strands.shape[1] > 7 else 1
        lines = scene.pixels(sheet.strands[:count, ::coarse])
        width = sheet.width * scene.unit / self.share**0.6
        outline = scene.pixels(sheet.outline)[None]
        area = scene.canvas.mask(
            outline, sheet.blur * scene.unit, fringe=lines if sheet.fuzzy else (), fringe_width=width
        )
        levels = self.rng.uniform(0.24, 0.76, len(sheet.strands))[:count]
        tone = scene.canvas.strands(lines, width, levels, area) - 0.5
        u, v = (area.crop(plane) for plane in scene.camera.grid)
        hx, hy = u / 1.25, (v + 0.4) / 1.35
        hy = np.where(hy > 0, 0.25 * hy, hy)
        radius = np.sqrt(hx * hx + hy * hy)
        light = scene.lambert(hx * np.abs(hx), 1.1 * hy) * sheet.shade
        facing = np.clip((hx * scene.light[0] + hy * scene.light[1]) / (radius + 0.05) + 0.35, 0, 1)
        band = np.exp(-(((radius - 0.86) / 0.1) ** 2)) * facing * sheet.shade
        light = light * (0.95 + 1.15 * sheet.contrast * tone)
        light += self.gloss * band * (0.6 + 2.2 * tone * sheet.contrast)
        scene.canvas.paint(area, self.ramp(light), sheet.opacity)
