"""The paper's ResNet-50, its heads and its regularised networks, against arrays of the published code.

What is costly is done once: the passes through the network, and ACoL's branches, which are larger than it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aucue.cams import READOUTS, normalize_cam
from aucue.classifiers import HEADS, METHODS, Classifier
from aucue.classifiers.heads import ACoL, Head
from aucue.guidance import attention

pytestmark = pytest.mark.filterwarnings("ignore:.*padding='same'.*")
LAYERS = ("act1", "layer1", "layer2", "layer3", "layer4")  # the paper's layers 1-5
STRIDES = {"small": None, "large": 8}
IMAGES = {"small": 4, "large": 1}  # of four; each is seen by itself, and fine maps have 16 times the cells
# golden file -> name of the head, its settings, prefix of its weights
PUBLISHED = {
    "WGAP": ("wgap", {}, "WGAP."),
    "GAP": ("gap", {}, "GAP."),
    "MaxPOL": ("max", {}, "MaxPool."),
    "LogSumExp": ("logsumexp", {}, "LogSumExpPool."),
    "WILDCAT": ("wildcat", METHODS["wildcat"].fg2024["head_options"], "WildCatCLHead."),
    "ACoL": ("acol", METHODS["acol"].fg2024["head_options"], "ACOL.acol_pooler."),
    "PRM": ("prm", {}, "PRM."),
}
Weight = Callable[..., np.ndarray]


def arrays(goldens: Path, name: str, maps: str) -> dict[str, Tensor]:
    """Arrays of the published code, of the images that are looked at; `classes` and shapes are of all."""
    found = {}
    for key, array in np.load(goldens / f"resnet50_{name}_{maps}.npz").items():
        of_images = len(array) == IMAGES["small"] and not key.endswith("shape") and key != "classes"
        found[key] = torch.from_numpy(array[: IMAGES[maps]] if of_images else array)
    return found


def images(goldens: Path, maps: str) -> Tensor:
    return torch.from_numpy(np.load(goldens / "inputs.npz")["x"][: IMAGES[maps]]).float()


def published_head(published: str, weight: Weight) -> Head:
    """A head with the weights of the test networks, by their published names."""
    name, options, prefix = PUBLISHED[published]
    settings: dict[str, Any] = dict(options)
    head = HEADS[name](2048, 7, **settings).eval()
    for own, tensor in head.state_dict().items():
        tensor.copy_(torch.from_numpy(weight(prefix + theirs(own), tensor.shape)))
    return head


def theirs(own: str) -> str:
    """The published name of a head's tensor."""
    return own.replace("branch_a", "classifier_A").replace("branch_b", "classifier_B")


def resnet50(encoder: Mapping[str, Tensor], maps: str, weight: Weight, method: str = "cam") -> Classifier:
    classifier = Classifier(
        "resnet50", final_stride=STRIDES[maps], mean=(0, 0, 0), std=(1, 1, 1), method=method
    ).eval()
    classifier.backbone.load_state_dict(encoder)
    classifier.head = published_head("WGAP", weight)
    return classifier


class Seen(NamedTuple):
    """What the ResNet-50 makes of the images."""

    logits: Tensor
    features: dict[str, Tensor]
    class_maps: Tensor
    layers: tuple[str, ...]


@pytest.fixture(scope="module")
def seen(goldens: Path, encoder: Mapping[str, Tensor], weight: Weight) -> dict[str, Seen]:
    """The same with coarse and with fine maps."""
    found = {}
    with torch.inference_mode():
        for maps in STRIDES:
            classifier = resnet50(encoder, maps, weight)
            logits, features = classifier(images(goldens, maps))
            found[maps] = Seen(logits, features, classifier.class_maps(features["layer4"]), classifier.layers)
    return found


