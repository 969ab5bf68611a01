"""A temperature at the end of a training, and afterwards; the frequencies that a training compensates."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aucue.data import open_prepared
from aucue.errors import InputError
from aucue.models import CalibrationRecord, Model, load_model
from aucue.training import calibrate, calibrating, fit, fitting
from aucue.training.calibrating import answers, calibration_of, frequencies

from ..builders import information, untrained
from .conftest import small_training


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (calibrating, fitting):
        monkeypatch.setattr(module, "FEWEST", 5)


def test_a_training_ends_with_its_temperature(rendered: Path, tmp_path: Path, few_are_enough: None):
    config = replace(small_training(rendered, tmp_path / "run"), epochs=1, balance=0.5)
    faces = open_prepared(rendered)
    network, card = load_model(fit(config, progress=False))
    model = Model(network, replace(card, calibration=None), device="cpu")
    assert card.calibration is not None
    again = calibrate(model, faces).card.calibration
    assert again is not None
    assert card.calibration.temperature == pytest.approx(again.temperature, abs=1e-3)
    assert card.calibration.number == again.number == len(faces.dataset("val"))
    assert not card.calibration.voters
    assert card.prior is not None
    shares = frequencies(faces.dataset("train"), len(network.classes))
    assert list(card.prior.natural.values()) == pytest.approx(shares.tolist())
    roots = shares.sqrt() / shares.sqrt().sum()
    assert list(card.prior.assumed.values()) == pytest.approx(roots.tolist())


def test_few_faces_give_none(rendered: Path, tmp_path: Path):
    config = replace(small_training(rendered, tmp_path / "run"), epochs=1)
    assert load_model(fit(config, progress=False))[1].calibration is None
    model = Model(untrained(0), information(), device="cpu")
    with pytest.raises(InputError, match="at least 100 labelled faces that no training saw, not"):
        calibrate(model, open_prepared(rendered))


def test_a_calibration_changes_nothing_but_the_card(rendered: Path, few_are_enough: None):
    model = Model(untrained(0), information(), "mine", device="cpu")
    found = calibrate(model, open_prepared(rendered), voters=True)
    assert model.card.calibration is None
    assert found.network is model.network
    record = found.card.calibration
    assert isinstance(record, CalibrationRecord)
    assert record.voters
    assert record.faces.endswith("split val")
    dataset = open_prepared(rendered).dataset("val")
    images = torch.stack(
        [torch.nn.functional.interpolate(dataset[i]["image"][None].float() / 255, (64, 64)) for i in range(2)]
    )[:, 0]
    before, after = model.look(images), found.look(images)
    torch.testing.assert_close(after.votes, before.probabilities)
    torch.testing.assert_close(after.logits, before.logits / record.temperature)


def test_both_kinds_of_faces_count_alike_in_the_error():
    sure = torch.tensor([[4.0, 0.0]]).expand(60, 2), torch.zeros(60, dtype=torch.long)
    wrong = torch.tensor([[4.0, 0.0]]).expand(40, 2), torch.ones(40, dtype=torch.long)
    record = calibration_of([sure, wrong], "made ones", voters=False)
    chance = float(torch.tensor([4.0, 0.0]).softmax(0)[0])
    assert record.before == pytest.approx(((1 - chance) + chance) / 2, abs=1e-4)
    assert record.number == 100
    assert record.temperature == pytest.approx(5.0, abs=0.01)  # the largest: right and wrong weigh the same


def test_other_classes_are_told(rendered: Path):
    model = Model(untrained(0, ("joy", "grief")), information(("joy", "grief"), codebook=None), device="cpu")
    with pytest.raises(InputError, match="the model knows joy, grief"):
        calibrate(model, open_prepared(rendered))


def test_answers_are_those_of_the_network(rendered: Path):
    faces = open_prepared(rendered)
    network = untrained(0)
    from aucue.data import eval_transform

    dataset = faces.dataset("val", eval_transform(64))
    logits, labels = answers(network, dataset)
    with torch.no_grad():
        expected = network(dataset[1]["image"][None]).logits[0]
    torch.testing.assert_close(logits[1], expected, atol=1e-4, rtol=1e-4)
    assert labels.tolist() == dataset.labels.tolist()
