"""Evidence per action unit: how much of the maps lies where each unit shows, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from aucue.cues import AUCue
from aucue.facs import ActionUnit
from aucue.metrics import attention_at, cam_at, region_evidence, regions_of

PREFERENCE = 2.0
"""How many times denser than chance a map must be in a region to be said to lie there.

A blob in the middle of the crop, which never looked at the face, has 0.9 to 2.7 times chance in the regions
of action units, 1.7 on average: less than twice says little.
"""

_GRID = 56  # a region of some 3 % of the crop is still a hundred pixels; finer, shares change by 1 %
_NAMED = 3  # regions in a sentence


@dataclass(frozen=True)
class MapShare:
    """A map in one region.

    Attributes:
        share: Share of the map's sum that lies in the region, in [0, 1].
        peak: The map's maximum in the region relative to its maximum, in [0, 1].
        ratio: The share relative to chance, which is the region's share of the picture: 1 where the map has
            no preference, 3 where it is three times as dense as on average.
    """

    share: float
    peak: float
    ratio: float


@dataclass(frozen=True)
class RegionShares:
    """How much of the maps lies in a region.

    Attributes:
        area: Share of the crop that the region takes.
        attention: Attention of the layer that is shown.
        class_map: Class map of the predicted expression.
    """

    area: float
    attention: MapShare
    class_map: MapShare

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "area": self.area,
            "attention": asdict(self.attention),
            "class_map": asdict(self.class_map),
        }


@dataclass(frozen=True)
class UnitEvidence(RegionShares):
    """How much of the maps lies in the region of an action unit: where its own map exceeds half its maximum.

    Regions of different units overlap (the lip corners are a part of the lips), so their shares need not add
    up to 1, nor to the share of all of them together.

    Attributes:
        unit: The action unit; `unit.region` is where it shows.
    """

    unit: ActionUnit

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        unit = self.unit
        return {"number": unit.number, "name": unit.name, "region": unit.region, **super().to_dict()}


@dataclass(frozen=True)
class FaceEvidence:
    """The units of one face.

    Attributes:
        expected: Those of the predicted expression that lie in the crop, by number.
        together: Their regions together, overlaps counted once.
        elsewhere: Of the other units, among those whose regions lie at least half outside the expected ones,
            the one where the class map is densest; None if there is none.
    """

    expected: tuple[UnitEvidence, ...]
    together: RegionShares
    elsewhere: UnitEvidence | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "unit_evidence": [unit.to_dict() for unit in self.expected],
            "together": self.together.to_dict() if self.expected else None,
            "elsewhere": self.elsewhere.to_dict() if self.elsewhere else None,
        }


def measure_units(
    cue: AUCue,
    landmarks: Tensor,
    size: int,
    expected: Sequence[Sequence[int]],
    attention: Tensor,
    class_map: Tensor,
) -> list[FaceEvidence]:
    """Measure attention and class map in the regions of all action units.

    Args:
        cue: Draws the regions.
        landmarks: (B, 68, 2) in pixels of the crops; NaN if missing: then nothing is measured.
        size: Side of the crops in pixels.
        expected: Numbers of each face's expected action units.
        attention: (B, 1, h, w), any range; compared as in ATT-COS.
        class_map: (B, 1, h, w) in [0, 1]; compared as in CAM-COS.

    Returns:
        One per face.
    """
    side = min(size, _GRID)
    grid = (side, side)
    maps, drawn = cue.single(landmarks, (size, size), grid)  # (B, U, g, g), (B, U)
    regions = regions_of(maps)
    wanted = torch.tensor([[unit in units for unit in cue.action_units] for units in expected])  # (B, U)
    inside = (regions & wanted[..., None, None]).any(dim=1, keepdim=True)  # (B, 1, g, g)
    outside = (regions & ~inside).sum(dim=(2, 3)) >= 0.5 * regions.sum(dim=(2, 3))
    regions = torch.cat([regions, inside], dim=1)
    of_attention = region_evidence(attention_at(attention, grid), regions)
    of_class_map = region_evidence(cam_at(class_map, grid), regions)
    values = torch.stack([of_attention.area, *of_attention[1:], *of_class_map[1:]], dim=2)  # (B, U + 1, 7)
    ratios = torch.where(drawn & ~wanted & outside, of_class_map.ratio[:, :-1], -1.0)
    known = cue.codebook.action_units
    units = [known.get(number) or ActionUnit(number, f"AU{number}") for number in cue.action_units]

    found = []
    for i, (rows, densest) in enumerate(zip(values.tolist(), ratios.argmax(dim=1).tolist(), strict=True)):
        every = [UnitEvidence(*_shares(row), unit) for row, unit in zip(rows[:-1], units, strict=True)]
        expected_units = tuple(every[k] for k in (drawn & wanted)[i].nonzero()[:, 0].tolist())
        elsewhere = every[densest] if ratios[i, densest] >= 0 else None
        found.append(FaceEvidence(expected_units, RegionShares(*_shares(rows[-1])), elsewhere))
    return found


def where_it_lies(evidence: FaceEvidence, expression: str, empty: bool) -> str:
    """Say in FACS terms where a class map lies.

    Args:
        evidence: Of one face; at least one expected unit.
        expression: The predicted one.
        empty: Whether the class map shows no evidence.

    Returns:
        A part of a sentence: "the class map lies on the lip corners (AU12, 41 % of it, 3.1x chance) and ...".
    """
    if empty:
        return f"the class map shows no evidence for {expression}"
    regions = _regions(evidence.expected)
    lies = [unit for unit in regions if unit.class_map.ratio >= PREFERENCE]
    hardly = [unit for unit in regions if unit.class_map.ratio <= 1 / PREFERENCE]
    other = evidence.elsewhere
    if lies:
        partly = "" if evidence.together.class_map.share >= 0.5 else "partly "
        said = f"the class map lies {partly}on the {_list(lies, first=True)}"
        if hardly:
            said += f", hardly on the {_list(hardly)}"
        if other and round(other.class_map.ratio, 1) > round(max(u.class_map.ratio for u in lies), 1):
            said += f"; it is denser on the {_list([other])}, which {expression} does not include"
        return said
    if other and other.class_map.ratio >= PREFERENCE:
        return (
            f"the class map lies elsewhere, most densely on the {_list([other], first=True)}, which "
            f"{expression} does not include; not on the {_list(regions, 'or')}"
        )
    if round(evidence.together.class_map.ratio, 1) < 1:
        return f"the class map lies elsewhere, not on the {_list(regions, 'or', first=True)}"
    return f"the class map lies on no action unit of {expression} in particular: {_list(regions, first=True)}"


def _shares(row: Sequence[float]) -> tuple[float, MapShare, MapShare]:
    """Area, attention and class map from seven numbers."""
    return row[0], MapShare(*row[1:4]), MapShare(*row[4:])


def _regions(units: Sequence[UnitEvidence]) -> list[UnitEvidence]:
    """The unit with the largest share of each region, largest share first."""
    largest: dict[str, UnitEvidence] = {}
    for unit in sorted(units, key=lambda unit: -unit.class_map.share):
        largest.setdefault(unit.unit.region, unit)
    return list(largest.values())


def _list(units: Sequence[UnitEvidence], conjunction: str = "and", first: bool = False) -> str:
    """Regions with their figures; the `first` ones of a sentence also say what the figures mean."""
    parts = []
    for unit in units[:_NAMED]:
        meaning = (" of it", " chance") if first and not parts else ("", "")
        found = unit.class_map
        parts.append(
            f"{unit.unit.region} (AU{unit.unit.number}, {100 * found.share:.0f} %{meaning[0]}, "
            f"{found.ratio:.1f}x{meaning[1]})"
        )
    return f" {conjunction} ".join([part for part in (", ".join(parts[:-1]), parts[-1]) if part])
