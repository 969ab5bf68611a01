"""Action units and the basic expressions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from aucue.work.tables import read_mapping

NEUTRAL = "neutral"
"""The expression without action units: it has no cue and takes no part in guidance."""

EXPRESSIONS = (NEUTRAL, "happiness", "surprise", "fear", "anger", "disgust", "sadness")
"""Neutral and the six basic expressions, in the order of their class ids 0 to 6."""


@dataclass(frozen=True, order=True)
class ActionUnit:
    """One facial movement of the Facial Action Coding System.

    Attributes:
        number: FACS number, e.g. 12.
        name: FACS name, e.g. "Lip Corner Puller".
        region: Where it shows, in everyday words, e.g. "lip corners"; by default the region of its name.
    """

    number: int
    name: str
    region: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.region:
            object.__setattr__(self, "region", f"region of {self.name}")

    def __str__(self) -> str:
        """Return for example "AU12 Lip Corner Puller"."""
        return f"AU{self.number} {self.name}"


ACTION_UNITS: Mapping[int, ActionUnit] = MappingProxyType(
    {
        number: ActionUnit(number, row["name"], row["region"])
        for number, row in read_mapping(Path(__file__).with_name("action_units.yaml")).items()
    }
)
"""The standard action units by FACS number."""

ALTERNATIVES = ((23, 24), (25, 26, 27))
"""Units of which a face shows those of one group or of another: lips that are pressed are not parted."""


def listed(units: Sequence[ActionUnit]) -> str:
    """Action units in words; those that exclude each other as alternatives.

    >>> listed([ACTION_UNITS[4], ACTION_UNITS[23], ACTION_UNITS[25]])
    'AU4 Brow Lowerer, either AU23 Lip Tightener or AU25 Lips Part'
    """
    sides = [[unit for unit in units if unit.number in group] for group in ALTERNATIVES]
    if not all(sides):
        return ", ".join(map(str, units))
    alternatives = "either " + " or ".join(", ".join(map(str, side)) for side in sides)
    always = [str(unit) for unit in units if not any(unit in side for side in sides)]
    return ", ".join([*always, alternatives])
