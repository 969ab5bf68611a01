import numpy as np
import pytest

from aucue.faces.candidates import Candidates, detect, merged, separate
from aucue.faces.network import Network


class Told(Network):
    """A network that says what it is told."""

    def __init__(self, name, side, cell, values, logit):
        self.name, self.side = name, side
        self.cells = 896 if name == "near" else 2304
        self.cell, self.values, self.logit = cell, values, logit

    def __call__(self, pictures):
        raw = np.zeros((len(pictures), self.cells, 16), np.float32)
        scores = np.full((len(pictures), self.cells), -20, np.float32)
        raw[:, self.cell], scores[:, self.cell] = self.values, self.logit
        return raw, scores


@pytest.mark.parametrize(
    ("name", "side", "cell", "x", "y"),
    [
        ("near", 128, 2 * (16 * 3 + 5) + 1, 44, 28),  # of the fine grid: column 5, row 3, cells of 8 pixels
        ("near", 128, 512 + 6 * (8 * 2 + 1) + 4, 24, 40),  # of the coarse one: column 1, row 2, of 16
        ("far", 192, 48 * 10 + 20, 82, 42),  # cells of 4 pixels
    ],
)
def test_numbers_are_pixels_from_the_middle_of_a_cell(name, side, cell, x, y):
    values = [1, 2, 20, 30, -5, -4, 5, -4, *[0] * 8]
    (found,) = detect(Told(name, side, cell, values, 2.0), np.zeros((1, side, side, 3), np.uint8), 0.5)
    np.testing.assert_allclose(found.boxes, [[x + 1 - 10, y + 2 - 15, x + 1 + 10, y + 2 + 15]])
    np.testing.assert_allclose(found.eyes, [[(x - 5, y - 4), (x + 5, y - 4)]])
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-2)))


def test_what_is_not_sure_enough_is_left_out():
    network = Told("far", 192, 7, [0] * 16, -1.0)
    assert len(detect(network, np.zeros((1, 192, 192, 3), np.uint8), 0.5)[0].scores) == 0


def candidates(*rows):
    boxes = np.array([row[:4] for row in rows], dtype=float)
    return Candidates(boxes, np.zeros((len(rows), 2, 2)), np.array([row[4] for row in rows]))


def test_boxes_of_one_face_become_their_mean():
    found = merged(candidates((0, 0, 10, 10, 0.3), (2, 0, 12, 10, 0.9), (50, 50, 60, 60, 0.5)))
    np.testing.assert_allclose(found.boxes, [(1.5, 0, 11.5, 10), (50, 50, 60, 60)])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_of_boxes_in_one_place_the_first_of_the_order_stays():
    boxes = np.array([(0, 0, 10, 10), (1, 1, 11, 11), (2, 2, 5, 5), (30, 0, 40, 10)], float)
    within = np.full(4, 0.6)
    assert separate(boxes, np.array([0, 1, 2, 3]), within) == [0, 3]
    assert separate(boxes, np.array([2, 1, 0, 3]), within) == [2, 3]  # the second and first hold it


def test_each_box_has_its_own_bound_for_what_it_shares():
    boxes = np.array([(0, 0, 10, 10), (2, 6, 8, 12)], float)  # 24 of 36, 24 of 112 of the union
    for share, kept in ((0.7, [0, 1]), (0.6, [0])):
        assert separate(boxes, np.array([0, 1]), np.array([0.7, share])) == kept
        assert separate(boxes, np.array([1, 0]), np.array([0.7, share])) == [1, 0]


def test_places_in_another_picture():
    there = candidates((0, 0, 10, 20, 0.5)).placed(3.0, (100, -50))
    np.testing.assert_allclose(there.boxes, [(100, -50, 130, 10)])
    np.testing.assert_allclose(there.eyes, [[(100, -50), (100, -50)]])
