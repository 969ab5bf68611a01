"""Heat maps over photographs, panels of pictures, bars and points, drawn with NumPy and Pillow alone.

Everything here takes and gives plain arrays (H, W, 3) uint8 in RGB or Pillow images and knows nothing of
faces, so every other room may use it:

    picture = panel([photo, overlay(photo, heat)], titles=["photo", "attention"])
    picture.save("attention.png")
"""

from aucue.pictures.bars import loss_bars, probability_bars, ratio_bars
from aucue.pictures.heat import colormap, normalize, overlay, overlay_signed, upsample
from aucue.pictures.images import Picture, to_array, to_data_uri
from aucue.pictures.marks import draw_boxes, draw_landmarks
from aucue.pictures.text import drawable, font, in_percent, shorten, wrap
from aucue.pictures.themes import THEMES, Color, Theme, theme_of
from aucue.pictures.tiles import blank, panel

__all__ = [
    "panel",
    "blank",
    "overlay",
    "overlay_signed",
    "colormap",
    "normalize",
    "upsample",
    "draw_landmarks",
    "draw_boxes",
    "probability_bars",
    "ratio_bars",
    "loss_bars",
    "to_array",
    "to_data_uri",
    "Picture",
    "THEMES",
    "Theme",
    "theme_of",
    "Color",
    "font",
    "drawable",
    "wrap",
    "shorten",
    "in_percent",
]
