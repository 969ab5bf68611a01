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
from aucue.training.recipe import RECIPES, recipe_of, with_recipe

__all__ = [
    "fit",
    "GuidedModule",
    "RECIPES",
    "recipe_of",
    "with_recipe",
    "TrainConfig",
    "DataSettings",
    "ClassifierSettings",
    "GuidanceSettings",
    "OptimizerSettings",
    "TrainerSettings",
]
