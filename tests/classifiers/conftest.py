"""Tiny networks of six families, with as few blocks as each can have: compiling them takes seconds."""

from typing import Any

import pytest

from aucue.classifiers import Classifier

CLASSES = ("neutral", "happiness", "fear")
SWIN = {"window_size": 4, "embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
FAMILIES: dict[str, dict[str, Any]] = {
    "ResNet": {"backbone": "test_resnet"},
    "EfficientNet": {"backbone": "test_efficientnet"},
    "MobileNet": {"backbone": "mobilenetv3_small_050"},
    "ConvNeXt": {"backbone": "test_convnext", "backbone_options": {"depths": (1, 1, 1, 1)}},
    "ViT": {"backbone": "test_vit", "backbone_options": {"depth": 2}},
    "Swin": {"backbone": "swin_tiny_patch4_window7_224", "backbone_options": SWIN},
}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def classifier(family: str) -> Classifier:
    """A classifier of each family in turn, for 64 x 64 images and three classes."""
    return Classifier(**FAMILIES[family], classes=CLASSES, input_size=64).eval()


@pytest.fixture
def resnet() -> Classifier:
    return Classifier("test_resnet", CLASSES, input_size=64).eval()
