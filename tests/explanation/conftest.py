from collections.abc import Sequence

import numpy as np
import pytest

from aucue.faces import Detection
from aucue.facs import EXPRESSIONS
from aucue.models import Model

from ..builders import drawn_face, information, untrained


class KnownFaces:
    """A detector that finds what it was told."""

    def __init__(self, *detections: Detection) -> None:
        self.detections = list(detections)

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        return self.detections


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A rendered face (112, 112, 3) and its landmarks (68, 2)."""
    return drawn_face(112)


@pytest.fixture
def detector(drawn) -> KnownFaces:
    return KnownFaces(Detection((20.0, 20.0, 90.0, 100.0), 1.5, drawn[1], "plain"))


def make_model(classes: Sequence[str] = EXPRESSIONS, predicts: str | None = None, **info) -> Model:
    """A tiny untrained classifier, with a bias that makes it predict one class."""
    return Model(untrained(0, classes, predicts), information(classes, **info))


@pytest.fixture
def model():
    return make_model
