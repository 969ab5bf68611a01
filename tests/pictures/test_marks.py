"""Points and boxes over photographs."""

import numpy as np
import pytest

from aucue import pictures
from aucue.errors import InputError

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_landmarks_land_on_their_pixels():
    drawn = pictures.draw_landmarks(
        np.zeros((9, 9, 3), np.uint8), np.array([[6, 2], [np.nan, 1]]), (255, 0, 0), 1
    )
    assert drawn[2, 6].tolist() == [255, 0, 0]  # x is the column, and the point is the pixel's centre
    assert drawn[:, :4].sum() == 0
    disc = drawn[0:5, 4:9].astype(int)
    assert np.abs(disc - disc[::-1]).max() < 5  # round
    assert np.abs(disc - disc.transpose(1, 0, 2)).max() < 5


def test_landmarks_and_boxes_name_wrong_shapes():
    with pytest.raises(InputError, match=r"landmarks.*\(68, 3\)"):
        pictures.draw_landmarks(GREY, np.zeros((68, 3)))
    with pytest.raises(InputError, match=r"boxes.*\(4,\)"):
        pictures.draw_boxes(GREY, np.zeros(4))
    with pytest.raises(InputError, match="1 boxes need as many labels, got 2"):
        pictures.draw_boxes(GREY, np.zeros((1, 4)), ["a", "b"])


def test_boxes_are_outlines():
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), np.array([[10, 20, 40, 50]]), color=(0, 255, 0)
    )
    assert drawn[20, 25, 1] > 100
    assert drawn[35, 39, 1] > 100
    assert drawn[35, 25].sum() == 0


def test_boxes_have_their_own_colours():
    boxes = np.array([[5, 5, 25, 25], [35, 35, 55, 55]])
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), boxes, ["", ""], colors=[(255, 0, 0), (0, 0, 255)]
    )
    assert drawn[25, 15].tolist() == [255, 0, 0]
    assert drawn[55, 45].tolist() == [0, 0, 255]
