"""What decides: what an answer loses when the region of an action unit is hidden, beside a control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from aucue.facs import ActionUnit
from aucue.metrics import (
    blank_pixels,
    blur_fill,
    face_region,
    flat_fill,
    log_odds_of,
    random_regions,
    regions_of,
)
from aucue.models import Model

FILLS = ("flat", "blur")
"""What stands in hidden pixels: the mean colour of what is hidden, or the face blurred."""

DRAWS = 4
"""Random regions per hidden one, half of them in each fill."""

LEAST = 0.03
"""Share of probability below which a loss is said not to matter."""

VISIBLE = 0.5
"""Share of a region that has to be seen before it can be said to matter; blank pixels are not hidden."""

_SAME = 0.5  # overlap (intersection over union) from which regions are one: hiding cannot tell them apart
_BATCH = 32


@dataclass(frozen=True)
class Loss:
    """What an answer loses.

    Attributes:
        points: Probability; 0.25 is 25 points. Negative where the answer gains.
        log_odds: Log-odds of the answer against all others together.
        to_rival: Log-odds of the answer against the runner-up.
    """

    points: float
    log_odds: float
    to_rival: float

    @classmethod
    def mean(cls, losses: Sequence["Loss"]) -> "Loss":
        """The mean of several."""
        return cls(*(fmean(getattr(loss, name) for loss in losses) for name in cls.__dataclass_fields__))

    def to_dict(self) -> dict[str, float]:
        """Plain values, to four digits after the point: more than two runs agree in."""
        return {name: round(getattr(self, name), 4) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class HiddenRegion:
    """A region of the face, and what hiding it does to an answer.

    Attributes:
        units: The action units that show there: several, where their regions overlap by more than half.
        area: Share of the crop that it takes.
        losses: What the answer loses when it is hidden, by the name of the fill.
        visible: Share of it that is not blank already: of the rest there is nothing to hide.
        controls: The same of regions as large elsewhere in the face, mean over draws; empty where there is no
            room for one.
        without: Probability of every class when it is hidden, mean over the fills.
        only: What the answer loses when all the rest of the face is hidden instead; None if not measured.
    """

    units: tuple[ActionUnit, ...]
    area: float
    visible: float
    losses: Mapping[str, Loss]
    controls: Mapping[str, Loss]
    without: Mapping[str, float]
    only: Loss | None = None

    @property
    def name(self) -> str:
        """Where it is, in everyday words: "lip corners"."""
        return self.units[0].region

    @property
    def numbers(self) -> str:
        """Its action units: "AU23, AU24"."""
        return ", ".join(f"AU{unit.number}" for unit in self.units)

    @property
    def loss(self) -> Loss:
        """Mean over the fills."""
        return Loss.mean(list(self.losses.values()))

    @property
    def control(self) -> Loss | None:
        """Mean over the fills; None without one."""
        return Loss.mean(list(self.controls.values())) if self.controls else None

    @property
    def seen(self) -> bool:
        """Whether there is enough to be seen that something can be said of it."""
        return self.visible >= VISIBLE and bool(self.controls)

    @property
    def matters(self) -> bool:
        """Whether the answer rests on it: hiding it costs `LEAST` or more, and in both fills more than hiding
        as much elsewhere.
        """
        return self.loss.points >= LEAST and self._beyond("log_odds", 1)

    @property
    def opposes(self) -> bool:
        """Whether it speaks against the answer: hiding it gives what hiding one that matters would cost."""
        return self.loss.points <= -LEAST and self._beyond("log_odds", -1)

    @property
    def idle(self) -> bool:
        """Whether hiding it hardly changes the answer's probability: by less than `LEAST` in every fill."""
        return self.seen and all(abs(loss.points) < LEAST for loss in self.losses.values())

    @property
    def unclear(self) -> bool:
        """Whether hiding it costs `LEAST` or more in a fill, but not in both more than hiding as much
        elsewhere.
        """
        costs = max(loss.points for loss in self.losses.values())
        return self.seen and costs >= LEAST and not self._beyond("log_odds", 1)

    @property
    def tips(self) -> bool:
        """Whether hiding it favours the runner-up over the answer, in both fills more than hiding as much
        elsewhere.
        """
        return self._beyond("to_rival", 1)

    @property
    def answer(self) -> str:
        """The most probable class when it is hidden."""
        return max(self.without, key=self.without.__getitem__)

    def _beyond(self, name: str, sign: int) -> bool:
        """Whether a loss goes further than none at all and than its control, in both fills."""
        return self.seen and all(
            sign * getattr(loss, name) > max(0.0, sign * getattr(self.controls[fill], name))
            for fill, loss in self.losses.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "units": [unit.number for unit in self.units],
            "region": self.name,
            "area": self.area,
            "visible": self.visible,
            "matters": self.matters,
            "loss": self.loss.to_dict(),
            "control": self.control.to_dict() if self.control else None,
            "losses": {fill: loss.to_dict() for fill, loss in self.losses.items()},
            "controls": {fill: loss.to_dict() for fill, loss in self.controls.items()},
            "without": {name: round(value, 4) for name, value in self.without.items()},
            "only": self.only.to_dict() if self.only else None,
        }


