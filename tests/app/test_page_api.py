"""What the page's scripts ask for: a photograph of many, a video, a picture of the camera."""

import csv
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")

from PIL import Image

from aucue.app import clips, live
from aucue.app.gallery import listed
from aucue.app.live import Live
from aucue.app.page_api import allowed
from aucue.app.service import Service
from aucue.errors import InputError
from aucue.explanation.results import Explanations
from aucue.explanation.table import write_table
from aucue.explanation.video import film_columns

from .conftest import Running, encoded

CAMERA = "0123456789abcdef" * 2


def lines_of(running: Running, content: bytes, **options: str) -> list[dict]:
    answer = running.client.post("/page/video", content=content, params=options)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_photograph_of_many_in_the_words_of_the_log(running: Running, photo, tmp_path: Path):
    options = {"name": "=a,b.png", "model": "unguided"}
    said = running.client.post("/page/photograph", params=options, content=encoded(photo(2))).json()
    answer = running.service.read(running.service.open(photo(2)), "unguided", if_hidden=True)
    expected = Explanations(answer.explanations, "=a,b.png").records()
    settings = {"model": "unguided", "readout": "cam"}
    assert said["records"] == json.loads(json.dumps([settings | record for record in expected]))
    write_table(tmp_path / "table.csv", expected, running.service.model("unguided").classes)
    assert said["head"] + said["rows"] == (tmp_path / "table.csv").read_bytes().decode()
    assert [face["sentence"] for face in said["faces"]] == [each.finding for each in answer.explanations]
    assert said["faces"][0]["thumbnail"].startswith("data:image/jpeg;base64,")
    assert running.files() == []


def test_one_that_fails_says_why(running: Running, service: Service):
    empty = encoded(Image.new("RGB", (64, 64), (9, 9, 9)))
    said = running.client.post("/page/photograph", params={"name": "wall.png"}, content=empty).json()
    assert said["error"].startswith("No face was found in this photograph")
    assert (said["faces"], said["rows"]) == ([], "")
    assert [(each["photo"], each["faces"]) for each in said["records"]] == [("wall.png", 0)]
    answer = running.client.post("/page/photograph", params={"name": "x"}, content=b"Dear reader")
    assert (answer.status_code, answer.json()["error"][:26]) == (400, "This file is not a picture")
    with pytest.raises(InputError, match="no model"):
        listed(service, empty, "x", "missing")


def test_a_video_is_told_while_it_is_looked_at(running: Running, clip: bytes):
    *pieces, end = lines_of(running, clip, model="unguided")
    assert [piece["frames"] for piece in pieces] == [8, 12]
    assert [piece["faces"] for piece in pieces] == [8, 12]
    assert pieces[-1]["time"] == pytest.approx(1.1, abs=0.01)
    assert pieces[-1]["seconds"] == pytest.approx(1.2, abs=0.1)
    head, *rows = csv.reader(io.StringIO("".join(piece["rows"] for piece in pieces)))
    assert head == film_columns(running.service.model("unguided").classes)
    assert [row[2] for row in rows] == ["1"] * 12
    assert {row[3] for row in rows} == {"anger"}
    assert (end["frames"], end["faces"]) == (12, 12)
    assert end["html"].count('class="chart"') == 1
    assert end["html"].count('<button type="button" data-time="') == 1
    assert running.files() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not a video that can be read"),
        (b"Dear reader", "is not a video that can be read"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "no video of a kind that is read"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n", "is not a video"),
        (encoded(Image.new("RGB", (64, 64)), "JPEG"), "is not a video that can be read"),
    ],
)
def test_what_is_no_video_is_one_sentence(running: Running, content: bytes, why: str):
    (line,) = lines_of(running, content)
    assert line["error"].startswith("This video is not a video that can be read")
    assert why in line["error"]


def test_limits_of_a_video(running: Running, clip: bytes, monkeypatch: pytest.MonkeyPatch):
    assert allowed(2**20, 120)["/page/video"].max_bytes == 100 * 2**20
    assert "no model" in lines_of(running, clip, model="missing")[0]["error"]
    monkeypatch.setattr(clips, "MAX_PIXELS", 1000)
    assert "more than 0.001 million pixels" in lines_of(running, clip)[0]["error"]
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_SECONDS", 0.5)
    assert "longer than 5 minutes" in lines_of(running, clip)[0]["error"]


def test_who_goes_away_leaves_nothing(running: Running, clip: bytes):
    with running.client.stream("POST", "/page/video", content=clip) as answer:
        next(answer.iter_lines())
    # One video is looked at at a time: a turn that was not given back would be missed now.
    assert len(lines_of(running, clip)) == 3
    assert running.files() == []


def test_faces_of_a_camera_are_followed(running: Running, photo):
    options = {"camera": CAMERA, "model": "unguided"}
    content = encoded(photo(), "JPEG")
    first_said, said = (running.client.post("/page/frame", params=options, content=content) for _ in "ab")
    assert [face["track"] for face in first_said.json()["faces"]] == [1]
    assert said.json()["milliseconds"] > 0
    (first,) = said.json()["faces"]
    assert first["track"] == 1
    (expected,) = running.service.read(running.service.open(photo()), "unguided").explanations
    assert first["expression"] == "anger"
    assert first["box"] == list(expected.face.box)
    assert len(first["landmarks"]) == 68
    shares = {bar["name"]: bar["share"] for bar in first["bars"]}
    assert shares == pytest.approx(expected.probabilities, abs=0.02)  # a JPEG
    other = running.client.post("/page/frame", params={"camera": "../x"}, content=b"")
    assert other.status_code == 400
    large = running.client.post("/page/frame", params=options, content=b"x" * (live.MAX_BYTES + 70_000))
    assert large.status_code == 413


def test_cameras_are_forgotten(service: Service, photo):
    now = [0.0]
    cameras = Live(service, seconds=10, most=2, clock=lambda: now[0])
    for name in "abc":
        assert [face["track"] for face in cameras.look(name, photo())] == [1]
    assert len(cameras) == 2  # a has given way
    now[0] = 5.0
    assert [face["track"] for face in cameras.look("b", photo())] == [2]  # after a second nobody is the same
    now[0] = 14.0
    cameras.sweep()
    assert len(cameras) == 1
    now[0] = 99.0
    cameras.sweep()
    assert len(cameras) == 0


def test_probabilities_of_a_camera_are_smoothed(service: Service, photo, monkeypatch: pytest.MonkeyPatch):
    said = iter([{"neutral": 1.0, "anger": 0.0}, {"neutral": 0.0, "anger": 1.0}])
    monkeypatch.setattr(service, "probabilities", lambda faces, model: [next(said)])
    now = [0.0]
    cameras = Live(service, clock=lambda: now[0])
    cameras.look("a", photo())
    now[0] = clips.SMOOTH
    (face,) = cameras.look("a", photo())
    assert face["bars"][0]["share"] == pytest.approx(0.36788)  # 1 / e


def test_scripts(running: Running):
    for name in ("several", "film", "curves", "camera", "shared"):
        answer = running.client.get(f"/scripts/{name}.js")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "export " in answer.text
    assert running.client.get("/scripts/other.js").status_code == 404
