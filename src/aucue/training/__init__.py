"""From settings to a trained model file: `fit(TrainConfig(...))`."""

from aucue.training.config import (
    ClassifierSettings,
    DataSettings,
    GuidanceSettings,
    OptimizerSettings,
    TrainConfig,
    TrainerSettings,
)
from aucue.training.fit import fit
from aucue.training.module import GuidedModule

__all__ = [
    "fit",
    "GuidedModule",
    "TrainConfig",
    "DataSettings",
    "ClassifierSettings",
    "GuidanceSettings",
    "OptimizerSettings",
    "TrainerSettings",
]
