"""Looking at faces through a classifier: one value per face and figure, and the sums of a whole set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from aucue.cues import AUCue, Cue
from aucue.data import FaceDataset
from aucue.evaluation.results import Classification, Evaluation, Example, Mean
from aucue.metrics import (
    CONTROLS,
    MeanCues,
    attention_at,
    cam_at,
    classification_report,
    confusion_counts,
    control_cosines,
    expression_means,
    expression_sums,
    is_specific,
    map_cosine,
    wrong_expressions,
)
from aucue.models import Look, Model
from aucue.pictures import normalize


@dataclass
class Seen:
    """What was seen of some faces of a set.

    Attributes:
        classes: The model's classes.
        rows: Columns (n, ...) in pieces, in the order in which the faces were seen: "index" (place in the
            set), "label", "valid" (has a cue), "probability" (n, K), and every recorded value.
        sums: Sums and counts (K,) per class of every recorded value, see `expression_sums`.
        examples: Faces for the report, by their places in the set.
    """

    classes: tuple[str, ...]
    rows: dict[str, list[Tensor]] = field(default_factory=dict)
    sums: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    examples: dict[int, Example] = field(default_factory=dict)

    def keep(self, **columns: Tensor) -> None:
        """Keep columns (B, ...) of further faces."""
        for name, values in columns.items():
            self.rows.setdefault(name, []).append(values.cpu())

    def record(self, name: str, values: Tensor, labels: Tensor, valid: Tensor) -> None:
        """Add one value per face (B,) to the sums and to the column of that name."""
        self.add(name, *expression_sums(values, labels, valid, len(self.classes)))
        self.keep(**{name: torch.where(valid, values.double(), torch.nan)})

    def add(self, name: str, sums: Tensor, counts: Tensor) -> None:
        """Add to the sums of that name."""
        before = self.sums.get(name)
        self.sums[name] = (sums, counts) if before is None else (before[0] + sums, before[1] + counts)

    def column(self, name: str) -> Tensor:
        """A column over all faces (n, ...)."""
        return torch.cat(self.rows[name])

    def on_cpu(self) -> Self:
        """The same in main memory, as other processes can take it."""
        return replace(self, sums={name: (s.cpu(), n.cpu()) for name, (s, n) in self.sums.items()})

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """What several processes saw, in the order of the set; the first of them saw something."""
        whole = cls(parts[0].classes)
        for part in parts:
            for name, sums in part.sums.items():
                whole.add(name, *sums)
        columns = {
            name: torch.cat([piece for part in parts for piece in part.rows.get(name, [])])
            for name in parts[0].rows
        }
        order = columns["index"].argsort()
        whole.rows = {name: [values[order]] for name, values in columns.items()}
        whole.examples = {index: part.examples[index] for part in parts for index in part.examples}
        return whole


class Observer:
    """Sees faces once (`look`), then their landmarks once more (`compare_with_controls`).

    Args:
        model: Whose attention and class maps are compared; its network is moved to the device.
        draw: Draws AU maps of the model's classes.
        label_ids: The model's id of each class of the set.
        dataset: The set; its transform does nothing but resize.
        scale: Input pixels per pixel of a stored crop.
        examples: Faces per class to keep for the report: the first of the set.
        device: Where everything is computed.
    """

    def __init__(
        self,
        model: Model,
        draw: AUCue,
        label_ids: Tensor,
        dataset: FaceDataset,
        scale: float,
        examples: int,
        device: torch.device,
    ):
        self.model, self.draw, self.device = model.to(device), draw, device
        self.label_ids = label_ids.to(device)
        self.classes = model.classes
        self.expressions = expressions(draw)
        self.size = (model.input_size, model.input_size)
        self.landmarks, self.scale = dataset.landmarks, scale
        self.before = faces_before(dataset.labels, dataset.landmarks_valid)
        self.shown = first_of_each(dataset.labels, examples)
        self.mean_cues = MeanCues(self.classes, self.size, device)
        self.seen = Seen(self.classes)

    @torch.inference_mode()
    def look(self, batch: dict[str, Tensor]) -> None:
        """Classify a batch and measure where the network looked."""
        images, landmarks = batch["image"].to(self.device), batch["landmarks"].to(self.device)
        labels = self.label_ids[batch["label"].to(self.device)]
        look = self.model.look(images)
        cue = self.draw(landmarks, labels, self.size)
        self.mean_cues.update(cue.map, labels, cue.valid)
        self.seen.keep(index=batch["index"], label=labels, valid=cue.valid, probability=look.probabilities)

        for layer, map_ in look.attention.items():
            cosines = map_cosine(attention_at(map_, self.size), cue.map)
            self.seen.record(f"att_cos {layer}", cosines, labels, cue.valid)
        true_map, predicted_map = look.class_map(labels), look.class_map(look.predicted)
        for name, map_ in (("cam_cos", true_map), ("cam_cos predicted class", predicted_map)):
            self.seen.record(name, map_cosine(cam_at(map_, self.size), cue.map), labels, cue.valid)
        maps = {
            "class map": cam_at(true_map, self.size),
            "attention": attention_at(look.attention_shown, self.size),
        }
        shown = (look.logits, true_map, predicted_map, *look.attention.values())
        self.seen.keep(finite=torch.stack([values.isfinite().flatten(1).all(1) for values in shown]).all(0))
        self.compare_expressions(landmarks, labels, cue.valid, maps)
        self.compare_faces(batch["index"], labels, cue, maps)
        self.keep_examples(batch, labels, look, true_map, cue)

    def compare_expressions(
        self, landmarks: Tensor, labels: Tensor, valid: Tensor, maps: dict[str, Tensor]
    ) -> None:
        """Compare maps (B, 1, H, W) with the AU maps of every expression on the same face."""
        ids = torch.tensor([self.classes.index(name) for name in self.expressions], device=self.device)
        drawn = [self.draw(landmarks, ids[k].expand(len(labels)), self.size).map for k in range(len(ids))]
        cues = torch.cat(drawn, dim=1)  # (B, E, H, W)
        true = (labels[:, None] == ids).int().argmax(dim=1)  # 0 for neutral, which is not valid
        for name, map_ in maps.items():
            self.seen.record(f"specificity {name}", is_specific(map_, cues, true), labels, valid)

    def compare_faces(self, index: Tensor, labels: Tensor, cue: Cue, maps: dict[str, Tensor]) -> None:
        """Compare maps (B, 1, H, W) with the AU map of the face of the same expression that comes before."""
        before = torch.from_numpy(self.before[index.numpy()])
        other = self.draw(self.landmarks_of(before.clamp(min=0)), labels, self.size)
        met = cue.valid & other.valid & (before >= 0).to(self.device)
        for name, map_ in maps.items():
            nearer = map_cosine(map_, cue.map) > map_cosine(map_, other.map)
            self.seen.record(f"own face {name}", nearer, labels, met)

    def landmarks_of(self, index: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) in pixels of the input, of faces by their places in the set."""
        stored = torch.from_numpy(self.landmarks[index.numpy()]).to(self.device)
        return (stored + 0.5) * self.scale - 0.5

    def keep_examples(
        self,
        batch: dict[str, Tensor],
        labels: Tensor,
        look: Look,
        class_map: Tensor,
        cue: Cue,
    ) -> None:
        """Keep the faces that the report shows."""
        for row, index in enumerate(batch["index"].tolist()):
            if index not in self.shown:
                continue
            probability, prediction = look.probabilities[row].max(dim=0)
            self.seen.examples[index] = Example(
                key="",
                label=self.classes[int(labels[row])],
                prediction=self.classes[int(prediction)],
                probability=float(probability),
                image=batch["image"][row].permute(1, 2, 0).numpy(),
                attention=normalize(look.attention_shown[row, 0].nan_to_num(0, 0, 0).cpu().numpy()),
                class_map=class_map[row, 0].cpu().numpy(),
                cue=cue.map[row, 0].cpu().numpy() if cue.valid[row] else None,
            )

    @torch.inference_mode()
    def compare_with_controls(self, batch_size: int) -> None:
        """Cosines of the controls, which rest on the cues of the other faces: all must have been seen."""
        if not self.seen.rows:
            return
        indices, labels = self.seen.column("index"), self.seen.column("label")
        with_cue = torch.tensor([self.classes.index(name) for name in self.expressions], device=self.device)
        for index, label in zip(indices.split(batch_size), labels.split(batch_size), strict=True):
            label, landmarks = label.to(self.device), self.landmarks_of(index)
            cue = self.draw(landmarks, label, self.size)
            other = wrong_expressions(label, index.to(self.device), with_cue)
            wrong = self.draw(landmarks, other, self.size)
            values, exists = map_cosine(wrong.map, cue.map), cue.valid & wrong.valid & (other != label)
            self.seen.record("control wrong expression", values, label, exists)
            for name, (values, others) in control_cosines(cue.map, label, self.mean_cues).items():
                self.seen.record(f"control {name}", values, label, cue.valid & others)


