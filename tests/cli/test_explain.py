"""`aucue explain` in process, with landmarks from a table so that no detector is needed."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucue.classifiers import Classifier, ModelInfo, save_model
from aucue.cli.main import main
from aucue.data.synthetic import SyntheticSource


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs (with one face, two faces, none), a table of their landmarks and a tiny model."""
    torch.manual_seed(0)
    sample = SyntheticSource(train=1, val=0, test=0, size=112)[0]
    points = np.asarray(sample.landmarks)
    image = np.asarray(sample.image)
    Image.fromarray(image).save(tmp_path / "one.png")
    Image.fromarray(np.concatenate([image, image], axis=1)).save(tmp_path / "two.jpg")
    Image.fromarray(image).save(tmp_path / "none.png")
    rows = [("one.png", points), ("two.jpg", points), ("two.jpg", points + np.array([112, 0]))]
    lines = ["file," + ",".join(f"x{i},y{i}" for i in range(68))]
    lines += [f"{file}," + ",".join(f"{value:.3f}" for value in p.ravel()) for file, p in rows]
    (tmp_path / "landmarks.csv").write_text("\n".join(lines))
    classifier = Classifier.create("test_resnet", input_size=64, final_stride=8)
    save_model(tmp_path / "model.safetensors", classifier, ModelInfo(classes=classifier.classes))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*arguments: str) -> int:
    return main(["explain", *arguments, "--model", "model.safetensors", "--detector", "landmarks.csv"])


def test_pictures_and_numbers_per_face(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("one.png", "two.jpg", "none.png", "--out", "made") == 0
    names = sorted(path.name for path in (folder / "made").iterdir())
    faces = ["one_face1", "two_face1", "two_face2"]
    assert names == sorted(f"{face}.{ending}" for face in faces for ending in ("json", "png"))
    numbers = json.loads((folder / "made" / "two_face2.json").read_text())
    text = capsys.readouterr().out
    assert numbers["expression"] in text
    assert "two.jpg, face 2 of 2" in text
    assert "none.png: no face found" in text
    assert "landmarks were given" in text


def test_unreadable_photographs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "letter.jpg").write_text("Dear reader")
    assert explain("letter.jpg", "gone.jpg", "one.png") == 1
    text = capsys.readouterr().out
    assert "skipped: letter.jpg is not an image" in text
    assert "skipped: gone.jpg does not exist" in text
    assert (folder / "explanations" / "one_face1.png").is_file()


def test_earlier_explanations_are_kept_unless_asked(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("two.jpg") == 0
    (folder / "explanations" / "two_facets.png").write_text("mine")
    assert explain("one.png", "two.jpg") == 2
    assert "two_face1.json exists; choose another --out or add --overwrite" in capsys.readouterr().err
    assert not (folder / "explanations" / "one_face1.png").exists()  # refused before any work
    Image.open("one.png").save("two.jpg")
    (folder / "landmarks.csv").write_text("\n".join((folder / "landmarks.csv").read_text().split("\n")[:3]))
    assert explain("two.jpg", "--overwrite") == 0
    left = sorted(path.name for path in (folder / "explanations").iterdir())
    assert left == ["two_face1.json", "two_face1.png", "two_facets.png"]  # the second face is gone


def test_photographs_of_the_same_name_do_not_collide(folder: Path):
    (folder / "sub").mkdir()
    Image.open("one.png").save(folder / "sub" / "one.png")
    assert explain("one.png", "sub/one.png") == 0
    assert {path.stem for path in (folder / "explanations").iterdir()} == {"one_1_face1", "one_2_face1"}


def test_wrong_models_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "model.pkl").write_bytes(pickle.dumps({"weights": [1]}))
    for model in ("model.pkl", "gone.safetensors"):
        assert main(["explain", "one.png", "--model", model]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"aucue explain: {model}")
        assert error.count("\n") == 1


def test_wrong_out_device_and_table(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert explain("one.png", "--out", "landmarks.csv") == 2
    assert "landmarks.csv is a file; --out must be a folder" in capsys.readouterr().err
    assert explain("one.png", "--device", "abacus") == 2
    assert "device 'abacus' cannot be used here" in capsys.readouterr().err
    assert main(["explain", "one.png", "--model", "model.safetensors", "--detector", "x.csv"]) == 2
    assert "x.csv" in capsys.readouterr().err
