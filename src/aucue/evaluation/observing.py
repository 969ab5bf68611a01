"""Looking at faces through a model: one value per face and figure."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from aucue.cues import AUCue
from aucue.data import FaceDataset
from aucue.evaluation.averages import CLASS_MAP, CUE, FACE, MapSums, sums_of
from aucue.evaluation.faces import Judge, MeasuredFaces
from aucue.evaluation.measures import MEASURES, Figure
from aucue.evaluation.results import Example
from aucue.metrics import MeanCues, map_cosine
from aucue.models import Model
from aucue.pictures import normalize

CHUNK = 8
"""Faces that are looked at together for evidence: each of them stands for some hundred pictures."""


@dataclass
class Seen:
    """What was seen of some faces, in pieces, in the order in which they were seen.

    Attributes:
        rows: Columns (n, ...): "index" (row in the split), "label", "probability" (n, K), "votes"
            (n, K), "valid" (has a cue), "finite" (answers and maps are numbers).
        units: By variant the evidence of each action unit (n, U), NaN for those that a face is not expected
            to show.
        values: One value per face (n,) and figure, NaN where the face takes no part.
        examples: Faces for the report, by their rows in the split.
        sums: What the average maps are made of, by name.
    """

    rows: dict[str, list[Tensor]] = field(default_factory=dict)
    values: dict[Figure, list[Tensor]] = field(default_factory=dict)
    units: dict[str, list[Tensor]] = field(default_factory=dict)
    examples: dict[int, Example] = field(default_factory=dict)
    sums: dict[str, MapSums] = field(default_factory=dict)

    def keep(self, **columns: Tensor) -> None:
        """Keep columns (B, ...) of further faces."""
        for name, values in columns.items():
            self.rows.setdefault(name, []).append(values.cpu())

    def record(self, figure: Figure, values: Tensor, exists: Tensor) -> None:
        """Keep one value per face (B,) of a figure; faces without one (B,) take no part."""
        self.values.setdefault(figure, []).append(torch.where(exists, values.double(), torch.nan).cpu())

    def add(self, sums: Mapping[str, MapSums]) -> None:
        """Add what the average maps of further faces are made of."""
        for name, its in sums.items():
            self.sums[name] = self.sums[name] + its if name in self.sums else its

    def keep_units(self, evidence: Mapping[str, Tensor]) -> None:
        """Keep the evidence of every action unit of further faces, by variant (B, U)."""
        for variant, values in evidence.items():
            self.units.setdefault(variant, []).append(values.cpu())

    def column(self, name: str) -> Tensor:
        """A column over all faces (n, ...)."""
        return torch.cat(self.rows[name])

    def figures(self) -> dict[Figure, Tensor]:
        """The values of every figure over all faces (n,)."""
        return {figure: torch.cat(pieces) for figure, pieces in self.values.items()}

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """What several processes saw, in the order of the split; the first of them saw something."""
        order = torch.cat([piece for part in parts for piece in part.rows.get("index", [])]).argsort()

        def together(pieces: Iterable[Tensor]) -> list[Tensor]:
            return [torch.cat(list(pieces))[order]]

        merged = cls(
            {name: together(p for part in parts for p in part.rows.get(name, [])) for name in parts[0].rows},
            {
                name: together(p for part in parts for p in part.values.get(name, []))
                for name in parts[0].values
            },
            {
                name: together(p for part in parts for p in part.units.get(name, []))
                for name in parts[0].units
            },
            {index: part.examples[index] for part in parts for index in part.examples},
        )
        for part in parts:
            merged.add(part.sums)
        return merged


@dataclass(frozen=True)
class Split:
    """The faces of a split, as a model sees them.

    Attributes:
        dataset: The faces; its transform does nothing but resize.
        labels: The model's class ids (N,).
        scale: Input pixels per pixel of a stored crop.
    """

    dataset: FaceDataset
    labels: Tensor
    scale: float

    def landmarks(self, index: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) in pixels of the input, of faces by their rows (B,)."""
        stored = torch.from_numpy(self.dataset.landmarks[index.numpy()])
        return (stored + 0.5) * self.scale - 0.5


