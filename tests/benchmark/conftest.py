"""A grid of two small trainings on rendered faces."""

from pathlib import Path
from typing import Any

import pytest

from aucue.data import SyntheticSource, prepare


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared set of a few rendered faces per expression."""
    out = tmp_path_factory.mktemp("rendered") / "set"
    prepare(SyntheticSource(train=42, val=14, test=21, seed=3, size=64), out, size=48, workers=1)
    return out


@pytest.fixture
def table(rendered: Path) -> dict[str, Any]:
    """Grid of a guided network and its unguided twin, each read out in two ways."""
    return small_table(rendered)


def small_table(data: Path) -> dict[str, Any]:
    """The content of `table` for a prepared set."""
    return {
        "name": "small",
        "settings": {
            "data.path": str(data),
            "data.batch_size": 16,
            "data.workers": 0,
            "classifier.backbone": "test_resnet",
            "classifier.input_size": 48,
            "epochs": 2,
        },
        "axes": {
            "method": {"CAM": {}, "LayerCAM": {"classifier.method": "layercam"}},
            "guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}},
        },
        "baseline": {"guidance": "unguided"},
    }
