"""`aucue cue` on a grey picture whose landmarks are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.cli.main import main


@pytest.fixture
def photo(tmp_path, face, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((224, 224, 3), 128, np.uint8)).save("photo.png")
    names = [f"{axis}{i}" for i in range(68) for axis in "xy"]
    values = [f"{value:.3f}" for value in face.flatten().tolist()]
    (tmp_path / "landmarks.csv").write_text(f"file,{','.join(names)}\nphoto.png,{','.join(values)}\n")
    return ["cue", "photo.png", "--detector", "landmarks.csv"]


def test_one_expression(photo, capsys):
    assert main([*photo, "--expression", "happiness", "--out", "new/happy.png"]) == 0
    assert capsys.readouterr().out == "new/happy.png: happiness on 1 face\n"
    picture = np.asarray(Image.open("new/happy.png").convert("RGB")).astype(int)
    # The picture has both colours of the heat map, and nothing else coloured: background and text are grey.
    coloured = picture[np.ptp(picture, axis=2) > 20]
    assert len(coloured) > 10_000
    assert coloured.max() > 180


def test_all_expressions_and_all_units(photo, capsys):
    assert main([*photo, "--out", "all.png"]) == 0
    assert "happiness, surprise, fear, anger, disgust, sadness on 1 face" in capsys.readouterr().out
    assert main([*photo, "--all", "--regions", "fg2024", "--out", "units.png"]) == 0
    assert "20 action units on 1 face" in capsys.readouterr().out
    assert Image.open("units.png").height > Image.open("all.png").height


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expression", "hapiness"], "Did you mean 'happiness'?"),
        (["--expression", "neutral"], "neutral has no action units"),
        (["--all", "--expression", "fear"], "--all draws every action unit, --expression those of one"),
        (["--codebook", "still.yaml"], "Codebook still gives no expression action units"),
        (["--codebook", "fac"], "Did you mean 'facs'?"),
        (["--regions", "anatomic"], "Did you mean 'anatomical'?"),
        (["--out", "map.txt"], "--out must be a picture"),
        (["--out", "photo.png"], "photo.png exists; choose another --out or pass --overwrite"),
    ],
)
def test_mistakes_are_one_line(photo, capsys, arguments, message):
    Path("still.yaml").write_text("name: still")
    assert main([*photo, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_overwriting_must_be_asked_for(photo):
    assert main([*photo, "--expression", "fear"]) == 0
    assert main([*photo, "--expression", "fear"]) == 2
    assert main([*photo, "--expression", "fear", "--overwrite"]) == 0


def test_no_face(photo, capsys):
    Image.new("RGB", (64, 64)).save("other.png")
    assert main(["cue", "other.png", *photo[2:]]) == 2
    assert "other.png" in capsys.readouterr().err


def test_the_picture_appears_whole_or_not_at_all(photo, monkeypatch, capsys):
    assert main([*photo, "--expression", "fear"]) == 0
    before = Path("cue.png").read_bytes()

    def full(self, path, *_):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Image.Image, "save", full)
    assert main([*photo, "--expression", "anger", "--overwrite"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert Path("cue.png").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["cue.png", "landmarks.csv", "photo.png"]


def test_a_name_that_is_no_unicode_and_one_that_is_too_long(photo, capsys):
    assert main([*photo, "--expression", "fear", "--out", "a\udcff.png"]) == 0
    assert capsys.readouterr().out == "a\\udcff.png: fear on 1 face\n"
    assert main([*photo, "--expression", "fear", "--out", "a" * 300 + ".png"]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_a_picture_that_is_too_long_for_its_kind(photo, capsys, monkeypatch):
    monkeypatch.setattr("aucue.cli.cue._picture", lambda *_: Image.new("RGB", (8, 16_384)))
    assert main([*photo, "--out", "all.webp"]) == 2
    assert "would have 8 x 16384 pixels, more than .webp can hold" in capsys.readouterr().err
    assert main([*photo, "--out", "all.jpg"]) == 0
