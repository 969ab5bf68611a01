"""What is measured of each face of a prepared set, and what is odd about it."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from aucue.data import FaceDataset, PreparedSet, open_prepared
from aucue.data.description import PROBLEMS_FILE
from aucue.inspection.twins import Fingerprints, find_twins, fingerprints
from aucue.models import Model

SMALL = 40
"""Side of a face in its photograph, in pixels, below which it is called small."""

UNUSUAL = 4.0
"""How many times as far as usual landmarks lie from the set's mean face before they are called unusual."""

DULL = 0.35
"""Share of the usual contrast below which a face is called dull."""


_REASONS = {
    "alike in two splits": "Faces as good as the same in two splits, of which a test says nothing",
    "alike in another set": "Faces as good as the same in another set that was named",
    "alike with two labels": "Faces as good as the same with two labels (look whether both are right)",
    "alike": "Faces as good as the same in one split",
    "no face found": "Pictures without a face that was found, stored as their centre",
    "only a box is known": "Faces without landmarks, which are never guided",
    "unusual landmarks": "Faces with unusual landmarks (look whether they fit)",
    "hardly any contrast": "Faces with hardly any contrast",
}


@dataclass(frozen=True)
class InspectedFace:
    """One face of a set.

    Attributes:
        split: Its split.
        row: Its place there.
        key: Name of its photograph.
        label: Its class.
        person: Who is seen, if known.
        how: How the face was found.
        side: Shorter side of the face in its photograph, in pixels.
        contrast: Standard deviation of the brightness, 0 to 127.
        distance: Distance of the landmarks from the set's median face, relative to the usual distance; NaN
            without landmarks.
        twin: A face that is as good as the same: "KEY (SPLIT, LABEL)"; None if there is none.
        odd: How odd it is; 0 if nothing is.
        why: What is odd, in words.
    """

    split: str
    row: int
    key: str
    label: str
    person: str | None
    how: str
    side: float
    contrast: float
    distance: float
    twin: str | None = None
    odd: float = 0.0
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What was found in a set.

    Attributes:
        prepared: The set.
        faces: All of its faces, in its order.
        counts: Faces per (class, split).
        warnings: What to know before training, one sentence each.
    """

    prepared: PreparedSet
    faces: tuple[InspectedFace, ...]
    counts: Mapping[tuple[str, str], int]
    warnings: tuple[str, ...]

    @property
    def oddest_first(self) -> list[InspectedFace]:
        """The faces, odd ones first."""
        return sorted(self.faces, key=lambda face: -face.odd)


def inspect_set(
    data: str | os.PathLike[str],
    against: Sequence[str | os.PathLike[str]] = (),
    model: str | os.PathLike[str] | Model | None = None,
) -> Inspection:
    """Look at every face of a prepared set.

    Args:
        data: Folder of the set.
        against: Further sets, such as the one that a model was trained on: faces that are in these too leak.
        model: A model whose card is asked whether it was trained on this set.

    Raises:
        InputError: There is no such set or model.
    """
    prepared = open_prepared(data)
    splits = {split: prepared.dataset(split) for split in prepared.splits}
    faces = [face for split in splits for face in _measured(prepared, split, splits[split])]
    prints = _prints(splits.values())
    twins = _twins(faces, prints, [open_prepared(path) for path in against])
    judged = _judged(faces, splits, twins)
    warnings = [*_warnings(prepared, judged), *([] if model is None else [_of_model(prepared, model)])]
    counts = Counter((face.label, face.split) for face in faces)
    return Inspection(prepared, judged, counts, tuple(warnings))


def crops(dataset: FaceDataset) -> Iterator[Image.Image]:
    """The stored crops of a split, one after the other."""
    for index in range(len(dataset)):
        yield Image.fromarray(dataset[index]["image"].permute(1, 2, 0).numpy())


def _measured(prepared: PreparedSet, split: str, dataset: FaceDataset) -> Iterator[InspectedFace]:
    columns = [dataset.column(name) for name in ("key", "person", "how", "box")]
    contrasts = (float(np.asarray(crop.convert("L")).std()) for crop in crops(dataset))
    rows = zip(*columns, dataset.labels, contrasts, strict=True)
    for row, (key, person, how, box, label, contrast) in enumerate(rows):
        side = min(box[2] - box[0], box[3] - box[1])
        name = prepared.classes[label]
        yield InspectedFace(split, row, key, name, person, how, side, contrast, float("nan"))


def _prints(datasets: Iterable[FaceDataset]) -> Fingerprints:
    return fingerprints(crop for dataset in datasets for crop in crops(dataset))


def _twins(
    faces: Sequence[InspectedFace], prints: Fingerprints, others: Sequence[PreparedSet]
) -> dict[int, tuple[float, str, str]]:
    """For each face that is somewhere else, too: how bad that is, where, and what is wrong."""
    found: dict[int, tuple[float, str, str]] = {}
    for later, earlier in find_twins(prints):
        for this, that in ((later, earlier), (earlier, later)):
            face, twin = faces[this], faces[that]
            weight, what = (
                (300.0, "alike in two splits")
                if face.split != twin.split
                else (200.0, "alike with two labels")
                if face.label != twin.label
                else (20.0, "alike")
            )
            found[this] = max(found.get(this, (0.0, "", "")), (weight, _named(twin), what))
    for other in others:
        splits = {split: other.dataset(split) for split in other.splits}
        there = [face for split in splits for face in _measured(other, split, splits[split])]
        for this, that in find_twins(prints, _prints(splits.values())):
            where = f"{_named(there[that])} of {other.path}"
            found[this] = max(found.get(this, (0.0, "", "")), (250.0, where, "alike in another set"))
    return found


def _named(face: InspectedFace) -> str:
    return f"{face.key} ({face.split}, {face.label})"


def _judged(
    faces: Sequence[InspectedFace],
    splits: Mapping[str, FaceDataset],
    twins: Mapping[int, tuple[float, str, str]],
) -> tuple[InspectedFace, ...]:
    distances = _distances(np.concatenate([dataset.landmarks for dataset in splits.values()]))
    usual = float(np.median([face.contrast for face in faces]))
    judged = []
    for index, (face, distance) in enumerate(zip(faces, distances.tolist(), strict=True)):
        weight, twin, what = twins.get(index, (0.0, "", ""))
        reasons = {f"{what}: {twin}": weight} if twin else {}
        if face.how in ("none", "box"):
            reasons["no face found" if face.how == "none" else "only a box is known"] = 100.0
        if distance > UNUSUAL:
            reasons["unusual landmarks"] = 10 * distance
        if face.side < SMALL and face.how != "none":
            reasons[f"small in the photograph ({face.side:.0f} pixels)"] = SMALL / max(face.side, 1.0)
        if face.contrast < DULL * usual:
            reasons["hardly any contrast"] = 5.0
        judged.append(
            replace(
                face,
                distance=distance,
                twin=twin or None,
                odd=sum(reasons.values()),
                why=tuple(sorted(reasons, key=lambda reason: -reasons[reason])),
            )
        )
    return tuple(judged)


def _distances(landmarks: np.ndarray) -> np.ndarray:
    """How far each face's landmarks (N, 68, 2) lie from the median face, relative to the usual distance."""
    known = np.isfinite(landmarks).all((1, 2))
    distances = np.full(len(landmarks), np.nan)
    if known.any():
        median = np.median(landmarks[known], axis=0)
        away = np.linalg.norm(landmarks[known] - median, axis=2).mean(1)
        distances[known] = away / max(float(np.median(away)), 1e-6)
    return distances


