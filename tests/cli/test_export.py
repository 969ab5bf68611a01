"""`aucue export` in process, and the example that reads what it writes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.export.tiny import tiny

from aucue.cli.main import main
from aucue.export import hub
from aucue.models import Card, files, save_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "04_onnxruntime.py"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    classifier = tiny()
    return save_model(tmp_path / "model.safetensors", classifier, Card(classifier.classes))


def test_onnx_file_and_the_example(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("onnxruntime", reason="the extra aucue[export] is not installed")
    folder = model.parent
    monkeypatch.setattr(files, "BOXED", model)
    assert main(["export", "--out", str(folder / "model.onnx")]) == 0
    printed = capsys.readouterr().out
    differences = re.findall(r"^  (\w+) +(\S+)$", printed, re.MULTILINE)
    assert [name for name, _ in differences] == ["probabilities", "attention", "class_maps"]
    assert all(float(value) <= 1e-4 for _, value in differences)

    faces = [folder / "a.png", folder / "b.png"]
    for path in faces:
        Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(path)
    run = subprocess.run(
        [sys.executable, EXAMPLE, folder / "model.onnx", *faces], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    places = r"".join(
        rf"  {place} hidden: [+-]\d+ points; as much elsewhere: [+-]\d+\n"
        for place in ("brows", "eyes", "lip corners", "lips")
    )
    assert re.fullmatch(rf".*a\.png: [a-z]+ \d+%\n{places}.*b\.png: [a-z]+ \d+%\n{places}", run.stdout)
    assert Image.open(folder / "a.png.map.png").size == (16, 16)
    code = EXAMPLE.read_text()
    assert "import torch" not in code
    assert "import aucue" not in code


def test_a_folder_for_a_hub_is_written_and_not_sent(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "HfApi", None)  # would fail if it were called
    command = [
        "export",
        str(model),
        "--format",
        "hub",
        "--out",
        str(model.parent / "repo"),
        "--repo",
        "jane/fer",
    ]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Nothing was sent." in printed
    assert "--upload then sends" in printed
    assert "a new repository is seen by you alone" in printed
    assert (model.parent / "repo" / "README.md").is_file()


def test_upload_sends(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    sent = []
    monkeypatch.setattr("aucue.export.push", lambda *given: sent.append(given) or "https://hub.example/1")
    out = model.parent / "repo"
    command = ["export", str(model), "--format", "hub", "--out", str(out), "--repo", "jane/fer", "--upload"]
    assert main(command) == 0
    assert sent == [(out, "jane/fer", False, False)]
    assert (
        "Sent: https://hub.example/1\nNext: aucue explain PHOTO --model hf:jane/fer"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--format", "hub", "--out", "x"], "needs --repo OWNER/NAME"),
        (
            ["--format", "hub", "--out", "x", "--repo", "a/b", "--readout", "cam"],
            "--readout has no effect with --format hub",
        ),
        (["--out", "x.onnx", "--upload"], "--upload has no effect with --format onnx"),
        (["--out", "x.bin"], "must end in .onnx"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], complaint: str, model: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", str(model), *arguments]) == 2
    assert complaint in capsys.readouterr().err
