"""An exported model on a photograph: what the model file says, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.export.tiny import tiny

import aucue
from aucue.errors import InputError
from aucue.export import export_onnx
from aucue.models import Card, Model, save_model

from ..builders import drawn_face

pytest.importorskip("onnx", reason="the extra aucue[export] is not installed")


@pytest.fixture(scope="module")
def folder(one_registry: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file, the same exported, and a photograph of a drawn face."""
    folder = tmp_path_factory.mktemp("graph")
    classifier = tiny()
    path = save_model(folder / "model.safetensors", classifier, Card(classifier.classes))
    export_onnx(Model.load(path), folder / "model.onnx")
    canvas = Image.new("RGB", (300, 260), (200, 200, 205))
    canvas.paste(Image.fromarray(np.asarray(drawn_face(224)[0])), (40, 20))
    canvas.save(folder / "photo.png")
    return folder


def test_the_same_answer_as_the_model_file(folder: Path):
    (ours,) = aucue.load(folder / "model.onnx")(folder / "photo.png")
    (theirs,) = aucue.load(folder / "model.safetensors")(folder / "photo.png")
    assert ours.probabilities == pytest.approx(dict(theirs.probabilities), abs=1e-4)
    np.testing.assert_allclose(ours.attention, theirs.attention[theirs.layer], atol=1e-3)
    for name, values in theirs.class_maps.items():
        np.testing.assert_allclose(ours.class_maps[name], values, atol=1e-3)
    said, full = ours.to_dict(), theirs.to_dict()
    assert said.keys() <= full.keys()
    assert {key: full[key] for key in said if key != "probabilities"} == {
        key: value for key, value in said.items() if key != "probabilities"
    }


def test_the_command_needs_no_torch(folder: Path):
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['dlib'] = None\n"
        "from aucue.cli.main import main\n"
        "print(main(['explain', 'photo.png', '--model', 'model.onnx', '--out', 'why']))\n"
        "print(main(['explain', 'photo.png', '--model', 'model.onnx', '--out', 'why']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.isdigit()] == ["0", "2"], done.stderr
    assert lines[0].startswith("photo.png: ")
    assert "answers.jsonl exists; choose another folder" in done.stderr
    (record,) = map(json.loads, (folder / "why" / "answers.jsonl").read_text().splitlines())
    assert (record["photo"], record["faces"], record["number"]) == ("photo.png", 1, 1)
    assert record["face"]["how"] == "plain"
    assert f"{record['expression']} {100 * record['probabilities'][record['expression']]:.0f} %" in lines[0]


def test_what_a_graph_cannot(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="has one read-out and runs on the cpu"):
        aucue.load(folder / "model.onnx", readout="gradcam")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"broken\.onnx is no ONNX file that can be used"):
        aucue.load(tmp_path / "broken.onnx")
    strange = Path(aucue.faces.__file__).with_name("weights") / "near.onnx"
    with pytest.raises(InputError, match="does not say what its classes are"):
        aucue.load(strange)
