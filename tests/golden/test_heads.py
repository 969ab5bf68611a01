"""Heads and regularised networks of the paper, on its ResNet-50, against arrays of the published code."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aucue.cams import READOUTS, class_activation_map, normalize_cam
from aucue.classifiers import HEADS, METHODS, Classifier
from aucue.classifiers.heads import ACoL
from aucue.guidance import FeatureTap

pytestmark = pytest.mark.filterwarnings("ignore:.*padding='same'.*")
STRIDES = {"small": None, "large": 8}
# golden file -> name of the head, its settings, prefix of its weights
PUBLISHED = {
    "GAP": ("gap", {}, "GAP."),
    "MaxPOL": ("max", {}, "MaxPool."),
    "LogSumExp": ("logsumexp", {}, "LogSumExpPool."),
    "WILDCAT": ("wildcat", METHODS["wildcat"].fg2024["head_options"], "WildCatCLHead."),
    "ACoL": ("acol", METHODS["acol"].fg2024["head_options"], "ACOL.acol_pooler."),
    "PRM": ("prm", {}, "PRM."),
}


def arrays(file: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in np.load(file).items()}


def fill(goldens: Path, module: torch.nn.Module, prefix: str = "", **renamed: str) -> None:
    """Give a module the weights of the test networks, by their published names."""
    weight = runpy.run_path(str(goldens / "recipe.py"))["weight"]
    for name, tensor in module.state_dict().items():
        published = name
        for ours, theirs in renamed.items():
            published = published.replace(ours, theirs)
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            tensor.copy_(torch.from_numpy(weight(prefix + published, tensor.shape)))


def resnet50(goldens: Path, final_stride: int | None, method: str = "cam") -> Classifier:
    classifier = Classifier(
        "resnet50", final_stride=final_stride, mean=(0, 0, 0), std=(1, 1, 1), method=method
    ).eval()
    fill(goldens, classifier.backbone)
    classifier.backbone.load_state_dict(arrays(goldens / "resnet50_bn.npz"), strict=False)
    fill(goldens, classifier.head, "WGAP.")
    return classifier


def images(goldens: Path) -> torch.Tensor:
    return torch.from_numpy(np.load(goldens / "inputs.npz")["x"]).float()


@pytest.fixture(scope="module")
def features(goldens: Path) -> dict[str, torch.Tensor]:
    """Last feature maps of the ResNet-50, with coarse and with fine maps."""
    with torch.inference_mode():
        return {
            maps: resnet50(goldens, stride)(images(goldens)).features["layer4"]
            for maps, stride in STRIDES.items()
        }


@pytest.mark.parametrize("maps", STRIDES)
@pytest.mark.parametrize("published", PUBLISHED)
def test_heads(goldens: Path, features: dict[str, torch.Tensor], published: str, maps: str) -> None:
    expected = arrays(goldens / f"resnet50_{published}_{maps}.npz")
    name, options, prefix = PUBLISHED[published]
    settings: dict[str, Any] = dict(options)
    head = HEADS[name](2048, 7, **settings).eval()
    fill(goldens, head, prefix, branch_a="classifier_A", branch_b="classifier_B")
    labels = expected["labels"]

    with torch.inference_mode():
        logits = head(features[maps])
        of_labels = head.class_map(features[maps], labels)

    torch.testing.assert_close(logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(normalize_cam(of_labels)[:, 0], expected["cam_norm"], atol=1e-4, rtol=0)
    raw = expected["cams_raw"][torch.arange(len(labels)), labels]
    torch.testing.assert_close(of_labels[:, 0], raw, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("maps", STRIDES)
def test_branch_b_of_acol_sees_what_the_label_leaves(
    goldens: Path, features: dict[str, torch.Tensor], maps: str
) -> None:
    expected = arrays(goldens / f"resnet50_ACoL_{maps}.npz")
    head = ACoL(2048, 7).eval()
    fill(goldens, head, "ACOL.acol_pooler.", branch_a="classifier_A", branch_b="classifier_B")
    with torch.inference_mode():
        maps_a = head.branch_a(features[maps])
        maps_b = head.maps_b(features[maps], maps_a, expected["labels"])
    torch.testing.assert_close(maps_b.mean((2, 3)), expected["logits_b"], atol=1e-5, rtol=1e-5)
    larger = torch.maximum(normalize_cam(maps_a), normalize_cam(maps_b))
    torch.testing.assert_close(larger, expected["cams_raw"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("maps", STRIDES)
def test_adl_is_the_plain_network_at_evaluation(goldens: Path, maps: str) -> None:
    expected = arrays(goldens / f"resnet50_ADL_{maps}.npz")
    classifier = resnet50(goldens, STRIDES[maps], "adl")
    labels = expected["labels"]
    with torch.inference_mode(), FeatureTap(classifier.backbone, ["layer4.1"]) as tap:
        out = classifier(images(goldens))
        one_block_early = tap.features["layer4.1"]
        own = normalize_cam(classifier.class_map(out, labels))
        published = normalize_cam(class_activation_map(one_block_early, classifier.head.fc.weight, labels))  # pyright: ignore

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
    features: dict[str, torch.Tensor],
    method: str,
    readout: str | None,
    published: str,
    maps: str,
) -> None:
    expected = arrays(goldens / f"resnet50_wgap_{maps}.npz")
    head = HEADS["wgap"](2048, 7)
    fill(goldens, head, "WGAP.")
    drawn = READOUTS[readout or METHODS[method].readout](features[maps], head)[:, expected["classes"]]
    torch.testing.assert_close(normalize_cam(drawn), expected[published], atol=1e-4, rtol=0)
