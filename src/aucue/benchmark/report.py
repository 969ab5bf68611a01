"""Everything that a benchmark says, written at once: tables, the figure, and one page that holds them all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from aucue.benchmark.bootstrap import Difference
from aucue.benchmark.results import BenchmarkResults, GroupResult, RowResult
from aucue.benchmark.tables import (
    PROTOCOLS,
    SHOWN,
    baseline_name,
    difference_text,
    evidence_tables,
    is_clear,
    lines_of,
    main_table,
    reading,
    short_label,
    shown_axes,
    write_tables,
)
from aucue.evaluation.measures import MEASURES, Figure
from aucue.evaluation.report.page import templates
from aucue.evaluation.report.tables import Mark, Table, number_text
from aucue.pages import write_page

REPORT_FILE = "report.html"

COMPARED = ("accuracy", "balanced_accuracy", "att_cos", "cam_cos", "specificity", "own_face")
"""Measures whose differences are drawn."""

MORE: tuple[Figure, ...] = (
    ("balanced_accuracy", ""),
    ("cam_cos", "predicted"),
    ("specificity", "attention"),
    ("own_face", "attention"),
)
"""Figures of the second table."""

GROUPED: Mapping[Figure, str] = {("accuracy", ""): "accuracy (CL)", ("cam_cos", "macro"): "CAM-COS"}
"""Figures shown by group, and what they are called."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class Reach:
    """A difference and its interval, placed on the axis of its measure.

    Attributes:
        name: Row.
        text: The difference with its interval.
        clear: Whether the interval does not hold 0.
        low, value, high: Places on the axis in percent of its length.
    """

    name: str
    text: str
    clear: bool
    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Forest:
    """The differences of one measure on a common axis.

    Attributes:
        title: The measure.
        zero: Place of 0 on the axis in percent of its length.
        reaches: One per row that has a difference.
        verdict: How many intervals lie above and below 0, in a sentence.
    """

    title: str
    zero: float
    reaches: tuple[Reach, ...]
    verdict: str


@dataclass(frozen=True)
class GroupTable:
    """Figures by the groups of one attribute.

    Attributes:
        attribute: What the groups differ in.
        groups: Name of a group -> its faces.
        rows: Name of a row, and its figures per measure of `GROUPED` and per group.
    """

    attribute: str
    groups: Mapping[str, GroupResult]
    rows: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def write_benchmark(results: BenchmarkResults, folder: Path) -> Path:
    """Write everything, replacing earlier files: the tables, `report.html`, and the figure, if there is one.

    Args:
        results: What to write.
        folder: Created if need be.

    Returns:
        Path of the report.

    Raises:
        InputError: The setting that the grid draws its figure over is no number.
    """
    write_tables(results, folder)
    if results.grid.figure is not None:
        from aucue.benchmark.figure import write_figure  # loads matplotlib

        write_figure(results, folder)
    return write_report(results, folder / REPORT_FILE)


def write_report(results: BenchmarkResults, path: Path) -> Path:
    """Write the page of a benchmark: one HTML file that asks nothing of any other place.

    Args:
        results: What to report.
        path: HTML file, replaced if it exists.

    Returns:
        The path.

    Raises:
        InputError: The setting that the grid draws its figure over is no number.
    """
    sets = {title: rows for title, rows in results.by_set().items() if any(row.seeds for row in rows)}
    page = templates("benchmark").get_template("benchmark.html.j2")
    return write_page(
        path,
        page.render(
            title=results.grid.title,
            results=results,
            lead=_lead(results),
            protocol=PROTOCOLS[results.grid.protocol],
            reading=reading(results),
            baseline=baseline_name(results) if results.grid.baseline else "",
            shown=[MEASURES[key] for key in SHOWN],
            main=main_table(results),
            more=_more_table(results),
            evidence=evidence_tables(results),
            forests=_named(sets, lambda rows: _forests(results, rows)),
            figure=_figure(results),
            layers=_named(sets, lambda rows: _layer_tables(results, rows)),
            grouped=tuple(GROUPED.values()),
            groups=_named(sets, lambda rows: _group_tables(results, rows)),
            times=[(cell, _minutes(s), machine) for cell, (s, machine) in results.seconds.items()],
            total=_minutes(sum(seconds for seconds, _ in results.seconds.values())),
        ),
    )


