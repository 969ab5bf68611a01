"""Videos, rendered: two people on a grey ground, one of them away for a moment."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.errors import InputError, MissingExtraError, OutputExistsError
from aucue.explanation import ExplainSettings, explain_files, film
from aucue.explanation.finder import FaceFinder
from aucue.explanation.log import VideoLog
from aucue.explanation.settings import MapFormat
from aucue.explanation.video import VideoFiles
from aucue.faces import Detection, Pose
from aucue.facs import EXPRESSIONS
from aucue.models import PriorRecord

pytest.importorskip("av", reason="the extra aucue[video] is not installed")

SIDE = 80
FPS = 10


class Squares:
    """Finds the rendered faces by the coloured frame that each has, and knows their landmarks."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        found = []
        for channel in (0, 2):
            others = np.delete(image.astype(int), channel, axis=2).max(axis=2)
            rows, columns = np.nonzero(image[..., channel] > others + 120)
            if len(rows) > 40:
                left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                scale = (right - left) / SIDE
                points = (self.landmarks + 0.5) * scale - 0.5 + (left, top)
                box = (float(left), float(top), float(right), float(bottom))
                found.append(Detection(box, 1.0, points.astype(np.float32), "plain"))
        return found


@pytest.fixture
def detector(drawn) -> Squares:
    return Squares(drawn[1] * SIDE / 112)


@pytest.fixture
def video(drawn, tmp_path: Path) -> Path:
    """2 seconds, 20 frames: a red square moves right, a blue one left; blue is away from 0.8 to 1.1 s."""
    face = np.asarray(film_image(drawn[0]))
    path = tmp_path / "two.mp4"
    with film.FilmWriter(path, FPS) as writer:
        for k in range(20):
            frame = np.full((160, 320, 3), 128, np.uint8)
            for channel, x in ((0, 10 + 4 * k), (2, 220 - 3 * k)):
                if channel == 0 or not 8 <= k <= 10:
                    square = face.copy()
                    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
                        square[edge] = np.eye(3, dtype=np.uint8)[channel] * 255
                    frame[40 : 40 + SIDE, x : x + SIDE] = square
            writer.write(frame, k / FPS)
    return path


def film_image(image: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE)))


@pytest.fixture
def model_file(model, tmp_path: Path) -> Path:
    return model().save(tmp_path / "model.safetensors")


