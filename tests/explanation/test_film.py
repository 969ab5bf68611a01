"""Frames by their times, upright, and whether all of a film is there."""

from pathlib import Path

import numpy as np
import pytest

from aucue.errors import InputError
from aucue.explanation.film import FilmReader, sampled, turned

CASES = Path(__file__).parents[3] / "shared" / "cases" / "video"


def chosen(times: list[float], fps: float) -> list[int]:
    return [number for _, number in sampled(((time, k) for k, time in enumerate(times)), fps)]


def test_the_rate_asked_for_by_the_times_of_the_frames():
    assert chosen([k / 10 for k in range(20)], 2) == [0, 5, 10, 15]
    for fps in (24, 30, 50, 60):  # rounded to milliseconds
        assert chosen([round(k / fps, 3) for k in range(60)], fps) == list(range(60))
    assert chosen([k / 30 for k in range(30)] + [10 + k / 30 for k in range(30)], 10) == list(range(0, 60, 3))
    assert chosen([k / 10 for k in range(5)], 1000) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("matrix", [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)])
def test_flips(matrix: tuple[int, int, int, int]):
    check_turned(matrix)


@pytest.mark.parametrize("matrix", [(0, b, c, 0) for b in (1, -1) for c in (1, -1)])
def test_turns(matrix: tuple[int, int, int, int]):
    check_turned(matrix)


def check_turned(matrix: tuple[int, int, int, int]):
    a, b, c, d = matrix
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    shown = {(a * x + c * y, b * x + d * y): image[y, x] for y in range(2) for x in range(3)}
    left, top = min(x for x, _ in shown), min(y for _, y in shown)
    result = turned(image, matrix)
    for (x, y), value in shown.items():
        assert np.array_equal(result[y - top, x - left], value)


def test_a_list_of_other_files_is_no_video(tmp_path: Path):
    pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(InputError, match="no video of a kind that is read"):
        FilmReader(path, 10)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases in ../shared are absent")
@pytest.mark.parametrize(
    ("name", "fps", "count", "missing"),
    [
        ("ms30.mkv", 30, 60, ""),
        ("ms24.mkv", 24, 60, ""),
        ("vfr.mp4", 10, 20, ""),
        ("cut.mkv", 10, 5, "ends after 0.5 s of 2.0 s"),
    ],
)
def test_films_that_went_wrong(name: str, fps: float, count: int, missing: str):
    pytest.importorskip("av")
    with FilmReader(CASES / name, fps) as film:
        assert len(list(film)) == count
        assert film.missing == missing
