import numpy as np
import pytest
import torch

from aucue.cues import AUCue
from aucue.explanation.units import (
    FaceEvidence,
    MapShare,
    RegionShares,
    UnitEvidence,
    measure_units,
    where_it_lies,
)
from aucue.facs import ACTION_UNITS, ActionUnit

SIZE = 112
HAPPINESS = [6, 12, 25]


@pytest.fixture
def landmarks(drawn) -> torch.Tensor:
    return torch.from_numpy(drawn[1])[None]


def measure(landmarks: torch.Tensor, class_map: torch.Tensor, attention: torch.Tensor | None = None):
    attention = class_map if attention is None else attention
    return measure_units(AUCue(), landmarks, SIZE, [HAPPINESS] * len(landmarks), attention, class_map)


def test_shares_by_hand(landmarks: torch.Tensor):
    rows = torch.arange(56.0)[:, None].expand(56, 56)
    map_ = (rows / 55)[None, None]
    evidence = measure(landmarks, map_)[0]
    drawn, _ = AUCue().single(landmarks, (SIZE, SIZE), (56, 56))
    assert [unit.unit.number for unit in evidence.expected] == HAPPINESS
    for found in evidence.expected:
        region = drawn[0, AUCue().action_units.index(found.unit.number)].numpy() > 0.5
        values = map_[0, 0].numpy()
        assert found.area == pytest.approx(region.mean())
        assert found.class_map.share == pytest.approx(values[region].sum() / values.sum(), rel=1e-4)
        assert found.class_map.peak == pytest.approx(values[region].max(), rel=1e-4)
        assert found.class_map.ratio == pytest.approx(values[region].mean() / values.mean(), rel=1e-4)
    everywhere = np.any(
        [drawn[0, AUCue().action_units.index(number)].numpy() > 0.5 for number in HAPPINESS], axis=0
    )
    assert evidence.together.area == pytest.approx(everywhere.mean())


def test_an_even_map_is_no_evidence(landmarks: torch.Tensor):
    evidence = measure(landmarks, torch.full((1, 1, 7, 7), 0.4), torch.full((1, 1, 28, 28), -3.0) + 5)[0]
    for unit in evidence.expected:
        assert unit.class_map.ratio == pytest.approx(1, abs=1e-4)
        assert unit.attention.ratio == pytest.approx(1, abs=1e-4)
    assert where_it_lies(evidence, "happiness", False).startswith(
        "the class map lies on no action unit of happiness in particular: "
    )


@pytest.mark.parametrize(
    ("units", "begins", "holds"),
    [
        ([12], "the class map lies on the lip corners (AU12, ", "chance)"),
        ([6, 12], "the class map lies on the ", "cheeks (AU6, "),
        (
            [4],
            "the class map lies elsewhere, most densely on the ",
            "which happiness does not include; not on",
        ),
    ],
)
def test_a_map_is_said_to_lie_where_it_lies(
    landmarks: torch.Tensor, units: list[int], begins: str, holds: str
):
    cue = AUCue()
    drawn, _ = cue.single(landmarks, (SIZE, SIZE), (56, 56))
    map_ = drawn[:, [cue.action_units.index(unit) for unit in units]].amax(dim=1, keepdim=True)
    evidence = measure(landmarks, map_)[0]
    sentence = where_it_lies(evidence, "happiness", False)
    assert sentence.startswith(begins)
    assert holds in sentence
    for found in evidence.expected:
        if found.unit.number in units:
            assert found.class_map.share > 1 / (2 * len(units))
            assert found.class_map.ratio > 5
    if units == [4]:
        assert evidence.elsewhere is not None
        assert evidence.elsewhere.unit.number in (1, 4)  # both at the brows
        assert max(unit.class_map.share for unit in evidence.expected) < 0.05


def test_faces_do_not_mix(landmarks: torch.Tensor):
    shifted = torch.cat([landmarks, landmarks + 6])
    maps = torch.rand(2, 1, 14, 14)
    assert measure(shifted, maps)[1] == measure(shifted[1:], maps[1:])[0]


def test_without_landmarks_nothing_is_measured():
    evidence = measure(torch.full((1, 68, 2), torch.nan), torch.rand(1, 1, 7, 7))[0]
    assert evidence.expected == ()
    assert evidence.elsewhere is None
    assert evidence.to_dict() == {"unit_evidence": [], "together": None, "elsewhere": None}


def unit(number: int, share: float, ratio: float) -> UnitEvidence:
    shares = MapShare(share, 1.0, ratio)
    return UnitEvidence(share / ratio, shares, shares, ACTION_UNITS[number])


def together(share: float, ratio: float) -> RegionShares:
    return RegionShares(share / ratio, MapShare(share, 1, ratio), MapShare(share, 1, ratio))


@pytest.mark.parametrize(
    ("expected", "whole", "elsewhere", "sentence"),
    [
        (
            (unit(6, 0.22, 2.1), unit(12, 0.41, 3.1)),
            together(0.6, 2.4),
            None,
            "lies on the lip corners (AU12, 41 % of it, 3.1x chance) and cheeks (AU6, 22 %, 2.1x)",
        ),
        (
            (unit(6, 0.02, 0.4), unit(12, 0.15, 2.2), unit(25, 0.05, 1.0)),
            together(0.2, 1.2),
            unit(4, 0.3, 5.0),
            "lies partly on the lip corners (AU12, 15 % of it, 2.2x chance), hardly on the cheeks (AU6, 2 %, "
            "0.4x); it is denser on the brows (AU4, 30 %, 5.0x), which happiness does not include",
        ),
        (
            (unit(6, 0.02, 0.4), unit(12, 0.01, 0.2)),
            together(0.03, 0.3),
            unit(4, 0.3, 1.2),
            "lies elsewhere, not on the cheeks (AU6, 2 % of it, 0.4x chance) or lip corners (AU12, 1 %, "
            "0.2x)",
        ),
        (
            (unit(23, 0.02, 1.1), unit(24, 0.03, 1.0), unit(26, 0.06, 1.2)),
            together(0.07, 1.1),
            None,
            "lies on no action unit of happiness in particular: mouth and chin (AU26, 6 % of it, 1.2x "
            "chance) and lips (AU24, 3 %, 1.0x)",  # a place is named once
        ),
    ],
)
def test_sentences(expected, whole, elsewhere, sentence: str):
    said = where_it_lies(FaceEvidence(expected, whole, elsewhere), "happiness", False)
    assert said == f"the class map {sentence}"


def test_an_empty_map_says_so():
    evidence = FaceEvidence((unit(12, 0.4, 3.0),), together(0.4, 3.0), None)
    assert where_it_lies(evidence, "happiness", True).endswith("no evidence for happiness")


def test_a_users_unit_has_a_place():
    assert ActionUnit(28, "Lip Suck").region == "region of Lip Suck"
