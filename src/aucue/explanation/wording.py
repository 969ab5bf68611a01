"""What decides, in words: made from what was measured of one face, and of nothing else."""

from collections.abc import Mapping, Sequence

from aucue import pages
from aucue.explanation.hiding import LEAST, VISIBLE, HiddenRegion, IfHidden

_NAMED = 3  # regions in a sentence
_RARE = (
    0.01  # probability of a runner-up below which it is passed over, unless something tips the answer to it
)

_TINY = 1e-9  # no chance is divided by less

_TENTHS = ("hardly one", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "nearly all")


def percent(probability: float) -> str:
    """A probability or share in words: 0.416 is "42 %"."""
    return pages.percent(probability, digits=0)


def how_sure(
    expression: str,
    probabilities: Mapping[str, float],
    votes: Mapping[str, float] | None = None,
    calibrated: bool = False,
) -> str:
    """An expression, how sure the model is of it, and how many would say so.

    Args:
        expression: What is explained.
        probabilities: Of every class.
        votes: Expected share of voters for every class; None where the model knows of none.
        calibrated: Whether probabilities are chances of being right.

    Returns:
        Parts of a sentence: "anger, 68 % sure; of ten voters about six would say anger".
    """
    first, *others = sorted(probabilities, key=lambda name: -probabilities[name])
    chance = percent(probabilities[expression])
    if expression != first:
        said = f"{expression} {chance} (the answer is {first}, {percent(probabilities[first])})"
    elif probabilities[first] < 0.5 and others:
        said = f"{expression} {chance}, unsure: {others[0]} {percent(probabilities[others[0]])}"
    else:
        said = f"{expression}, {chance} sure" if calibrated else f"{expression} {chance}"
    if votes is None:
        return said
    number = round(10 * votes[expression])
    return f"{said}; of ten voters {'about ' * (0 < number < 10)}{_TENTHS[number]} would say {expression}"


def what_decides(found: IfHidden) -> str:
    """Which regions the answer rests on.

    Args:
        found: Of one face.

    Returns:
        Parts of a sentence: "without the brows (AU4) 29 %; hiding the chin hardly changes it".
    """
    dear = sorted((each for each in found.regions if each.matters), key=lambda each: -each.loss.points)
    if dear:
        parts = [", ".join(f"without {_named(each, found)} {_left(each, found)}" for each in dear[:_NAMED])]
    else:
        parts = [_nothing_decides(found)]
    if against := [each for each in found.regions if each.opposes]:
        first, *others = (f"{_named(each, found)} raises it to {_left(each, found)}" for each in against)
        parts.append(", ".join([f"hiding {first}", *(each.replace("raises it ", "") for each in others)]))
    unclear = [each for each in found.expected if each.unclear]
    if dear and unclear:
        parts.append(f"hiding {_any(unclear, found)} costs not clearly more than hiding as much elsewhere")
    idle = [each for each in found.expected if each.idle and not _is_changed(each, found)]
    if dear and idle:
        parts.append(f"hiding {_any(idle, found)} hardly changes it")
    if blank := [each for each in found.expected if each.visible < VISIBLE]:
        parts.append(f"the picture is blank where one would see {_any(blank, found)}")
    return "; ".join(parts)


def what_adds_up(expression: str, contributions: Mapping[int, float]) -> str:
    """The sum that an answer is, of a network with maps of action units.

    Args:
        expression: The answer.
        contributions: What each of its units adds to the logit, by FACS number, most first; not all zero.

    Returns:
        Parts of a sentence: "what the network saw for happiness is AU12 54 %, AU6 31 %, AU25 15 %".
    """
    total = sum(contributions.values())
    parts = [f"AU{number} {percent(value / total)}" for number, value in contributions.items()]
    return f"what the network saw for {expression} is {', '.join(parts)}"


def rather_than_what(found: IfHidden) -> str:
    """The runner-up, and what would tip the answer to it; empty where nothing is worth saying.

    Args:
        found: Of one face; it speaks of the answer, not of another class.
    """
    region = found.tipping
    if changing := _changing(found):
        first, *others = changing
        more = (f"without {_known(each)} {each.answer}, {_most(each)}" for each in others)
        return "; ".join([_other_answer(first, found), *more])
    if found.rival_probability < _RARE:
        return ""
    if region is None:
        return f"{_runner_up(found)}; {_nothing_tips(found)}"
    favours = f"hiding {_known(region)} favours it more than hiding as much elsewhere"
    if _is_nearest(region, found):
        favours = f"it comes nearest without {_known(region)}"
    figures = f"{percent(region.without[found.rival])} against {_left(region, found)}"
    return f"{_runner_up(found)}; {favours}: {figures}"


