"""Who is who from frame to frame: faces of a video -> track ids that stay with a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aucue.faces import inter_ocular_distance

_REACH = 1.0
"""Mean distance of two faces' landmarks, in inter-ocular distances, up to which they may be one person."""

_FASTEST = 3.0  # inter-ocular distances per second; a face that jumps is noise


@dataclass
class _Track:
    """A person that is followed.

    Attributes:
        landmarks: (68, 2) where last seen.
        time: When, in seconds.
        velocity: (2,) pixels per second, smoothed.
    """

    landmarks: NDArray
    time: float
    velocity: NDArray

    def at(self, time: float) -> NDArray:
        """Where the landmarks are expected."""
        return self.landmarks + self.velocity * (time - self.time)

    def see(self, landmarks: NDArray, time: float) -> None:
        """Go on with a face."""
        if time > self.time:
            velocity = (landmarks.mean(axis=0) - self.landmarks.mean(axis=0)) / (time - self.time)
            most = _FASTEST * float(inter_ocular_distance(landmarks))
            self.velocity = ((self.velocity + velocity) / 2).clip(-most, most)
        self.landmarks, self.time = landmarks, time


class Tracker:
    """Gives each face the id of the nearest track, or a new one.

    A track is expected to go on as it moved; the distance of a face is the mean distance of its 68 landmarks
    from there, in inter-ocular distances, so that size and position count. Nearest pairs are taken first. A
    track whose face is not found for a while waits where it was expected to be; ids are never given twice.

    Args:
        patience: Seconds that a track waits for its face, and moves on without being seen.
        across_gaps: Whether a face of the last frame is awaited in the next, however much later that is: in a
            film of which few frames are looked at, not before a camera that has paused.
    """

    def __init__(self, patience: float = 1.0, across_gaps: bool = False) -> None:
        self.patience, self.across_gaps = patience, across_gaps
        self._tracks: dict[int, _Track] = {}
        self._next = 1
        self._looked = 0.0  # when the last frame was

    def update(self, landmarks: Sequence[NDArray], time: float) -> list[int]:
        """Follow the faces of the next frame.

        Args:
            landmarks: (68, 2) of each face, in pixels of the frame.
            time: Of the frame in seconds; never less than before.

        Returns:
            An id for each face, counted from 1, in the same order.
        """
        self._tracks = {id: track for id, track in self._tracks.items() if self._waits(track, time)}
        pairs = sorted(
            (_distance(self._place(track, time), points), id, i)
            for id, track in self._tracks.items()
            for i, points in enumerate(landmarks)
        )
        ids: dict[int, int] = {}
        for distance, id, i in pairs:
            if distance <= _REACH and i not in ids and id not in ids.values():
                ids[i] = id
        for i, points in enumerate(landmarks):
            if i in ids:
                self._tracks[ids[i]].see(points, time)
            else:
                ids[i] = self._next
                self._tracks[self._next] = _Track(points, time, np.zeros(2))
                self._next += 1
        self._looked = time
        return [ids[i] for i in range(len(landmarks))]

    def expected(self, time: float) -> list[NDArray]:
        """Landmarks (68, 2) of every track where they are expected."""
        return [self._place(track, time) for track in self._tracks.values() if self._waits(track, time)]

    def _waits(self, track: _Track, time: float) -> bool:
        just_seen = self.across_gaps and track.time == self._looked
        return just_seen or time - track.time <= self.patience

    def _place(self, track: _Track, time: float) -> NDArray:
        return track.at(min(time, track.time + self.patience))


def _distance(expected: NDArray, found: NDArray) -> float:
    unit = (inter_ocular_distance(expected) + inter_ocular_distance(found)) / 2
    return float(np.linalg.norm(expected - found, axis=1).mean() / max(float(unit), 1e-6))


class Smoother:
    """Exponential moving average of probabilities, for each track by itself.

    p <- p + (1 - exp(-dt / tau)) (new - p): after tau seconds an old value weighs 1 / e. dt is the time since
    the track was last seen, so that it does not depend on how often frames are looked at.

    Args:
        tau: In seconds; 0 does not smooth.
        patience: Seconds after which a track is forgotten that was not seen in the last frame.
    """

    def __init__(self, tau: float, patience: float = 1.0) -> None:
        self.tau, self.patience = tau, patience
        self._seen: dict[int, tuple[float, NDArray]] = {}
        self._looked = 0.0  # when the last frame with a face was

    def __call__(self, track: int, time: float, probabilities: NDArray) -> NDArray:
        """The average of a track.

        Args:
            track: Its id.
            time: In seconds.
            probabilities: (K,).

        Returns:
            (K,), which sum to what `probabilities` does.
        """
        if time > self._looked:
            self._seen = {
                id: seen
                for id, seen in self._seen.items()
                if seen[0] == self._looked or time - seen[0] <= self.patience
            }
            self._looked = time
        if track in self._seen and self.tau > 0:
            before, average = self._seen[track]
            probabilities = average + (1 - np.exp(-(time - before) / self.tau)) * (probabilities - average)
        self._seen[track] = time, probabilities
        return probabilities
