"""Learning-rate schedules as pure functions of the step."""

import math

from aucue.training.config import OptimizerSettings


def learning_rate_factor(settings: OptimizerSettings, step: int, total: int, steps_per_epoch: int) -> float:
    """Factor on the highest learning rate at one step, in [0, 1].

    Args:
        settings: the schedule.
        step: optimisation step, from 0.
        total: steps of the whole training.
        steps_per_epoch: steps of one epoch.
    """
    if settings.schedule == "step":
        return settings.step_factor ** (step // (settings.step_epochs * steps_per_epoch))
    warmup = min(total - 1, round(settings.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
