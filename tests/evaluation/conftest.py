"""A tiny prepared set of noise around a schematic face, and untrained networks of a few layers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aucue.classifiers import Classifier
from aucue.data import PreparedSet, Sample, open_prepared, prepare
from aucue.facs import EXPRESSIONS, Codebook
from aucue.models import Card, GuidanceRecord, save_model

from ..builders import NARROW

SIDE = 64


def schematic_face() -> np.ndarray:
    """68 points (68, 2) of a frontal face in a unit square."""

    def arc(centre: tuple[float, float], radii: tuple[float, float], degrees: np.ndarray) -> np.ndarray:
        angle = np.deg2rad(degrees)
        return np.array(centre) + np.array(radii) * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    jaw = arc((0.5, 0.4), (0.36, 0.52), np.linspace(180, 0, 17))
    brows = [arc((x, 0.33), (0.1, 0.05), np.linspace(200, 340, 5)) for x in (0.33, 0.67)]
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.4, 0.56, 4)], axis=1)
    nostrils = arc((0.5, 0.58), (0.08, 0.03), np.linspace(180, 0, 5))
    eyes = [arc((x, 0.41), (0.07, 0.03), np.arange(180, 540, 60)) for x in (0.33, 0.67)]
    lips = arc((0.5, 0.74), (0.15, 0.07), np.arange(180, 540, 30))
    mouth = arc((0.5, 0.74), (0.11, 0.02), np.arange(180, 540, 45))
    return np.concatenate([jaw, *brows, bridge, nostrils, *eyes, lips, mouth])


class NoiseSource:
    """Noise, labelled in turn, with landmarks that wobble; the last face has none."""

    name = "noise"
    provenance: Mapping[str, Any] = {"kind": "noise"}
    findings = ()

    def __init__(self, faces: int = 26, classes: tuple[str, ...] = EXPRESSIONS):
        self.classes = classes
        self.faces = faces

    def __len__(self) -> int:
        return self.faces

    def __getitem__(self, index: int) -> Sample:
        random = np.random.default_rng(index)
        landmarks = (schematic_face() + random.normal(0, 0.012, (68, 2))) * 100
        return Sample(
            key=f"<face> {index}.png",
            label=self.classes[index % len(self.classes)],
            split="test",
            image=random.integers(0, 256, (100, 100, 3), dtype=np.uint8),
            landmarks=None if index == self.faces - 1 else landmarks,
        )


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("prepared") / "noise"
    prepare(NoiseSource(), folder, detector="none", size=SIDE, workers=1, progress=False)
    return open_prepared(folder)


def network(seed: int, classes: tuple[str, ...] = EXPRESSIONS) -> Classifier:
    torch.manual_seed(seed + 5)  # with 5 the first one names happiness, with 6 the second one names neutral
    return Classifier("test_resnet", classes, input_size=SIDE, final_stride=8, backbone_options=NARROW)


def information(classes: tuple[str, ...] = EXPRESSIONS, weight: float = 4.0) -> Card:
    return Card(
        classes=classes,
        template="aucue",
        codebook=Codebook.load("facs").to_dict(),
        regions="anatomical",
        guidance=GuidanceRecord(weight=weight, layers=["layer3"]),
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "guided": save_model(folder / "guided.safetensors", network(0), information()),
        "twin": save_model(folder / "twin.safetensors", network(1), information(weight=0)),
    }
