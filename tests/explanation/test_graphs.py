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
from aucue.models import CalibrationRecord, Card, Model, save_model
from aucue.models.calibration import compensated_prior

from ..builders import drawn_face

pytest.importorskip("onnx", reason="the extra aucue[export] is not installed")


@pytest.fixture(scope="module")
def folder(one_registry: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file, the same exported, and a photograph of a drawn face."""
    folder = tmp_path_factory.mktemp("graph")
    classifier = tiny()
    count = len(classifier.classes)
    natural = {name: 2 * (k + 1) / (count * (count + 1)) for k, name in enumerate(classifier.classes)}
    card = Card(
        classifier.classes,
        calibration=CalibrationRecord(0.6, voters=True),
        prior=compensated_prior(natural, 0.5),
    )
    path = save_model(folder / "model.safetensors", classifier, card)
    export_onnx(Model.load(path), folder / "model.onnx")
    canvas = Image.new("RGB", (300, 260), (200, 200, 205))
    canvas.paste(Image.fromarray(np.asarray(drawn_face(224)[0])), (40, 20))
    canvas.save(folder / "photo.png")
    return folder


@pytest.mark.parametrize("prior", [None, "natural", "even"])
def test_the_same_answer_as_the_model_file(folder: Path, prior: str | None):
    (ours,) = aucue.load(folder / "model.onnx", prior=prior)(folder / "photo.png")
    (theirs,) = aucue.load(folder / "model.safetensors", prior=prior)(folder / "photo.png")
    assert ours.probabilities == pytest.approx(dict(theirs.probabilities), abs=1e-4)
    assert ours.votes == pytest.approx(dict(theirs.votes), abs=1e-4)
    assert ours.votes != pytest.approx(dict(ours.probabilities), abs=1e-3)
    assert ours.calibrated
    np.testing.assert_allclose(ours.attention, theirs.attention[theirs.layer], atol=1e-3)
    for name, values in theirs.class_maps.items():
        np.testing.assert_allclose(ours.class_maps[name], values, atol=1e-3)
    said, full = ours.to_dict(), theirs.to_dict()
    assert said.keys() <= full.keys()
    numbers = ("probabilities", "votes")
    assert {key: full[key] for key in said if key not in numbers} == {
        key: value for key, value in said.items() if key not in numbers
    }


def test_a_prior_is_exported_with_the_model(folder: Path, tmp_path: Path):
    model = Model.load(folder / "model.safetensors", prior="even")
    export_onnx(model, tmp_path / "even.onnx")
    (ours,) = aucue.load(tmp_path / "even.onnx")(folder / "photo.png")
    (theirs,) = aucue.load(folder / "model.safetensors", prior="even")(folder / "photo.png")
    assert ours.probabilities == pytest.approx(dict(theirs.probabilities), abs=1e-4)
    (back,) = aucue.load(tmp_path / "even.onnx", prior="natural")(folder / "photo.png")
    (natural,) = aucue.load(folder / "model.onnx", prior="natural")(folder / "photo.png")
    assert back.probabilities == pytest.approx(dict(natural.probabilities), abs=1e-4)


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
