from collections.abc import Sequence

import numpy as np
import pytest
import torch

from aucue.classifiers import Classifier, ModelInfo
from aucue.data import SyntheticSource
from aucue.faces import Detection
from aucue.facs import EXPRESSIONS, Codebook

SIZE = 64


class KnownFaces:
    """A detector that finds what it was told."""

    def __init__(self, *detections: Detection) -> None:
        self.detections = list(detections)

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        return self.detections


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A rendered face (112, 112, 3) and its landmarks (68, 2)."""
    sample = SyntheticSource(train=1, val=0, test=0, size=112)[0]
    assert isinstance(sample.image, np.ndarray)
    assert sample.landmarks is not None
    return sample.image, np.asarray(sample.landmarks, dtype=np.float32)


@pytest.fixture
def detector(drawn) -> KnownFaces:
    return KnownFaces(Detection((20.0, 20.0, 90.0, 100.0), 1.5, drawn[1], "plain"))


def make_model(
    classes: Sequence[str] = EXPRESSIONS, predicts: str | None = None, **info
) -> tuple[Classifier, ModelInfo]:
    """A tiny untrained classifier, with a bias that makes it predict one class."""
    torch.manual_seed(0)
    classifier = Classifier.create("test_resnet", classes, input_size=SIZE, final_stride=8)
    if predicts is not None:
        with torch.no_grad():
            classifier.head.fc.bias[list(classes).index(predicts)] += 20  # pyright: ignore
    settings = {"codebook": Codebook.load("facs").to_dict(), "guidance": {"layers": ["layer3"]}} | info
    return classifier, ModelInfo(classes=tuple(classes), **settings)


@pytest.fixture
def model():
    return make_model
