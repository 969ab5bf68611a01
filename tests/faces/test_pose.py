import numpy as np
import pytest

from aucue.faces.pose import pose_of


def head(roll=0.0, yaw=0.0, pitch=0.0):
    """The points that the pose is read from, on a head of half-width 1, turned by angles in degrees."""
    points = np.zeros((468, 3))
    points[[33, 263]] = (-0.5, -0.3, 0.1), (0.5, -0.3, 0.1)
    points[[234, 454]] = (-1, 0, 0.8), (1, 0, 0.8)
    points[[61, 291]] = (-0.4, 0.6, 0), (0.4, 0.6, 0)
    lean = np.tan(np.radians(1.5))  # of the line from forehead to chin, where a face looks straight ahead
    points[[10, 152]] = (0, -1, -lean), (0, 1, lean)
    r, y, p = np.radians([roll, yaw, pitch])
    down = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    right = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    over = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return 100 * points @ (over @ right @ down).T + (300, 200, 7)


@pytest.mark.parametrize("angle", [-150, -60, 0, 30, 90, 179])
def test_roll_is_the_angle_in_the_picture(angle):
    pose = pose_of(head(roll=angle))
    assert pose.roll == pytest.approx(angle)
    assert (pose.yaw, pose.pitch) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("angle", [-50, 20])
def test_yaw_and_pitch(angle):
    assert pose_of(head(roll=10, yaw=angle)) == pytest.approx((10, angle, 0), abs=0.6)
    assert pose_of(head(roll=10, pitch=angle)) == pytest.approx((10, 0, angle), abs=1e-6)


def test_who_looks_to_the_right_shows_the_nose_there():
    """Yaw is positive where the nose, nearest to the camera, moves to the picture's right."""
    points = head()
    points[1] = points[[33, 263, 61, 291]].mean(axis=0) - np.array([0, 0, 60])
    turn = np.radians(30)
    matrix = np.array(
        [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    )  # as in head()
    turned = (points - points.mean(axis=0)) @ matrix.T
    middle = turned[[33, 263, 61, 291]].mean(axis=0)
    assert (turned[1] - middle)[0] > 0
    assert pose_of(turned).yaw > 0
