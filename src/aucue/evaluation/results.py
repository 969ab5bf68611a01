"""What an evaluation found: figures, one row per face, a few pictures; and how they become files."""

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aucue.errors import InputError, OutputExistsError
from aucue.evaluation.reading import built
from aucue.metrics import CONTROLS
from aucue.work.files import appearing, cell, read_json, write_json

FILES = ("evaluation.json", "per_expression.csv", "per_image.csv", "confusion.csv", "report.html")
MAPS = ("class map", "attention")  # that are compared with those of other expressions and faces
GROUP_FILE = "per_group.csv"  # only where the set has attributes
SMALL_GROUP = 30  # faces below which a group's figures are too uncertain to be compared


@dataclass(frozen=True)
class Mean:
    """A per-image value averaged over a set.

    Attributes:
        macro: Mean over the expressions present of the mean over their faces; None if no face took part.
        micro: Mean over the faces; None if no face took part.
        per_expression: Mean per expression, None where no face took part.
        count: Number of faces per expression that took part.
    """

    macro: float | None
    micro: float | None
    per_expression: dict[str, float | None]
    count: dict[str, int]

    @classmethod
    def of(cls, computed: Mapping[str, Tensor], classes: Sequence[str], expressions: Sequence[str]) -> Self:
        """From what `ExpressionMean.compute` gives; classes without a cue are left out."""
        ids = {name: classes.index(name) for name in expressions}
        return cls(
            macro=number(computed["macro"]),
            micro=number(computed["micro"]),
            per_expression={name: number(computed["per_class"][k]) for name, k in ids.items()},
            count={name: int(computed["count"][k]) for name, k in ids.items()},
        )


@dataclass(frozen=True)
class Estimate(Mean):
    """A mean with what other faces of this kind would do to it.

    Attributes:
        interval: 95 % bootstrap interval of the macro average over faces; None if there is none.
    """

    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Classification:
    """CL: how often the expression was named right.

    Attributes:
        accuracy: Share of faces named right; None without faces.
        interval: 95 % Wilson score interval of the accuracy.
        balanced_accuracy: Mean recall over the classes present.
        macro_f1: Mean F1 over the classes that occur as label or as prediction.
        chance: Accuracy of always naming the most frequent class.
        recall, precision, f1: Per class, None where undefined.
        support: Number of faces per class.
        confusion: Counts, rows true, columns predicted.
    """

    accuracy: float | None
    interval: tuple[float, float] | None
    balanced_accuracy: float | None
    macro_f1: float | None
    chance: float | None
    recall: dict[str, float | None]
    precision: dict[str, float | None]
    f1: dict[str, float | None]
    support: dict[str, int]
    confusion: list[list[int]]

    @classmethod
    def of(cls, computed: Mapping[str, Tensor], classes: Sequence[str]) -> Self:
        """From what `ClassificationReport.compute` gives."""
        counts = computed["counts"]
        faces, right = int(counts.sum()), int(counts.diagonal().sum())
        per_class = {
            name: {label: number(value) for label, value in zip(classes, computed[name], strict=True)}
            for name in ("recall", "precision", "f1")
        }
        return cls(
            accuracy=number(computed["accuracy"]),
            interval=wilson(right, faces) if faces else None,
            balanced_accuracy=number(computed["balanced_accuracy"]),
            macro_f1=number(computed["macro_f1"]),
            chance=int(counts.sum(1).max()) / faces if faces else None,
            support={label: int(n) for label, n in zip(classes, counts.sum(1), strict=True)},
            confusion=counts.tolist(),
            **per_class,
        )


@dataclass(frozen=True)
class GroupMean:
    """A cosine averaged over the faces of a group.

    Attributes:
        macro: Mean over the expressions that occur in the group of the mean over their faces: does not depend
            on how often the group shows which expression, but groups that lack one are averaged without it.
        micro: Mean over the faces: mixes how well the group is read with which expressions it shows.
        sd: Standard deviation over the faces; None for fewer than two.
        count: Number of faces that took part.
    """

    macro: float | None
    micro: float | None
    sd: float | None
    count: int


@dataclass(frozen=True)
class Group:
    """The figures over the faces that share one value of an attribute.

    Attributes:
        faces: Number of faces.
        right: Number of faces named right.
        accuracy: Share of faces named right.
        interval: 95 % Wilson score interval of the accuracy.
        balanced_accuracy: Mean recall over the classes that occur in the group.
        att_cos: ATT-COS of the layer the evaluation is about.
        cam_cos: CAM-COS of the true class's map.
    """

    faces: int
    right: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    att_cos: GroupMean
    cam_cos: GroupMean

    @property
    def small(self) -> bool:
        """Whether there are too few faces to compare the group with others."""
        return self.faces < SMALL_GROUP


