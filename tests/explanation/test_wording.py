"""Sentences about what decides, from records made by hand."""

from dataclasses import replace

import pytest

from aucue.explanation.hiding import FILLS, HiddenRegion, IfHidden, Loss
from aucue.explanation.wording import how_sure, rather_than_what, what_adds_up, what_decides
from aucue.facs import ACTION_UNITS

BASE = 0.68
NOTHING = Loss(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("expression", "chances", "votes", "calibrated", "said"),
    [
        ("anger", (0.68, 0.2), None, False, "anger 68 %"),
        ("anger", (0.68, 0.2), None, True, "anger, 68 % sure"),
        ("anger", (0.68, 0.2), 0.56, True, "anger, 68 % sure; of ten voters about six would say anger"),
        ("anger", (0.99, 0.0), 0.97, True, "anger, 99 % sure; of ten voters nearly all would say anger"),
        (
            "anger",
            (0.4, 0.3),
            0.35,
            True,
            "anger 40 %, unsure: fear 30 %; of ten voters about four would say anger",
        ),
        ("anger", (0.4, 0.3), None, False, "anger 40 %, unsure: fear 30 %"),
        (
            "fear",
            (0.9, 0.02),
            0.04,
            True,
            "fear 2 % (the answer is anger, 90 %); of ten voters hardly one would say fear",
        ),
        ("fear", (0.9, 0.02), None, False, "fear 2 % (the answer is anger, 90 %)"),
    ],
)
def test_how_sure(
    expression: str, chances: tuple[float, float], votes: float | None, calibrated: bool, said: str
):
    probabilities: dict[str, float] = dict(zip(("anger", "fear", "sadness"), (*chances, 0.0), strict=True))
    expected = None if votes is None else dict.fromkeys(probabilities, votes)
    assert how_sure(expression, probabilities, expected, calibrated) == said


def hidden(*units: int, cost: float, control: float = 0.0, rival: float = 0.2, **changes) -> HiddenRegion:
    loss, other = Loss(cost, 4 * cost, 4 * cost), Loss(control, 4 * control, 4 * control)
    without = {"anger": BASE - cost, "sadness": rival, "neutral": 1 - BASE + cost - rival}
    region = HiddenRegion(
        tuple(ACTION_UNITS[unit] for unit in units),
        0.02,
        1.0,
        dict.fromkeys(FILLS, loss),
        dict.fromkeys(FILLS, other),
        without,
        NOTHING,
    )
    return replace(region, **changes)


def same(points: float, to_rival: float) -> dict[str, Loss]:
    """Losses that both fills agree in."""
    return dict.fromkeys(FILLS, Loss(points, 4 * points, to_rival))


def found(
    *expected: HiddenRegion, other: HiddenRegion | None = None, together: float = 0.0, **changes
) -> IfHidden:
    record = IfHidden(
        "anger", BASE, "sadness", 0.2, "anger", expected, other, Loss(together, 4 * together, 4 * together)
    )
    return replace(record, **changes)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            found(hidden(4, cost=0.39), hidden(5, cost=0.27), hidden(26, cost=0.01), hidden(17, cost=0.0)),
            "without the brows (AU4) 29 %, without the upper lids (AU5) 41 %; "
            "hiding the mouth and chin (AU26) or the chin (AU17) hardly changes it",
        ),
        (  # others cost as much, or one fill says otherwise
            found(hidden(4, cost=0.3), hidden(5, cost=0.1, control=0.1)),
            "without the brows (AU4) 38 %; "
            "hiding the upper lids (AU5) costs not clearly more than hiding as much elsewhere",
        ),
        (
            found(hidden(4, cost=0.02), hidden(5, cost=-0.01), together=0.3),
            "no region of its action units matters by itself; with all of them hidden 38 %",
        ),
        (
            found(hidden(4, cost=0.1, control=0.2)),
            "hiding a region of its action units costs not clearly more than hiding as much elsewhere",
        ),
        (
            found(hidden(4, cost=0.05), other=hidden(9, cost=0.3)),
            "without the sides of the nose (AU9, which anger does not include) 38 %, "
            "without the brows (AU4) 63 %",
        ),
        (
            found(hidden(4, cost=0.3), hidden(23, 24, 25, cost=-0.1), hidden(17, cost=-0.2)),
            "without the brows (AU4) 38 %; "
            "hiding the lips (AU23, AU24, AU25) raises it to 78 %, the chin (AU17) to 88 %",
        ),
        (
            found(hidden(4, cost=0.3, visible=0.2), hidden(5, cost=0.1)),
            "without the upper lids (AU5) 58 %; the picture is blank where one would see the brows (AU4)",
        ),
        (
            found(hidden(4, cost=0.3, controls={})),
            "hiding a region of its action units costs not clearly more than hiding as much elsewhere",
        ),
    ],
)
def test_what_decides(record: IfHidden, said: str):
    assert what_decides(record) == said


def fills(flat: float, blur: float) -> dict[str, Loss]:
    """Losses that the fills disagree in."""
    return {name: Loss(loss, 4 * loss, 4 * loss) for name, loss in zip(FILLS, (flat, blur), strict=True)}


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (fills(0.02, -0.01), "; hiding the upper lids (AU5) hardly changes it"),
        (  # it adds up to little, but neither fill says so
            fills(-0.126, 0.094),
            "; hiding the upper lids (AU5) costs not clearly more than hiding as much elsewhere",
        ),
        (fills(-0.05, 0.01), ""),
    ],
)
def test_fills_that_disagree_are_no_hardly(losses: dict[str, Loss], said: str):
    record = found(hidden(4, cost=0.39), hidden(5, cost=0.0, losses=losses))
    assert what_decides(record) == f"without the brows (AU4) 29 %{said}"


