"""What every figure of the evidence means, in plain words, and which figures belong together."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aucue.evaluation.results import Estimate, Evaluation
from aucue.metrics import CHANGES, STEPS


@dataclass(frozen=True)
class Measure:
    """One measure of `Evaluation.evidence`, whose figures are called "name variant".

    Attributes:
        name: Beginning of the figures' names.
        title: For headings.
        figure: The variant that says it all; empty for the last one.
        words: What it means.
        direction: Which direction is good: "higher", "lower" or "near 0".
        better: The same as a sentence, with what to compare it with.
        reference: The variant to read it against; empty for none.
        others: Variants that are no property of the network: controls and references.
    """

    name: str
    title: str
    figure: str
    words: str
    direction: str
    better: str
    reference: str = "chance"
    others: tuple[str, ...] = ("chance", "centre", "mean face", "wrong expression")

    def variants(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """The figures of this measure by variant."""
        start = f"{self.name} "
        names = [name for name in evaluation.evidence if name.startswith(start)]
        return {name.removeprefix(start): evaluation.evidence[name] for name in names}


_ORDER = (
    "Pixels are {how} in {steps} steps, those first that the class map calls most important for the "
    "expression the network named; the figure is the mean probability of that expression on the way. {fill}"
)
_FILL = {
    "mean": "Hidden pixels have the picture's mean colour.",
    "blur": "Hidden pixels show the picture blurred.",
}
_OCCLUSION = (
    "The action-unit regions of the expression the network named are hidden ({fill}): how many times as much "
    "probability that costs it as hiding random regions of the face with exactly the same area."
)

MEASURES = (
    *(
        Measure(
            f"deletion {fill}",
            f"Deletion ({fill} fill)",
            "class map",
            _ORDER.format(how="hidden", steps=STEPS, fill=words),
            "lower",
            "Lower is better; chance is pixels in random order. What a mean face reaches is free.",
        )
        for fill, words in _FILL.items()
    ),
    *(
        Measure(
            f"insertion {fill}",
            f"Insertion ({fill} fill)",
            "class map",
            _ORDER.format(how="uncovered", steps=STEPS, fill=words),
            "higher",
            "Higher is better; chance is pixels in random order. What a mean face reaches is free.",
        )
        for fill, words in _FILL.items()
    ),
    *(
        Measure(
            f"occlusion {fill}",
            f"Action units hidden ({fill} fill)",
            "ratio",
            _OCCLUSION.format(fill=how),
            "higher",
            "Higher is better; above 1 the decision rests on the action units more than on random parts.",
            "",
            ("random regions",),
        )
        for fill, how in (("mean", "by the mean colour"), ("blur", "by a blur"))
    ),
    Measure(
        "pointing",
        "Pointing game",
        "class map",
        "Share of faces whose class map is highest inside the action-unit regions of the expression shown.",
        "higher",
        "Higher is better; chance is the regions' share of the picture. What a mean face reaches is free.",
    ),
    Measure(
        "energy",
        "Energy inside",
        "class map",
        "Share of the class map that lies inside the action-unit regions of the expression shown.",
        "higher",
        "Higher is better; chance is the regions' share of the picture. What a mean face reaches is free.",
    ),
    Measure(
        "specific",
        "Specificity",
        "class map",
        "Share of faces whose class map resembles the action units of the expression shown more than those "
        "of each other expression.",
        "higher",
        "Higher is better; a fixed picture is right for one expression at most.",
        "mean face",
    ),
    Measure(
        "margin",
        "Specificity margin",
        "class map",
        "Cosine of the class map with the action units of the expression shown, minus the best cosine with "
        "those of another expression.",
        "higher",
        "Higher is better; above 0 the map tells expressions apart.",
        "mean face",
    ),
    Measure(
        "stability",
        "Stability",
        "shifted",
        "How alike the maps of a face are before and after a change that does not matter ("
        + "; ".join(f"{name}: {change.words}" for name, change in CHANGES.items())
        + "); 1 is the same.",
        "higher",
        "Higher is better: a map of the same face should be nearer than that of another face.",
        "another face",
        ("another face",),
    ),
    Measure(
        "same decision",
        "Same decision",
        "shifted",
        "Share of faces that are called the same after such a change.",
        "higher",
        "Higher is better.",
        "",
        (),
    ),
    Measure(
        "randomised",
        "Randomised network",
        "",
        "Rank correlation of the class map with that of the same network, whose layers are given random "
        "weights one after the other, down to the one named.",
        "near 0",
        "Near 0 is good: a map that stays as it was does not show what the network has learned.",
        "",
        (),
    ),
    Measure(
        "cosine randomised",
        "Randomised network (cosine)",
        "",
        "The same as a cosine, which is high for any two maps that are positive everywhere.",
        "lower",
        "Lower is better.",
        "",
        (),
    ),
)
"""All measures, in the order of reports."""


@dataclass(frozen=True)
class Figure:
    """One figure of a measure, as a report shows it.

    Attributes:
        name: Its variant.
        value: None where it is undefined.
        is_control: Whether it is a control or a reference.
    """

    name: str
    value: float | None
    is_control: bool


@dataclass(frozen=True)
class Card:
    """One measure of one evaluation, as a report shows it.

    Attributes:
        measure: Which.
        headline: The figure that says it all.
        text: The same in words, with its interval.
        reference: What to read it against, in words; empty for nothing.
        figures: All figures but that of a ratio.
    """

    measure: Measure
    headline: Estimate
    text: str
    reference: str
    figures: tuple[Figure, ...]


def cards(evaluation: Evaluation) -> list[Card]:
    """The measures that an evaluation has; none unless evidence was asked for."""
    return [_card(measure, evaluation) for measure in MEASURES if measure.variants(evaluation)]


def side_by_side(members: Mapping[str, Evaluation]) -> list[dict[str, Card]]:
    """The measures that several models have, on the same faces.

    Args:
        members: Evaluations by the names to show; those without evidence are left out.

    Returns:
        For each measure that all of them have, its card by model.
    """
    found = {name: cards(evaluation) for name, evaluation in members.items() if evaluation.evidence}
    by_measure = [{name: c for name, its in found.items() for c in its if c.measure == m} for m in MEASURES]
    return [row for row in by_measure if row and len(row) == len(found)]


def evidence_table(members: Mapping[str, Evaluation], title: str) -> Table:
    """The evidence of several models, for a terminal; see `side_by_side`."""
    table = Table(title=title, caption="95 % bootstrap intervals over faces", box=SIMPLE_HEAD)
    table.title_justify = table.caption_justify = "left"
    for name in ("", "good", *(name for name, evaluation in members.items() if evaluation.evidence)):
        table.add_column(name, overflow="fold")
    for row in side_by_side(members):
        measure = next(iter(row.values())).measure
        cells = [Text.assemble(c.text, (f"\n{c.reference}" * bool(c.reference), "dim")) for c in row.values()]
        table.add_row(measure.title, measure.direction, *cells)
    return table


def estimate_text(estimate: Estimate) -> str:
    """A figure with its interval: 0.41 (0.38 to 0.45)."""
    if estimate.macro is None:
        return "–"
    if estimate.interval is None:
        return f"{estimate.macro:.2f}"
    low, high = estimate.interval
    return f"{estimate.macro:.2f} ({low:.2f} to {high:.2f})"


def _card(measure: Measure, evaluation: Evaluation) -> Card:
    variants = measure.variants(evaluation)
    headline = variants[measure.figure or next(reversed(variants))]
    reference = variants.get(measure.reference)
    return Card(
        measure,
        headline,
        estimate_text(headline),
        f"{measure.reference} {estimate_text(reference)}" if reference else "",
        tuple(Figure(k, e.macro, k in measure.others) for k, e in variants.items() if k != "ratio"),
    )
