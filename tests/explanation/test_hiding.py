"""Toy networks that read one region: its contrast, which is gone where it is hidden."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.explanation.hiding import FILLS, HiddenRegion, IfHidden, answer_without, hide_regions
from aucue.metrics import regions_of
from aucue.models import Model

from ..builders import SIDE, drawn_face, information, untrained

CLASSES = ("neutral", "happiness", "surprise", "anger")


class Reads(Model):
    """Each logit is a sum over action units: a weight times the mean square of the picture in its region."""

    def __init__(self, weights: Mapping[str, Mapping[int, float]], **changes: Any) -> None:
        super().__init__(untrained(classes=CLASSES), information(CLASSES, **changes))
        self.weights = weights

    def look(self, images: Tensor) -> Any:
        grey = images[:, 0].float()
        grey = grey / 255 if images.dtype == torch.uint8 else grey
        columns = [
            sum(
                (weight * grey[:, region(unit)].square().mean(dim=1) for unit, weight in units.items()),
                torch.zeros(len(grey)),
            )
            for units in (self.weights.get(name, {}) for name in self.classes)
        ]
        return SimpleNamespace(logits=torch.stack(columns, dim=1))


LANDMARKS = torch.from_numpy(drawn_face(SIDE)[1])[None]
STRIPES = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
STRIPES[..., ::2] = 255


def region(unit: int, model: Model | None = None) -> Tensor:
    """Where a unit shows (S, S)."""
    draw = (model or PLAIN).draw
    maps, _ = draw.single(LANDMARKS, (SIDE, SIDE))
    return regions_of(maps)[0, draw.action_units.index(unit)]


PLAIN = Model(untrained(classes=CLASSES), information(CLASSES))


def hidden(model: Model, images: Tensor = STRIPES, answer: str | None = None) -> IfHidden:
    logits = model.look(images).logits
    classes = logits.argmax(dim=1) if answer is None else torch.tensor([CLASSES.index(answer)])
    found = hide_regions(model, images, LANDMARKS, logits, classes)[0]
    assert found is not None
    return found


def at(found: IfHidden, unit: int) -> HiddenRegion:
    return next(each for each in found.regions if unit in [known.number for known in each.units])


def probability(logit: float, others: float = len(CLASSES) - 1) -> float:
    return math.exp(logit) / (math.exp(logit) + others)


def test_loss_by_hand():
    found = hidden(Reads({"happiness": {12: 6.0}}))
    ones = STRIPES[0, 0][region(12)].double().mean().item() / 255  # of the pixels that are 0 or 1
    lips = at(found, 12)
    assert (found.expression, found.units_of) == ("happiness", "happiness")
    assert found.probability == pytest.approx(probability(6 * ones), abs=1e-5)
    flat = lips.losses["flat"]
    assert flat.points == pytest.approx(probability(6 * ones) - probability(6 * ones**2), abs=1e-4)
    assert flat.log_odds == pytest.approx(6 * ones - 6 * ones**2, abs=1e-4)
    assert flat.to_rival == pytest.approx(6 * ones - 6 * ones**2, abs=1e-4)  # the others' logits are all 0
    assert lips.losses.keys() == lips.controls.keys() == set(FILLS)
    assert lips.control is not None
    assert lips.control.log_odds == pytest.approx(0, abs=1e-5)  # elsewhere it reads nothing
    assert lips.only is not None
    assert lips.only.points == pytest.approx(0, abs=1e-5)
    assert lips.without["happiness"] == pytest.approx(found.probability - lips.loss.points, abs=1e-5)
    assert found.together.log_odds == pytest.approx(lips.loss.log_odds, rel=0.2)


def test_what_decides_and_what_does_not():
    found = hidden(Reads({"happiness": {12: 6.0}}))
    assert [unit.numbers for unit in found.expected] == ["AU6", "AU12", "AU25"]
    assert [each.matters for each in found.expected[:2]] == [False, True]
    assert found.dearest is at(found, 12)
    cheeks = at(found, 6)
    assert cheeks.idle
    assert not cheeks.unclear
    assert not at(found, 12).idle
    assert cheeks.loss.points == pytest.approx(0, abs=1e-5)
    assert cheeks.only is not None
    assert cheeks.only.points > 0.2  # alone it says nothing
    lips = at(found, 25)  # its region holds a part of the lip corners, and nothing else that is read
    assert 0 < lips.loss.points < at(found, 12).loss.points / 2
    assert lips.only is not None
    assert lips.only.points > lips.loss.points


def test_the_dearest_other_unit():
    found = hidden(Reads({"happiness": {9: 6.0}}))
    assert found.other is not None
    assert found.other.numbers == "AU9"
    assert found.dearest is found.other
    assert not any(each.matters for each in found.expected)


def test_a_dark_face_is_no_blank_one_to_a_network_that_brightens_it():
    dim = (STRIPES > 0).to(torch.uint8) * 2  # two levels are one colour
    reads = Reads({"happiness": {12: 6.0}})
    for darker in (0, 5, 55):  # whatever floats make of a difference of two
        assert at(hidden(reads, dim + darker, "happiness"), 12).visible == 0
    lit = Classifier(**{**reads.network.config, "exposure": 0.5}).eval()
    reads.network = lit
    assert at(hidden(reads, dim, "happiness"), 12).visible == 1


def test_a_picture_that_waits_is_brightened_once():
    """A second time would go further where a part had become white."""
    model = Model(
        Classifier("test_resnet", CLASSES, input_size=SIDE, exposure=0.5).eval(), information(CLASSES)
    )
    spotted = (STRIPES > 0).to(torch.uint8) * 9 + 1
    spotted[..., : SIDE // 4] = 250
    nowhere = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    torch.testing.assert_close(
        answer_without(model, spotted[0], nowhere), model.look(spotted).logits[0].softmax(0)
    )


def test_what_is_blank_already_is_never_evidence():
    images = STRIPES.clone()
    images[:, :, region(12)] = 200
    found = hidden(Reads({"happiness": {12: 6.0}}), images)
    corners = at(found, 12)
    assert found.probability > 0.8  # it reads the brightness of the blank
    assert corners.visible < 0.2  # its edge, in parts narrower than what counts as an area
    assert abs(corners.loss.points) < 0.02
    assert not corners.matters
    assert at(found, 6).visible == 1
    assert found.dearest is None  # nor are its neighbours, whose regions hold a part of it


def test_a_place_that_costs_what_any_other_costs_does_not_matter():
    class ReadsAll(Reads):
        def look(self, images: Tensor) -> Any:
            grey = images[:, 0].float() / (255 if images.dtype == torch.uint8 else 1)
            score = 200 * (grey.square().mean(dim=(1, 2)) - 0.49)
            return SimpleNamespace(logits=torch.stack([score * 0, score, score * 0, score * 0], dim=1))

    found = hidden(ReadsAll({}))
    for each in found.expected:
        assert each.control is not None
        assert each.loss.log_odds == pytest.approx(each.control.log_odds, rel=0.2)
        assert each.losses["flat"].log_odds > 0.5
        assert each.unclear is not each.matters
    assert found.expected[1].loss.points > 0.03  # not by being small


def test_a_place_that_speaks_against_the_answer():
    found = hidden(Reads({"happiness": {12: 6.0, 25: -3.0}}))
    lips = at(found, 25)
    assert lips.loss.points < -0.03
    assert lips.opposes
    assert not lips.matters
    assert not at(found, 12).opposes


def test_rather_than_what():
    found = hidden(Reads({"happiness": {12: 6.0, 6: 1.0}, "surprise": {5: 4.0}, "anger": {5: 3.9}}))
    assert found.rival == "surprise"
    assert found.tipping is at(found, 12)
    ones = STRIPES[0, 0][region(12)].double().mean().item() / 255
    assert at(found, 12).losses["flat"].to_rival == pytest.approx(6 * (ones - ones**2), abs=1e-4)
    assert at(found, 12).answer == "surprise"


def test_neutral_is_held_by_the_places_of_the_runner_up():
    found = hidden(Reads({"neutral": {5: 6.0}, "surprise": {1: 2.0}, "anger": {17: 1.0}}))
    assert (found.expression, found.rival, found.units_of) == ("neutral", "surprise", "surprise")
    assert [each.numbers for each in found.expected] == ["AU1", "AU2", "AU5", "AU26, AU27"]
    assert found.dearest is at(found, 5)
    assert at(found, 1).opposes


def test_another_class_than_the_answer():
    found = hidden(Reads({"happiness": {12: 6.0}, "anger": {4: 4.0}}), answer="anger")
    assert (found.expression, found.rival) == ("anger", "happiness")
    assert found.dearest is not None
    assert found.dearest.numbers == "AU4"


def test_regions_that_hiding_cannot_tell_apart_are_one():
    found = hidden(Reads({"anger": {4: 6.0}}))
    numbers = [each.numbers for each in found.expected]
    assert numbers == ["AU4", "AU5", "AU7", "AU10", "AU17", "AU23, AU24, AU25", "AU26"]
    assert (found.expected[5].name, found.expected[5].units[2].number) == ("lips", 25)


def test_faces_do_not_mix_and_answers_repeat():
    model = Reads({"happiness": {12: 6.0}, "anger": {4: 4.0}})
    torch.manual_seed(3)
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    both = LANDMARKS.expand(2, -1, -1)
    logits = model.look(images).logits
    classes = torch.tensor([1, 3])
    found = hide_regions(model, images, both, logits, classes)
    assert found == hide_regions(model, images, both, logits, classes)
    for i in range(2):
        assert found[i] == hide_regions(model, images[[i]], both[[i]], logits[[i]], classes[[i]])[0]


def test_without_landmarks_there_is_none():
    model = Reads({})
    logits = model.look(STRIPES).logits
    lost = torch.full_like(LANDMARKS, torch.nan)
    assert hide_regions(model, STRIPES, lost, logits, torch.tensor([1])) == [None]


def test_any_region_hidden():
    model = Reads({"happiness": {12: 6.0}})
    nothing = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    before = answer_without(model, STRIPES[0], nothing)
    assert torch.allclose(before, model.look(STRIPES).logits.softmax(dim=1)[0], atol=1e-6)
    found = hidden(model)
    assert answer_without(model, STRIPES[0], region(12))[1].item() == pytest.approx(
        at(found, 12).without["happiness"], abs=1e-5
    )


def test_plain_values():
    found = hidden(Reads({"happiness": {12: 6.0}}))
    values = found.to_dict()
    assert values["dearest"] == [12]
    assert values["tipping"] == [12]
    assert values["rival"] in CLASSES
    lips = values["expected"][1]
    assert (lips["units"], lips["region"], lips["matters"]) == ([12], "lip corners", True)
    assert lips["loss"].keys() == {"points", "log_odds", "to_rival"}
    nothing = replace(found, expected=found.expected[:1], other=None).to_dict()
    assert (nothing["dearest"], nothing["tipping"], nothing["other"]) == (None, None, None)
    assert not np.isnan(lips["area"])
