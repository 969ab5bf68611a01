import pytest

from aucue.training.config import OptimizerSettings
from aucue.training.schedule import learning_rate_factor


def test_step_schedule_multiplies_every_four_epochs() -> None:
    published = OptimizerSettings(name="sgd", schedule="step", step_epochs=4, step_factor=0.9)
    factors = [learning_rate_factor(published, epoch * 10, 200, 10) for epoch in (0, 3, 4, 8, 19)]
    assert factors == pytest.approx([1, 1, 0.9, 0.81, 0.9**4])


def test_cosine_schedule_warms_up_and_falls_to_zero() -> None:
    settings = OptimizerSettings(schedule="cosine", warmup_epochs=1.0)
    factors = [learning_rate_factor(settings, step, 14, 4) for step in range(15)]
    assert factors[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])  # (step + 1) / (4 + 1)
    assert factors[4] == 1
    assert factors[9] == pytest.approx(0.5)  # half-way between step 4 and step 14
    assert factors[14] == pytest.approx(0, abs=1e-12)
    assert sorted(factors[4:], reverse=True) == factors[4:]
