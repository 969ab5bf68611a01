"""A set with known faults is inspected: each is found, named, and shown first."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from tests.builders import information, untrained
from tests.evaluation.pages import Page

from aucue.cli.main import main
from aucue.data import CsvSource, SyntheticSource, prepare
from aucue.errors import OutputExistsError
from aucue.inspection import find_twins, fingerprints, inspect_set, write_inspection
from aucue.models import Model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered faces: one in two splits (smaller), one with two labels, one with landmarks that do not fit,
    one without any, one nearly flat.
    """
    root = tmp_path_factory.mktemp("faces")
    drawn = SyntheticSource(train=16, val=0, test=0, size=96, seed=4)
    rows, points = [], []

    def add(name: str, picture: Image.Image, label: str, split: str, landmarks: np.ndarray | None) -> None:
        picture.save(root / name)
        rows.append([name, label, split])
        if landmarks is not None:
            points.append([name, *np.round(landmarks, 2).ravel().tolist()])

    for index in range(14):
        sample = drawn[index]
        picture, landmarks = Image.fromarray(np.asarray(sample.image)), np.asarray(sample.landmarks)
        if index == 5:
            landmarks = landmarks[::-1]
        if index == 7:
            picture = ImageEnhance.Contrast(picture).enhance(0.1)
        add(f"f{index:02}.png", picture, sample.label, "train", None if index == 6 else landmarks)
        if index == 0:
            add("small.png", picture.resize((84, 84)), sample.label, "test", landmarks * 0.875)
        if index == 1:
            other = "neutral" if sample.label != "neutral" else "fear"
            add("other.png", picture, other, "train", landmarks)
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "split"], *rows])
    with (root / "points.csv").open("w", newline="") as file:
        names = [f"{axis}{i}" for i in range(68) for axis in "xy"]
        csv.writer(file).writerows([["file", *names], *points])
    source = CsvSource(root, landmarks="points.csv")
    prepare(source, root / "set", "none", size=48, workers=1, progress=False)
    return root / "set"


def test_faults_are_found_and_come_first(folder: Path) -> None:
    inspection = inspect_set(folder)
    faces = {face.key: face for face in inspection.faces}
    label = faces["f00.png"].label
    assert faces["small.png"].why == (f"alike in two splits: f00.png (train, {label})",)
    assert faces["f00.png"].twin == f"small.png (test, {label})"
    assert faces["other.png"].why[0].startswith("alike with two labels: f01.png")
    assert faces["f05.png"].why == ("unusual landmarks",)
    assert faces["f06.png"].why[0] == "no face found"
    assert np.isnan(faces["f06.png"].distance)
    assert faces["f07.png"].why == ("hardly any contrast",)
    assert all(faces[f"f{index:02}.png"].odd == 0 for index in (2, 3, 4, 8, 9, 10))
    first = [face.key for face in inspection.oddest_first[:7]]
    assert set(first) == {"small.png", "f00.png", "other.png", "f01.png", "f05.png", "f06.png", "f07.png"}
    assert set(first[:2]) == {"small.png", "f00.png"}
    assert inspection.counts[label, "test"] == 1
    assert any(warning.endswith("of which a test says nothing: 2.") for warning in inspection.warnings)


def test_the_files(folder: Path, tmp_path: Path) -> None:
    inspection = inspect_set(folder)
    page = write_inspection(inspection, tmp_path, shown=9)
    html = Page(page)
    assert html.open == []
    assert {link for link in html.references if not link.startswith("data:image/")} == {"faces.csv"}
    assert page.read_text().count("<figure") == 9
    with (tmp_path / "faces.csv").open() as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert len(rows) == 16
    assert rows["f06.png"]["distance"] == ""
    assert rows["f05.png"]["why"] == "unusual landmarks"
    record = json.loads((tmp_path / "inspection.json").read_text())
    assert (record["faces"], record["odd"]) == (16, 7)
    assert record["found"] == {"precomputed": 15, "none": 1}
    with pytest.raises(OutputExistsError, match=r"inspection\.html exists"):
        write_inspection(inspection, tmp_path)


def test_faces_of_another_set_leak(folder: Path, tmp_path: Path) -> None:
    alone = inspect_set(folder, against=[folder])
    face = next(face for face in alone.faces if face.key == "f10.png")
    assert face.why == (f"alike in another set: f10.png (train, {face.label}) of {folder}",)


def test_a_model_says_whether_it_was_trained_on_the_set(folder: Path) -> None:
    settings = json.loads((folder / "aucue.json").read_text())["settings"]
    its = information(provenance={"trained_on": {"name": "mine", "settings": settings}})
    trained = Model(untrained(), its, "trained")
    stranger = Model(untrained(), information(provenance={"trained_on": {"name": "other"}}), "stranger")
    assert (
        inspect_set(folder, model=trained)
        .warnings[-1]
        .startswith("trained was trained on the split train of")
    )
    assert inspect_set(folder, model=stranger).warnings[-1] == (
        "stranger was trained on 'other'; --against SET says whether any of these faces are in that set."
    )


def test_a_photograph_is_known_again_in_another_size_and_format_and_a_neighbour_is_not(
    tmp_path: Path,
) -> None:
    drawn = SyntheticSource(train=30, val=0, test=0, size=96, seed=9)
    crops = [Image.fromarray(np.asarray(drawn[index].image)) for index in range(30)]
    crops[3].resize((64, 64)).save(tmp_path / "again.jpg", quality=70)
    again = fingerprints([Image.open(tmp_path / "again.jpg"), crops[8]])
    own = fingerprints(crops)
    assert find_twins(again, own) == [(0, 3), (1, 8)]
    assert find_twins(own) == []


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder), "--out", str(tmp_path / "page"), "--model", "box"]) == 0
    text = capsys.readouterr().out
    assert "16 faces, 7 of them odd in some way." in text
    assert f"Page: {tmp_path / 'page' / 'inspection.html'}" in text
    capsys.readouterr()
    assert main(["inspect", str(folder), "--out", str(tmp_path / "page")]) == 2
    assert main(["inspect", str(folder), "--out", str(tmp_path / "other"), "--faces", "-1"]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""  # nothing was measured first
    assert "exists; choose another --out" in refused.err
    assert "faces must be at least 1, got -1." in refused.err
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no prepared set" in capsys.readouterr().err