@dataclass(frozen=True)
class Example:
    """One face of the report.

    Attributes:
        key: Name of the face in its set.
        label, prediction: True and predicted class.
        probability: Probability of the prediction.
        image: Crop (S, S, 3).
        attention: Attention of the layer the report is about (h, w), stretched to [0, 1].
        class_map: Class map of the true class (h, w) in [0, 1].
        cue: AU map (S, S) in [0, 1], None without a valid cue.
    """

    key: str
    label: str
    prediction: str
    probability: float
    image: NDArray[np.uint8]
    attention: NDArray[np.float32]
    class_map: NDArray[np.float32]
    cue: NDArray[np.float32] | None


@dataclass(frozen=True)
class Evaluation:
    """All an evaluation found. `to_dict` holds the figures; rows and pictures live in the written files.

    Attributes:
        model: What was evaluated: name, backbone, read-out, guidance (weight and layers).
        data: On what: name, split, number of faces, template, fingerprint (equal for equally prepared sets),
            codebook, region model, size of the maps.
        classes: All classes.
        expressions: The classes that have action units, hence a cue.
        without_cue: Number of faces outside ATT-COS and CAM-COS, by reason.
        classification: CL.
        attention_layer: The guided layer (the deepest one if several), or the final one.
        att_cos: ATT-COS per layer, shallow to deep.
        cam_cos: CAM-COS of the true class's map.
        cam_cos_predicted: CAM-COS of the predicted class's map.
        controls: Cosines of maps that never looked at the image, see `aucue.metrics.CONTROLS`.
        specificity: Share of faces whose map resembles the AU map of the true expression more than that of
            every other expression of the same face; for "class map" (of the true class) and "attention".
        own_face: Share of faces whose map resembles their own AU map more than that of another face (the one
            before it in the set) with the same expression; for "class map" and "attention". Chance is 1/2.
        notes: Sentences a reader has to know.
        groups: Figures by the value of each attribute (attribute -> value -> figures); empty where the set
            has no attributes.
        evidence: Whether the decision depends on what the map shows, by the names of
            `aucue.evaluation.evidence_measures` ("deletion mean class map"), which are columns of the rows as
            well; empty unless it was asked for.
        images: One row per face.
        examples: The faces shown in the report.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    classes: tuple[str, ...]
    expressions: tuple[str, ...]
    without_cue: dict[str, int]
    classification: Classification
    attention_layer: str
    att_cos: dict[str, Mean]
    cam_cos: Mean
    cam_cos_predicted: Mean
    controls: dict[str, Mean]
    specificity: dict[str, Mean]
    own_face: dict[str, Mean]
    notes: tuple[str, ...] = ()
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)
    evidence: dict[str, Estimate] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list, compare=False, repr=False)
    examples: list[Example] = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model["name"]

    @property
    def guided_att_cos(self) -> Mean:
        """ATT-COS of `attention_layer`."""
        return self.att_cos[self.attention_layer]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that JSON can hold; undefined ones are None."""
        values = {k: v for k, v in self.__dict__.items() if k not in ("images", "examples")}
        return json.loads(json.dumps(values, default=asdict, allow_nan=False))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The figures back from `to_dict`, without rows and pictures.

        Raises:
            InputError: The values are not those of an evaluation.
        """
        evaluation = built(cls, values, "figures")
        evaluation._check()
        return evaluation

    def _check(self) -> None:
        """Refuse figures that cannot belong together: a file that was damaged or written by hand."""
        texts: dict[str, tuple[str, ...]] = {
            "model": ("name", "backbone", "method"),
            "data": ("name", "split", "fingerprint", "codebook", "regions"),
        }
        for part, names in texts.items():
            for name in names:
                built(str, getattr(self, part).get(name), f"figures, {part}, {name}")
        for name in ("faces", "size"):
            built(int, self.data.get(name), f"figures, data, {name}")
        built(dict[str, Any] | None, self.model.get("guidance"), "figures, model, guidance")
        needed = {"specificity": MAPS, "own_face": MAPS, "att_cos": (self.attention_layer,)}
        needed["without_cue"] = ("no action units", "no landmarks")
        needed["controls"] = tuple(CONTROLS)
        for part, names in needed.items():
            for name in names:
                if name not in getattr(self, part):
                    raise InputError(f"figures, {part}: '{name}' is missing")
        counts = self.classification.confusion
        if [len(row) for row in counts] != [len(self.classes)] * len(self.classes):
            raise InputError("figures, classification, confusion: not one row and column per class")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The figures back from an `evaluation.json`.

        Raises:
            InputError: The file cannot be read or holds something else.
        """
        remedy = "evaluate the model once more"
        try:
            return cls.from_dict(read_json(Path(path), remedy))
        except InputError as error:
            already_named = str(error).startswith(str(path))
            raise error if already_named else InputError(f"{path}: {error}; {remedy}.") from error

    def write(self, folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write `evaluation.json`, `per_expression.csv`, `per_image.csv`, `confusion.csv` and `report.html`.

        Where the set has attributes, `per_group.csv` too.

        Args:
            folder: Created if need be; other files in it are left alone.
            overwrite: Replace the files of an earlier evaluation.

        Returns:
            Path of the report.

        Raises:
            OutputExistsError: One of the files exists and `overwrite` is not set.
        """
        from aucue.evaluation.report import write_report  # the report needs this module

        folder = Path(folder)
        check_free(folder, (*FILES, GROUP_FILE), overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(folder / "per_expression.csv", self.per_expression_rows())
        write_csv(folder / "per_image.csv", self.images)
        confusion = [
            {"true": label, **dict(zip(self.classes, row, strict=True))}
            for label, row in zip(self.classes, self.classification.confusion, strict=True)
        ]
        write_csv(folder / "confusion.csv", confusion)
        (folder / GROUP_FILE).unlink(missing_ok=True)  # of an earlier evaluation, of a set with attributes
        if self.groups:
            write_csv(folder / GROUP_FILE, self.per_group_rows())
        page = write_report(self, folder / "report.html")
        write_json(folder / "evaluation.json", self.to_dict())  # last: where it lies, all the others do
        return page

    def per_expression_rows(self) -> list[dict[str, Any]]:
        """One row per class with every figure that is kept per expression, then the macro averages."""
        cosines: dict[str, Mean] = {f"att_cos {layer}": mean for layer, mean in self.att_cos.items()}
        cosines |= {"cam_cos": self.cam_cos, "cam_cos predicted class": self.cam_cos_predicted}
        cosines |= {f"control {name}": mean for name, mean in self.controls.items()}
        cosines |= {f"specificity {name}": mean for name, mean in self.specificity.items()}
        cosines |= {f"own face {name}": mean for name, mean in self.own_face.items()}
        cosines |= self.evidence
        cl = self.classification
        rows = [
            {
                "expression": name,
                "faces": cl.support[name],
                "faces with cue": self.cam_cos.count.get(name, 0),
                "recall": cl.recall[name],
                "precision": cl.precision[name],
                "f1": cl.f1[name],
                **{key: mean.per_expression.get(name) for key, mean in cosines.items()},
            }
            for name in self.classes
        ]
        rows.append(
            {
                "expression": "macro average",
                "faces": sum(cl.support.values()),
                "faces with cue": sum(self.cam_cos.count.values()),
                "recall": cl.balanced_accuracy,
                "precision": None,
                "f1": cl.macro_f1,
                **{key: mean.macro for key, mean in cosines.items()},
            }
        )
        return rows

    def per_group_rows(self) -> list[dict[str, Any]]:
        """One row per value of every attribute with every figure that is kept per group."""
        return [
            {
                "attribute": attribute,
                "value": value,
                "faces": group.faces,
                "small": int(group.small),
                "accuracy": group.accuracy,
                "accuracy low": group.interval[0],
                "accuracy high": group.interval[1],
                "balanced accuracy": group.balanced_accuracy,
                "faces with cue": group.cam_cos.count,
                "att_cos macro": group.att_cos.macro,
                "att_cos micro": group.att_cos.micro,
                "cam_cos macro": group.cam_cos.macro,
                "cam_cos micro": group.cam_cos.micro,
            }
            for attribute, members in self.groups.items()
            for value, group in members.items()
        ]


def number(value: Tensor | float) -> float | None:
    """A finite float, or None for NaN and infinity, which JSON cannot hold."""
    value = float(value)
    return value if math.isfinite(value) else None


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); the default z covers 95 %."""
    share, z2 = successes / trials, z * z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def check_free(folder: Path, names: Iterable[str], overwrite: bool) -> None:
    """Refuse to replace files unasked.

    Raises:
        InputError: There is a file in the folder's place.
        OutputExistsError: One of the files exists and `overwrite` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose another --out.")
    taken = [name for name in names if (folder / name).exists()]
    if taken and not overwrite:
        raise OutputExistsError(f"{folder / taken[0]} exists; choose another --out or pass --overwrite.")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], digits: int | None = 6) -> None:
    """Rows with equal keys as CSV, whole or not at all; None becomes an empty field.

    Args:
        path: The file.
        rows: Text that a spreadsheet would run as a formula is quoted.
        digits: How many a float keeps; None for all.
    """

    def field_of(value: Any) -> Any:
        return f"{value:.{digits}g}" if digits and isinstance(value, float) else cell(value)

    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([cell(name) for name in rows[0]] if rows else [])
        writer.writerows([field_of(value) for value in row.values()] for row in rows)