@dataclass(frozen=True)
class IfHidden:
    """What one answer rests on: its regions hidden one by one.

    Attributes:
        expression: The answer.
        probability: Its probability with nothing hidden.
        rival: The most probable other class: "rather than what".
        rival_probability: Its probability with nothing hidden.
        units_of: The expression whose action units are hidden: the answer; where it has none, as neutral, the
            most probable one that has some.
        expected: The regions of its action units, by number.
        other: Of the regions of all other units, among those at least half outside the expected ones, the one
            that costs most.
        together: What the answer loses when all expected ones are hidden at once, mean over the fills.
    """

    expression: str
    probability: float
    rival: str
    rival_probability: float
    units_of: str
    expected: tuple[HiddenRegion, ...]
    other: HiddenRegion | None
    together: Loss

    @cached_property
    def regions(self) -> tuple[HiddenRegion, ...]:
        """The expected ones and the other."""
        return (*self.expected, self.other) if self.other else self.expected

    @property
    def dearest(self) -> HiddenRegion | None:
        """Of those that matter, the one that costs most; None where none matters."""
        return max((region for region in self.regions if region.matters), key=_points, default=None)

    @property
    def tipping(self) -> HiddenRegion | None:
        """Of those that tip, the one that gives the runner-up most log-odds against the answer; None where
        none does. The answer may stay, or be a third class.
        """
        tips = (region for region in self.regions if region.tips)
        return max(tips, key=lambda region: region.loss.to_rival, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        dearest, tipping = self.dearest, self.tipping
        return {
            "rival": self.rival,
            "rival_probability": self.rival_probability,
            "units_of": self.units_of,
            "expected": [region.to_dict() for region in self.expected],
            "other": self.other.to_dict() if self.other else None,
            "together": self.together.to_dict(),
            "dearest": [unit.number for unit in dearest.units] if dearest else None,
            "tipping": [unit.number for unit in tipping.units] if tipping else None,
        }


def hide_regions(
    model: Model, images: Tensor, landmarks: Tensor, logits: Tensor, classes: Tensor
) -> list[IfHidden | None]:
    """Hide the regions of action units, one by one, and see what answers lose: all faces in common batches.

    Args:
        model: Who answers.
        images: Aligned crops (B, 3, S, S), uint8.
        landmarks: (B, 68, 2) in pixels of the crops; NaN if missing.
        logits: What the model says of the crops (B, K).
        classes: Ids of the answers that are explained (B,).

    Returns:
        One per face; None where landmarks are missing, or no action unit of any class lies in the crop.
    """
    hiding = _Hiding(model, images)
    draw, places = model.draw, landmarks.to(model.device)
    maps, drawn = draw.single(places, hiding.size)
    shows, face = regions_of(maps), face_region(places, draw.generic(places, hiding.size).map)
    faces: list[_Face | None] = [
        _Face(hiding, i, face[i, 0], dict(zip(draw.action_units, shows[i], strict=True)), logits[i], own)
        if drawn[i].any()
        else None
        for i, own in enumerate(classes.tolist())
    ]
    hiding.look()
    for each in faces:
        if each:
            each.choose_other()
    hiding.look()
    return [each.found() if each else None for each in faces]


def answer_without(model: Model, image: Tensor, region: Tensor) -> Tensor:
    """What a model says of a picture with any region hidden, mean over the fills.

    Args:
        model: Who answers.
        image: (3, S, S), uint8.
        region: (S, S) bool.

    Returns:
        Probabilities (K,).
    """
    hiding = _Hiding(model, image[None])
    rows = [hiding.ask(0, region.to(model.device), fill) for fill in FILLS]
    hiding.look()
    return torch.stack([hiding.logits[row].softmax(dim=0) for row in rows]).mean(dim=0)


class _Hiding:
    """Pictures with something hidden that wait for a look, and what was seen of earlier ones.

    Args:
        model: Who looks.
        images: (B, 3, S, S), uint8.

    Attributes:
        logits: (K,) of each picture asked for, by its row.
    """

    def __init__(self, model: Model, images: Tensor) -> None:
        self.model = model
        self.images = images.to(model.device).float() / 255
        self.size = (images.shape[-2], images.shape[-1])
        self.blurred = blur_fill(self.images)
        lit = model.network.exposed(self.images)  # in the dark, less differs than the network can tell
        self.visible = ~blank_pixels((255 * lit.float()).round())[:, 0]
        self.logits: list[Tensor] = []
        self._waiting: list[tuple[int, Tensor, str]] = []

    def ask(self, index: int, region: Tensor, fill: str) -> int:
        """Put a picture with what can be seen of a region (H, W) hidden into the queue.

        Returns:
            The row of its logits.
        """
        self._waiting.append((index, region & self.visible[index], fill))
        return len(self.logits) + len(self._waiting) - 1

    def look(self) -> None:
        """Look at all that waits."""
        for start in range(0, len(self._waiting), _BATCH):
            index, regions, fills = zip(*self._waiting[start : start + _BATCH], strict=True)
            images, hidden = self.images[list(index)], torch.stack(regions)[:, None]
            flat = torch.tensor([fill == "flat" for fill in fills], device=images.device)
            filled = torch.where(
                flat[:, None, None, None], flat_fill(images, hidden), self.blurred[list(index)]
            )
            self.logits += self.model.look(torch.where(hidden, filled, images)).logits.float().cpu().unbind()
        self._waiting = []


@dataclass
class _Asked:
    """A region, and the rows of the pictures that say something of it, by fill."""

    units: list[int]
    region: Tensor
    hidden: dict[str, int]
    controls: dict[str, list[int]]
    only: int | None = None


class _Face:
    """One face: which pictures are to be seen of it, and what they say together.

    Expected regions are hidden in both fills; the others in one, and the one of them that costs most in the
    other fill, too.

    Args:
        hiding: Where pictures are asked for.
        index: Of the face.
        face: Its pixels (H, W) bool.
        shows: Where each action unit shows (H, W) bool; nowhere if it lies outside the crop.
        logits: What the model says of it (K,).
        own: Id of the answer.
    """

    def __init__(
        self, hiding: _Hiding, index: int, face: Tensor, shows: Mapping[int, Tensor], logits: Tensor, own: int
    ) -> None:
        self.hiding, self.index, self.face, self.own = hiding, index, face, own
        self.model = hiding.model
        self.logits = logits.float().cpu()
        ranking = [k for k in self.logits.argsort(descending=True).tolist() if k != own]
        self.rival = ranking[0]
        seen = {unit: region for unit, region in shows.items() if region.any()}
        named = ((k, self._units(k, seen)) for k in (own, *ranking))
        self.units_of, units = next(((k, units) for k, units in named if units), (own, []))
        self.expected = [self._ask(*each) for each in _joined({unit: seen[unit] for unit in units})]
        inside = torch.stack([torch.zeros_like(face), *(each.region for each in self.expected)]).any(dim=0)
        self.together = [hiding.ask(index, inside, fill) for fill in FILLS]
        self.others = [
            _Asked(names, region, {FILLS[0]: hiding.ask(index, region, FILLS[0])}, {})
            for names, region in _joined({unit: seen[unit] for unit in seen if unit not in units})
            if 2 * (region & inside).sum() <= region.sum()
        ]
        for each in self.expected:
            each.only = hiding.ask(index, (face | inside) & ~each.region, FILLS[0])

    def choose_other(self) -> None:
        """Ask more about the other region that costs most by the first fill."""
        self.other = max(
            self.others, key=lambda each: self._loss(each.hidden[FILLS[0]]).log_odds, default=None
        )
        if self.other:
            self.other = self._ask(self.other.units, self.other.region)

    def found(self) -> IfHidden | None:
        """What was seen."""
        if not self.expected:
            return None
        names = self.model.classes
        return IfHidden(
            expression=names[self.own],
            probability=float(self.logits.softmax(dim=0)[self.own]),
            rival=names[self.rival],
            rival_probability=float(self.logits.softmax(dim=0)[self.rival]),
            units_of=names[self.units_of],
            expected=tuple(map(self._region, self.expected)),
            other=self._region(self.other) if self.other else None,
            together=Loss.mean([self._loss(row) for row in self.together]),
        )

    def _units(self, expression: int, seen: Mapping[int, Tensor]) -> list[int]:
        """The action units of an expression that are in the picture."""
        return [u.number for u in self.model.action_units(self.model.classes[expression]) if u.number in seen]

    def _ask(self, units: list[int], region: Tensor) -> _Asked:
        """Ask for a region in both fills, and for as much elsewhere in the face."""
        visible = self.hiding.visible[self.index]
        room = (self.face & ~region & visible)[None, None]
        area = (region & visible).sum()[None]
        drawn, possible = random_regions(area, room, [units[0]], DRAWS)
        half = DRAWS // len(FILLS)
        draws = {fill: drawn[0, k * half : (k + 1) * half] for k, fill in enumerate(FILLS) if possible[0]}
        return _Asked(
            units,
            region,
            {fill: self.hiding.ask(self.index, region, fill) for fill in FILLS},
            {
                fill: [self.hiding.ask(self.index, each, fill) for each in regions]
                for fill, regions in draws.items()
            },
        )

    def _region(self, asked: _Asked) -> HiddenRegion:
        known = self.model.codebook.action_units
        answers = [self.hiding.logits[row].softmax(dim=0) for row in asked.hidden.values()]
        return HiddenRegion(
            units=tuple(known.get(unit) or ActionUnit(unit, f"AU{unit}") for unit in asked.units),
            area=float(asked.region.float().mean()),
            visible=float(self.hiding.visible[self.index][asked.region].float().mean()),
            losses={fill: self._loss(row) for fill, row in asked.hidden.items()},
            controls={
                fill: Loss.mean([self._loss(row) for row in rows]) for fill, rows in asked.controls.items()
            },
            without=dict(zip(self.model.classes, torch.stack(answers).mean(dim=0).tolist(), strict=True)),
            only=None if asked.only is None else self._loss(asked.only),
        )

    def _loss(self, row: int) -> Loss:
        """What the answer loses in a picture."""
        both = torch.stack([self.logits, self.hiding.logits[row]]).double()
        own = torch.tensor([self.own, self.own])
        points = both.softmax(dim=1)[:, self.own]
        log_odds = log_odds_of(both, own)
        against = both[:, self.own] - both[:, self.rival]
        return Loss(*((whole - hidden).item() for whole, hidden in (points, log_odds, against)))


def _joined(regions: Mapping[int, Tensor]) -> list[tuple[list[int], Tensor]]:
    """Regions of units, those joined that overlap by more than half: units by number, and their region."""
    joined: list[tuple[list[int], Tensor]] = []
    for unit in sorted(regions):
        for i, (units, region) in enumerate(joined):
            if (region & regions[unit]).sum() > _SAME * (region | regions[unit]).sum():
                joined[i] = [*units, unit], region | regions[unit]
                break
        else:
            joined.append(([unit], regions[unit]))
    return joined


def _points(region: HiddenRegion) -> float:
    return region.loss.points
