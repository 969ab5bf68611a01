"""Distances of landmarks by hand, and against the intensities of rendered faces."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from aucue.faces import unit_distances
from aucue.facs import Codebook
from aucue.rendering import FaceParameters, Identity, View, draw_action_units
from aucue.rendering.geometry import Geometry

UNITS = (1, 2, 4, 5, 7, 12, 15, 20, 25, 26, 27, 43)


def placed() -> np.ndarray:
    """A face whose eyes are 100 apart, with everything else where it is easy to see."""
    points = np.zeros((68, 2))
    eye = np.array([[-20, 0], [-8, -6], [8, -6], [20, 0], [8, 6], [-8, 6]])
    points[36:42], points[42:48] = eye, eye + np.array([100, 0])
    points[17:22, 1] = -30  # left brow: its middle and its inner end are higher
    points[19:22, 1] = -42
    points[22:27, 1] = [-42, -42, -42, -30, -30]
    points[48], points[54] = (20, 95), (85, 95)
    points[[61, 62, 63], 1], points[[67, 66, 65], 1] = 100, 115
    return points


def test_by_hand():
    found = unit_distances(placed())
    expected = {
        1: 0.42,
        2: (0.30 + 0.30 + 0.42) / 3,
        4: -(2 * 0.30 + 3 * 0.42) / 5,
        5: 0.12,
        7: -0.12,
        12: 0.65 + 0.05,
        15: -0.05,
        20: 0.65,
        25: 0.15,
        26: 0.15,
        27: 0.15,
        43: -0.12,
    }
    assert set(found) == set(UNITS) == set(expected)
    for unit, value in expected.items():
        assert found[unit] == pytest.approx(value), unit


@pytest.mark.parametrize(
    ("expression", "units"),
    [
        ("happiness", (12, 25)),
        ("surprise", (1, 2, 5, 26, 27)),
        ("fear", (1, 2, 20, 27)),
        ("anger", (4, 25)),
        ("sadness", (1, 15)),
    ],
)
def test_they_follow_the_intensities_of_rendered_faces(expression: str, units: tuple[int, ...]):
    random, faces = np.random.default_rng(0), []
    for seed in range(80):
        shown = draw_action_units(Codebook.load("facs")[expression], random)
        faces.append(FaceParameters(Identity.draw(seed), shown, View.draw(random)))
    found = unit_distances(np.stack([Geometry(face, 112).landmarks for face in faces]))
    for unit in units:
        intensities = [face.action_units[unit] for face in faces]
        assert np.asarray(spearmanr(found[unit], intensities))[0] > 0.25, unit


def test_place_size_and_roll_do_not_matter():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = 2.5 * placed() @ turn.T + np.array([30, -7])
    both = unit_distances(np.stack([placed(), moved]))
    for unit, (before, after) in both.items():
        assert after == pytest.approx(before), unit
    assert np.isnan(unit_distances(np.full((68, 2), np.nan))[12])
