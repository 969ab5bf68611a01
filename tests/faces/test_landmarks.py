import numpy as np
import pytest

from aucue.errors import InputError
from aucue.faces import (
    BROWS,
    EYES,
    JAW,
    MIRROR,
    MOUTH,
    NOSE,
    check_landmarks,
    eye_centres,
    inter_ocular_distance,
)


def test_mirror_equals_the_published_swap(goldens):
    np.testing.assert_array_equal(MIRROR, np.load(goldens / "landmarks.npz")["flip_perm"])


def test_mirror_is_its_own_inverse():
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))


def test_parts_cover_every_landmark_once():
    indices = np.concatenate([np.arange(68)[part] for part in (JAW, BROWS, NOSE, EYES, MOUTH)])
    np.testing.assert_array_equal(indices, np.arange(68))


def test_eye_centres_and_distance_of_a_batch():
    points = np.zeros((2, 68, 2))
    points[0, 36:42] = [[0, 0], [1, -1], [3, -1], [4, 0], [3, 1], [1, 1]]
    points[0, 42:48] = points[0, 36:42] + (3, 4)
    points[1, 42:48] = (10, 0)
    np.testing.assert_allclose(eye_centres(points), [[[2, 0], [5, 4]], [[0, 0], [10, 0]]])
    np.testing.assert_allclose(inter_ocular_distance(points), [5, 10])


def test_check_returns_float32():
    points = check_landmarks([[x, 2 * x] for x in range(68)])
    assert points.dtype == np.float32
    assert points[67].tolist() == [67, 134]


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.zeros((67, 2)), r"table.csv, row 3: expected 68 landmarks .* \(67, 2\)"),
        (np.zeros(136), r"table.csv, row 3: expected 68 landmarks .* \(136,\)"),
        (np.full((68, 2), np.inf), "table.csv, row 3: landmark 0 is not finite .68 of 68"),
        (np.where(np.arange(68)[:, None] == 5, np.nan, np.ones((68, 2))), "row 3: landmark 5 .* .1 of 68"),
        ([["a", "b"]] * 68, "row 3: landmarks must be a 68 x 2 array of numbers"),
    ],
)
def test_check_says_what_is_wrong_and_where(landmarks, message):
    with pytest.raises(InputError, match=message):
        check_landmarks(landmarks, where="table.csv, row 3")
