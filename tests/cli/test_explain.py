"""`aucue explain` in process, with landmarks from a table so that no detector is needed."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucue.classifiers import Classifier
from aucue.cli.main import main
from aucue.models import Card, save_model

from ..builders import NARROW, drawn_face


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs (with one face, two faces, none), a table of their landmarks and a tiny model."""
    torch.manual_seed(0)
    image, points = drawn_face(112)
    Image.fromarray(image).save(tmp_path / "one.png")
    Image.fromarray(np.concatenate([image, image], axis=1)).save(tmp_path / "two.jpg")
    Image.fromarray(image).save(tmp_path / "none.png")
    rows = [("one.png", points), ("two.jpg", points), ("two.jpg", points + np.array([112, 0]))]
    lines = ["file," + ",".join(f"x{i},y{i}" for i in range(68))]
    lines += [f"{file}," + ",".join(f"{value:.3f}" for value in p.ravel()) for file, p in rows]
    (tmp_path / "landmarks.csv").write_text("\n".join(lines))
    classifier = Classifier("test_resnet", input_size=64, final_stride=8, backbone_options=NARROW)
    save_model(tmp_path / "model.safetensors", classifier, Card(classes=classifier.classes))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*arguments: str) -> int:
    return main(["explain", *arguments, "--model", "model.safetensors", "--detector", "landmarks.csv"])


def lines(folder: Path) -> list[dict]:
    text = (folder / "explanations.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_pictures_and_numbers_per_face(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("one.png", "two.jpg", "none.png", "--out", "made") == 0
    faces = ["one_face1.png", "two_face1.png", "two_face2.png"]
    assert sorted(path.name for path in (folder / "made").iterdir()) == [
        *(".aucue.lock", "explanations.csv", "explanations.jsonl", "index.html"),
        *(faces[0], "thumbnails", *faces[1:], "two_faces.jpg"),
    ]
    numbers = lines(folder / "made")
    assert [record["picture"] for record in numbers] == [*faces, None]
    text = capsys.readouterr().out
    assert numbers[2]["expression"] in text
    assert "two.jpg, face 2 of 2" in text
    assert "none.png: no face found" in text
    assert "landmarks were given" in text


def test_unreadable_photographs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "letter.jpg").write_text("Dear reader")
    assert explain("letter.jpg", "gone.jpg", "one.png") == 1
    text = capsys.readouterr().out
    assert "skipped: letter.jpg is not an image" in text
    assert "skipped: gone.jpg does not exist" in text
    assert "2 could not be read" in text
    assert (folder / "explanations" / "one_face1.png").is_file()


def test_earlier_explanations_are_kept_unless_asked(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("two.jpg") == 0
    assert explain("one.png", "two.jpg") == 0
    text = capsys.readouterr().out
    assert "1 explained earlier and left as they are; --overwrite explains them anew" in text
    assert explain("two.jpg", "--readout", "gradcam") == 2
    assert "explanation of two.jpg with another readout; choose another" in capsys.readouterr().err
    assert explain("two.jpg", "--readout", "gradcam", "--overwrite") == 0


def test_the_old_name_of_the_read_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    """As an option for one release, with a notice; in the logs of earlier runs for good."""
    assert explain("one.png", "--method", "gradcam") == 0
    assert capsys.readouterr().err == (
        "aucue explain: --method is now called --readout; the next release drops the old name.\n"
    )
    log = folder / "explanations" / "explanations.jsonl"
    assert '"readout": "gradcam"' in log.read_text()
    log.write_text(log.read_text().replace('"readout"', '"method"'))
    assert explain("one.png", "--readout", "gradcam") == 0
    assert "1 explained earlier" in capsys.readouterr().out
    assert explain("one.png", "--method=layercam") == 2
    assert "explanation of one.png with another readout" in capsys.readouterr().err


def test_wrong_models_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "model.pkl").write_bytes(pickle.dumps({"weights": [1]}))
    for model in ("model.pkl", "gone.safetensors"):
        assert main(["explain", "one.png", "--model", model]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"aucue explain: {model}")
        assert error.count("\n") == 1


def test_wrong_out_device_and_table(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("one.png", "--out", "landmarks.csv") == 2
    assert "landmarks.csv is a file; choose a folder for the explanations" in capsys.readouterr().err
    assert explain("one.png", "--device", "abacus") == 2
    assert "Device 'abacus' cannot be used here" in capsys.readouterr().err
    assert main(["explain", "one.png", "--model", "model.safetensors", "--detector", "x.csv"]) == 2
    assert "x.csv" in capsys.readouterr().err


def test_a_folder_is_summed_up(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr("aucue.cli.explain._TOLD", 2)
    (folder / "shots").mkdir()
    for name in ("one.png", "two.jpg", "none.png"):
        (folder / name).rename(folder / "shots" / name)
    (folder / "shots" / "broken.jpg").write_text("Dear reader")
    assert explain("shots", "--maps", "npz") == 1
    told = capsys.readouterr()
    assert "3 faces explained; browse them in explanations/index.html" in told.out
    assert "1 could not be read:\nskipped: shots/broken.jpg is not an image" in told.out
    assert "Probabilities" not in told.out
    assert "photographs" in told.err  # the progress bar
    assert len(list((folder / "explanations").glob("*_maps.npz"))) == 3


def test_the_report_counts_videos_of_earlier_runs(folder: Path):
    pytest.importorskip("av")
    from aucue.explanation.film import FilmWriter

    with FilmWriter(folder / "film.mp4", 10) as writer:
        for k in range(4):
            writer.write(np.full((64, 96, 3), 128, np.uint8), k / 10)
    for report in ("first.html", "again.html"):
        arguments = ["film.mp4", "--model", "model.safetensors", "--report", report]
        assert main(["explain", *arguments]) == 0
        assert "1 video is not shown here, but in index.html." in (folder / report).read_text()


def test_a_video_needs_a_detector_and_sensible_numbers(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "film.mp4").write_bytes(b"no film")
    pytest.importorskip("av")
    assert explain("film.mp4") == 2
    assert "knows photographs, not the frames of film.mp4" in capsys.readouterr().err
    assert explain("one.png", "--fps", "0") == 2
    assert "fps must be more than 0" in capsys.readouterr().err
    assert explain("one.png", "--smooth", "-1") == 2
    assert "smooth must be a time" in capsys.readouterr().err