class Observer:
    """Measures faces batch by batch: all of them into `seen`, some of them closely into `closer`.

    Args:
        model: Whose answers and maps are measured; its network is moved to the device.
        draw: Draws AU maps of the model's classes.
        split: All faces.
        batch_size: Pictures per pass through the network.
        examples: Rows of faces to keep for the report.
        device: Where everything is computed.
    """

    def __init__(
        self,
        model: Model,
        draw: AUCue,
        split: Split,
        batch_size: int,
        examples: frozenset[int],
        device: torch.device,
    ) -> None:
        self.model, self.split, self.device = model.to(device), split, device
        self.batch_size, self.examples = batch_size, examples
        self.size = (model.input_size, model.input_size)
        names = expressions(draw)
        ids = torch.tensor([model.classes.index(name) for name in names], device=device)
        self.judge = Judge(draw, ids, self._mean_cues(draw))
        self.before = faces_before(split.labels.numpy(), split.dataset.landmarks_valid)
        self.seen, self.closer = Seen(), Seen()

    @torch.inference_mode()
    def look(self, batch: dict[str, Tensor]) -> None:
        """Measure a batch of the split, with what takes no further pass through the network."""
        faces = self._faces(self.model, batch, batch["index"])
        label, look = faces.labels, faces.look
        self.seen.keep(index=batch["index"], label=label, valid=faces.cue.valid)
        self.seen.keep(probability=look.probabilities, votes=look.votes)
        shown = (faces.look.logits, faces.class_map, faces.named_class_map, *faces.look.attention.values())
        self.seen.keep(finite=torch.stack([values.isfinite().flatten(1).all(1) for values in shown]).all(0))
        self._measure(faces, self.seen, costly=False)
        maps = {FACE: faces.images, CUE: faces.cue.map, **faces.look.attention, CLASS_MAP: faces.class_map}
        self.seen.add(sums_of(maps, label, faces.cue.valid, len(self.model.classes)))
        self.seen.keep_units(faces.shown_unit_evidence)
        for row, index in enumerate(faces.index):
            if index in self.examples:
                self.seen.examples[index] = _example(faces, row)

    @torch.inference_mode()
    def look_closer(self, batch: dict[str, Tensor], index: Tensor) -> None:
        """Measure a batch, with what takes many passes through the network.

        Args:
            batch: Faces.
            index: Their rows in the split (B,).
        """
        images = batch["image"]
        scaled = images / 255 if images.dtype == torch.uint8 else images
        faces = self._faces(self._faster_model, batch | {"image": scaled}, index)
        self.closer.keep(index=batch["index"], label=faces.labels, valid=faces.cue.valid)
        self.closer.keep(map=faces.named_class_map, named=faces.named, cue=faces.named_cue.map)
        self.closer.keep(right=faces.named == faces.labels)
        self._measure(faces, self.closer, costly=True)

    def _measure(self, faces: MeasuredFaces, seen: Seen, costly: bool) -> None:
        for measure in MEASURES.values():
            if measure.of is None or measure.costly != costly:
                continue
            for variant, values in measure.of(faces).items():
                found, exists = values if isinstance(values, tuple) else faces.of_all(values)
                seen.record((measure.key, variant), found, exists & faces.cue.valid)

    def _faces(self, model: Model, batch: dict[str, Tensor], index: Tensor) -> MeasuredFaces:
        before = torch.from_numpy(self.before[index.numpy()])
        return MeasuredFaces(
            model,
            self.judge,
            batch["image"].to(self.device),
            batch["landmarks"].to(self.device),
            self.split.labels[index].to(self.device),
            index.tolist(),
            (self.split.landmarks(before.clamp(min=0)).to(self.device), (before >= 0).to(self.device)),
            self.batch_size,
        )

    @cached_property
    def _faster_model(self) -> Model:
        """The same, twice as fast on a CPU; a copy, since weights in this layout cannot be saved."""
        model, copy = self.model, deepcopy(self.model.network)
        laid_out: Any = copy
        return Model(
            laid_out.to(memory_format=torch.channels_last),
            model.card,
            model.name,
            model.readout,
            self.device,
            prior=model.prior,
        )

    def _mean_cues(self, draw: AUCue) -> MeanCues:
        """Sums of the AU maps of all faces; they are the same in every process."""
        sums = MeanCues(self.model.classes, self.size, self.device)
        for index in torch.arange(len(self.split.labels)).split(64):
            labels = self.split.labels[index].to(self.device)
            cue = draw(self.split.landmarks(index).to(self.device), labels, self.size)
            sums.update(cue.map, labels, cue.valid)
        return sums