def expressions(draw: AUCue) -> tuple[str, ...]:
    """The classes that have action units, hence a cue."""
    return tuple(label for label in draw.classes if draw.codebook[label])


def faces_before(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The face with the same label and known landmarks that comes before each face.

    Args:
        labels: Class ids (N,).
        valid: Which faces' landmarks are known (N,).

    Returns:
        Its place (N,), -1 where there is none, or where the face's own landmarks are unknown.
    """
    before = np.full(len(labels), -1)
    for label in np.unique(labels):
        places = np.flatnonzero((labels == label) & valid)
        before[places[1:]] = places[:-1]
    return before


def first_of_each(labels: np.ndarray, count: int) -> set[int]:
    """Places of the first faces of every label."""
    return {int(i) for label in np.unique(labels) for i in np.flatnonzero(labels == label)[:count]}


def summarise(seen: Seen, model: Model, draw: AUCue, keys: Sequence[str]) -> Evaluation:
    """All figures of a set; the model, the rest of the data and the notes are described by the caller.

    Args:
        seen: All faces of the set, in its order.
        model: What was looked through.
        draw: What drew the AU maps.
        keys: Names of the faces.
    """
    labels, valid = seen.column("label"), seen.column("valid")
    predictions = seen.column("probability").argmax(dim=1)
    confusion = confusion_counts(predictions, labels, len(seen.classes))
    with_cue = expressions(draw)
    has_action_units = torch.tensor([label in with_cue for label in seen.classes])[labels]

    def mean(name: str) -> Mean:
        return Mean.of(expression_means(*seen.sums[name]), seen.classes, with_cue)

    return Evaluation(
        model={},
        data={
            "faces": len(labels),
            "codebook": draw.codebook.name,
            "regions": draw.regions.name,
            "size": model.input_size,
        },
        classes=seen.classes,
        expressions=with_cue,
        without_cue={
            "no action units": int((~has_action_units).sum()),
            "no landmarks": int((has_action_units & ~valid).sum()),
        },
        classification=Classification.of(classification_report(confusion), seen.classes),
        attention_layer=model.layer,
        att_cos={layer: mean(f"att_cos {layer}") for layer in model.network.layers},
        cam_cos=mean("cam_cos"),
        cam_cos_predicted=mean("cam_cos predicted class"),
        controls={name: mean(f"control {name}") for name in CONTROLS},
        specificity={name: mean(f"specificity {name}") for name in ("class map", "attention")},
        own_face={name: mean(f"own face {name}") for name in ("class map", "attention")},
        images=_table(seen, predictions, keys),
        examples=[replace(seen.examples[i], key=keys[i]) for i in sorted(seen.examples)],
    )


def _table(seen: Seen, predictions: Tensor, keys: Sequence[str]) -> list[dict[str, Any]]:
    """One row per face: key, label, prediction, probabilities, every recorded value (None: no cue)."""
    probabilities = seen.column("probability").tolist()
    recorded = {name: seen.column(name).tolist() for name in seen.sums}
    rows = []
    for i, (key, label, prediction) in enumerate(
        zip(keys, seen.column("label").tolist(), predictions.tolist(), strict=True)
    ):
        shares = zip(seen.classes, probabilities[i], strict=True)
        values = {name: column[i] for name, column in recorded.items()}
        rows.append(
            {
                "key": key,
                "label": seen.classes[label],
                "prediction": seen.classes[prediction],
                "correct": int(prediction == label),
                **{f"p {name}": share for name, share in shares},
                **{name: None if math.isnan(value) else value for name, value in values.items()},
            }
        )
    return rows
