import csv
import html
import json
import os
import random
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial, partialmethod
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from aucue.cli.main import main
from aucue.data import SyntheticSource
from aucue.errors import InputError, OutputExistsError
from aucue.explanation import (
    Explainer,
    ExplainReport,
    ExplainSettings,
    Explanation,
    batch,
    explain_files,
    load,
)
from aucue.explanation.index import write_index
from aucue.explanation.inputs import find_inputs
from aucue.explanation.log import ExplanationLog
from aucue.explanation.table import write_table
from aucue.faces import Detection, FaceReader, Pose, PrecomputedDetector
from aucue.facs import EXPRESSIONS
from aucue.models import PriorRecord, files
from aucue.work.engines import LocalEngine
from aucue.work.files import LOCK_FILE, claimed

Explain = Callable[..., ExplainReport]
ALONE = ExplainSettings(workers=1)


@pytest.fixture(scope="module")
def drawn_faces() -> list[tuple[np.ndarray, np.ndarray]]:
    """Five pictures (80, 80, 3) with their landmarks (68, 2)."""
    source = SyntheticSource(train=5, val=0, test=0, size=80)
    return [
        (np.asarray(sample.image), np.asarray(sample.landmarks))
        for sample in map(source.__getitem__, range(5))
    ]


@pytest.fixture
def photos(
    drawn_faces: list[tuple[np.ndarray, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Photographs with one face each, but two in the third and none in the last; chunks of two."""
    monkeypatch.setattr(batch, "_CHUNK", 2)
    monkeypatch.setattr(batch, "BATCH", 2)
    monkeypatch.setattr(Explanation, "picture", partialmethod(Explanation.picture, tile_size=48))
    paths, rows = [], []
    for number, (image, points) in enumerate(drawn_faces):
        shifts = {2: (0, 80), 4: ()}.get(number, (0,))
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.concatenate([image] * max(1, len(shifts)), axis=1)).save(path)
        paths.append(path)
        rows += [(path.name, points + np.array([shift, 0])) for shift in shifts]
    lines = ["file," + ",".join(f"x{i},y{i}" for i in range(68))]
    lines += [f"{file}," + ",".join(f"{value:.3f}" for value in points.ravel()) for file, points in rows]
    (tmp_path / "landmarks.csv").write_text("\n".join(lines))
    return paths


@pytest.fixture
def explain(photos: list[Path], model, tmp_path: Path) -> Explain:
    model().save(tmp_path / "model.safetensors")
    detector = PrecomputedDetector(tmp_path / "landmarks.csv")

    def run(out: str, files: list[Path] = photos, **options: Any) -> ExplainReport:
        more = {name: options.pop(name) for name in ("overwrite", "tell") if name in options}
        settings = ExplainSettings(**{"workers": 1, "if_hidden": False, **options})
        model_file = tmp_path / "model.safetensors"
        return explain_files(files, model_file, tmp_path / out, settings, detector=detector, **more)

    return run


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "explanations.jsonl").read_text().splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK_FILE
    }


def test_the_ways_out_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    photo = tmp_path / "it's <one>.png"
    noise = np.random.default_rng(0).integers(0, 256, (160, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photo)
    write_index(tmp_path / "index.html", lambda: [{"photo": str(photo), "faces": 0}], [])
    page = (tmp_path / "index.html").read_text()
    (command,) = re.findall(r"<code>aucue (explain .*?)</code>", page)
    (snippet,) = re.findall(r"(?s)<pre>(.*?)</pre>", page)
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(html.unescape(command)), "--no-if-hidden"]) == 0
    assert records(tmp_path / "whole")[0]["face"]["how"] == "full-frame"
    capsys.readouterr()
    exec(html.unescape(snippet), {})
    assert "This face may be no face (presence 0.0" in capsys.readouterr().out


def test_a_line_and_a_picture_per_face(explain: Explain, photos: list[Path], tmp_path: Path):
    told = []
    report = explain("out", tell=told.append, if_hidden=True)
    assert report == ExplainReport(faces=5, faceless=(photos[4],), earlier=0, unread=())
    lines = records(tmp_path / "out")
    assert [(line["photo"], line["number"], line["faces"]) for line in lines] == [
        (str(photos[0]), 1, 1),
        (str(photos[1]), 1, 1),
        (str(photos[2]), 1, 2),
        (str(photos[2]), 2, 2),
        (str(photos[3]), 1, 1),
        (str(photos[4]), 0, 0),
    ]
    alone = Explainer(tmp_path / "model.safetensors")
    reader = FaceReader(PrecomputedDetector(tmp_path / "landmarks.csv"), alone.model.reading_size, "aucue")
    expected = [explanation for photo in photos for explanation in alone.faces(reader(photo))]
    for line, explanation in zip(lines, expected, strict=False):
        for name, value in explanation.to_dict().items():
            if name in ("probabilities", "attention_cosines"):
                assert line[name] == pytest.approx(value, abs=1e-5)
            elif name in ("expression", "face", "action_units"):
                assert line[name] == value
        picture = np.asarray(Image.open(tmp_path / "out" / line["picture"]))
        drawn = np.asarray(explanation.picture())
        assert (picture != drawn).mean() < 0.01  # the last bit of a probability moves a bar
    assert [photo.photo for photo in told] == photos[:4]
    assert [path.name for path in told[2].pictures] == ["2_face1.png", "2_face2.png"]
    assert Image.open(tmp_path / "out" / "2_faces.jpg").size == (160, 80)
    with (tmp_path / "out" / "explanations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photo"], row["face"]) for row in rows] == [
        (line["photo"], str(line["number"])) for line in lines if line["faces"]
    ]
    for row, explanation in zip(rows, expected, strict=True):
        assert float(row["probability"]) == pytest.approx(explanation.probability, abs=1e-4)
        assert float(row[row["expression"]]) == float(row["probability"])
        assert row["found"] == "precomputed"
        assert (row["presence"], row["yaw"], row["doubt"]) == ("", "", "")
        found = explanation.if_hidden
        assert found is not None
        assert row["runner_up"] == found.rival
        assert row["dearest"] == (found.dearest.numbers.replace(",", "") if found.dearest else "")
        if found.dearest:
            assert float(row["dearest_loss"]) == pytest.approx(found.dearest.loss.points, abs=2e-4)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "No face found in 1 photograph<" in page
    assert f"<li>{photos[4].name}</li>" in page.split("not-found")[1]


def test_pose_presence_and_doubt_of_a_face_are_told_everywhere(
    explain: Explain, photos: list[Path], tmp_path: Path
):
    """A head in profile: in JSON, CSV and the page; lines of before, which say nothing of it, are read."""
    table = PrecomputedDetector(tmp_path / "landmarks.csv")

    def detector(image: Any, key: str | None = None) -> list[Detection]:
        return [replace(face, presence=0.98, pose=Pose(3.14, -61.2, 5.0)) for face in table(image, "0.png")]

    out, file = tmp_path / "posed", tmp_path / "model.safetensors"
    explain_files(photos[:1], file, out, ALONE, detector=detector)
    (line,) = records(out)
    doubt = "turned to profile (yaw -61 degrees), not trusted"
    assert line["face"]["pose"] == {"roll": 3.1, "yaw": -61.2, "pitch": 5.0}
    assert (line["face"]["presence"], line["face"]["doubt"]) == (0.98, doubt)
    assert f"This face is {doubt}." in line["sentence"]
    with (out / "explanations.csv").open(newline="") as rows:
        (row,) = csv.DictReader(rows)
    assert [row[name] for name in ("presence", "roll", "yaw", "pitch", "doubt")] == [
        *("0.98", "3.1", "-61.2", "5.0"),
        doubt,
    ]
    page = (out / "index.html").read_text()
    assert doubt.capitalize() in page
    assert "not-found" not in page
    for name in ("presence", "pose", "doubt"):
        del line["face"][name]
    (out / "explanations.jsonl").write_text(json.dumps(line) + "\n")
    assert explain_files(photos[:1], file, out, ALONE, detector=detector).earlier == 1


def test_what_decides_can_be_left_out(explain: Explain, photos: list[Path], tmp_path: Path):
    explain("out", photos[:1])
    (line,) = records(tmp_path / "out")
    assert line["if_hidden"] is None
    with (tmp_path / "out" / "explanations.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["dearest"], row["runner_up"]) == ("", "")
    with pytest.raises(OutputExistsError, match="with another hiding"):
        explain("out", photos[:1], if_hidden=True)


def test_another_prior_is_another_setting(explain: Explain, photos: list[Path], model, tmp_path: Path):
    mix = dict.fromkeys(EXPRESSIONS, 1 / len(EXPRESSIONS))
    often = {**dict.fromkeys(EXPRESSIONS, 0.1), "happiness": 0.4}
    model(prior=PriorRecord(often, often)).save(tmp_path / "model.safetensors", overwrite=True)
    for earlier in (0, 1):
        assert explain("even", photos[:1], prior="even").earlier == earlier
    assert records(tmp_path / "even")[0]["prior"] == mix
    for other in (None, "natural"):
        with pytest.raises(OutputExistsError, match=r"0\.png with another prior; choose another folder"):
            explain("even", photos[:1], prior=other)
    explain("plain", photos[:1])
    (line,) = records(tmp_path / "plain")
    assert line.pop("prior") is None
    (tmp_path / "plain" / "explanations.jsonl").write_text(json.dumps(line) + "\n")  # as lines of before
    assert explain("plain", photos[:1]).earlier == 1
    with pytest.raises(OutputExistsError, match="with another prior"):
        explain("plain", photos[:1], prior="even")


def test_an_interrupted_run_is_continued(explain: Explain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    explain("whole")
    drawn = []
    picture = Explanation.picture

    def interrupt(self: Explanation) -> Image.Image:
        if len(drawn) == 3:  # between the two pictures of the third photograph
            raise KeyboardInterrupt
        drawn.append(self)
        return picture(self)

    monkeypatch.setattr(Explanation, "picture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        explain("out")
    monkeypatch.undo()
    monkeypatch.setattr(batch, "_CHUNK", 2)
    stamp = (tmp_path / "out" / "1_face1.png").stat().st_mtime_ns
    assert explain("out").earlier == 2
    assert (tmp_path / "out" / "1_face1.png").stat().st_mtime_ns == stamp
    assert content(tmp_path / "out").keys() == content(tmp_path / "whole").keys()
    assert [line["picture"] for line in records(tmp_path / "out")] == [
        line["picture"] for line in records(tmp_path / "whole")
    ]
    assert explain("out").earlier == 5


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_line_cut_short_is_mended(explain: Explain, tmp_path: Path, kept: int):
    """Killed while it wrote a line; the third and the fourth belong to one photograph."""
    explain("out")
    before, log = content(tmp_path / "out"), tmp_path / "out" / "explanations.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:kept]) + lines[kept][:100])
    for line in lines[min(kept, 2) :]:
        (tmp_path / "out" / str(json.loads(line)["picture"])).unlink(missing_ok=True)
    assert explain("out").earlier == min(kept, 2)
    after = content(tmp_path / "out")
    assert after.keys() == before.keys()
    assert [line["picture"] for line in records(tmp_path / "out")] == [
        json.loads(line)["picture"] for line in lines
    ]


def test_photographs_explained_anew(explain: Explain, photos: list[Path], tmp_path: Path):
    explain("out")
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    with pytest.raises(OutputExistsError, match=r"0.png with another readout; choose another folder"):
        explain("out", readout="gradcam")
    table = tmp_path / "landmarks.csv"
    table.write_text("\n".join(line for line in table.read_text().split("\n") if line[0] != "2"))
    again = partial(
        explain_files,
        photos[2:3],
        tmp_path / "model.safetensors",
        tmp_path / "out",
        ExplainSettings(if_hidden=False),
        detector=PrecomputedDetector(table),
    )
    with pytest.raises(OutputExistsError, match=r"2.png with another detector; choose another folder"):
        again()
    again = again(overwrite=True)
    assert again.faceless == (photos[2],)
    assert sorted(content(tmp_path / "out")) == [
        *(f"{number}_face1.png" for number in (0, 1, 3)),
        "explanations.csv",
        "explanations.jsonl",
        "index.html",
        "mine.txt",
        *(f"thumbnails/{number}_face1.jpg" for number in (0, 1, 3)),
    ]
    assert [line["photo"][-5] for line in records(tmp_path / "out")] == list("01342")


def test_unreadable_photographs_are_listed_and_tried_again(
    explain: Explain, photos: list[Path], tmp_path: Path
):
    whole = photos[1].read_bytes()
    photos[1].write_text("Dear reader")
    report = explain("out", [photos[0], photos[1], tmp_path / "gone.png"])
    assert not report.ok
    assert [sentence.split(" ")[1:4] for sentence in report.unread] == [
        ["is", "not", "an"],
        ["does", "not", "exist;"],
    ]
    photos[1].write_bytes(whole)
    report = explain("out", photos[:2])
    assert report == ExplainReport(faces=1, faceless=(), earlier=1, unread=())


def test_pictures_never_collide(explain: Explain, photos: list[Path], tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0_face1.png").write_text("mine")
    copies = [tmp_path / name / "1.png" for name in "ab"]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(photos[1].read_bytes())
    explain("out", [photos[0], copies[0], photos[0], photos[1]])
    explain("out", [copies[1], photos[1]])
    assert [line["picture"] for line in records(tmp_path / "out")] == [
        "0_2_face1.png",
        "1_face1.png",
        "1_2_face1.png",
        "1_3_face1.png",
    ]
    assert (tmp_path / "out" / "0_face1.png").read_text() == "mine"


def test_another_programs_log(explain: Explain, tmp_path: Path):
    (tmp_path / "out").mkdir()
    for text in ("not JSON\n", "[]\n", '{"photo": "a.png"}\n'):
        (tmp_path / "out" / "explanations.jsonl").write_text(text)
        with pytest.raises(InputError, match=r"explanations.jsonl, line 1: no line that aucue explain wrote"):
            explain("out")


def test_processes_change_nothing(explain: Explain, tmp_path: Path):
    explain("one")
    explain("two", workers=2)
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_the_engine_that_is_asked_for_works(
    explain: Explain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """tests/work/test_engines.py holds a real Ray against the other engine."""
    asked = []
    monkeypatch.setattr(batch, "open_engine", lambda *asked_for: asked.append(asked_for) or LocalEngine(1))
    explain("local")
    explain("ray", engine="ray", workers=2)
    assert asked == [("local", 1), ("ray", 2)]
    assert content(tmp_path / "ray") == content(tmp_path / "local")


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_maps_of_every_face(explain: Explain, photos: list[Path], tmp_path: Path, kind: str):
    told = []
    explain("out", photos[:1], maps=kind, tell=told.append)
    explanation, line = told[0].explanations[0], records(tmp_path / "out")[0]
    if kind == "npz":
        assert line["map_files"] == ["0_face1_maps.npz"]
        with np.load(tmp_path / "out" / "0_face1_maps.npz") as arrays:
            for name, map_ in explanation.class_maps.items():
                assert np.array_equal(arrays[f"class_map_{name}"], map_)
            assert np.array_equal(arrays["crop"], explanation.face.crop)
    else:
        names = ["attention", "class-map"] + ["expected"] * (explanation.cue is not None)
        assert line["map_files"] == [f"0_face1_{name}.png" for name in names]
        grey = np.asarray(Image.open(tmp_path / "out" / "0_face1_class-map.png"))
        assert grey.shape == explanation.face.crop.shape[:2]
        assert (grey.min(), grey.max()) == (0, 255)
    (tmp_path / "out" / line["map_files"][0]).unlink()
    assert explain("out", photos[:1], maps=kind).earlier == 0  # a lost file is made again
    assert (tmp_path / "out" / line["map_files"][0]).exists()
    with pytest.raises(OutputExistsError, match="with another maps"):
        explain("out", photos[:1])


def test_folders_and_patterns(explain: Explain, photos: list[Path], tmp_path: Path):
    (tmp_path / "photos" / "deeper").mkdir()
    photos[3].rename(tmp_path / "photos" / "deeper" / "a.png")
    (tmp_path / "photos" / "notes.txt").write_text("no photograph")
    (tmp_path / "photos" / ".hidden.png").write_text("no photograph")
    (tmp_path / "bare").mkdir()
    found = find_inputs([tmp_path / "photos", photos[0], tmp_path / "photos" / "**" / "*.png", "gone.jpg"])
    assert found.photos == (
        *photos[:3],
        photos[4],
        tmp_path / "photos" / "deeper" / "a.png",
        Path("gone.jpg"),
    )
    assert (found.videos, found.empty) == ((), ())
    assert find_inputs(["holiday.MOV", "a.jpg"]).videos == (Path("holiday.MOV"),)
    report = explain("out", [photos[0], tmp_path / "bare", tmp_path / "*.tiff"])
    assert report.faces == 1
    assert report.unread == (
        f"{tmp_path / 'bare'} holds no photograph and no video.",
        f"{tmp_path / '*.tiff'} matches no file.",
    )


def test_the_page_names_the_files_beside_it_and_nothing_else(
    explain: Explain, photos: list[Path], tmp_path: Path
):
    odd = photos[0].with_name("a <b>&#? c.png")
    photos[0].rename(odd)
    table = tmp_path / "landmarks.csv"
    table.write_text(table.read_text().replace("0.png", odd.name))
    model, detector = tmp_path / "model.safetensors", PrecomputedDetector(table)
    explain_files([odd, *photos[1:]], model, tmp_path / "out", ALONE, detector=detector)
    page = (tmp_path / "out" / "index.html").read_text()
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert len(links) == 2 * 5 + 2  # picture and thumbnail of each face, both faces' photograph twice
    for link in links:
        assert (tmp_path / "out" / unquote(link)).is_file()
    assert "<b>&" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('loading="lazy"') == 5
    assert page.count('<article class="card"') == 5


def test_the_model_in_the_box_is_the_default(photos: list[Path], tmp_path: Path, model, monkeypatch):
    monkeypatch.setattr(files, "BOXED", tmp_path / "boxed.safetensors")
    with pytest.raises(InputError, match="This installation of aucue carries no model"):
        explain_files(photos[:1], out=tmp_path / "out")
    model(predicts="fear").save(tmp_path / "boxed.safetensors")
    table = PrecomputedDetector(tmp_path / "landmarks.csv")
    assert explain_files(photos[:1], out=tmp_path / "out", detector=table).faces == 1
    assert records(tmp_path / "out")[0]["expression"] == "fear"
    assert load().model.classes == Explainer().model.classes


@pytest.mark.parametrize("key", ["picture", "thumbnail", "overview"])
def test_names_in_the_log_never_lead_out_of_the_folder(
    explain: Explain, photos: list[Path], tmp_path: Path, key: str
):
    explain("out", photos[:1])
    mine = tmp_path / "mine.txt"
    mine.write_text("keep me")
    log = tmp_path / "out" / "explanations.jsonl"
    whole = records(tmp_path / "out")[0]
    for name in ("../mine.txt", str(mine)):
        log.write_text(json.dumps({**whole, key: name}) + "\n")
        with pytest.raises(InputError, match=r"explanations.jsonl, line 1: .*mine.txt"):
            explain("out", photos[:1], overwrite=True)
        assert mine.read_text() == "keep me"


def test_mutated_logs_are_read_or_refused_in_a_sentence(explain: Explain, photos: list[Path], tmp_path: Path):
    explain("out", photos[:1])
    line = records(tmp_path / "out")[0]
    chance, log = random.Random(0), tmp_path / "mutated" / "explanations.jsonl"
    log.parent.mkdir()
    refused: list[str] = []
    values = (None, True, -1, 1e999, "x", [], {}, [[1]], {"a": 1})
    for trial in range(200):
        record = json.loads(json.dumps(line))
        place = record
        while True:
            key = chance.choice(list(place))
            if isinstance(place[key], dict) and place[key] and chance.random() < 0.6:
                place = place[key]
                continue
            break
        if trial % 4:
            place[key] = chance.choice(values)
        else:
            del place[key]
        log.write_bytes(json.dumps(record).encode() + (b"\xff" if trial % 50 == 49 else b"") + b"\n")
        try:
            read = ExplanationLog(log.parent)
        except InputError as error:
            refused.append(str(error))
            continue
        write_table(log.parent / "t.csv", read.records(), ["happiness"])
        write_index(log.parent / "i.html", read.records, [])
    assert len(refused) > 50
    assert all("explanations.jsonl, line 1: " in sentence for sentence in refused)


def test_two_processes_on_one_folder(explain: Explain, photos: list[Path], tmp_path: Path):
    with claimed(tmp_path / "out"), pytest.raises(InputError, match="Another process is writing to"):
        explain("out", photos[:1])


def test_odd_names_are_explained_like_any_other(explain: Explain, photos: list[Path], tmp_path: Path, model):
    names = ["x" * 240 + ".png", os.fsdecode(b"a\xff.png"), "con.png", "=1\x1b[31m.png"]
    odd = [photos[0].with_name(name) for name in names]
    for path in odd:
        path.write_bytes(photos[0].read_bytes())

    class Everywhere(PrecomputedDetector):
        def __call__(self, image, key=None):
            return super().__call__(image, "0.png")

    detector = Everywhere(tmp_path / "landmarks.csv")
    out = tmp_path / "out"
    report = explain_files(odd, tmp_path / "model.safetensors", out, ALONE, detector=detector)
    assert (report.faces, report.unread) == (4, ())
    lines = records(out)
    assert [line["photo"] for line in lines] == [str(path) for path in odd]
    assert all((out / line["picture"]).is_file() and line["picture"].isprintable() for line in lines)
    assert len({line["picture"] for line in lines}) == 4
    page, table = (out / "index.html").read_text(), (out / "explanations.csv").read_text()
    assert "\x1b" not in page + table
    assert r"a\udcff.png" in page
    assert explain_files(odd, tmp_path / "model.safetensors", out, ALONE, detector=detector).earlier == 4


def test_what_lies_below_out_is_no_input(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inside = tmp_path / "photos" / "explained"
    inside.mkdir()
    (inside / "0_face1.png").write_bytes(photos[0].read_bytes())
    (tmp_path / "link").symlink_to(inside)
    monkeypatch.chdir(tmp_path)
    for out in (inside, Path("photos/explained"), Path("link")):
        assert find_inputs(["photos"], out).photos == tuple(Path("photos") / path.name for path in photos)
    assert "never explained" in find_inputs([inside], inside).empty[0]


def test_what_is_not_read_is_named(tmp_path: Path):
    for name in ("a.heic", "b.dng", "c.DNG"):
        (tmp_path / name).write_bytes(b"x")
    found = find_inputs([tmp_path, "https://example.org/a.jpg", Path("https://example.org/a.jpg"), "x" * 300])
    assert "2 .dng" in found.empty[0]
    assert found.empty[1].startswith("https://example.org/a.jpg is a URL; URLs are not read")
    assert found.empty[2] == found.empty[1]
    assert "cannot be read: File name too long" in found.empty[3]


def test_what_an_earlier_run_wrote_is_no_input(explain: Explain, photos: list[Path], tmp_path: Path):
    explain("photos/first", maps="png")
    assert len(list((tmp_path / "photos").rglob("*.png"))) > len(photos)
    (tmp_path / "photos" / "first" / "mine.png").write_bytes(photos[0].read_bytes())
    expected = (*photos, tmp_path / "photos" / "first" / "mine.png")
    assert find_inputs([tmp_path / "photos"], tmp_path / "second").photos == expected
    pattern = tmp_path / "photos" / "first" / "*_face*.png"
    assert "holds only what aucue explain wrote" in find_inputs([pattern], tmp_path / "second").empty[0]
    (tmp_path / "photos" / "first" / "explanations.jsonl").write_text("of another program\n")
    assert len(find_inputs([tmp_path / "photos"], tmp_path / "second").photos) > len(expected)


def test_names_that_differ_in_case_alone_stay_apart_on_every_system(
    explain: Explain, photos: list[Path], tmp_path: Path
):
    copies = [tmp_path / folder / name for folder, name in (("a", "F\u00e9.png"), ("b", "fe\u0301.png"))]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(photos[0].read_bytes())
    names = batch._names(copies, tmp_path / "out")
    assert list(names.values()) == ["F\u00e9", "fe\u0301_2"]


@pytest.mark.parametrize("name", ["index.html", "explanations.csv"])
def test_a_page_of_another_program_is_not_replaced_unasked(
    explain: Explain, photos: list[Path], tmp_path: Path, name: str
):
    page = tmp_path / "out" / name
    page.parent.mkdir()
    page.write_text("of the user")
    with pytest.raises(OutputExistsError, match=f"{name} exists; choose another --out or pass --overwrite"):
        explain("out", photos[:1])
    assert page.read_text() == "of the user"
    explain("out", photos[:1], overwrite=True)
    explain("out", photos[:2])  # it is ours now
    assert page.read_text() != "of the user"


@pytest.mark.parametrize("name", ["0.csv", "0.MP4", "0_poster.jpg", "0_face1.png"])
def test_files_of_the_user_keep_their_names(explain: Explain, photos: list[Path], tmp_path: Path, name: str):
    """A table of what a coder saw in 0.mp4, say."""
    mine = tmp_path / "out" / name
    mine.parent.mkdir()
    mine.write_text("of the user")
    assert batch._names([tmp_path / "0.mp4"], mine.parent) == {tmp_path / "0.mp4": "0_2"}
    explain("out", photos[:1])
    assert mine.read_text() == "of the user"


def test_left_overs_of_a_killed_run_go(explain: Explain, photos: list[Path], tmp_path: Path):
    left = [
        tmp_path / "out" / name
        for name in (f".{'0f' * 8}.unfinished.png", f"thumbnails/.{'a1' * 8}.unfinished.jpg")
    ]
    mine = tmp_path / "out" / ".mine.unfinished.png"
    for path in (*left, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    explain("out", photos[:1])
    assert not any(path.exists() for path in left)
    assert mine.exists()