def _example(faces: MeasuredFaces, row: int) -> Example:
    """What the report shows of a face."""
    classes, look = faces.model.classes, faces.look
    probability, prediction = look.probabilities[row].max(dim=0)
    return Example(
        key="",
        label=classes[int(faces.labels[row])],
        prediction=classes[int(prediction)],
        probability=float(probability),
        image=faces.images[row].permute(1, 2, 0).cpu().numpy(),
        attention=normalize(look.attention_shown[row, 0].nan_to_num(0, 0, 0).cpu().numpy()),
        class_map=faces.class_map[row, 0].cpu().numpy(),
        cue=faces.cue.map[row, 0].cpu().numpy() if faces.cue.valid[row] else None,
    )


def compare_with_other_faces(seen: Seen) -> None:
    """How alike the class maps of different faces are, and those of faces that are called the same."""
    maps, valid = seen.column("map"), seen.column("valid")
    another = map_cosine(maps, maps.roll(1, dims=0))
    seen.record(("stability", "another_face"), another, valid & (len(maps) > 1))
    before = torch.from_numpy(faces_before(seen.column("named").numpy(), valid.numpy()))
    for variant, its in (("class_map", maps), ("cue", seen.column("cue"))):
        alike = map_cosine(its, its[before.clamp(min=0)])
        shown = seen.column("cue").flatten(1).any(dim=1)  # an expression without action units has no map
        seen.record(("template.cosine", variant), alike, (before >= 0) & shown)


def expressions(draw: AUCue) -> tuple[str, ...]:
    """The classes that have action units, hence a cue."""
    return tuple(label for label in draw.classes if draw.codebook[label])


def faces_before(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The face with the same label and known landmarks that comes before each face.

    Args:
        labels: Class ids (N,).
        valid: Which faces' landmarks are known (N,).

    Returns:
        Its row (N,), -1 where there is none, or where the face's own landmarks are unknown.
    """
    before = np.full(len(labels), -1)
    for label in np.unique(labels):
        rows = np.flatnonzero((labels == label) & valid)
        before[rows[1:]] = rows[:-1]
    return before


def first_of_each(labels: np.ndarray, count: int) -> frozenset[int]:
    """Rows of the first faces of every label."""
    return frozenset(int(i) for label in np.unique(labels) for i in np.flatnonzero(labels == label)[:count])


def chosen_faces(labels: np.ndarray, valid: np.ndarray, with_cue: Sequence[int], count: int) -> np.ndarray:
    """Which faces' evidence is measured: as many of each expression, evenly spread over the split.

    Args:
        labels: Class ids (N,).
        valid: Which faces' landmarks are known (N,).
        with_cue: Ids of the classes that have action units.
        count: Faces per class; all where there are fewer.

    Returns:
        Their rows, ascending.
    """
    chosen = []
    for label in with_cue:
        rows = np.flatnonzero((labels == label) & valid)
        if len(rows):
            chosen.append(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, int)
