"""What decides, in words: made from what was measured of one face, and of nothing else."""

from collections.abc import Mapping, Sequence

from aucue import pages
from aucue.explanation.hiding import LEAST, VISIBLE, HiddenRegion, IfHidden

_NAMED = 3  # regions in a sentence
_RARE = (
    0.01  # probability of a runner-up below which it is passed over, unless something tips the answer to it
)


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
    unclear = [
        each for each in found.expected if each.loss.points >= LEAST and each.seen and not each.matters
    ]
    if dear and unclear:
        parts.append(f"hiding {_any(unclear, found)} costs not clearly more than hiding as much elsewhere")
    idle = [each for each in found.expected if abs(each.loss.points) < LEAST and each.seen]
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
    rival, chance = found.rival, found.rival_probability
    region = found.tipping
    if region and max(region.without, key=lambda name: region.without[name]) == rival:
        return (
            f"without {_known(region)} the answer would be {rival}, the runner-up: "
            f"{percent(region.without[rival])} instead of {percent(chance)}"
        )
    if chance < _RARE:
        return ""
    if region:
        return (
            f"the runner-up is {rival}, {percent(chance)}; it comes nearest without {_known(region)}: "
            f"{percent(region.without[rival])} against {percent(region.without[found.expression])}"
        )
    return f"the runner-up is {rival}, {percent(chance)}; hiding none of these regions clearly favours it"


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
