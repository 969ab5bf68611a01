"""The examples run as they stand and show what they promise."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from aucue.classifiers import Classifier
from aucue.models import Card, save_model

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs an example as a script and returns what it prints."""

    def script(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return script


def test_guide_your_training_loop(run) -> None:
    printed = run("01_guide_your_training_loop.py")
    row = r"lambda (\d) (before|after) +accuracy ([\d.]+)  cosine of attention and mask ([\d.]+)"
    rows = {(weight, when): (float(acc), float(cos)) for weight, when, acc, cos in re.findall(row, printed)}
    unguided, (accuracy, guided) = rows["0", "after"][1], rows["4", "after"]
    assert accuracy > 0.9
    assert guided > 0.9
    assert guided > unguided + 0.1
    assert rows["0", "before"] == rows["4", "before"]  # the same network to begin with


def test_your_own_cue(run, tmp_path: Path) -> None:
    printed = run("02_your_own_cue.py", "--out", tmp_path / "maps.png")
    row = r"(unguided|guided) +tag (tells|lies) +accuracy ([\d.]+)  cosine of attention and mask ([\d.]+)"
    rows = {(name, tag): (float(acc), float(cos)) for name, tag, acc, cos in re.findall(row, printed)}
    assert rows["unguided", "tells"][0] > 0.95  # both are perfect where the tag tells
    assert rows["guided", "tells"][0] > 0.95
    assert rows["unguided", "lies"][0] < 0.4  # the unguided one reads the tag
    assert rows["guided", "lies"][0] > 0.6
    assert rows["guided", "lies"][1] > rows["unguided", "lies"][1] + 0.3
    assert Image.open(tmp_path / "maps.png").width > 600


def test_make_a_codebook(run, tmp_path: Path) -> None:
    printed = run("03_make_a_codebook.py", "--out", tmp_path / "codebook.png")
    pain = next(line for line in printed.splitlines() if line.startswith("pain"))
    assert re.findall(r"AU(\d+)", pain) == ["4", "6", "7", "9", "10", "43"]
    assert re.search(r"surprise +fear +0\.9", printed)
    assert Image.open(tmp_path / "codebook.png").width > 600


def test_explain_in_python(run, tmp_path: Path) -> None:
    classifier = Classifier("test_resnet", input_size=64, final_stride=8)
    model = save_model(tmp_path / "model.safetensors", classifier, Card(classes=classifier.classes))
    printed = run("05_explain_in_python.py", "--model", model, "--out", tmp_path)
    shares = [float(share) for share in re.findall(r"^  \w+ +([\d.]+)%$", printed, re.MULTILINE)]
    assert len(shares) == len(classifier.classes)
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert "Face 1: " in printed
    assert (tmp_path / "face1.png").is_file()
    assert (tmp_path / "face1.json").is_file()


def test_judge_any_network(run) -> None:
    printed = run("07_judge_any_network.py", "--pictures", 12)
    row = r"^([\w ,]+?) +(-?[\d.]+) +(-?[\d.]+)$"
    stripes, tag = (
        {name: float(values[side]) for name, *values in re.findall(row, printed, re.MULTILINE)}
        for side in (0, 1)
    )
    assert stripes["points at the mask"] > 0.8
    assert stripes["lost, mask hidden"] > stripes["lost, as much hidden anywhere"] + 0.2
    assert tag["lost, mask hidden"] < stripes["lost, mask hidden"] - 0.1  # it also reads the tag
    assert tag["energy in the mask"] < stripes["energy in the mask"]


def test_your_own_photographs(run, tmp_path: Path) -> None:
    printed = run("06_your_own_photographs.py", "--out", tmp_path, "--epochs", 1)
    assert "faces: {'train': 35, 'val': 7, 'test': 14}" in printed
    figures = dict(re.findall(r"^([\w-]+): accuracy ([\d.]+) ", printed, re.MULTILINE))
    assert figures.keys() == {"aucue-fer", "model"}
    assert all(0 <= float(value) <= 1 for value in figures.values())
    assert (tmp_path / "inspection" / "inspection.html").is_file()
    assert (tmp_path / "model" / "model.safetensors").is_file()
