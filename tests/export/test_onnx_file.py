"""ONNX files in onnxruntime: every method beside torch, what they say of themselves, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.export.tiny import tiny

from aucue.classifiers import METHODS, Classifier
from aucue.errors import AucueError, InputError, MissingExtraError, OutputExistsError
from aucue.export import CropClassifier, export_onnx, onnx_file
from aucue.models import Card, Model, load_model, save_model

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra aucue[export] is not installed")
pytestmark = pytest.mark.usefixtures("one_registry")


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"adl", "cutmix"}))  # after training, both are cam
def test_every_method_agrees_with_torch(method: str, tmp_path: Path):
    classifier = tiny(method)
    model = Model(classifier, Card(classifier.classes, method=method))
    export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    crops = torch.randint(0, 256, (5, 16, 16, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = CropClassifier(model)(crops)
    for output, ours in zip(session.run(None, {"crops": crops.numpy()}), expected, strict=True):
        np.testing.assert_allclose(output, ours.numpy(), atol=1e-4, rtol=0)
    assert expected.class_maps.shape[:2] == (5, 7)
    assert expected.class_maps.amax() == 1


def test_blurred_strides_agree_with_torch(tmp_path: Path):
    classifier = Classifier("test_resnet", input_size=64, final_stride=8, blur=True).eval()
    made = export_onnx(Model(classifier, Card(classifier.classes)), tmp_path / "model.onnx")
    assert max(made.differences.values()) <= 1e-4


def test_a_file_describes_itself(model: Model, tmp_path: Path):
    made = export_onnx(model, tmp_path / "new" / "model.onnx", readout="layercam")
    assert max(made.differences.values()) <= 1e-4
    assert list(made.differences) == ["probabilities", "attention", "class_maps"]
    assert [path.name for path in made.path.parent.iterdir()] == ["model.onnx"]  # weights inside

    session = onnxruntime.InferenceSession(made.path)
    inputs = [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()]
    assert inputs == [("crops", "tensor(uint8)", ["batch", 16, 16, 3])]
    assert {entry.name: entry.shape for entry in session.get_outputs()} == {
        "probabilities": ["batch", 7],
        "attention": ["batch", 1, 8, 8],
        "class_maps": ["batch", 7, 8, 8],
    }
    about = session.get_modelmeta().custom_metadata_map
    assert (about["input_size"], about["method"], about["layer"]) == ("16", "layercam", "stages.0")
    assert about["licence_of_data"] == "for research"
    assert json.loads(about["classes"]) == list(model.classes)
    assert json.loads(about["template_points"])["left_eye"] == [0.35, 0.37]
    assert json.loads(about["codebook"])["expressions"]["happiness"] == [6, 12, 25]
    assert json.loads(about["metrics"])["held_out"] == {"accuracy": 0.71234, "att_cos": None}
    settings = json.loads(about["provenance"])["settings"]
    assert settings == {"data": {"path": "faces", "batch_size": 8}, "out": "m"}
    assert "not an emotion" in about["warnings"]
    content = made.path.read_bytes()
    assert b"jane" not in content
    assert str(Path(onnx_file.__file__).parents[2]).encode() not in content  # no lines of source code


def test_a_model_file_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    classifier = tiny()
    save_model(tmp_path / "m.safetensors", classifier, Card(classifier.classes))
    monkeypatch.setattr(onnx_file, "_translate", lambda graph, metadata: metadata["method"].encode())
    monkeypatch.setattr(onnx_file, "_differences", lambda content, graph: {"class_maps": 1e-6})
    export_onnx(tmp_path / "m.safetensors", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"cam"
    with pytest.raises(OutputExistsError, match=r"m\.onnx exists"):
        export_onnx(tmp_path / "m.safetensors", tmp_path / "m.onnx")
    export_onnx(tmp_path / "m.safetensors", tmp_path / "m.onnx", "gradcam", overwrite=True)
    assert (tmp_path / "m.onnx").read_bytes() == b"gradcam"
    assert load_model(tmp_path / "m.safetensors")[0].method.name == "cam"


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_disagreement_writes_nothing(
    model: Model, difference: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_file, "_translate", lambda graph, metadata: b"")
    monkeypatch.setattr(onnx_file, "_differences", lambda content, graph: {"class_maps": difference})
    with pytest.raises(AucueError, match=r"was not written: .* differ by more than 0\.0001 \(class_maps by"):
        export_onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(model: Model, tmp_path: Path):
    with pytest.raises(InputError, match=r"must end in \.onnx"):
        export_onnx(model, tmp_path / "model.pb")


def test_the_missing_extra_is_named(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"onnx and onnxscript and onnxruntime.*'aucue\[export\]'"):
        export_onnx(model, tmp_path / "model.onnx")
