"""Action units and the basic expressions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from aucue.facs.tables import read_mapping

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
    """

    number: int
    name: str

    def __str__(self) -> str:
        """Return for example "AU12 Lip Corner Puller"."""
        return f"AU{self.number} {self.name}"


ACTION_UNITS: Mapping[int, ActionUnit] = MappingProxyType(
    {
        number: ActionUnit(number, name)
        for number, name in read_mapping(Path(__file__).with_name("action_units.yaml")).items()
    }
)
"""The standard action units by FACS number."""
