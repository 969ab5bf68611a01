"""Every measure of an evaluation, one row each: what it is called, what it means, how it is computed.

A figure is a measure under a variant: the class map or the attention, a layer, a control. Both are
identifiers and stay apart: `("specificity", "class_map")`. To add a measure, write what it computes of one
face in `aucue.metrics` and a row here; tables, pages, files and grids follow. A measure that compares the
evidence of action units between faces says what it is held against (`ByUnit`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from aucue.data import FaceDataset
from aucue.evaluation.faces import MeasuredFaces, Some
from aucue.evaluation.known import active_units, seen_by_landmarks
from aucue.metrics import (
    BINS,
    CHANGES,
    CONTROLS,
    FILLS,
    STEPS,
    Resampled,
    area_under_curve,
    attention_at,
    cam_at,
    control_cosines,
    cost_of_first,
    deletion_curve,
    energy_inside,
    evidence_in,
    evidence_left,
    first_is_dearest,
    insertion_curve,
    is_faint,
    is_specific,
    map_cosine,
    points_inside,
    probability_losses,
    rank_correlation,
    region_evidence,
    resampled_auroc,
    resampled_rank_correlation,
    specificity_margin,
    unit_rank_correlation,
)

Figure = tuple[str, str]
"""Key of a measure, and a variant of it."""

Values = Mapping[str, Tensor | Some]
"""By variant one value per face (B,), if need be with the faces that have one (B,)."""


@dataclass(frozen=True)
class ByUnit:
    """What the evidence of each action unit is held against, among faces of one expression.

    Attributes:
        known: What a set knows of the units of its faces (N, n), given their FACS numbers; NaN for nothing.
        figure: How well evidence follows it: one figure per expression and unit, of which the measure is the
            mean over the units of each expression, then over expressions.
    """

    known: Callable[[FaceDataset, Sequence[int]], NDArray]
    figure: Resampled


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        key: Its identifier, in files.
        title: For headings.
        words: What it means.
        of: What it is for a batch of faces, by variant; None for accuracies, which are counted, and for what
            compares faces with each other.
        by_unit: Of a measure of action units, what their evidence is held against; None for others. A set
            that knows nothing of that has no such figure.
        head: For columns; the title if empty.
        better: Which direction is good.
        against: The same as a sentence, with what to compare it with.
        percent: Whether it is a share, shown in percent.
        headline: The variant that says it all; empty for the last one.
        reference: The variant to read it against; empty for none.
        controls: Variants that are no property of the network.
        ratio: Two variants whose means are divided for the variant "ratio"; empty for none.
        by_layer: Whether its variants are layers.
        is_auroc: Whether its figures say how well the values per face tell right answers from wrong ones.
        costly: Whether it takes many passes per face, and is measured only where evidence is asked for.
        pooled: Whether it is of the answers to all faces together.
    """

    key: str
    title: str
    words: str
    of: Callable[[MeasuredFaces], Values] | None = None
    by_unit: ByUnit | None = None
    head: str = ""
    better: Literal["higher", "lower", "near 0"] = "higher"
    against: str = ""
    percent: bool = False
    headline: str = "class_map"
    reference: str = ""
    controls: tuple[str, ...] = ()
    ratio: tuple[str, ...] = ()
    by_layer: bool = False
    is_auroc: bool = False
    costly: bool = False
    pooled: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether it is an accuracy."""
        return self.of is None and self.by_unit is None and not self.costly and not self.pooled

    @property
    def column(self) -> str:
        """Heading of a column."""
        return self.head or self.title

    def name_of(self, variant: str) -> str:
        """A variant in words."""
        return variant if self.by_layer else variant.replace("_", " ")


def column_of(figure: Figure) -> str:
    """The column of a figure in tables for machines: `specificity.class_map`."""
    return ".".join(filter(None, figure))


def _att_cos(faces: MeasuredFaces) -> Values:
    return {
        layer: map_cosine(attention_at(map_, faces.size), faces.cue.map)
        for layer, map_ in faces.look.attention.items()
    }


def _cam_cos(faces: MeasuredFaces) -> Values:
    return {
        "true": map_cosine(faces.maps["class_map"], faces.cue.map),
        "predicted": map_cosine(faces.named_map, faces.cue.map),
    }


def _control(faces: MeasuredFaces) -> Values:
    wrong, exists = faces.wrong(faces.labels)
    found = control_cosines(faces.cue.map, faces.labels, faces.judge.mean_cues)
    found["wrong_expression"] = (map_cosine(wrong, faces.cue.map), exists)
    return {name: found[name] for name in CONTROLS}


def _expressions_apart(
    of: Callable[[Tensor, Tensor, Tensor], Tensor], faces: MeasuredFaces
) -> dict[str, Tensor | Some]:
    """A comparison of a map with the AU maps of all expressions, for maps and controls."""
    values: dict[str, Tensor | Some] = {
        name: of(map_, faces.cues, faces.shown) for name, map_ in faces.maps.items()
    }
    for name in ("centre", "mean_face"):
        map_, exists = faces.controls[name]
        values[name] = (of(map_, faces.cues, faces.shown), exists)
    return values


def _own_face(faces: MeasuredFaces) -> Values:
    other = faces.cue_before
    return {
        name: (map_cosine(map_, faces.cue.map) > map_cosine(map_, other.map), other.valid)
        for name, map_ in faces.maps.items()
    }


def _inside(of: Callable[[Tensor, Tensor], Tensor], faces: MeasuredFaces) -> Values:
    """A comparison of a map with the action-unit regions, for maps and controls."""
    maps = {name: faces.of_all(map_) for name, map_ in faces.maps.items()}
    maps |= {**faces.controls, "wrong_expression": faces.wrong(faces.labels)}
    return {name: (of(map_, faces.region), exists) for name, (map_, exists) in maps.items()}


def _pixels_in_order(curve: Callable[..., Tensor], fill: str, sign: float, faces: MeasuredFaces) -> Values:
    """Area under the probability of the expression named, with pixels in the order of maps and controls."""
    filled = faces.filled[fill]
    maps = {"class_map": faces.of_all(faces.named_map), **faces.controls}
    maps["wrong_expression"] = faces.wrong(faces.named)
    areas = {}
    for name, (map_, exists) in maps.items():
        found = curve(faces.predict, faces.images, filled, map_, faces.named, STEPS, faces.batch_size)
        areas[name] = (area_under_curve(found), exists)
    gain = sign * (areas["class_map"][0] - areas["chance"][0])
    return {**areas, "gain": faces.of_all(gain)}


def _occluded(fill: str, faces: MeasuredFaces) -> Values:
    regions, exists = faces.occluders
    losses = probability_losses(
        faces.predict, faces.images, faces.filled[fill], regions, faces.named, faces.batch_size
    )
    return {"action_units": (losses[:, 0], exists), "random_regions": (losses[:, 1:].mean(dim=1), exists)}


def _stability(faces: MeasuredFaces) -> Values:
    return {
        name: CHANGES[name].stability(faces.named_map, cam_at(look.class_map(faces.named), faces.size))
        for name, look in faces.changed.items()
    }


def _same_decision(faces: MeasuredFaces) -> Values:
    return {name: look.predicted == faces.named for name, look in faces.changed.items()}


def _painted_density(faces: MeasuredFaces) -> Values:
    region = faces.units.region
    after = cam_at(faces.painted.class_map(faces.named), faces.size)
    density = {
        name: region_evidence(map_, region).ratio[:, 0]
        for name, map_ in (("before", faces.named_map), ("after", after))
    }
    exists = faces.units.any
    faint = is_faint(faces.painted.log_odds_map(faces.named))
    drawn = torch.where(faint, 1.0, density["after"])  # a map without evidence is even
    found = {**density, "above_twice": density["after"] > 2, "drawn": drawn, "drawn_above_twice": drawn > 2}
    return {name: (values, exists) for name, values in found.items()}


_SIGNED = ("class_map", "log_odds")


def _hidden_left(faces: MeasuredFaces) -> Values:
    regions, hidden = faces.units.regions, faces.units.hidden
    found = {}
    for kind in _SIGNED:
        before = evidence_in(faces.signed_map(faces.look, kind), regions)
        after = [
            evidence_in(faces.signed_map(look, kind), regions[:, [k]])[:, 0] for k, look in enumerate(hidden)
        ]
        found[kind] = evidence_left(before, torch.stack(after, dim=1), faces.units.exists)
    return found


def _painted_left(faces: MeasuredFaces) -> Values:
    region, found = faces.units.region, {}
    for kind in _SIGNED:
        before, after = (
            evidence_in(faces.signed_map(look, kind), region) for look in (faces.look, faces.painted)
        )
        found[kind] = evidence_left(before, after, faces.units.any[:, None])
    return found


def _dearest_first(faces: MeasuredFaces) -> Values:
    units = faces.units
    hits, chance = first_is_dearest(faces.unit_evidence, units.costs, units.exists)
    return {"log_odds": (hits, units.any), "chance": (chance, units.any)}


def _dearest_rank(faces: MeasuredFaces) -> Values:
    units = faces.units
    return {"log_odds": unit_rank_correlation(faces.unit_evidence, units.costs, units.exists)}


def _dearest_raises(faces: MeasuredFaces) -> Values:
    units = faces.units
    cost = cost_of_first(faces.unit_evidence, units.costs, units.exists)
    return {"log_odds": (cost < -0.01, units.any)}


def _confidence(faces: MeasuredFaces) -> Values:
    exists = faces.units.any
    return {
        "cost": (faces.cost_of_painting(), exists),
        "agreement": (map_cosine(faces.named_map, faces.named_cue.map), exists),
        "probability": (faces.look.uncalibrated.amax(dim=1), exists),
    }


def _randomised(of: Callable[[Tensor, Tensor], Tensor], faces: MeasuredFaces) -> Values:
    return {name: of(faces.named_class_map, map_) for name, map_ in faces.randomised_maps.items()}


_TEMPLATES = ("cue", "mean_face", "even_map")
_OF_UNITS = (
    "Evidence is the positive part of the class map or of the log-odds map inside the unit's region, or the "
    "mean of the unit's own map where the network has one. Mean over the units of each expression, then over "
    "expressions."
)
_FREE = (
    "{chance} is chance. What the action-unit map of the face itself reaches (cue), the mean one, or an even "
    "map, comes from where the landmarks put the regions and is free."
)
_CONTROLS = ("chance", "centre", "mean_face", "wrong_expression")
_FILLED = {
    "mean": "Hidden pixels have the picture's mean colour.",
    "blur": "Hidden pixels show the picture blurred.",
}
_REGIONS_SHARE = "chance is the regions' share of the picture. What a mean face reaches is free."
_RANDOM_ORDER = "chance is pixels in random order. What a mean face reaches is free."
_ORDER = (
    "Pixels are {how} in {steps} steps, those first that the class map calls most important for the "
    "expression the network named; the figure is the mean probability of that expression on the way. {fill}"
)


def _curve(key: str, fill: str) -> Measure:
    """Deletion or insertion with a fill."""
    curve, how, better, sign = {
        "deletion": (deletion_curve, "hidden", "lower", -1.0),
        "insertion": (insertion_curve, "uncovered", "higher", 1.0),
    }[key]
    return Measure(
        key=f"{key}.{fill}",
        title=f"{key.capitalize()} ({fill} fill)",
        words=_ORDER.format(how=how, steps=STEPS, fill=_FILLED[fill])
        + " Gain: how much better that is than a random order in the same network.",
        of=partial(_pixels_in_order, curve, fill, sign),
        better="lower" if better == "lower" else "higher",
        against=f"{better.capitalize()} is better; {_RANDOM_ORDER}",
        reference="chance",
        controls=_CONTROLS,
        costly=True,
    )


def _occlusion(fill: str) -> Measure:
    """Action units hidden with a fill."""
    how = {"mean": "by the mean colour", "blur": "by a blur"}[fill]
    return Measure(
        key=f"occlusion.{fill}",
        title=f"Action units hidden ({fill} fill)",
        words=f"The action-unit regions of the expression the network named are hidden ({how}): how many "
        "times as much probability that costs it as hiding random regions of the face with exactly the same "
        "area.",
        of=partial(_occluded, fill),
        against="Higher is better; above 1 the decision rests on the action units more than on random parts.",
        headline="ratio",
        controls=("random_regions",),
        ratio=("action_units", "random_regions"),
        costly=True,
    )


MEASURES: Mapping[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure(
            key="accuracy",
            title="Accuracy",
            head="CL",
            words="Share of faces whose expression is named right.",
            against="Higher is better; always naming the most frequent expression is free.",
            percent=True,
            headline="",
        ),
        Measure(
            key="balanced_accuracy",
            title="Balanced accuracy",
            head="balanced",
            words="The same with every expression counted alike, however rare: mean recall.",
            percent=True,
            headline="",
        ),
        Measure(
            key="macro_f1",
            title="Macro F1",
            head="macro F1",
            words="Mean over the expressions of the harmonic mean of recall and precision.",
            percent=True,
            headline="",
        ),
        Measure(
            key="calibration",
            title="Calibration error",
            head="ECE",
            words="How far the probability of the answers and the share of right ones are apart, mean over "
            f"the answers, in {BINS} bins of probability. Votes: of the shares of voters that the network "
            "expects, before they are made chances of being right.",
            better="lower",
            against="Lower is better: of answers called 80 % sure, eight of ten should be right.",
            headline="",
            reference="votes",
            pooled=True,
        ),
        Measure(
            key="att_cos",
            title="ATT-COS",
            words="How much the network's attention resembles the action units of the expression shown: 0 "
            "nothing in common, 1 the same.",
            of=_att_cos,
            against="Higher is better, but only what exceeds the controls comes from looking at the picture.",
            by_layer=True,
        ),
        Measure(
            key="cam_cos",
            title="CAM-COS",
            words="The same for the class map of the expression shown (true), or of the one that the network "
            "named (predicted).",
            of=_cam_cos,
            against="Higher is better, but only what exceeds the controls comes from looking at the picture.",
            headline="true",
        ),
        Measure(
            key="control",
            title="Controls",
            words="Cosines of maps that never looked at the picture.",
            of=_control,
            headline="mean_of_the_class",
        ),
        Measure(
            key="specificity",
            title="Specificity",
            head="specific",
            words="Share of faces whose map resembles the action units of the expression shown more than "
            "those of each other expression on the same face.",
            of=partial(_expressions_apart, is_specific),
            against="Higher is better; chance is one over the number of expressions with action units, and a "
            "fixed picture is right for one expression at most.",
            percent=True,
            reference="mean_face",
            controls=("centre", "mean_face"),
        ),
        Measure(
            key="margin",
            title="Specificity margin",
            head="margin",
            words="Cosine of the map with the action units of the expression shown, minus the best cosine "
            "with those of another expression.",
            of=partial(_expressions_apart, specificity_margin),
            against="Higher is better; above 0 the map tells expressions apart.",
            reference="mean_face",
            controls=("centre", "mean_face"),
        ),
        Measure(
            key="own_face",
            title="Own face",
            head="own face",
            words="Share of faces whose map resembles the action units of this very face more than those of "
            "another face with the same expression.",
            of=_own_face,
            against="Higher is better; chance is 50 %, which is what a fixed picture gets.",
            percent=True,
        ),
        Measure(
            key="pointing",
            title="Pointing game",
            head="pointing",
            words="Share of faces whose map is highest inside the action-unit regions of the expression "
            "shown.",
            of=partial(_inside, points_inside),
            against=f"Higher is better; {_REGIONS_SHARE}",
            percent=True,
            reference="chance",
            controls=_CONTROLS,
        ),
        Measure(
            key="energy",
            title="Energy inside",
            head="energy",
            words="Share of the map that lies inside the action-unit regions of the expression shown.",
            of=partial(_inside, energy_inside),
            against=f"Higher is better; {_REGIONS_SHARE}",
            percent=True,
            reference="chance",
            controls=_CONTROLS,
        ),
        Measure(
            key="units.auc",
            title="Evidence knows which units are active",
            head="unit AUC",
            words="How often, of two faces with one expression, the one that really shows an action unit has "
            f"more evidence of it than the one that lacks it. {_OF_UNITS}",
            by_unit=ByUnit(active_units, resampled_auroc),
            against=f"Higher is better; {_FREE.format(chance='.5')}",
            reference="cue",
            controls=_TEMPLATES,
        ),
        Measure(
            key="units.landmarks",
            title="Evidence follows what landmarks show of units",
            head="unit rank",
            words="Rank correlation, over faces with one expression, of the evidence of an action unit and "
            "of how far the landmarks show it: brows raised or lowered, eyes open, lips parted, corners of "
            f"the mouth up, down or apart, in distances between the eyes. {_OF_UNITS}",
            by_unit=ByUnit(seen_by_landmarks, resampled_rank_correlation),
            against=f"Higher is better; {_FREE.format(chance='0')}",
            reference="cue",
            controls=_TEMPLATES,
        ),
        *(_curve(key, fill) for key, fill in product(("deletion", "insertion"), FILLS)),
        *map(_occlusion, FILLS),
        Measure(
            key="hidden.left",
            title="Evidence left, one unit hidden",
            head="left, one",
            words="Share of an action unit's evidence (positive part of the class map, in logits, in the "
            "unit's region) that is left when that region is hidden by the mean colour; of all units of the "
            "expression the network named together. Log-odds: of the map against the other expressions.",
            of=_hidden_left,
            better="lower",
            against="Lower is better: what cannot be seen is no evidence.",
            percent=True,
            costly=True,
        ),
        Measure(
            key="painted.left",
            title="Evidence left, all units painted over",
            head="left, all",
            words="The same with all units of the expression named hidden at once.",
            of=_painted_left,
            better="lower",
            against="Lower is better.",
            percent=True,
            costly=True,
        ),
        Measure(
            key="painted.density",
            title="Density on painted regions",
            head="density",
            words="How many times denser the class map is in the regions of the expression named than on "
            "average, before and after they are all painted over; above twice: share of faces whose map is "
            "then still more than twice as dense there. Drawn: the same after painting, where a map without "
            "evidence (no cell adds 1 logit) counts as even, as it is drawn.",
            of=_painted_density,
            better="lower",
            against="After painting, lower is better; 1 is chance.",
            headline="after",
            reference="before",
            costly=True,
        ),
        Measure(
            key="dearest.first",
            title="First unit decides",
            head="first = dearest",
            words="Share of faces in which the action unit with most evidence is the one whose hiding costs "
            "the expression named most probability.",
            of=_dearest_first,
            against="Higher is better; chance is a unit drawn at random.",
            percent=True,
            reference="chance",
            controls=("chance",),
            headline="log_odds",
            costly=True,
        ),
        Measure(
            key="dearest.rank",
            title="Order of units",
            head="rank",
            words="Rank correlation of the units' evidence and of what hiding them costs, in faces with at "
            "least three units.",
            of=_dearest_rank,
            against="Higher is better; 0 is chance.",
            headline="log_odds",
            costly=True,
        ),
        Measure(
            key="dearest.raises",
            title="Hiding the first unit raises the answer",
            head="raises",
            words="Share of faces whose answer gains more than a point when the unit with most evidence is "
            "hidden.",
            of=_dearest_raises,
            better="lower",
            against="Lower is better.",
            percent=True,
            headline="log_odds",
            costly=True,
        ),
        Measure(
            key="evidence.auroc",
            title="Evidence tells right from wrong",
            head="AUROC",
            words="How often a right answer has more evidence than a wrong one: probability lost when all "
            "units of the expression named are painted over (cost), cosine of class map and their AU map "
            "(agreement), and the probability itself.",
            of=_confidence,
            against="Higher is better; .5 is chance.",
            headline="cost",
            reference="probability",
            is_auroc=True,
            costly=True,
        ),
        Measure(
            key="template.cosine",
            title="Maps of one answer are alike",
            head="template",
            words="Cosine of the class map with that of another face that is called the same, beside that of "
            "their AU maps.",
            better="near 0",
            against="Not far above that of the AU maps is good: a map that is the same on every face is a "
            "template.",
            reference="cue",
            controls=("cue",),
            costly=True,
        ),
        Measure(
            key="stability",
            title="Stability",
            words="How alike the maps of a face are before and after a change that does not matter ("
            + "; ".join(f"{name}: {change.words}" for name, change in CHANGES.items())
            + "); 1 is the same.",
            of=_stability,
            against="Higher is better: a map of the same face should be nearer than that of another face.",
            headline="shifted",
            reference="another_face",
            controls=("another_face",),
            costly=True,
        ),
        Measure(
            key="same_decision",
            title="Same decision",
            words="Share of faces that are called the same after such a change.",
            of=_same_decision,
            against="Higher is better.",
            percent=True,
            headline="shifted",
            costly=True,
        ),
        Measure(
            key="randomised",
            title="Randomised network",
            words="Rank correlation of the class map with that of the same network, whose layers are given "
            "random weights one after the other, down to the one named.",
            of=partial(_randomised, rank_correlation),
            better="near 0",
            against="Near 0 is good: a map that stays as it was does not show what the network has learned.",
            headline="",
            by_layer=True,
            costly=True,
        ),
        Measure(
            key="randomised_cosine",
            title="Randomised network (cosine)",
            words="The same as a cosine, which is high for any two maps that are positive everywhere.",
            of=partial(_randomised, map_cosine),
            better="lower",
            against="Lower is better.",
            headline="",
            by_layer=True,
            costly=True,
        ),
    )
}
"""All measures by key, in the order of reports."""
