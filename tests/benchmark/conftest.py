"""A grid of two small trainings on rendered faces."""

from pathlib import Path
from typing import Any

import pytest

from ..builders import small_settings


@pytest.fixture
def table(rendered: Path) -> dict[str, Any]:
    """Grid of a guided network and its unguided twin, each read out in two ways."""
    return small_table(rendered)


def small_table(data: Path) -> dict[str, Any]:
    """The content of `table` for a prepared set."""
    return {
        "name": "small",
        "settings": small_settings(data, epochs=2),
        "axes": {
            "method": {"CAM": {}, "LayerCAM": {"classifier.method": "layercam"}},
            "guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}},
        },
        "baseline": {"guidance": "unguided"},
    }
