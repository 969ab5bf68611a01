from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.explanation import Explainer
from aucue.explanation.annotate import Mark, annotate
from aucue.explanation.files import shrunk, write_overview
from aucue.faces import FaceReader, transform_points
from aucue.pictures import colormap

MATRIX = np.array([[2.0, 0.0, -20.0], [0.0, 2.0, -20.0]])  # the crop shows pixels 10 to 30 of the picture
GREY = np.full((60, 60, 3), 100, np.uint8)


def mark(heat: np.ndarray) -> Mark:
    return Mark((2.0, 44.0, 12.0, 54.0), MATRIX, 40, heat.astype(np.float32), "", (1, 2, 250))


def test_a_map_is_laid_over_its_face():
    drawn = annotate(GREY, [mark(np.ones((4, 4)))]).astype(int)
    expected = 100 * 0.35 + colormap(np.ones(1))[0] * 0.65
    assert drawn[20, 20] == pytest.approx(expected, abs=1)
    assert (drawn[:9] == 100).all()
    assert (drawn[32:43, 20:] == 100).all()  # the label is at the left
    assert (drawn[:43, 32:] == 100).all()
    assert (GREY == 100).all()


def test_where_the_map_is_low_the_picture_is_as_it_was():
    heat = np.zeros((4, 4))
    heat[:2, :2] = 1
    change = np.abs(annotate(GREY, [mark(heat)]).astype(int) - 100).sum(axis=2)
    assert change[15, 15] > 60
    assert change[25, 25] == change[15, 25] == change[25, 15] == 0


def test_the_box_has_its_colour():
    drawn = annotate(GREY, [mark(np.zeros((4, 4)))])
    assert drawn[54, 7].tolist() == [1, 2, 250]
    assert annotate(GREY, []) is GREY


def test_faces_at_the_border_and_beyond():
    turned = replace(mark(np.ones((4, 4))), matrix=np.array([[0.0, -2.0, 30.0], [2.0, 0.0, -90.0]]))
    assert annotate(GREY, [turned]).shape == GREY.shape
    gone = replace(mark(np.ones((4, 4))), matrix=np.array([[2.0, 0.0, 900.0], [0.0, 2.0, -20.0]]))
    assert (annotate(GREY, [gone])[:26] == 100).all()


def test_a_mark_in_a_smaller_picture():
    small = shrunk(mark(np.ones((4, 4))), 0.25)
    points = np.array([[3.0, 7.0], [41.5, 0.0]])
    assert transform_points(small.matrix, (points + 0.5) * 0.25 - 0.5) == pytest.approx(
        transform_points(MATRIX, points)
    )
    assert small.box == (0.5, 11.0, 3.0, 13.5)


def test_large_photographs_are_shrunk(model, drawn, detector, tmp_path: Path):
    explanations = Explainer(model(), FaceReader(detector, size=64))(drawn[0])
    large = np.zeros((112, 3200, 3), np.uint8)
    large[:, :112] = drawn[0]
    Image.fromarray(large).save(tmp_path / "wide.png")
    write_overview(tmp_path / "marked.jpg", tmp_path / "wide.png", explanations)
    marked = Image.open(tmp_path / "marked.jpg")
    assert marked.size == (1600, 56)
    assert np.asarray(marked)[:, 200:].max() < 10  # nothing but black beside the face and its label
