"""The ResNet-50 of the paper, with regenerable weights, against arrays computed by the published code."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.guidance import attention

pytestmark = pytest.mark.filterwarnings("ignore:.*padding='same'.*")
LAYERS = ("act1", "layer1", "layer2", "layer3", "layer4")  # the paper's layers 1-5


def published_resnet50(goldens: Path, final_stride: int | None) -> Classifier:
    classifier = Classifier("resnet50", final_stride=final_stride, mean=(0, 0, 0), std=(1, 1, 1)).eval()
    weight = runpy.run_path(str(goldens / "recipe.py"))["weight"]
    statistics = np.load(goldens / "resnet50_bn.npz")
    for name, tensor in classifier.backbone.state_dict().items():
        if name in statistics:
            tensor.copy_(torch.from_numpy(statistics[name]))
        elif not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(weight(name, tensor.shape)))
    for name, tensor in classifier.head.state_dict().items():
        tensor.copy_(torch.from_numpy(weight(f"WGAP.{name}", tensor.shape)))
    return classifier


@pytest.mark.parametrize(("name", "final_stride"), [("small", None), ("large", 8)])
def test_network_of_the_paper(goldens: Path, name: str, final_stride: int | None) -> None:
    published = {
        key: torch.from_numpy(a) for key, a in np.load(goldens / f"resnet50_wgap_{name}.npz").items()
    }
    images = torch.from_numpy(np.load(goldens / "inputs.npz")["x"]).float()
    classifier = published_resnet50(goldens, final_stride)
    assert classifier.layers == LAYERS

    with torch.inference_mode():
        logits, features = classifier(images)
        cams = normalize_cam(classifier.class_maps(features["layer4"]))

    torch.testing.assert_close(logits, published["logits"], atol=1e-5, rtol=1e-5)
    for number, layer in enumerate(LAYERS, start=1):
        assert tuple(features[layer].shape) == tuple(published[f"feat{number}_shape"].tolist())
        torch.testing.assert_close(
            attention(features[layer])[:, 0], published[f"feat{number}_att"], atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(features["layer4"][:, :64], published["feat5"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cams[:, published["classes"]], published["CAM"], atol=1e-4, rtol=0)


def test_parameters_are_named_as_published(goldens: Path) -> None:
    lines = (goldens / "keys_resnet50_cam.txt").read_text().splitlines()
    published = {
        key: shape for group, key, shape in (line.split(" ", 2) for line in lines) if group == "encoder"
    }
    own = Classifier("resnet50", final_stride=8).backbone.state_dict()

    assert {key: str(tuple(tensor.shape)) for key, tensor in own.items()} == published
