import numpy as np
import pytest

from aucue.explanation import Smoother, Tracker

SHAPE = np.random.default_rng(0).uniform(-40, 40, (68, 2))
SHAPE[36:42], SHAPE[42:48] = (-20, -15), (20, -15)  # eyes 40 pixels apart


def face(x: float, y: float = 100.0, size: float = 1.0) -> np.ndarray:
    return size * SHAPE + (x, y)


def test_ids_stay_whatever_the_order_of_the_faces():
    tracker = Tracker()
    assert tracker.update([face(100), face(300)], 0.0) == [1, 2]
    assert tracker.update([face(305), face(95)], 0.1) == [2, 1]
    assert tracker.update([], 0.2) == []
    assert tracker.update([face(90)], 0.3) == [1]
    assert tracker.update([face(312), face(88)], 0.4) == [2, 1]


def test_missed_frames_are_survived_for_a_while():
    tracker = Tracker(patience=1.0)
    assert tracker.update([face(100)], 0.0) == [1]
    assert tracker.update([face(105)], 1.0) == [1]
    assert tracker.update([face(105)], 2.5) == [2]  # too long away: somebody else, perhaps
    assert tracker.update([face(400)], 2.6) == [3]


def test_who_is_in_every_frame_is_one_track_however_seldom_it_is_looked_at():
    for step in (1.001, 2.0, 60.0):  # --fps 1 of 29.97 frames per second, and less
        time = 0.033
        tracker, smooth = Tracker(across_gaps=True), Smoother(tau=100.0)
        assert tracker.update([face(100), face(300)], 0.0) == [1, 2]
        assert tracker.update([face(102), face(300)], time) == [1, 2]  # 60 pixels per second, for a moment
        smooth(1, time, np.array([1.0]))
        for k in range(1, 4):
            time += step
            assert len(tracker.expected(time)) == 2
            assert tracker.update([face(104), face(301)], time) == [1, 2]
            assert smooth(1, time, np.array([0.0])) == pytest.approx([np.exp(-k * step / 100)])
        tracker.update([], time + 60)
        assert tracker.update([face(104)], time + 120) == [3]


def test_faces_that_pass_each_other_keep_their_ids():
    """One goes right, one a little lower goes left; in the middle one is not seen for two frames."""
    tracker, seen = Tracker(), []
    for k in range(21):
        faces = [face(100 + 10 * k), face(300 - 10 * k, 125)]
        shown = faces[:1] if k in (10, 11) else faces[:: 1 if k % 2 else -1]
        ids = tracker.update(shown, k / 10)
        seen.append(ids if k % 2 or k == 10 else ids[::-1])
    assert all(ids == seen[0] for k, ids in enumerate(seen) if k not in (10, 11))
    assert seen[10] == seen[11] == seen[0][:1]


def test_another_size_is_another_person():
    tracker = Tracker()
    assert tracker.update([face(100, size=3)], 0) == [1]
    assert tracker.update([face(100, size=0.5)], 0.1) == [2]


def test_expected_places():
    tracker = Tracker()
    tracker.update([face(100)], 0.0)
    tracker.update([face(120)], 0.5)
    x = tracker.expected(1.0)[0].mean(axis=0)[0] - SHAPE.mean(axis=0)[0]
    assert x == pytest.approx(130)  # half of 40 pixels per second: the speed is an average with 0
    assert tracker.expected(2.0) == []


def test_moving_average_by_hand():
    smooth = Smoother(tau=0.5)
    assert smooth(1, 0.0, np.array([1.0, 0.0])).tolist() == [1, 0]
    old = np.exp(-0.2 / 0.5)
    assert smooth(1, 0.2, np.array([0.0, 1.0])) == pytest.approx([old, 1 - old])
    assert smooth(2, 0.2, np.array([0.0, 1.0])).tolist() == [0, 1]
    smooth(2, 0.4, np.array([0.0, 1.0]))
    assert smooth(1, 3.0, np.array([0.25, 0.75])).tolist() == [0.25, 0.75]  # forgotten meanwhile
    assert Smoother(0)(1, 0.0, np.array([0.5])) == [0.5]


def test_smoothing_does_not_depend_on_the_frame_rate():
    ends = []
    for frames in (4, 16):
        smooth = Smoother(tau=0.7)
        smooth(1, 0.0, np.array([1.0]))
        ends.append([smooth(1, (k + 1) / frames, np.array([0.0])) for k in range(frames)][-1])
    assert ends[0] == pytest.approx(ends[1])
