"""The tables of docs/evidence.md, from what the grid `evidence` has measured so far.

aucue benchmark evidence --out runs/evidence
python -m experiments.evidence_page --out runs/evidence
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aucue.benchmark import GRIDS, Grid, collect
from aucue.benchmark.bootstrap import Difference
from aucue.benchmark.results import BenchmarkResults, RowResult
from aucue.benchmark.tables import evidence_tables, main_table
from aucue.evaluation.report.tables import markdown
from experiments.doc_tables import block, paste, table

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
SETTLED = ("units", "aucue")
"""Recipes that the targets are for."""

TWINS = ("unguided", "fg2024")


@dataclass(frozen=True)
class Target:
    """What a measure was aimed at.

    Attributes:
        measure, variant: Which one.
        words: In words.
        bound: Value to reach; None compares with `TWINS`.
        better: "higher" or "lower" is good.
        slack: The comparison asks not to be worse, instead of better.
        twins: What it is compared with.
    """

    measure: str
    variant: str
    words: str
    bound: float | None = None
    better: str = "higher"
    slack: bool = False
    twins: tuple[str, ...] = TWINS

    @property
    def sign(self) -> int:
        """1 if more is better, else -1."""
        return 1 if self.better == "higher" else -1


TARGETS = (
    Target("hidden.left", "log_odds", "evidence left, one unit hidden", 0.35, "lower"),
    Target("painted.left", "log_odds", "evidence left, all units painted", 0.15, "lower"),
    Target("painted.density", "drawn", "density on painted regions, as drawn", 1.5, "lower"),
    Target("painted.density", "drawn_above_twice", "faces above twice chance, as drawn", 0.15, "lower"),
    Target("dearest.first", "log_odds", "first unit is the dearest", 0.6),
    Target("dearest.rank", "log_odds", "rank correlation of evidence and cost", 0.5),
    Target("dearest.raises", "log_odds", "hiding the first raises the answer", 0.04, "lower"),
    Target("occlusion.mean", "ratio", "action units hidden: ratio, mean fill", 2.0),
    Target("occlusion.mean", "ratio", "the same, against the twins"),
    Target("deletion.mean", "gain", "deletion, mean fill: gain", slack=True),
    Target("insertion.mean", "gain", "insertion, mean fill: gain", slack=True),
    Target("own_face", "class_map", "own face", 0.8),
    Target("specificity", "class_map", "specificity", 0.92),
    Target("accuracy", "", "accuracy", slack=True, twins=("unguided",)),
)


def target_rows(results: dict[str, BenchmarkResults]) -> Iterator[list[str]]:
    """Lines of the table of targets: what was aimed at, then what each settled recipe reaches.

    Args:
        results: The grid's, by the twin that rows are compared with.
    """
    for target in TARGETS:
        sign = ("at least" if target.sign > 0 else "at most") if target.bound is not None else ""
        if target.bound is None:
            aim = f"{'not worse' if target.slack else 'better'} than {' and '.join(target.twins)}"
        else:
            aim = f"{sign} {target.bound:g}"
        yield [target.words, aim, *(_found(target, recipe, results) for recipe in SETTLED)]


def _found(target: Target, recipe: str, results: dict[str, BenchmarkResults]) -> str:
    """What a recipe reaches, bold where it is enough beyond its interval."""
    if target.bound is not None:
        row = _row(results[TWINS[0]], recipe)
        value = row.mean(target.measure, target.variant)
        if value is None:
            return "to come"
        low, high = row.interval(target.measure, target.variant) or (value, value)
        text = f"{value:.3g} ({low:.3g} to {high:.3g})" if low < high else f"{value:.3g}"
        worst = low if target.sign > 0 else high
        return f"**{text}**" if target.sign * (worst - target.bound) >= 0 else text
    texts = []
    for twin in target.twins:
        difference = _row(results[twin], recipe).difference(target.measure, target.variant)
        texts.append(_compared(difference, target) if difference else "to come")
    return "; ".join(texts)


def _compared(difference: Difference, target: Target) -> str:
    """A difference, bold where it is enough: better, or with slack not clearly worse."""
    text = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
    low, high = sorted((target.sign * difference.low, target.sign * difference.high))
    return f"**{text}**" if (high if target.slack else low) > 0 else text


def _row(results: BenchmarkResults, recipe: str) -> RowResult:
    return next(result for result in results.rows if result.row.place["recipe"] == recipe)


def recall_rows(results: BenchmarkResults) -> Iterator[list[str]]:
    """Recall of each expression, mean over the seeds that are there."""
    known = [result for result in results.rows if result.seeds]
    for name in known[0].values["accuracy", ""][known[0].seeds[0]].per_expression:
        shares = (
            [its.per_expression[name] or 0.0 for its in result.values["accuracy", ""].values()]
            for result in known
        )
        yield [name, *(f"{sum(its) / len(its):.2f}" for its in shares)]


def texts(results: dict[str, BenchmarkResults]) -> dict[str, str]:
    """Every table of the page, by its name there."""
    ours = results[TWINS[0]]
    known = [result.row.place["recipe"] for result in ours.rows if result.seeds]
    shown: Sequence[str] = ("accuracy", "balanced_accuracy", "att_cos", "cam_cos", "specificity", "own_face")
    further = "\n\n".join(markdown(each) for each in evidence_tables(ours))
    return {
        "targets": table(["", "aimed at", *SETTLED], list(target_rows(results))),
        "main": markdown(main_table(ours, measures=shown)),
        "measures": further,
        "recall": table(["recall", *known], list(recall_rows(ours))),
    }


def main() -> None:
    """Bring the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"), help="folder of the benchmark")
    parser.add_argument("--seeds", type=int, nargs="+", help="those that are there, if not all")
    arguments = parser.parse_args()
    grid = Grid.load(GRIDS / "evidence.yaml")
    grid = replace(grid, seeds=tuple(arguments.seeds or grid.seeds))
    results = {twin: collect(replace(grid, baseline={"recipe": twin}), arguments.out) for twin in TWINS}
    paste(PAGE, {name: block(name, text) for name, text in texts(results).items()})


if __name__ == "__main__":
    main()
