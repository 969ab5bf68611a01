import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aucue.classifiers import save_model
from aucue.data.engines import Engine
from aucue.data.synthetic import SyntheticSource
from aucue.errors import InputError, OutputExistsError
from aucue.explanation import Explainer, ExplainReport, Explanation, batch, explain_files
from aucue.explanation.explainer import reading_size
from aucue.faces import FaceReader, PrecomputedDetector

Explain = Callable[..., ExplainReport]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Photographs with one face each, but two in the third and none in the last; chunks of two."""
    monkeypatch.setattr(batch, "_CHUNK", 2)
    monkeypatch.setattr(batch, "_BATCH", 2)
    source = SyntheticSource(train=5, val=0, test=0, size=80)
    paths, rows = [], []
    for number in range(5):
        sample = source[number]
        image, points = np.asarray(sample.image), np.asarray(sample.landmarks)
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
    save_model(tmp_path / "model.safetensors", *model())
    detector = PrecomputedDetector(tmp_path / "landmarks.csv")

    def run(out: str, files: list[Path] = photos, **options: Any) -> ExplainReport:
        return explain_files(
            files, tmp_path / "model.safetensors", tmp_path / out, detector, **{"workers": 1, **options}
        )

    return run


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "explanations.jsonl").read_text().splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_line_and_a_picture_per_face(explain: Explain, photos: list[Path], tmp_path: Path):
    told = []
    report = explain("out", tell=told.append)
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
    reader = FaceReader(
        PrecomputedDetector(tmp_path / "landmarks.csv"), reading_size(alone.classifier), "aucue"
    )
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
    with pytest.raises(OutputExistsError, match=r"0.png with another method; choose another folder"):
        explain("out", method="gradcam")
    table = tmp_path / "landmarks.csv"
    table.write_text("\n".join(line for line in table.read_text().split("\n") if line[0] != "2"))
    again = explain_files(
        photos[2:3],
        tmp_path / "model.safetensors",
        tmp_path / "out",
        PrecomputedDetector(table),
        overwrite=True,
    )
    assert again.faceless == (photos[2],)
    assert sorted(content(tmp_path / "out")) == [
        *(f"{number}_face1.png" for number in (0, 1, 3)),
        "explanations.jsonl",
        "mine.txt",
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


@pytest.mark.xdist_group("ray")
def test_ray_changes_nothing(ray_engine: Engine, explain: Explain, tmp_path: Path):
    explain("local")
    explain("ray", engine="ray", workers=2)
    assert content(tmp_path / "ray") == content(tmp_path / "local")
