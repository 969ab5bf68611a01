"""Frames by their times, upright, and whether all of a film is there."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from aucue.errors import InputError
from aucue.explanation.film import FilmReader, FilmWriter, sampled, turned

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


def film(path: Path, frames: list[np.ndarray], shape: Fraction = Fraction(1)) -> Path:
    """A film of 25 frames per second; `shape` is how wide a pixel is for its height."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.sample_aspect_ratio = shape
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("stored", "shape", "shown"),
    [
        ((48, 60), Fraction(4, 3), (48, 80)),  # HDV: 1440 x 1080 pixels are shown as 1920 x 1080
        ((48, 72), Fraction(8, 9), (48, 64)),  # DV: 720 x 480 pixels are shown as 640 x 480
        ((720, 960), Fraction(8, 3), (360, 1280)),  # 2560 x 720, shrunk
        ((2, 2000), Fraction(1), (2, 1280)),  # nonsense, but no error: a film has two rows at least
    ],
)
def test_frames_are_as_wide_as_players_show_them(
    tmp_path: Path, stored: tuple[int, int], shape: Fraction, shown: tuple[int, int]
):
    image = np.zeros((*stored, 3), np.uint8)
    image[:, : stored[1] // 4] = 255
    with FilmReader(film(tmp_path / "clip.mkv", [image], shape), 10) as reader:
        (frame,) = reader
    assert frame.image.shape == (*shown, 3)
    assert (frame.image.mean(axis=(0, 2)) > 127).sum() == pytest.approx(shown[1] / 4, abs=1)


def test_clips_put_one_behind_the_other(tmp_path: Path):
    """Their times begin anew; `cat a.ts b.ts` is what camcorders and their users make."""
    clips = [film(tmp_path / f"{name}.ts", [np.full((48, 64, 3), 99, np.uint8)] * 50) for name in "ab"]
    both = tmp_path / "both.mts"
    both.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    with FilmReader(both, 5) as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == pytest.approx([k / 5 for k in range(20)], abs=0.05)
    assert [frame.index for frame in frames] == [5 * k for k in range(20)]


def test_a_frame_in_an_hour(tmp_path: Path):
    pytest.importorskip("av")
    with FilmWriter(tmp_path / "slow.mp4", 1 / 3600) as writer:
        for hour in range(3):
            writer.write(np.zeros((32, 32, 3), np.uint8), 3600.0 * hour)
    with FilmReader(tmp_path / "slow.mp4", 10) as reader:
        assert [frame.time for frame in reader] == pytest.approx([0, 3600, 7200], abs=1001)


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
