"""ResNet-50 of the published code, rebuilt from torchvision: logits, attention of each layer, class maps."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import aucue  # noqa: F401  (before torchvision)
from aucue.cams import READOUTS, ClassMap, PooledLinear, normalize_cam
from aucue.guidance import FeatureTap, attention

PUBLISHED = {"cam": "CAM", "gradcam": "GradCam", "gradcam++-fg2024": "GradCAMpp", "layercam": "LayerCAM"}
LAYERS = ["relu", "layer1", "layer2", "layer3", "layer4"]


def resnet50(encoder: Mapping[str, Tensor], weight: Callable[..., np.ndarray], large: bool) -> nn.Module:
    """The network with seven classes; `large`: stride 1 in layer3 and layer4."""
    from torchvision.models import resnet50

    network = resnet50(num_classes=7)
    if large:
        for layer in (network.layer3, network.layer4):
            block: nn.Module = layer[0]
            block.conv2.stride = block.downsample[0].stride = (1, 1)  # type: ignore[union-attr, index]
    head = {
        f"fc.{name}": torch.from_numpy(weight(f"WGAP.fc.{name}", tuple(tensor.shape)))
        for name, tensor in network.fc.state_dict().items()
    }
    network.load_state_dict({**encoder, **head})
    return network.eval()


@pytest.mark.parametrize("maps", ["small", "large"])
def test_resnet50(maps, goldens, encoder, weight):
    expected = {
        name: torch.from_numpy(a) for name, a in np.load(goldens / f"resnet50_wgap_{maps}.npz").items()
    }
    network = resnet50(encoder, weight, large=maps == "large")
    count = 1 if maps == "large" else 4  # fine maps have 16 times the cells
    x = torch.from_numpy(np.load(goldens / "inputs.npz")["x"][:count]).float()
    tap = FeatureTap(network, LAYERS)
    with torch.inference_mode():
        logits = network(x)
        features = tap.features
    torch.testing.assert_close(logits, expected["logits"][:count], atol=1e-5, rtol=1e-5)
    for k, layer in enumerate(LAYERS, start=1):
        att = attention(features[layer])[:, 0]
        torch.testing.assert_close(att, expected[f"feat{k}_att"][:count], atol=1e-5, rtol=1e-5)
    linear: Any = network.fc
    head = PooledLinear(linear.weight, linear.bias)
    for readout, key in PUBLISHED.items():
        cams = normalize_cam(READOUTS[readout](features["layer4"], head))
        torch.testing.assert_close(cams[:, expected["classes"]], expected[key][:count], atol=1e-4, rtol=0)


def test_closed_forms_on_the_published_network(goldens, encoder, weight):
    """In single precision, against gradients in double precision."""
    network = resnet50(encoder, weight, large=False)
    x = torch.from_numpy(np.load(goldens / "inputs.npz")["x"]).float()
    linear: Any = network.fc
    exact = PooledLinear(linear.weight.double(), linear.bias.double())
    with torch.inference_mode(), FeatureTap(network, "layer4") as tap:
        network(x)
        maps = tap.features["layer4"]
        head: Any = PooledLinear(linear.weight)
        opaque: Any = lambda maps: exact(maps)  # noqa: E731 (hides that there is a closed form)
        for readout in READOUTS.values():
            if readout.name != "cam" and not readout.reruns(opaque):
                closed = normalize_cam(readout(maps, head))
                by_gradients = normalize_cam(readout(maps.double(), opaque))
                torch.testing.assert_close(closed.double(), by_gradients, atol=1e-6, rtol=0)


def test_class_maps_of_the_whole_network(goldens, encoder, weight):
    """By gradients down to the layer, one class after the other."""
    published = {
        name: torch.from_numpy(a) for name, a in np.load(goldens / "resnet50_wgap_small.npz").items()
    }
    network = resnet50(encoder, weight, large=False)
    x = torch.from_numpy(np.load(goldens / "inputs.npz")["x"]).float()
    maps, logits = ClassMap(network, "layer4", "layercam").read(x, None)
    torch.testing.assert_close(logits, published["logits"], atol=1e-5, rtol=1e-5)
    cams = normalize_cam(maps)[:, published["classes"]]
    torch.testing.assert_close(cams, published["LayerCAM"], atol=1e-4, rtol=0)
