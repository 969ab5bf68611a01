import os
import pickle
import threading
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch

from aucue.classifiers import Classifier, weights
from aucue.errors import InputError, WeightsError
from aucue.models import Card, save_model


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (os.environ["AUCUE_TEST_MARK"],)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a hub at a port of this machine where nobody listens."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path


def state_of(backbone: str, **options: Any) -> dict[str, torch.Tensor]:
    return timm.create_model(backbone, **options).state_dict()


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_vit", "mobilenetv3_small_050"])
def test_a_local_file_is_loaded(tmp_path: Path, backbone: str, suffix: str) -> None:
    state, path = state_of(backbone), tmp_path / f"weights.{suffix}"
    safetensors.torch.save_file(state, path) if suffix == "safetensors" else torch.save(state, path)

    classifier = Classifier(backbone, input_size=160).with_weights(path)

    loaded = classifier.backbone.state_dict()
    assert len(state) - len(loaded) == 2  # without weight and bias of timm's classifier
    for name, tensor in loaded.items():
        torch.testing.assert_close(tensor, state[name], atol=0, rtol=0)


def test_files_of_training_scripts(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in state_of("test_resnet", num_classes=5).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.pth")
    classifier = Classifier("test_resnet", input_size=64).with_weights(tmp_path / "last.pth")
    torch.testing.assert_close(
        classifier.backbone.get_parameter("conv1.0.weight"), state["module.conv1.0.weight"], atol=0, rtol=0
    )


def test_the_backbone_of_a_model_file(tmp_path: Path) -> None:
    first = Classifier("test_resnet", ("a", "b"), input_size=64)
    path = save_model(tmp_path / "first.safetensors", first, Card(("a", "b")))
    second = Classifier("test_resnet", ("c", "d", "e"), input_size=96, final_stride=8).with_weights(path)
    for name, tensor in first.backbone.state_dict().items():
        torch.testing.assert_close(second.backbone.state_dict()[name], tensor, atol=0, rtol=0)


def test_position_embeddings_are_resampled(tmp_path: Path) -> None:
    state = state_of("test_vit")  # for 160 x 160 images: 1 + 10 x 10 positions
    state["pos_embed"] = torch.full_like(state["pos_embed"], 0.25)
    torch.save(state, tmp_path / "vit.pth")
    classifier = Classifier("test_vit", input_size=64).with_weights(tmp_path / "vit.pth")
    embedding = classifier.backbone.get_parameter("pos_embed")
    torch.testing.assert_close(embedding.data, torch.full((1, 17, 64), 0.25))


def test_no_second_copy_of_the_weights_stays(tmp_path: Path) -> None:
    torch.save(state_of("test_resnet"), tmp_path / "w.pth")
    given = Classifier("test_resnet", input_size=64).with_weights(tmp_path / "w.pth")
    random = Classifier("test_resnet", input_size=64)
    assert len(pickle.dumps(given)) == pytest.approx(len(pickle.dumps(random)), rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r'w\.pth: these weights do not fit test_resnet.*Missing key.*"layer2\.0\.conv1\.weight"'),
        ("unexpected", r'Unexpected key.*"layer9\.weight"'),
        ("shape", r"size mismatch for layer2\.0\.conv1\.weight"),
    ],
)
def test_a_mismatch_is_named(tmp_path: Path, change: str, message: str) -> None:
    state = state_of("test_resnet")
    if change == "missing":
        del state["layer2.0.conv1.weight"]
    elif change == "unexpected":
        state["layer9.weight"] = torch.zeros(1)
    else:
        state["layer2.0.conv1.weight"] = torch.zeros(1, 1, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        Classifier("test_resnet", input_size=64).with_weights(tmp_path / "w.pth")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(state_of("test_vit"), tmp_path / "vit.pth")
    with pytest.raises(InputError, match=r"vit\.pth: these weights do not fit test_convnext"):
        Classifier("test_convnext", input_size=64).with_weights(tmp_path / "vit.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickles_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("AUCUE_TEST_MARK", str(mark))
    torch.save({"conv1.weight": Bomb()}, tmp_path / "zip.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Bomb()))
    for name in ("zip.pth", "plain.pkl"):
        with pytest.raises(
            InputError, match=rf"{name}: neither safetensors nor a PyTorch file of plain tensors"
        ):
            Classifier("test_resnet", input_size=64).with_weights(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither safetensors nor a PyTorch file of plain tensors"),
        (b"just some text, no weights", "neither safetensors nor a PyTorch file of plain tensors"),
        (b"\x40\0\0\0\0\0\0\0{", "damaged or cut short"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Classifier("test_resnet", input_size=64).with_weights(path)


def test_a_file_without_a_state_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        Classifier("test_resnet", input_size=64).with_weights(tmp_path / "list.pth")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pth: no such weight file"):
        Classifier("test_resnet", input_size=64).with_weights(tmp_path / "gone.pth")


@pytest.mark.usefixtures("nowhere")
def test_offline_names_the_model_and_both_ways_out() -> None:
    with pytest.raises(WeightsError) as caught:
        Classifier("test_resnet", input_size=64).with_weights()
    message = str(caught.value)
    assert "test_resnet" in message
    assert "127.0.0.1:9 cannot be reached" in message
    assert "weights=FILE" in message
    assert "pretrained=False" in message


@pytest.mark.usefixtures("nowhere")
def test_a_failed_download_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise OSError("403 Forbidden")

    monkeypatch.setattr(weights, "is_reachable", lambda address: True)
    monkeypatch.setattr(timm.models, "load_state_dict_from_hf", forbidden)
    with pytest.raises(WeightsError, match=r"could not be fetched from .* \(403 Forbidden\); give a"):
        Classifier("test_resnet", input_size=64).with_weights()


def test_a_source_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    class Silent:
        def head(self, address: str, timeout: float) -> None:
            answered.wait()  # as a name server that swallows questions

    monkeypatch.setattr(weights, "_PATIENCE", 0.05)
    monkeypatch.setattr("huggingface_hub.utils.get_session", Silent)
    try:
        assert not weights.is_reachable("https://silent.example")
    finally:
        answered.set()


@pytest.mark.usefixtures("nowhere")
def test_offline_a_local_file_wins(tmp_path: Path) -> None:
    torch.save(state_of("test_resnet"), tmp_path / "w.pth")
    Classifier("test_resnet", input_size=64).with_weights(tmp_path / "w.pth")


def test_offline_the_cache_serves(nowhere: Path) -> None:
    revision = "0" * 40
    repository = nowhere / "hub" / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    state = state_of("test_resnet")
    safetensors.torch.save_file(state, snapshot / "model.safetensors")

    classifier = Classifier("test_resnet", input_size=64).with_weights()

    torch.testing.assert_close(
        classifier.backbone.get_parameter("conv1.0.weight").data, state["conv1.0.weight"], atol=0, rtol=0
    )


def test_a_model_without_published_weights() -> None:
    published = {name.split(".")[0] for name in timm.list_pretrained()}
    name = next(name for name in timm.list_models("resnet*") if name not in published)
    with pytest.raises(
        WeightsError, match=f"timm publishes no pretrained weights for {name}; give a local file"
    ):
        Classifier(name, input_size=64).with_weights()
