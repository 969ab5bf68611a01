"""Pictures side by side."""

import numpy as np
import pytest

from aucue import pictures
from aucue.errors import InputError

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_panel_places_tiles_on_a_grid():
    red, green = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = green[..., 1] = 255
    wide = np.asarray(pictures.panel([red, green], tile_size=64))
    assert wide.shape[1] > wide.shape[0]
    centre = wide.shape[0] // 2
    is_red, is_green = (wide[centre] == (255, 0, 0)).all(-1), (wide[centre] == (0, 255, 0)).all(-1)
    assert is_red.sum() == is_green.sum() == 64
    assert is_red.argmax() < is_green.argmax()
    tall = np.asarray(pictures.panel([red, green], ["one", "two"], columns=1, tile_size=64))
    assert tall.shape[0] > tall.shape[1]


def test_panel_fits_other_shapes_without_distortion():
    tile = np.zeros((10, 20, 3), np.uint8)
    shown = (np.asarray(pictures.panel([tile], tile_size=60)) == 0).all(-1)
    assert shown.any(axis=0).sum() == 60
    assert shown.any(axis=1).sum() == 30


def test_panel_errors():
    with pytest.raises(InputError, match="at least one tile"):
        pictures.panel([])
    with pytest.raises(InputError, match="1 tiles need as many titles, got 2"):
        pictures.panel([GREY], ["a", "b"])
    with pytest.raises(InputError, match="Unknown theme 'pink'"):
        pictures.panel([GREY], theme="pink")  # pyright: ignore
