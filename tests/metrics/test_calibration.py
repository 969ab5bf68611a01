"""Calibration error against torchmetrics and by hand; temperatures that are known."""

import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from aucue.errors import InputError
from aucue.metrics import calibration_error, fit_temperature, reliability


def drawn(temperature: float, faces: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from their softmax at a temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(faces, 7, generator=generator)
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
    return logits, labels


@pytest.mark.parametrize("bins", [10, 15])
def test_error_is_that_of_torchmetrics(bins: int):
    logits, labels = drawn(2.0, 500)
    theirs = MulticlassCalibrationError(7, n_bins=bins, norm="l1")(logits.softmax(1), labels)
    assert float(theirs) > 0.1
    assert float(calibration_error(logits.softmax(1), labels, bins)) == pytest.approx(float(theirs), abs=1e-6)


def test_error_by_hand():
    # called 90 %: one of two right; called 60 %: both right; called 100 %: right
    top = torch.tensor([0.9, 0.9, 0.6, 0.6, 1.0])
    answers = torch.stack([top, 1 - top], dim=1)
    labels = torch.tensor([0, 1, 0, 0, 0])
    assert float(calibration_error(answers, labels)) == pytest.approx((2 * 0.4 + 2 * 0.4 + 0) / 5)
    found = reliability(answers, labels)
    assert found.faces[[9, 13, 14]].tolist() == [2, 2, 1]
    assert found.right[[9, 13, 14]].tolist() == [1.0, 0.5, 1.0]
    assert found.right.isnan().sum() == 12
    assert calibration_error(answers[:0], labels[:0]).isnan()


def test_shapes_have_to_fit():
    with pytest.raises(InputError, match=r"probabilities must have shape \(N, K\)"):
        calibration_error(torch.rand(3, 7), torch.zeros(4))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_of_labels_is_found(temperature: float):
    logits, labels = drawn(temperature, 4000)
    found = fit_temperature([logits], [labels])
    assert found == pytest.approx(temperature, rel=0.06)
    assert float(calibration_error((logits / found).softmax(1), labels)) < 0.03


def test_every_set_counts_alike():
    few, many = drawn(2.0, 400, seed=1), drawn(0.5, 4000, seed=2)
    alone = [fit_temperature([z], [y]) for z, y in (few, many)]
    both = fit_temperature([few[0], many[0]], [few[1], many[1]])
    pooled = fit_temperature([torch.cat([few[0], many[0]])], [torch.cat([few[1], many[1]])])
    assert alone[1] < pooled < both < alone[0]


def test_no_faces_are_told():
    with pytest.raises(InputError, match="labelled faces that no training saw"):
        fit_temperature([], [])