def test_two_people_are_followed(video: Path, detector: Squares, model_file: Path, tmp_path: Path):
    out = tmp_path / "out"
    settings = ExplainSettings(workers=1, fps=FPS, smooth=0.3, maps="npz")
    report = explain_files([video], model_file, out, settings, detector=detector)
    assert report.ok
    found = report.videos[0]
    assert (found.frames, found.faces) == (20, 37)
    assert [(person.faces, person.last) for person in found.tracks.values()] == [
        (20, pytest.approx(1.9)),
        (17, pytest.approx(1.9)),
    ]
    lines = [json.loads(line) for line in (out / "two.jsonl").read_text().splitlines()]
    assert len(lines) == 37
    starts = {line["track"]: line["face"]["box"][0] for line in lines[:2]}
    assert sorted(starts.values()) == [pytest.approx(10, abs=3), pytest.approx(220, abs=3)]
    for line in lines:
        step = 4 if starts[line["track"]] < 100 else -3
        assert line["face"]["box"][0] == pytest.approx(starts[line["track"]] + step * line["frame"], abs=4)
        assert sum(line["smoothed"]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert lines[0]["smoothed"]["probabilities"] == pytest.approx(lines[0]["probabilities"])
    with (out / "two.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["track"]) for row in rows] == [line["track"] for line in lines]
    with film.FilmReader(out / "two.mp4", 1000) as annotated:
        frames = list(annotated)
    assert [frame.image.shape for frame in frames] == [(160, 320, 3)] * 20
    assert np.abs(np.diff([frame.time for frame in frames]) - 1 / FPS).max() < 0.01
    assert len(list((out / "two_maps").glob("*.npz"))) == 37
    page = (out / "index.html").read_text()
    assert 'src="two.mp4"' in page
    classes = list(lines[0]["probabilities"])
    shown = {f"{row['track']}_{classes.index(row['expression'])}.jpg" for row in rows}
    assert {path.name for path in (out / "two_moments").iterdir()} == shown
    assert set(re.findall(r'src="two_moments/(\S+)"', page)) == shown
    assert {Image.open(path).size for path in (out / "two_moments").iterdir()} == {(96, 96)}


def test_finished_videos_are_kept_and_broken_ones_listed(
    video: Path, detector: Squares, model_file: Path, tmp_path: Path
):
    out, broken, letter = tmp_path / "out", tmp_path / "cut.mp4", tmp_path / "letter.avi"
    broken.write_bytes(video.read_bytes()[:1500])
    letter.write_text("Dear reader")

    def run(fps: float, overwrite: bool = False):
        settings = ExplainSettings(workers=1, fps=fps)
        files = [video, broken, letter]
        return explain_files(files, model_file, out, settings, detector=detector, overwrite=overwrite)

    report = run(fps=2.0)
    assert [found.frames for found in report.videos] == [4]  # at 0, 0.5, 1 and 1.5 s
    assert [sentence.split(" is ")[0] for sentence in report.unread] == [str(broken), str(letter)]
    assert not list(out.rglob("*.unfinished"))
    assert not [path for path in out.iterdir() if path.stem.startswith(("cut", "letter"))]
    stamp = (out / "two.mp4").stat().st_mtime_ns
    report = run(fps=2.0)
    assert (report.earlier, report.videos, report.videos_in_all) == (1, (), 1)
    assert (out / "two.mp4").stat().st_mtime_ns == stamp
    with pytest.raises(OutputExistsError, match=r"two\.mp4 with another fps"):
        run(fps=5.0)
    assert [found.files.annotated for found in run(fps=5.0, overwrite=True).videos] == ["two.mp4"]


def test_frames_that_lie_far_apart_show_the_same_people(detector: Squares, model_file: Path, tmp_path: Path):
    frame = np.full((120, 160, 3), 128, np.uint8)
    frame[20:100, 30:110] = (255, 0, 0)
    with film.FilmWriter(tmp_path / "slow.mp4", FPS) as writer:
        for k in range(4):
            writer.write(frame, 1.1 * k)
    settings = ExplainSettings(workers=1, fps=1.0)
    report = explain_files([tmp_path / "slow.mp4"], model_file, tmp_path / "out", settings, detector=detector)
    assert [person.faces for person in report.videos[0].tracks.values()] == [4]


def test_no_map_of_an_earlier_run_is_left(
    video: Path, detector: Squares, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"

    def run(fps: float, maps: MapFormat) -> set[str]:
        settings = ExplainSettings(workers=1, fps=fps, maps=maps)
        explain_files([video], model_file, out, settings, detector=detector, overwrite=True)
        return {path.name for path in out.glob("two_maps/*")}

    assert len(run(10.0, "npz")) == 37
    (out / "two_maps" / "notes.txt").write_text("of the user")
    found = run(2.0, "png")
    lines = [json.loads(line) for line in (out / "two.jsonl").read_text().splitlines()]
    faces = [f"{line['frame']:06d}_track{line['track']}" for line in lines]
    kinds = ("attention", "class-map", "expected")
    assert found == {f"{face}_{kind}.png" for face in faces for kind in kinds} | {"notes.txt"}

    def breaks(*args: object) -> None:
        raise InputError("The video is broken.")

    with monkeypatch.context() as broken:
        broken.setattr(film.FilmWriter, "write", breaks)
        assert run(2.0, "npz") == {"notes.txt"}
    (out / "two_maps" / "notes.txt").unlink()
    assert run(2.0, "npz")
    assert run(2.0, "none") == set()
    assert not (out / "two_maps").exists()


def test_another_prior_is_another_setting(video: Path, detector: Squares, model, tmp_path: Path):
    often = {**dict.fromkeys(EXPRESSIONS, 0.1), "happiness": 0.4}
    network = model(prior=PriorRecord(often, often)).save(tmp_path / "model.safetensors")

    def run(prior: str | None):
        settings = ExplainSettings(workers=1, fps=2.0, prior=prior)
        return explain_files([video], network, tmp_path / "out", settings, detector=detector)

    first, again = run("even"), run("even")
    assert (len(first.videos), len(again.videos), again.earlier) == (1, 0, 1)
    assert (first.videos_in_all, again.videos_in_all) == (1, 1)
    with pytest.raises(OutputExistsError, match=r"two\.mp4 with another prior"):
        run(None)


def test_without_pyav(video: Path, detector: Squares, model_file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aucue\[video\]'"):
        explain_files([video], model_file, tmp_path / "out", detector=detector)


def test_a_sound_is_no_video(tmp_path: Path):
    import av

    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="holds no pictures, only audio"):
        film.FilmReader(path, 10)


def test_faces_are_looked_for_where_they_should_be(detector: Squares):
    sizes = []

    def watched(image: np.ndarray, key: str | None = None) -> list[Detection]:
        sizes.append(image.shape[:2])
        return [replace(face, presence=0.75, pose=Pose(1, 2, 3)) for face in detector(image)]

    frame = np.full((540, 1200, 3), 128, np.uint8)
    frame[100:340, 200:440] = (255, 0, 0)  # 240 pixels wide: twice as large as it is looked at
    finder = FaceFinder(watched)
    whole = finder(frame, 0.0, [])[0]
    assert sizes == [(432, 960)]  # the whole frame, shrunk
    again = finder(frame, 0.1, [whole.landmarks])[0]
    assert len(sizes) == 2
    assert max(sizes[1]) < 432
    for found in (whole, again):
        assert found.box == pytest.approx((200, 100, 440, 340), abs=4)
        assert (found.presence, found.pose) == (0.75, (1, 2, 3))  # what the detector knows is kept
        assert found.landmarks == pytest.approx((detector.landmarks + 0.5) * 3 - 0.5 + (200, 100), abs=4)
    assert finder(np.full_like(frame, 128), 0.2, [whole.landmarks]) == []
    finder(frame, 0.25, [whole.landmarks])
    assert sizes[-1] == (432, 960)  # it was lost: all of the frame is searched before a second is over
    assert len(finder(frame, 0.3, [whole.landmarks])) == 1  # found twice is found once


def test_a_film_cut_short_is_told_every_time(
    video: Path, detector: Squares, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(film, "_missing", lambda *times: "ends after 0.5 s of 2.0 s")
    for earlier in (0, 1):
        settings = ExplainSettings(workers=1, fps=2.0)
        report = explain_files([video], model_file, tmp_path / "out", settings, detector=detector)
        assert (report.earlier, len(report.videos)) == (earlier, 1 - earlier)
        assert report.cut_short == (f"{video} ends after 0.5 s of 2.0 s",)
        assert not report.ok
        assert "ends after 0.5 s of 2.0 s" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("video", 3),
        ("annotated", "../x.mp4"),
        ("maps", "/tmp"),
        ("tracks", {}),
        ("tracks", [{"track": 1}]),
        ("seconds", "1"),
        ("frames", -1),
        ("missing", 1),
        ("poster", None),
        ("moments", "../x"),
        ("moments", None),
    ],
)
def test_a_line_of_another_program_is_refused(tmp_path: Path, name: str, value: object):
    files = vars(VideoFiles.of("a", "npz"))
    line = {"video": "a.mp4", "seconds": 1.0, "frames": 1, "faces": 0, "tracks": [], **files}
    (tmp_path / "videos.jsonl").write_text(json.dumps(line) + "\n")
    assert list(VideoLog(tmp_path).records()) == [line]
    (tmp_path / "videos.jsonl").write_text(json.dumps({**line, name: value}) + "\n")
    with pytest.raises(InputError, match=r"videos\.jsonl, line 1: "):
        VideoLog(tmp_path)
