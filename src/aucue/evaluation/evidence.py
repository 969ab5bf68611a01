"""Does the decision depend on what the map shows? A classifier's evidence, measured on some faces."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.cues import AUCue, Cue
from aucue.data import FaceDataset
from aucue.errors import InputError
from aucue.evaluation.observer import Seen, expressions
from aucue.evaluation.results import Estimate, Evaluation, Mean, number
from aucue.metrics import (
    CHANGES,
    FILLS,
    STEPS,
    MeanCues,
    area_under_curve,
    attention_at,
    cam_at,
    centred_gaussian,
    deletion_curve,
    energy_inside,
    expression_means,
    insertion_curve,
    map_cosine,
    percentile_interval,
    points_hull,
    points_inside,
    probability_losses,
    random_regions,
    randomised,
    rank_correlation,
    region_of,
    resampled_means,
    specificity_margin,
    uniform_map,
    wrong_expressions,
)
from aucue.models import Look, Model

FACES = 25
"""Faces per expression that are measured by default: what a CPU can do in minutes with a small network."""

CHUNK = 8
"""Faces that are looked at together: each of them stands for some hundred pictures."""

Maps = dict[str, tuple[Tensor, Tensor]]
"""Name -> maps (B, 1, H, W) not negative, and which faces have one (B,)."""


class Evidence:
    """Measures what a network's decisions rest on, face by face, into `seen`.

    Deletion, insertion, occlusion, stability and randomisation ask about the expression that the network
    named; pointing, energy and specificity about the one that the face shows, as CAM-COS does.

    Args:
        model: Whose decisions and maps are measured, on a copy of its network.
        draw: Draws AU maps of the model's classes.
        label_ids: The model's id of each class of the set.
        dataset: The set; its transform does nothing but resize.
        places: Which faces of the set are measured, see `chosen_faces`.
        scale: Input pixels per pixel of a stored crop.
        batch_size: Pictures per pass through the network.
        device: Where everything is computed.

    Attributes:
        dataset: The faces that are measured.
        seen: What was found; its "index" is the place among those faces.
    """

    def __init__(
        self,
        model: Model,
        draw: AUCue,
        label_ids: Tensor,
        dataset: FaceDataset,
        places: np.ndarray,
        scale: float,
        batch_size: int,
        device: torch.device,
    ):
        # twice as fast on a CPU; a copy, since weights in this layout cannot be saved
        copy: Any = deepcopy(model.network)
        self.model = Model(
            copy.to(memory_format=torch.channels_last), model.card, model.name, model.readout, device
        )
        self.draw, self.device = draw, device
        self.label_ids, self.places = label_ids.to(device), places
        self.dataset, self.batch_size = dataset.subset(places), batch_size
        self.size = (model.input_size, model.input_size)
        names = expressions(draw)
        self.expressions = torch.tensor([model.classes.index(name) for name in names], device=device)
        self.mean_cues = self._mean_cues(scale)
        self.seen = Seen(model.classes)

    @torch.inference_mode()
    def look(self, batch: dict[str, Tensor]) -> None:
        """Measure a batch of `dataset`."""
        images, landmarks = batch["image"].to(self.device), batch["landmarks"].to(self.device)
        images = images / 255 if images.dtype == torch.uint8 else images
        labels = self.label_ids[batch["label"].to(self.device)]
        look = self.model.look(images)
        faces = _Faces(
            images,
            landmarks,
            labels,
            named=look.predicted,
            cue=self.draw(landmarks, labels, self.size),
            places=self.places[batch["index"].numpy()].tolist(),
        )
        true_map, named_map = look.class_map(labels), look.class_map(faces.named)
        attended = attention_at(look.attention_shown, self.size)
        self.seen.keep(index=batch["index"], label=labels, valid=faces.cue.valid, map=named_map)
        controls = self._controls(faces)
        maps = {
            "class map": faces.all_have(cam_at(true_map, self.size)),
            "attention": faces.all_have(attended),
        }
        self._compare_with_regions(faces, maps | controls | {"wrong expression": self._wrong(faces, labels)})
        self._compare_expressions(faces, maps | controls)
        maps = {"class map": faces.all_have(cam_at(named_map, self.size))}
        maps |= controls | {"wrong expression": self._wrong(faces, faces.named)}
        for fill in FILLS:
            filled = FILLS[fill](images)
            self._delete_and_insert(faces, fill, filled, maps)
            self._hide_regions(faces, fill, filled)
        self._change(faces, maps["class map"][0])
        self._randomise(faces, named_map)

    def _record(self, name: str, values: Tensor, faces: "_Faces", exists: Tensor | None = None) -> None:
        valid = faces.cue.valid if exists is None else faces.cue.valid & exists
        self.seen.record(name, values, faces.labels, valid)

    def _compare_with_regions(self, faces: "_Faces", maps: Maps) -> None:
        region = region_of(faces.cue.map)
        for name, (map_, exists) in maps.items():
            self._record(f"pointing {name}", points_inside(map_, region), faces, exists)
            self._record(f"energy {name}", energy_inside(map_, region), faces, exists)

    def _compare_expressions(self, faces: "_Faces", maps: Maps) -> None:
        ids = [k.expand(len(faces.labels)) for k in self.expressions]
        cues = torch.cat([self.draw(faces.landmarks, k, self.size).map for k in ids], dim=1)  # (B, E, H, W)
        # 0 for neutral, which is not valid
        true = (faces.labels[:, None] == self.expressions).int().argmax(dim=1)
        for name in ("class map", "attention", "centre", "mean face"):
            map_, exists = maps[name]
            margin = specificity_margin(map_, cues, true)
            self._record(f"specific {name}", margin > 0, faces, exists)
            self._record(f"margin {name}", margin, faces, exists)

    def _delete_and_insert(self, faces: "_Faces", fill: str, filled: Tensor, maps: Maps) -> None:
        curves = {"deletion": deletion_curve, "insertion": insertion_curve}
        for (measure, curve), (name, (map_, exists)) in product(curves.items(), maps.items()):
            found = curve(self._predict, faces.images, filled, map_, faces.named, STEPS, self.batch_size)
            self._record(f"{measure} {fill} {name}", area_under_curve(found), faces, exists)

    def _hide_regions(self, faces: "_Faces", fill: str, filled: Tensor) -> None:
        """AU occlusion; the face is the hull of its landmarks and the regions of all action units."""
        named = self.draw(faces.landmarks, faces.named, self.size)
        region, generic = (
            region_of(cue.map) for cue in (named, self.draw.generic(faces.landmarks, self.size))
        )
        inside = points_hull(faces.landmarks, self.size) | generic | region
        others, possible = random_regions(region.flatten(1).sum(dim=1), inside, faces.places)
        regions = torch.cat([region, others], dim=1)
        losses = probability_losses(
            self._predict, faces.images, filled, regions, faces.named, self.batch_size
        )
        exists = named.valid & possible
        self._record(f"occlusion {fill} action units", losses[:, 0], faces, exists)
        self._record(f"occlusion {fill} random regions", losses[:, 1:].mean(dim=1), faces, exists)

    def _change(self, faces: "_Faces", map_: Tensor) -> None:
        for name, change in CHANGES.items():
            look = self.model.look(change.apply(faces.images, faces.places))
            changed = look.class_map(faces.named)
            self._record(f"stability {name}", change.stability(map_, cam_at(changed, self.size)), faces)
            self._record(f"same decision {name}", look.predicted == faces.named, faces)

    def _randomise(self, faces: "_Faces", map_: Tensor) -> None:
        for name, copy in randomised(self.model.network):
            assert isinstance(copy, Classifier)
            changed = Look(copy, copy(faces.images), self.model.readout).class_map(faces.named)
            self._record(f"randomised {name}", rank_correlation(map_, changed), faces)
            self._record(f"cosine randomised {name}", map_cosine(map_, changed), faces)

    def _predict(self, images: Tensor) -> Tensor:
        return self.model.look(images).probabilities

    def _controls(self, faces: "_Faces") -> Maps:
        """Maps that never looked at the image."""
        like = faces.cue.map
        return {
            "chance": faces.all_have(uniform_map(self.size).to(like).expand_as(like)),
            "centre": faces.all_have(centred_gaussian(self.size).to(like).expand_as(like)),
            "mean face": self.mean_cues.any_class(like, faces.labels),
        }

    def _wrong(self, faces: "_Faces", ids: Tensor) -> tuple[Tensor, Tensor]:
        """AU maps of another expression than these: each in turn, by the place in the set."""
        wrong = wrong_expressions(ids, torch.tensor(faces.places, device=self.device), self.expressions)
        drawn = self.draw(faces.landmarks, wrong, self.size)
        return drawn.map, drawn.valid & (wrong != ids)

    def _mean_cues(self, scale: float) -> MeanCues:
        """Sums of the AU maps of all measured faces; they are the same in every process."""
        sums = MeanCues(self.model.classes, self.size, self.device)
        landmarks = (torch.from_numpy(self.dataset.landmarks).to(self.device) + 0.5) * scale - 0.5
        labels = self.label_ids[torch.from_numpy(self.dataset.labels).to(self.device)]
        for points, ids in zip(landmarks.split(64), labels.split(64), strict=True):
            cue = self.draw(points, ids, self.size)
            sums.update(cue.map, ids, cue.valid)
        return sums


@dataclass(frozen=True)
class _Faces:
    """A batch that is measured: images (B, 3, S, S) in [0, 1], landmarks in their pixels, ids (B,).

    Attributes:
        named: The expressions that the network named.
        cue: AU maps of the expressions that the faces show.
        places: Their places in the set.
    """

    images: Tensor
    landmarks: Tensor
    labels: Tensor
    named: Tensor
    cue: Cue
    places: list[int]

    def all_have(self, map_: Tensor) -> tuple[Tensor, Tensor]:
        """A map that every face has."""
        return map_, torch.ones_like(self.cue.valid)


def chosen_faces(labels: np.ndarray, valid: np.ndarray, with_cue: Sequence[int], count: int) -> np.ndarray:
    """Which faces are measured: as many of each expression, evenly spread over the set.

    Args:
        labels: Class ids (N,).
        valid: Which faces' landmarks are known (N,).
        with_cue: Ids of the classes that have action units.
        count: Faces per class; all where there are fewer.

    Returns:
        Their places in the set, ascending.

    Raises:
        InputError: The count is less than 1.
    """
    if count < 1:
        raise InputError(f"evidence needs at least one face per expression, not {count}.")
    chosen = []
    for label in with_cue:
        places = np.flatnonzero((labels == label) & valid)
        if len(places):
            chosen.append(
                places[np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)]
            )
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, int)


def with_evidence(evaluation: Evaluation, seen: Seen, places: np.ndarray) -> Evaluation:
    """The evaluation with its evidence, and with the measured values in its rows.

    Args:
        evaluation: With one row per face.
        seen: What was seen of some faces, "index" being their place in `places`.
        places: Places of those faces in the set.

    Returns:
        A new evaluation; a note says how many faces were measured.
    """
    maps, labels = seen.column("map"), seen.column("label")
    another = map_cosine(maps, maps.roll(1, dims=0))
    seen.record("stability another face", another, labels, seen.column("valid") & (len(maps) > 1))
    names = list(seen.sums)
    values = np.stack([seen.column(name).numpy() for name in names])
    _, resampled = resampled_means(values, labels.numpy(), np.ones(len(names), bool))
    evidence = {
        name: _estimate(
            Mean.of(expression_means(*seen.sums[name]), evaluation.classes, evaluation.expressions),
            resampled[:, k],
        )
        for k, name in enumerate(names)
    }
    for fill in FILLS:
        ours, others = f"occlusion {fill} action units", f"occlusion {fill} random regions"
        ups, downs = resampled[:, names.index(ours)], resampled[:, names.index(others)]
        evidence[f"occlusion {fill} ratio"] = _ratio(evidence[ours], evidence[others], ups, downs)
    rows = [row | dict.fromkeys(names) for row in evaluation.images]
    for k, place in enumerate(places.tolist()):
        found = {name: number(values[m, k]) for m, name in enumerate(names)}
        rows[place] |= found
    note = (
        f"Evidence was measured on {len(places)} faces, as many of each expression as there are up to "
        f"{int(labels.bincount().max())}, with {STEPS} steps of deletion and insertion; intervals are 95 % "
        "bootstrap intervals over these faces."
    )
    return replace(evaluation, evidence=evidence, images=rows, notes=(*evaluation.notes, note))


def _estimate(mean: Mean, resampled: np.ndarray) -> Estimate:
    interval = None if mean.macro is None else percentile_interval(resampled)
    return Estimate(mean.macro, mean.micro, mean.per_expression, mean.count, interval)


def _ratio(above: Estimate, below: Estimate, ups: np.ndarray, downs: np.ndarray) -> Estimate:
    """Ratio of two averages; without an interval where the lower one may be nothing.

    Args:
        above: Average loss with the regions hidden.
        below: Average loss with random regions hidden.
        ups: Averages of the first on resamples (R,).
        downs: Averages of the second on the same resamples (R,).
    """
    clear = below.interval is not None and below.interval[0] > 0
    return Estimate(
        macro=_share(above.macro, below.macro),
        micro=_share(above.micro, below.micro),
        per_expression={
            name: _share(value, below.per_expression[name]) for name, value in above.per_expression.items()
        },
        count=above.count,
        interval=percentile_interval((ups / downs)[downs > 0]) if clear else None,
    )


def _share(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below is not None and below > 0 else None
