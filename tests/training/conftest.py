"""A small prepared set and the settings of a training that takes seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aucue.training import (
    ClassifierSettings,
    DataSettings,
    GuidanceSettings,
    OptimizerSettings,
    TrainConfig,
)

from ..builders import NARROW


def small_training(faces: Path, out: Path) -> TrainConfig:
    """Settings of a guided training of three epochs, which takes a second."""
    return TrainConfig(
        out=str(out),
        data=DataSettings(path=str(faces), batch_size=16, workers=0),
        classifier=ClassifierSettings(backbone="test_resnet", options=NARROW, input_size=48, final_stride=8),
        guidance=GuidanceSettings(weight=4.0),
        optimizer=OptimizerSettings(lr=2e-3),
        epochs=3,
        seed=5,
    )


@pytest.fixture
def settings(rendered: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Maker of settings; keyword arguments change single groups."""

    def make(out: str = "run", **changes: object) -> TrainConfig:
        config = small_training(rendered, tmp_path / out)
        for name, value in changes.items():
            setattr(config, name, value)
        return config

    return make
