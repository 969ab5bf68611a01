"""ResNet-50 of the published code, rebuilt from torchvision: logits, attention of each layer, CAM."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import aucue  # noqa: F401  (before torchvision)
from aucue.cams import class_activation_map, normalize_cam
from aucue.guidance import FeatureTap, attention

LAYERS = ["relu", "layer1", "layer2", "layer3", "layer4"]


def load_recipe(goldens: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe", goldens / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return recipe


def resnet50(goldens: Path, large: bool) -> nn.Module:
    """The network with seven classes; `large`: stride 1 in layer3 and layer4."""
    from torchvision.models import resnet50

    recipe = load_recipe(goldens)
    network = resnet50(num_classes=7)
    if large:
        for layer in (network.layer3, network.layer4):
            block: nn.Module = layer[0]
            block.conv2.stride = block.downsample[0].stride = (1, 1)  # type: ignore[union-attr, index]
    state = {name.replace("fc.", "WGAP.fc."): tensor for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        recipe.fill(state)
    statistics = {
        name: torch.from_numpy(array) for name, array in np.load(goldens / "resnet50_bn.npz").items()
    }
    network.load_state_dict(statistics, strict=False)
    return network.eval()


@pytest.mark.parametrize("maps", ["small", "large"])
def test_resnet50(maps, goldens):
    expected = {
        name: torch.from_numpy(a) for name, a in np.load(goldens / f"resnet50_wgap_{maps}.npz").items()
    }
    network = resnet50(goldens, large=maps == "large")
    x = torch.from_numpy(np.load(goldens / "inputs.npz")["x"]).float()
    tap = FeatureTap(network, LAYERS)
    with torch.inference_mode():
        logits = network(x)
        features = tap.features
    torch.testing.assert_close(logits, expected["logits"], atol=1e-5, rtol=1e-5)
    for k, layer in enumerate(LAYERS, start=1):
        att = attention(features[layer])[:, 0]
        torch.testing.assert_close(att, expected[f"feat{k}_att"], atol=1e-5, rtol=1e-5)
    cam = class_activation_map(features["layer4"], network.fc.weight)  # type: ignore[union-attr, arg-type]
    cam = normalize_cam(cam)[:, expected["classes"]]
    torch.testing.assert_close(cam, expected["CAM"], atol=1e-4, rtol=0)