def test_what_changes_the_answer_is_no_hardly():
    """Of two that are nearly as probable, a point is enough."""
    close = {"anger": 0.35, "sadness": 0.36, "neutral": 0.29}
    record = found(hidden(4, cost=0.39), hidden(5, cost=0.01, without=close))
    assert what_decides(record) == "without the brows (AU4) 29 %"
    asked = replace(record, rival_probability=0.7)  # of a class that is not the answer
    assert what_decides(asked).endswith("; hiding the upper lids (AU5) hardly changes it")


def test_one_fill_alone_does_not_decide():
    region = hidden(4, cost=0.3)
    assert region.matters
    assert not replace(region, losses={**region.losses, "flat": Loss(0.3, 0.0, 0.0)}).matters
    assert not replace(region, controls={**region.controls, "blur": Loss(0.4, 1.6, 1.6)}).matters


def test_neutral_names_whose_units_were_hidden():
    neutral = found(hidden(4, cost=0.3), units_of="sadness", other=hidden(9, cost=0.2))
    assert what_decides(neutral) == (
        "without the brows (AU4 of sadness) 38 %, without the sides of the nose (AU9) 48 %"
    )
    idle = found(hidden(4, cost=0.0), units_of="sadness")
    assert what_decides(idle) == "no region of the action units of sadness matters by itself"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            found(hidden(4, cost=0.39, rival=0.55), hidden(5, cost=0.1)),
            "without the brows (AU4) the answer would be sadness, the runner-up: 55 % instead of 20 %",
        ),
        (
            found(hidden(4, cost=0.2), hidden(5, cost=0.1)),
            "the runner-up is sadness, 20 %; it comes nearest without the brows (AU4): 20 % against 48 %",
        ),
        (
            found(hidden(4, cost=-0.1), hidden(5, cost=0.1, control=0.2)),
            "the runner-up is sadness, 20 %; "
            "hiding none of these regions favours it clearly more than hiding as much elsewhere",
        ),
        (found(hidden(4, cost=0.0), rival_probability=0.004), ""),
        (  # a third class wins without the region that tips
            found(hidden(4, cost=0.6, rival=0.14), hidden(5, cost=0.1)),
            "the runner-up is sadness, 20 %; "
            "without the brows (AU4) the answer would be neutral, 78 % (sadness 14 %)",
        ),
        (
            found(hidden(4, cost=0.6, rival=0.14), rival_probability=0.004),
            "without the brows (AU4) the answer would be neutral, 78 %",
        ),
        (  # the dearest region is another than the one that tips, and leads to another class
            found(
                hidden(4, cost=0.3, rival=0.45, losses=same(0.3, to_rival=4.0)),
                hidden(5, cost=0.6, rival=0.14),
            ),
            "without the brows (AU4) the answer would be sadness, the runner-up: 45 % instead of 20 %; "
            "without the upper lids (AU5) neutral, 78 %",
        ),
        (
            found(hidden(4, cost=0.2, losses=same(0.2, to_rival=4.0)), hidden(5, cost=0.6, rival=0.14)),
            "the runner-up is sadness, 20 %; "
            "without the upper lids (AU5) the answer would be neutral, 78 % (sadness 14 %)",
        ),
        (  # another region brings it nearer, but not more than hiding as much elsewhere
            found(hidden(4, cost=0.2), hidden(5, cost=0.3, control=0.4, rival=0.3)),
            "the runner-up is sadness, 20 %; "
            "hiding the brows (AU4) favours it more than hiding as much elsewhere: 20 % against 48 %",
        ),
        (  # by the ratio it is nearer than with nothing hidden, but not in points
            found(hidden(4, cost=-0.02, rival=0.201, losses=same(-0.02, to_rival=0.1))),
            "the runner-up is sadness, 20 %; "
            "hiding the brows (AU4) favours it more than hiding as much elsewhere: 20 % against 70 %",
        ),
        (  # without another one it is even ahead, as it may be with as much hidden elsewhere
            found(hidden(4, cost=0.01), hidden(5, cost=0.3, control=0.4, rival=0.55)),
            "the runner-up is sadness, 20 %; hiding the brows (AU4) favours it more than hiding as much "
            "elsewhere: 20 % against 67 %",
        ),
        (
            found(hidden(4, cost=-0.1), hidden(5, cost=0.3, control=0.4, rival=0.55)),
            "the runner-up is sadness, 20 %; without the upper lids (AU5) the answer would be sadness, 55 %, "
            "not clearly more than with as much hidden elsewhere",
        ),
        (
            found(hidden(4, cost=-0.1), hidden(5, cost=0.5, control=0.6, rival=0.1)),
            "the runner-up is sadness, 20 %; without the upper lids (AU5) the answer would be neutral, 72 %",
        ),
    ],
)
def test_rather_than_what(record: IfHidden, said: str):
    assert rather_than_what(record) == said


def test_what_an_answer_is_the_sum_of() -> None:
    said = what_adds_up("happiness", {12: 1.08, 6: 0.62, 25: 0.3})
    assert said == "what the network saw for happiness is AU12 54 %, AU6 31 %, AU25 15 %"