def _is_changed(region: HiddenRegion, found: IfHidden) -> bool:
    """Whether the answer is another without a region; never of a class that is not the answer anyway."""
    return region.answer != found.expression and found.probability >= found.rival_probability


def _changing(found: IfHidden) -> list[HiddenRegion]:
    """The region that favours the runner-up most and the dearest, as far as the answer is another without
    them; one for each other answer.
    """
    changing: dict[str, HiddenRegion] = {}
    for region in (found.tipping, found.dearest):
        if region and _is_changed(region, found):
            changing.setdefault(region.answer, region)
    return list(changing.values())


def _other_answer(region: HiddenRegion, found: IfHidden) -> str:
    """What the answer would be, and what then becomes of the runner-up."""
    said = f"without {_known(region)} the answer would be {region.answer}"
    if region.answer == found.rival:
        return f"{said}, the runner-up: {_most(region)} instead of {percent(found.rival_probability)}"
    if found.rival_probability < _RARE:
        return f"{said}, {_most(region)}"
    return (
        f"{_runner_up(found)}; {said}, {_most(region)} ({found.rival} {percent(region.without[found.rival])})"
    )


def _nothing_tips(found: IfHidden) -> str:
    """No region favours the runner-up clearly; the answer may change all the same."""
    changing = (region for region in found.regions if _is_changed(region, found))
    region = max(changing, key=lambda each: each.loss.points, default=None)
    if region is None:
        return "hiding none of these regions favours it clearly more than hiding as much elsewhere"
    said = f"without {_known(region)} the answer would be {region.answer}, {_most(region)}"
    if region.answer == found.rival:
        return f"{said}, not clearly more than with as much hidden elsewhere"
    return said


def _is_nearest(region: HiddenRegion, found: IfHidden) -> bool:
    """Whether the runner-up is by every measure as near as without any other region, and as with nothing
    hidden.
    """
    own, rival = found.expression, found.rival
    mine, *rest = (
        _nearness(each.loss.to_rival, each.without[rival], each.without[own])
        for each in (region, *found.regions)
    )
    rest.append(_nearness(0.0, found.rival_probability, found.probability))
    return all(near >= nearer for each in rest for near, nearer in zip(mine, each, strict=True))


def _nearness(log_odds: float, rival: float, own: float) -> tuple[float, float, float]:
    """How near a runner-up is to an answer: in log-odds gained, as a ratio, and in points."""
    return log_odds, rival / max(own, _TINY), rival - own


def _runner_up(found: IfHidden) -> str:
    return f"the runner-up is {found.rival}, {percent(found.rival_probability)}"


def _most(region: HiddenRegion) -> str:
    """How probable the answer is without a region."""
    return percent(region.without[region.answer])


def _nothing_decides(found: IfHidden) -> str:
    whose = (
        "its action units" if found.units_of == found.expression else f"the action units of {found.units_of}"
    )
    most = max((each.loss.points for each in found.expected), default=0.0)
    if most < LEAST:
        said = f"no region of {whose} matters by itself"
    else:
        said = f"hiding a region of {whose} costs not clearly more than hiding as much elsewhere"
    if len(found.expected) > 1 and found.together.points >= LEAST:
        said += f"; with all of them hidden {percent(found.probability - found.together.points)}"
    return said


def _named(region: HiddenRegion, found: IfHidden) -> str:
    """The region with its units, and whose they are where that is not plain."""
    whose = ""
    if region is found.other:
        whose = f", which {found.units_of} does not include" if found.units_of == found.expression else ""
    elif found.units_of != found.expression:
        whose = f" of {found.units_of}"
    return f"the {region.name} ({region.numbers}{whose})"


def _known(region: HiddenRegion) -> str:
    """The region with its units, which was named before."""
    return f"the {region.name} ({region.numbers})"


def _left(region: HiddenRegion, found: IfHidden) -> str:
    return percent(region.without[found.expression])


def _any(regions: Sequence[HiddenRegion], found: IfHidden) -> str:
    """Any of several: "the lips (AU25), the chin (AU17) or the brows (AU4)"."""
    *names, last = (_named(each, found) for each in regions)
    return f"{', '.join(names)} or {last}" if names else last