def _warnings(prepared: PreparedSet, faces: Sequence[InspectedFace]) -> Iterator[str]:
    """What to know before training."""
    counts = Counter(reason.partition(":")[0] for face in faces for reason in face.why)
    for reason, text in _REASONS.items():
        if count := counts[reason]:
            yield f"{text}: {count}."
    labels = {face.split: Counter(f.label for f in faces if f.split == face.split) for face in faces}
    for split, least in (("train", 20), ("test", 10)):
        there = labels.get(split, Counter(dict.fromkeys(prepared.classes, least)))
        rare = [f"{there[name] or 'no'} {name}" for name in prepared.classes if there[name] < least]
        if rare:
            yield f"Few faces in {split}: {', '.join(rare)}."
    if (prepared.path / PROBLEMS_FILE).is_file():
        left_out = prepared.description["skipped"] + prepared.description["dropped"]
        if left_out:
            yield f"{left_out} pictures are not in the set; {PROBLEMS_FILE} says why."


def _of_model(prepared: PreparedSet, model: str | os.PathLike[str] | Model) -> str:
    """Whether a model's card says that it was trained on this set."""
    loaded = Model.load(model, device="cpu")
    name, before = loaded.name, loaded.card.provenance.get("trained_on") or {}
    source = (before.get("settings") or {}).get("source")
    if source is not None and source == prepared.description["settings"].get("source"):
        return (
            f"{name} was trained on the split train of this very collection: measure it on the others alone."
        )
    told = f"on '{before['name']}'" if before.get("name") else "on what its card does not say"
    return f"{name} was trained {told}; --against SET says whether any of these faces are in that set."