def _lead(results: BenchmarkResults) -> str:
    grid, sets = results.grid, list(results.by_set())
    seeds = "one seed" if len(grid.seeds) == 1 else f"{len(grid.seeds)} seeds"
    return f"{'; '.join(sets)}. {len(grid.rows)} rows from {len(grid.cells)} trainings with {seeds}."


def _figure(results: BenchmarkResults) -> str | None:
    if results.grid.figure is None:
        return None
    from aucue.benchmark.figure import inline_svg  # loads matplotlib

    return inline_svg(results)


def _named(
    sets: Mapping[str, Sequence[RowResult]], made: Callable[[Sequence[RowResult]], Iterable[Part]]
) -> dict[str, list[Part]]:
    """What is made of each set's rows, for the sets of which something is."""
    found = {title: list(made(rows)) for title, rows in sets.items()}
    return {title: parts for title, parts in found.items() if parts}


def _forests(results: BenchmarkResults, rows: Sequence[RowResult]) -> Iterator[Forest]:
    """One per measure that any of the rows has a difference in."""
    for key in COMPARED:
        known = {
            short_label(results, result): (difference, difference_text(result, key))
            for result in rows
            if (difference := result.difference(key)) is not None
        }
        if known:
            yield _forest(MEASURES[key].title + ", points" * MEASURES[key].percent, known)


def _forest(title: str, known: Mapping[str, tuple[Difference, str]]) -> Forest:
    differences = [difference for difference, _ in known.values()]
    low, high = min(0.0, *(d.low for d in differences)), max(0.0, *(d.high for d in differences))
    length = (high - low) * 1.08 or 1.0  # a margin of 4 percent at both ends

    def place(value: float) -> float:
        return 100 * ((value - (low + high) / 2) / length + 0.5)

    reaches = (
        Reach(name, text, is_clear(d), place(d.low), place(d.value), place(d.high))
        for name, (d, text) in known.items()
    )
    return Forest(title, place(0), tuple(reaches), _verdict(differences))


def _verdict(differences: Sequence[Difference]) -> str:
    above = sum(difference.low > 0 for difference in differences)
    below = sum(difference.high < 0 for difference in differences)
    return f"{above} of {len(differences)} intervals above 0, {below} below."


def _more_table(results: BenchmarkResults) -> Table:
    lines = [line for rows in results.by_set().values() for r in rows for line in lines_of(results, r, MORE)]
    heads = (f"{MEASURES[key].column} {MEASURES[key].name_of(variant)}".strip() for key, variant in MORE)
    return Table("", " / ".join(shown_axes(results)), tuple(heads), tuple(lines))


def _layer_tables(results: BenchmarkResults, rows: Iterable[RowResult]) -> Iterator[Table]:
    """One per kind of network, by the names of its layers; guided layers stand out."""
    kinds: dict[tuple[str, ...], list] = {}
    for result in rows:
        layers = tuple(variant for key, variant in result.values if key == "att_cos")
        if not layers:
            continue
        guided: tuple[Mark, ...] = tuple("out" if layer in result.guided_layers else "" for layer in layers)
        for line in lines_of(results, result, [("att_cos", layer) for layer in layers]):
            line = replace(line, marked=guided) if line.kind == "row" else line
            kinds.setdefault(layers, []).append(line)
    corner = " / ".join(shown_axes(results))
    return (Table("", corner, layers, tuple(found)) for layers, found in kinds.items())


def _group_tables(results: BenchmarkResults, rows: Sequence[RowResult]) -> Iterator[GroupTable]:
    """One per attribute."""
    for attribute in dict.fromkeys(name for result in rows for name in result.groups):
        members = [result for result in rows if attribute in result.groups]
        groups = {value: group for result in members for value, group in result.groups[attribute].items()}
        yield GroupTable(
            attribute,
            groups,
            tuple((short_label(results, r), _group_cells(r.groups[attribute], groups)) for r in members),
        )


def _group_cells(ours: Mapping[str, GroupResult], groups: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Per measure one figure per group."""
    names = list(groups)
    return tuple(
        tuple(
            number_text(ours[name].means[figure] if name in ours else None, its, 2 if its.percent else 3)
            for name in names
        )
        for figure in GROUPED
        if (its := MEASURES[figure[0]])
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
