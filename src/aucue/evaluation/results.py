"""What an evaluation found: figures, one row per face, a few pictures."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from aucue.errors import InputError, said
from aucue.evaluation.averages import Averages
from aucue.evaluation.estimate import Estimate, number
from aucue.evaluation.measures import MEASURES, Measure, column_of
from aucue.evaluation.reading import built
from aucue.metrics import CONTROLS, classification_report, confusion_counts
from aucue.work.files import read_json

SMALL_GROUP = 30  # faces below which a group's figures are too uncertain to be compared


@dataclass(frozen=True)
class Classification:
    """What was called what.

    Attributes:
        chance: Accuracy of always naming the most frequent class; None without faces.
        precision: Per class, None where undefined; recall and F1 stand in the estimates of accuracy and F1.
        support: Number of faces per class.
        confusion: Counts, rows true, columns predicted.
    """

    chance: float | None
    precision: dict[str, float | None]
    support: dict[str, int]
    confusion: list[list[int]]

    @classmethod
    def of(cls, labels: Tensor, predictions: Tensor, classes: Sequence[str]) -> Self:
        """From class ids (N,)."""
        counts = confusion_counts(predictions, labels, len(classes))
        report, faces = classification_report(counts), int(counts.sum())
        return cls(
            chance=int(counts.sum(1).max()) / faces if faces else None,
            precision={name: number(value) for name, value in zip(classes, report["precision"], strict=True)},
            support={name: int(n) for name, n in zip(classes, counts.sum(1), strict=True)},
            confusion=counts.tolist(),
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
    """All an evaluation found. `to_dict` holds the figures; faces and pictures live in the written files.

    Attributes:
        model: What was evaluated: name, backbone, read-out, guidance (weight and layers), and the curves of
            its training.
        data: On what: name, split, number of faces, template, fingerprint (equal for equally prepared sets),
            codebook, region model, size of the maps.
        classes: All classes.
        expressions: The classes that have action units, hence a cue.
        without_cue: Number of faces outside of all that needs a cue, by reason.
        classification: What was called what.
        attention_layer: The guided layer (the deepest one if several), or the final one.
        estimates: Every figure, by the key of its measure (`aucue.evaluation.measures.MEASURES`) and its
            variant; accuracies have the variant "".
        notes: Sentences a reader has to know.
        groups: Figures by the value of each attribute (attribute -> value -> figures); empty where the set
            has no attributes.
        faces: One row per face: key, label, prediction, correct (0 or 1), `p EXPRESSION`, and a column
            `measure.variant` for every figure that has values per face, null where the face takes no part.
        examples: The faces shown in the report.
        averages: Average maps per expression, see `aucue.evaluation.averages`.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    classes: tuple[str, ...]
    expressions: tuple[str, ...]
    without_cue: dict[str, int]
    classification: Classification
    attention_layer: str
    estimates: dict[str, dict[str, Estimate]]
    notes: tuple[str, ...] = ()
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)
    faces: pa.Table = field(default_factory=lambda: pa.table({}), compare=False, repr=False)
    examples: list[Example] = field(default_factory=list, compare=False, repr=False)
    averages: Averages = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model["name"]

    def headline(self, measure: str) -> str:
        """The variant of a measure that says it all: of ATT-COS, the layer that the evaluation is about."""
        if measure == "att_cos":
            return self.attention_layer
        variants = self.estimates.get(measure, {})
        wanted = MEASURES[measure].headline
        return wanted if wanted in variants else next(reversed(variants), "")

    def estimate(self, measure: str, variant: str | None = None) -> Estimate:
        """A figure.

        Args:
            measure: Key of the measure.
            variant: By default the one that says it all.

        Raises:
            KeyError: It was not measured.
        """
        return self.estimates[measure][self.headline(measure) if variant is None else variant]

    @property
    def measured(self) -> tuple[Measure, ...]:
        """The measures that it has, in the order of reports."""
        return tuple(measure for key, measure in MEASURES.items() if self.estimates.get(key))

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that JSON can hold; undefined ones are None."""
        values = {k: v for k, v in self.__dict__.items() if k not in ("faces", "examples", "averages")}
        return json.loads(json.dumps(values, default=asdict, allow_nan=False))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The figures back from `to_dict`, without faces and pictures.

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
        built(dict[str, list[float | None]] | None, self.model.get("curves"), "figures, model, curves")
        always = {key: ("",) for key, measure in MEASURES.items() if measure.is_counted}
        always |= dict.fromkeys(("specificity", "own_face"), ("class_map", "attention"))
        always |= {"att_cos": (self.attention_layer,), "cam_cos": ("true", "predicted")}
        always |= {"control": tuple(CONTROLS)}
        self._require("without_cue", self.without_cue, ("no action units", "no landmarks"))
        for measure, variants in always.items():
            self._require(f"estimates, {measure}", self.estimates.get(measure, {}), variants)
        for part, found in (
            ("support", self.classification.support),
            ("precision", self.classification.precision),
        ):
            self._require(f"classification, {part}", found, self.classes)
        counts = self.classification.confusion
        if [len(row) for row in counts] != [len(self.classes)] * len(self.classes):
            raise InputError("figures, classification, confusion: not one row and column per class.")

    def _require(self, part: str, found: Mapping[str, Any], names: Sequence[str]) -> None:
        for name in names:
            if name not in found:
                raise InputError(f"figures, {part}: '{name}' is missing.")

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
            raise error if already_named else InputError(f"{path}: {said(error)}; {remedy}.") from error

    def per_expression_rows(self) -> list[dict[str, Any]]:
        """One row per class with every figure that is kept per expression, then the averages."""
        columns = {
            column_of((key, variant)): estimate
            for key, variants in self.estimates.items()
            for variant, estimate in variants.items()
        }
        cl, cam_cos = self.classification, self.estimate("cam_cos")
        rows = [
            {
                "expression": name,
                "faces": cl.support[name],
                "faces with cue": cam_cos.faces.get(name, 0),
                "precision": cl.precision[name],
                **{column: estimate.per_expression.get(name) for column, estimate in columns.items()},
            }
            for name in self.classes
        ]
        rows.append(
            {
                "expression": "average",
                "faces": sum(cl.support.values()),
                "faces with cue": sum(cam_cos.faces.values()),
                "precision": None,
                **{column: estimate.value for column, estimate in columns.items()},
            }
        )
        return rows

    def estimate_rows(self) -> list[dict[str, Any]]:
        """One row per figure: value, interval, number of faces."""
        return [
            {
                "measure": key,
                "variant": variant,
                "value": estimate.value,
                "low": estimate.interval[0] if estimate.interval else None,
                "high": estimate.interval[1] if estimate.interval else None,
                "micro": estimate.micro,
                "faces": sum(estimate.faces.values()),
            }
            for key, variants in self.estimates.items()
            for variant, estimate in variants.items()
        ]

    def per_group_rows(self) -> list[dict[str, Any]]:
        """One row per value of every attribute with every figure that is kept per group."""
        return [
            {
                "attribute": attribute,
                "value": value,
                "faces": group.faces,
                "small": int(group.small),
                "accuracy": group.accuracy,
                "accuracy.low": group.interval[0],
                "accuracy.high": group.interval[1],
                "balanced_accuracy": group.balanced_accuracy,
                "faces with cue": group.cam_cos.count,
                "att_cos.macro": group.att_cos.macro,
                "att_cos.micro": group.att_cos.micro,
                "cam_cos.macro": group.cam_cos.macro,
                "cam_cos.micro": group.cam_cos.micro,
            }
            for attribute, members in self.groups.items()
            for value, group in members.items()
        ]
