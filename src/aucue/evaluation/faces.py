"""A batch of faces that is being measured: what measures need of it, computed once, when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.cues import AUCue, Cue
from aucue.metrics import (
    CHANGES,
    FILLS,
    MeanCues,
    attention_at,
    cam_at,
    centred_gaussian,
    evidence_in,
    face_region,
    random_regions,
    randomised,
    region_of,
    regions_of,
    uniform_map,
    wrong_expressions,
)
from aucue.models import Look, Model

Some = tuple[Tensor, Tensor]
"""Something of every face (B, ...), and which faces have it (B,)."""


@dataclass(frozen=True)
class Judge:
    """What maps are held against.

    Attributes:
        draw: Draws AU maps of the model's classes.
        expressions: Ids of the classes that have action units, hence a cue (E,).
        mean_cues: Sums of the AU maps of all faces of the split.
    """

    draw: AUCue
    expressions: Tensor
    mean_cues: MeanCues


@dataclass(frozen=True)
class Units:
    """The action units of the expression that a network named, at most U per face.

    Attributes:
        regions: Where each one shows (B, U, H, W) bool: above half the maximum of its own map.
        exists: Which there are (B, U).
        hidden: What the network says with each region hidden.
        costs: Probability of the expression that hiding each region takes (B, U).
    """

    regions: Tensor
    exists: Tensor
    hidden: tuple[Look, ...]
    costs: Tensor

    @property
    def region(self) -> Tensor:
        """All of them together (B, 1, H, W) bool."""
        return self.regions.any(dim=1, keepdim=True)

    @property
    def any(self) -> Tensor:
        """Which faces have one (B,): of a neutral one nothing is expected."""
        return self.exists.any(dim=1)


class MeasuredFaces:
    """A batch under measurement. Maps are (B, 1, H, W) at the input's resolution and not negative.

    Args:
        model: Whose answers and maps are measured.
        judge: What they are held against.
        images: Pictures (B, 3, H, W), uint8 or in [0, 1].
        landmarks: Landmarks (B, 68, 2) in their pixels.
        labels: Ids of the expressions shown (B,).
        index: Rows of the faces in their split.
        before: Landmarks (B, 68, 2) of the face of the same expression that comes before each in the split,
            and whether there is one (B,).
        batch_size: Pictures per pass, where a face takes many.
    """

    def __init__(
        self,
        model: Model,
        judge: Judge,
        images: Tensor,
        landmarks: Tensor,
        labels: Tensor,
        index: list[int],
        before: Some,
        batch_size: int,
    ) -> None:
        self.model, self.judge, self.images = model, judge, images
        self.landmarks, self.labels, self.index = landmarks, labels, index
        self.batch_size, self._before = batch_size, before
        self.size = (model.input_size, model.input_size)

    @cached_property
    def look(self) -> Look:
        """What the network says of them."""
        return self.model.look(self.images)

    @property
    def named(self) -> Tensor:
        """Ids of the expressions that the network named (B,)."""
        return self.look.predicted

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities (B, K) of other pictures, before the temperature."""
        return self.model.look(images).uncalibrated

    @cached_property
    def class_map(self) -> Tensor:
        """Class map of the expression shown, at its own resolution (B, 1, h, w)."""
        return self.look.class_map(self.labels)

    @cached_property
    def named_class_map(self) -> Tensor:
        """Class map of the expression named, at its own resolution (B, 1, h, w)."""
        return self.look.class_map(self.named)

    @cached_property
    def maps(self) -> Mapping[str, Tensor]:
        """The maps that speak of the expression shown, by variant."""
        attention = attention_at(self.look.attention_shown, self.size)
        return {"class_map": cam_at(self.class_map, self.size), "attention": attention}

    @cached_property
    def named_map(self) -> Tensor:
        """Class map of the expression named."""
        return cam_at(self.named_class_map, self.size)

    @cached_property
    def cue(self) -> Cue:
        """AU map of the expression shown."""
        return self.judge.draw(self.landmarks, self.labels, self.size)

    @cached_property
    def named_cue(self) -> Cue:
        """AU map of the expression named."""
        return self.judge.draw(self.landmarks, self.named, self.size)

    @cached_property
    def cue_before(self) -> Cue:
        """AU map of the same expression on the face before."""
        landmarks, exists = self._before
        cue = self.judge.draw(landmarks, self.labels, self.size)
        return cue._replace(valid=cue.valid & exists)

    @cached_property
    def cues(self) -> Tensor:
        """AU maps of every expression on each face (B, E, H, W)."""
        each = [k.expand(len(self.labels)) for k in self.judge.expressions]
        return torch.cat([self.judge.draw(self.landmarks, ids, self.size).map for ids in each], dim=1)

    @cached_property
    def shown(self) -> Tensor:
        """Which of the E expressions each face shows (B,); 0 for neutral, which has no valid cue."""
        return (self.labels[:, None] == self.judge.expressions).int().argmax(dim=1)

    @cached_property
    def region(self) -> Tensor:
        """Action-unit regions of the expression shown (B, 1, H, W) bool."""
        return region_of(self.cue.map)

    def wrong(self, ids: Tensor) -> Some:
        """AU maps of another expression than these: each in turn, by the row in the split."""
        index = torch.tensor(self.index, device=ids.device)
        others = wrong_expressions(ids, index, self.judge.expressions)
        drawn = self.judge.draw(self.landmarks, others, self.size)
        return drawn.map, drawn.valid & (others != ids)

    @cached_property
    def controls(self) -> Mapping[str, Some]:
        """Maps that never looked at the picture, by variant."""
        like = self.cue.map
        return {
            "chance": self.of_all(uniform_map(self.size).to(like).expand_as(like)),
            "centre": self.of_all(centred_gaussian(self.size).to(like).expand_as(like)),
            "mean_face": self.judge.mean_cues.any_class(like, self.labels),
        }

    @cached_property
    def units(self) -> Units:
        """The action units of the expressions named, with what hiding each of them does."""
        maps, drawn = self.judge.draw.single(self.landmarks, self.size)  # (B, n, H, W), (B, n)
        has = drawn & self._units_of_classes()[self.named]
        most = max(1, int(has.sum(dim=1).max()))
        rows = has.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        exists = has.gather(1, rows)
        chosen = maps.gather(1, rows[:, :, None, None].expand(-1, -1, *self.size))
        regions = regions_of(chosen) & exists[:, :, None, None]
        looks = [self.model.look(self.with_hidden(regions[:, [k]])) for k in range(most)]
        probability = self._probability(self.look)
        costs = [probability - self._probability(look) for look in looks]
        return Units(regions, exists, tuple(looks), torch.stack(costs, dim=1))

    def signed_map(self, look: Look, kind: str) -> Tensor:
        """What speaks for the expression named, cell by cell, in logits (B, 1, h, w).

        Args:
            look: At the faces, or at the faces with something hidden.
            kind: "class_map", the map of that class; "log_odds", against the other classes, weighted as for
                the face as it is.
        """
        if kind == "log_odds":
            return look.log_odds_map(self.named, self.look.uncalibrated)
        return look.logit_maps[torch.arange(len(self.named)), self.named][:, None]

    @cached_property
    def unit_evidence(self) -> Tensor:
        """Evidence of each unit of the expression named, against the other expressions (B, U)."""
        return evidence_in(self.signed_map(self.look, "log_odds"), self.units.regions)

    @cached_property
    def shown_unit_evidence(self) -> Mapping[str, Tensor]:
        """Evidence of each unit of the expression shown, by variant (B, n), in the order of
        `AUCue.action_units`; NaN for units of other expressions.
        """
        maps = self._maps_of_shown()
        found = {name: self._unknown_units() for name in maps}
        of_class = self._units_of_classes()[self.labels]
        for k, unit in enumerate(self.judge.draw.action_units):
            rows = of_class[:, k].nonzero()[:, 0]
            if not len(rows):
                continue
            single, drawn = self.judge.draw.single(self.landmarks[rows], self.size, units=[unit])
            region = regions_of(single)
            for name, map_ in maps.items():
                evidence = evidence_in(map_[rows], region)[:, 0]
                found[name][rows, k] = torch.where(drawn[:, 0], evidence, torch.nan)
        own = self._mean_of_own(of_class)
        return found if own is None else {"own_map": own, **found}

    def _maps_of_shown(self) -> Mapping[str, Tensor]:
        """What may speak for the units of the expression shown (B, 1, h, w): maps, then controls."""
        look = self.look
        return {
            "class_map": look.logit_maps[torch.arange(len(self.labels)), self.labels][:, None],
            "log_odds": look.log_odds_map(self.labels),
            "cue": self.cue.map,
            "mean_face": self.controls["mean_face"][0],
            "even_map": self.controls["chance"][0],
        }

    def _mean_of_own(self, of_class: Tensor) -> Tensor | None:
        """What the head sees of each unit of the expression shown, anywhere (B, n); None where it has no maps
        of units.
        """
        head, maps = self.model.network.head, self.look.unit_maps
        if not isinstance(head, ActionUnitHead) or maps is None:
            return None
        found, units = self._unknown_units(), self.judge.draw.action_units
        for unit, seen in zip(head.units, maps.mean(dim=(2, 3)).unbind(dim=1), strict=True):
            if unit in units:
                found[:, units.index(unit)] = seen
        return torch.where(of_class & self.cue.valid[:, None], found, torch.nan)

    def _unknown_units(self) -> Tensor:
        """NaN for every face and unit (B, n)."""
        shape = len(self.labels), len(self.judge.draw.action_units)
        return torch.full(shape, torch.nan, device=self.labels.device)

    @cached_property
    def painted(self) -> Look:
        """What the network says with all action units of the expression named painted over."""
        return self.model.look(self.with_hidden(self.units.region))

    @cached_property
    def filled(self) -> Mapping[str, Tensor]:
        """What stands in hidden pixels (B, 3, H, W), by the name of the fill."""
        return {name: fill(self.images) for name, fill in FILLS.items()}

    @cached_property
    def occluders(self) -> Some:
        """The action-unit regions of the expression named, then random ones of the same area inside the face
        (B, 1 + R, H, W) bool; the face is the hull of its landmarks and the regions of all action units.
        """
        generic = self.judge.draw.generic(self.landmarks, self.size)
        region = region_of(self.named_cue.map)
        inside = face_region(self.landmarks, generic.map) | region
        others, possible = random_regions(region.flatten(1).sum(dim=1), inside, self.index)
        return torch.cat([region, others], dim=1), self.named_cue.valid & possible

    def with_hidden(self, region: Tensor) -> Tensor:
        """The pictures with a region (B, 1, H, W) in their mean colour."""
        return torch.where(region, self.filled["mean"], self.images)

    def cost_of_painting(self) -> Tensor:
        """What painting over all units of the expression named takes from its probability (B,)."""
        return self._probability(self.look) - self._probability(self.painted)

    def _probability(self, look: Look) -> Tensor:
        return look.uncalibrated.gather(1, self.named[:, None])[:, 0]

    def _units_of_classes(self) -> Tensor:
        """Which action units each class has (K, n), in the order of `AUCue.single`."""
        draw = self.judge.draw
        rows = [[unit in draw.codebook[name] for unit in draw.action_units] for name in draw.classes]
        return torch.tensor(rows, device=self.named.device)

    @cached_property
    def changed(self) -> Mapping[str, Look]:
        """What the network says after each change that does not matter."""
        return {
            name: self.model.look(change.apply(self.images, self.index)) for name, change in CHANGES.items()
        }

    @cached_property
    def randomised_maps(self) -> Mapping[str, Tensor]:
        """Class map of the expression named, by networks whose layers are random down to each stage."""
        found = {}
        for stage, copy in randomised(self.model.network):
            network = cast(Classifier, copy)
            look = Look(network, network(self.images), self.model.readout, images=self.images)
            found[stage] = look.class_map(self.named)
        return found

    def of_all(self, values: Tensor) -> Some:
        """Something that every face has."""
        return values, torch.ones_like(self.cue.valid)
