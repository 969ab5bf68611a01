"""A prepared set and settings -> a trained model file: `fit(TrainConfig(...))`; `Objective` is its loss.

The names below are imported when they are first used: a loop of one's own needs no Lightning.
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.training.calibrating import calibrate
    from aucue.training.config import (
        ClassifierSettings,
        DataSettings,
        GuidanceSettings,
        OptimizerSettings,
        TrainConfig,
        TrainerSettings,
    )
    from aucue.training.fitting import fit
    from aucue.training.module import GuidedModule
    from aucue.training.objective import Objective, Term, total
    from aucue.training.recipe import RECIPES, guidance_of, recipe_of, with_recipe
    from aucue.training.start import with_model

_HOME = {
    "calibrating": ("calibrate",),
    "fitting": ("fit",),
    "objective": ("Objective", "Term", "total"),
    "module": ("GuidedModule",),
    "recipe": ("RECIPES", "guidance_of", "recipe_of", "with_recipe"),
    "start": ("with_model",),
    "config": (
        "TrainConfig",
        "DataSettings",
        "ClassifierSettings",
        "GuidanceSettings",
        "OptimizerSettings",
        "TrainerSettings",
    ),
}

__all__ = [
    "calibrate",
    "fit",
    "Objective",
    "Term",
    "total",
    "GuidedModule",
    "RECIPES",
    "guidance_of",
    "recipe_of",
    "with_recipe",
    "with_model",
    "TrainConfig",
    "DataSettings",
    "ClassifierSettings",
    "GuidanceSettings",
    "OptimizerSettings",
    "TrainerSettings",
]

__getattr__ = on_first_use(__name__, _HOME)
