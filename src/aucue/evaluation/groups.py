"""How well each group of people is read: the figures by gender, age, race or another attribute of the set."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import pyarrow as pa
import torch

from aucue.errors import InputError
from aucue.evaluation.estimate import number, wilson
from aucue.evaluation.measures import column_of
from aucue.evaluation.results import SMALL_GROUP, Evaluation, Group, GroupMean
from aucue.metrics import classification_report, confusion_counts, expression_means, expression_sums

ATTRIBUTES = ("gender", "age", "race")
MOST_VALUES = 20  # an attribute with more values measures something and does not make groups
Attributes = Mapping[str, Sequence[str | None]]


def read_attributes(column: Sequence[str | None], names: Sequence[str] = ATTRIBUTES) -> Attributes:
    """The value of each attribute for every face.

    Args:
        column: The column "attributes" of a prepared set: one JSON object per face.
        names: Attributes to take.

    Returns:
        Name -> one value per face, as text, None where a face has none; attributes that no face has are left
        out.

    Raises:
        InputError: A name other than those of `ATTRIBUTES` occurs in no face.
    """
    faces = [_texts(json.loads(text)) if text else {} for text in column]
    known = {name for face in faces for name in face}
    for name in names:
        if name not in known and name not in ATTRIBUTES:
            has = f"they have {', '.join(sorted(known))}" if known else "they have no attributes at all"
            raise InputError(f"No face has the attribute '{name}' to group by; {has}.")
    return {name: [face.get(name) for face in faces] for name in names if name in known}


def with_groups(evaluation: Evaluation, attributes: Attributes) -> Evaluation:
    """The evaluation with its figures by group, and with the attributes in its table of faces.

    Args:
        evaluation: With its table of faces.
        attributes: One value per face and attribute, in the order of that table.

    Returns:
        A new evaluation. An attribute with more than `MOST_VALUES` values makes no groups; a note says so.
    """
    faces = evaluation.faces
    for name, values in attributes.items():
        faces = faces.append_column(f"attribute {name}", pa.array(values, pa.string()))
    groups, notes = {}, []
    for name, values in attributes.items():
        found = sorted({value for value in values if value is not None}, key=_natural)
        if len(found) > MOST_VALUES:
            notes.append(f"No figures by {name}: it has {len(found)} different values.")
            continue
        members = {value: [i for i, other in enumerate(values) if other == value] for value in found}
        groups[name] = {value: _group(evaluation, faces.take(rows)) for value, rows in members.items()}
    return replace(evaluation, groups=groups, faces=faces, notes=(*evaluation.notes, *notes))


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups of an attribute.

    Attributes:
        attribute: What the groups differ in.
        measure: "accuracy" or "CAM-COS" (mean over faces).
        low, high: Names of the two groups, the lower figure first.
        difference: Higher minus lower figure.
        interval: 95 % interval that holds for all pairs of groups at once (Bonferroni), since the largest of
            several differences is looked at. Of accuracies after Newcombe (1998, method 10), of means with
            their standard errors.
        pairs: Number of pairs of groups.
    """

    attribute: str
    measure: str
    low: str
    high: str
    difference: float
    interval: tuple[float, float]
    pairs: int


def largest_gaps(groups: Mapping[str, Mapping[str, Group]]) -> list[Gap]:
    """The largest difference in accuracy and in CAM-COS by each attribute; small groups are left out."""
    gaps = []
    for attribute, members in groups.items():
        large = {value: group for value, group in members.items() if not group.small}
        mapped = {value: group for value, group in large.items() if group.cam_cos.count >= SMALL_GROUP}
        gaps.append(_largest(attribute, "accuracy", large, _accuracy))
        gaps.append(_largest(attribute, "CAM-COS", mapped, _cam_cos))
    return [gap for gap in gaps if gap]


def gap_sentence(gap: Gap) -> str:
    """A gap in words."""
    points = gap.measure == "accuracy"
    size, low, high = (
        f"{100 * value:.1f}" if points else f"{value:.2f}" for value in (gap.difference, *gap.interval)
    )
    compared = f", all {gap.pairs} pairs of groups compared" if gap.pairs > 1 else ""
    verdict = "" if gap.interval[0] > 0 else ": these faces do not show that the groups differ"
    return (
        f"By {gap.attribute}, {gap.measure} differs most between {gap.low} (lower) and {gap.high}, by "
        f"{size}{' points' if points else ''} (95 % interval {low} to {high}{compared}){verdict}."
    )


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The attributes that have a value, as text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in attributes.items()
        if value not in (None, "")
    }


def _natural(value: str) -> tuple[float, str]:
    """Numbers by their size ("4-19" before "20-39"), words by the alphabet."""
    digits = re.match(r"\d+", value)
    return (int(digits[0]) if digits else math.inf, value)


def _group(evaluation: Evaluation, faces: pa.Table) -> Group:
    """The figures of some of the faces."""
    ids = {name: k for k, name in enumerate(evaluation.classes)}
    labels, predictions = (
        torch.tensor([ids[name] for name in faces[column].to_pylist()]) for column in ("label", "prediction")
    )
    counts = confusion_counts(predictions, labels, len(ids))
    right = int(counts.diagonal().sum())

    def mean(measure: str) -> GroupMean:
        column = faces[column_of((measure, evaluation.headline(measure)))]
        values = torch.tensor([math.nan if value is None else value for value in column.to_pylist()])
        valid = values.isfinite()
        means = expression_means(*expression_sums(values, labels, valid, len(ids)))
        return GroupMean(
            macro=number(means["macro"]),
            micro=number(means["micro"]),
            sd=number(values[valid].double().std()) if valid.sum() > 1 else None,
            count=int(valid.sum()),
        )

    return Group(
        faces=len(faces),
        right=right,
        accuracy=right / len(faces),
        interval=wilson(right, len(faces)),
        balanced_accuracy=float(classification_report(counts)["balanced_accuracy"]),
        att_cos=mean("att_cos"),
        cam_cos=mean("cam_cos"),
    )


# group, z -> figure, its lower and its upper limit
Spread = Callable[[Group, float], tuple[float, float, float]]


def _accuracy(group: Group, z: float) -> tuple[float, float, float]:
    return group.accuracy, *wilson(group.right, group.faces, z)


def _cam_cos(group: Group, z: float) -> tuple[float, float, float]:
    mean, sd = group.cam_cos.micro or 0.0, group.cam_cos.sd or 0.0  # groups of `SMALL_GROUP` faces have both
    half = z * sd / math.sqrt(group.cam_cos.count)
    return mean, mean - half, mean + half


def _largest(attribute: str, measure: str, groups: Mapping[str, Group], estimate: Spread) -> Gap | None:
    """The gap between the lowest and the highest group, None if there are not two."""
    if len(groups) < 2:
        return None
    pairs = math.comb(len(groups), 2)
    z = NormalDist().inv_cdf(1 - 0.025 / pairs)
    estimates = {value: estimate(group, z) for value, group in groups.items()}
    low, high = (pick(estimates, key=lambda value: estimates[value][0]) for pick in (min, max))
    (figure1, low1, high1), (figure2, low2, high2) = estimates[low], estimates[high]
    difference = figure2 - figure1
    # The interval of a difference from the two intervals; for means this is the usual normal interval.
    interval = (
        difference - math.hypot(figure2 - low2, high1 - figure1),
        difference + math.hypot(high2 - figure2, figure1 - low1),
    )
    return Gap(attribute, measure, low, high, difference, interval, pairs)