class Remembering(nn.Module):
    """A module that answers from memory what it was asked before."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.answers: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        for asked, answer in self.answers:
            if torch.equal(asked, x):
                return answer
        self.answers.append((x, self.module(x)))
        return self.answers[-1][1]


@pytest.fixture(scope="module")
def acol(weight: Weight) -> ACoL:
    head = published_head("ACoL", weight)
    assert isinstance(head, ACoL)
    head.branch_a, head.branch_b = Remembering(head.branch_a), Remembering(head.branch_b)  # pyright: ignore
    return head


@pytest.mark.parametrize("maps", STRIDES)
def test_network_of_the_paper(goldens: Path, seen: dict[str, Seen], maps: str) -> None:
    published = arrays(goldens, "wgap", maps)
    logits, features, class_maps, layers = seen[maps]
    assert layers == LAYERS
    cams = normalize_cam(class_maps)
    torch.testing.assert_close(logits, published["logits"], atol=1e-5, rtol=1e-5)
    for number, layer in enumerate(LAYERS, start=1):
        assert tuple(features[layer].shape[1:]) == tuple(published[f"feat{number}_shape"].tolist()[1:])
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


@pytest.mark.parametrize("maps", STRIDES)
@pytest.mark.parametrize("published", [name for name in PUBLISHED if name != "WGAP"])
def test_heads(
    goldens: Path, seen: dict[str, Seen], acol: ACoL, weight: Weight, published: str, maps: str
) -> None:
    expected = arrays(goldens, published, maps)
    head = acol if published == "ACoL" else published_head(published, weight)
    labels, features = expected["labels"], seen[maps].features["layer4"]

    with torch.inference_mode():
        logits = head(features)
        of_labels = head.class_map(features, labels)

    torch.testing.assert_close(logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(normalize_cam(of_labels)[:, 0], expected["cam_norm"], atol=1e-4, rtol=0)
    raw = expected["cams_raw"][torch.arange(len(labels)), labels]
    torch.testing.assert_close(of_labels[:, 0], raw, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("maps", STRIDES)
def test_branch_b_of_acol_sees_what_the_label_leaves(
    goldens: Path, seen: dict[str, Seen], acol: ACoL, maps: str
) -> None:
    expected = arrays(goldens, "ACoL", maps)
    features = seen[maps].features["layer4"]
    with torch.inference_mode():
        maps_a = acol.branch_a(features)
        maps_b = acol.maps_b(features, maps_a, expected["labels"])
    torch.testing.assert_close(maps_b.mean((2, 3)), expected["logits_b"], atol=1e-5, rtol=1e-5)
    larger = torch.maximum(normalize_cam(maps_a), normalize_cam(maps_b))
    torch.testing.assert_close(larger, expected["cams_raw"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("maps", STRIDES)
def test_adl_is_the_plain_network_at_evaluation(
    goldens: Path, encoder: Mapping[str, Tensor], weight: Weight, maps: str
) -> None:
    expected = arrays(goldens, "ADL", maps)
    classifier = resnet50(encoder, maps, weight, "adl")
    labels = expected["labels"]
    pictures = images(goldens, maps)
    with torch.inference_mode():
        out = classifier(pictures)
        own = normalize_cam(classifier.class_map(out, labels))
        published = normalize_cam(classifier.class_map(out, labels, "adl-fg2024", images=pictures))

    torch.testing.assert_close(out.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out.features["layer4"].mean(1), expected["feat5_att"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own[:, 0], expected["cam_last_block_layer4_3_relu3"], atol=1e-4, rtol=0)
    torch.testing.assert_close(published[:, 0], expected["cam_reference_layer4_2_relu3"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("maps", STRIDES)
@pytest.mark.parametrize(
    ("method", "readout", "published"),
    [
        ("cam", None, "CAM"),
        ("gradcam", None, "GradCam"),
        ("gradcam++", METHODS["gradcam++"].fg2024["readout"], "GradCAMpp"),
        ("layercam", None, "LayerCAM"),
    ],
)
def test_methods_of_one_network(
    goldens: Path,
    seen: dict[str, Seen],
    weight: Weight,
    method: str,
    readout: str | None,
    published: str,
    maps: str,
) -> None:
    expected = arrays(goldens, "wgap", maps)
    head, features = published_head("WGAP", weight), seen[maps].features["layer4"]
    drawn = READOUTS[readout or METHODS[method].readout](features, head)[:, expected["classes"]]
    torch.testing.assert_close(normalize_cam(drawn), expected[published], atol=1e-4, rtol=0)
