"""Layers and shapes of a network, told by a batch of no images or by an image on the meta device."""

from typing import Any

import pytest
import torch
from torch import nn

from aucue.classifiers import Classifier
from aucue.classifiers import backbones as room
from aucue.classifiers import classifier as remembering


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch):
    """Lets the next network be studied anew."""
    return lambda: monkeypatch.setattr(remembering, "_KNOWN", {})


def _on_meta(copy: nn.Module, features: tuple[int, ...], run):
    copy.to("meta")
    with torch.enable_grad(), room._Bounded():
        return run(copy, torch.empty(1, *features, device="meta"))


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_vit", "mobilenetv3_small_050", "ghostnet_100"]
)
def test_no_images_tell_what_one_tells(name: str, monkeypatch: pytest.MonkeyPatch, forget):
    forget()
    quick = Classifier(name, input_size=64)._anatomy
    monkeypatch.setattr(room, "shapes_of", _on_meta)
    forget()
    assert Classifier(name, input_size=64)._anatomy == quick


def test_a_sketch_takes_no_memory_and_has_the_same_layers(forget):
    forget()
    with room.sketched():
        sketch = Classifier("test_resnet", input_size=64, final_stride=8)
    assert all(tensor.is_meta for tensor in sketch.state_dict().values())
    forget()
    assert sketch.shapes == Classifier("test_resnet", input_size=64, final_stride=8).shapes


class _Widening(nn.Module):
    """Takes (B, 1, 4, 4) apart, as windows of tokens are."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append((images.device.type, len(images)))
        return images.reshape(len(images) * 4, 4, 1).expand(-1, -1, 2) * 1.0


def test_where_the_batch_is_taken_apart_an_image_tells():
    network = _Widening()
    shape = room.shapes_of(network, (1, 4, 4), lambda copy, images: copy(images)).shape
    assert shape == (4, 4, 2)
    assert network.seen == [("cpu", 0), ("meta", 1)]


def test_a_step_of_gigabytes_is_refused_without_taking_them():
    def stretch(copy: nn.Module, images: torch.Tensor) -> torch.Tensor:
        return images.repeat(1, 2**20, 1, 1)

    with pytest.raises(room.InputError, match=r"takes 64\.0 GiB for one image"):
        room.shapes_of(nn.Identity(), (1, 128, 128), stretch)


def test_what_was_found_out_is_remembered(monkeypatch: pytest.MonkeyPatch, forget):
    options: dict[str, Any] = {"input_size": 64, "final_stride": 8, "method": "adl"}
    forget()
    first = Classifier("resnet10t", **options).eval()
    monkeypatch.setattr(remembering, "study", None)
    second = Classifier("resnet10t", **options).eval()
    assert second.shapes == first.shapes
    second.load_state_dict(first.state_dict())
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(second(images).logits, first(images).logits)
    monkeypatch.undo()
    options["final_stride"] = 16
    other = Classifier("resnet10t", **options)
    assert other.shapes[other.final_layer][1:] == (4, 4)
