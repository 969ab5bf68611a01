"""Everything that a benchmark says, written at once: tables, the figure, and one page that holds them all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from aucue.evaluation.benchmark.bootstrap import Difference
from aucue.evaluation.benchmark.collect import BenchmarkResults, GroupResult, RowResult
from aucue.evaluation.benchmark.tables import (
    PROTOCOLS,
    SHOWN,
    Line,
    baseline_name,
    difference_text,
    is_clear,
    lines,
    lines_of,
    number_text,
    reading,
    short_label,
    shown_axes,
    write_tables,
)
from aucue.evaluation.report import templates
from aucue.pages import write_page

REPORT_FILE = "report.html"

COMPARED: Mapping[str, str] = {
    "CL": "Accuracy (CL), points",
    "balanced": "Balanced accuracy, points",
    "ATT-COS": "ATT-COS",
    "CAM-COS": "CAM-COS",
    "specific": "Specific, points",
    "own face": "Own face, points",
}
"""Measures whose differences are drawn, and what their pictures are called."""

MORE = ("balanced", "CAM-COS predicted", "specific attention", "own face attention")
"""Measures of the second table."""

GROUPED: Mapping[str, str] = {"CL": "accuracy (CL)", "CAM-COS macro": "CAM-COS"}
"""Measures shown by group, and what they are called."""

_LAYER = "ATT-COS "

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
class LayerTable:
    """ATT-COS per layer, of rows whose networks have the same layers."""

    layers: tuple[str, ...]
    lines: tuple[Line, ...]


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
        from aucue.evaluation.benchmark.figure import write_figure  # loads matplotlib

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
    page = templates().get_template("benchmark.html.j2")
    return write_page(
        path,
        page.render(
            title=results.grid.title,
            results=results,
            lead=_lead(results),
            protocol=PROTOCOLS[results.grid.protocol],
            reading=reading(results),
            axes=" / ".join(shown_axes(results)),
            baseline=baseline_name(results) if results.grid.baseline else "",
            shown=SHOWN,
            lines=lines(results),
            more=MORE,
            more_lines=lines(results, measures=MORE),
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
    from aucue.evaluation.benchmark.figure import inline_svg  # loads matplotlib

    return inline_svg(results)


def _named(
    sets: Mapping[str, Sequence[RowResult]], made: Callable[[Sequence[RowResult]], Iterable[Part]]
) -> dict[str, list[Part]]:
    """What is made of each set's rows, for the sets of which something is."""
    found = {title: list(made(rows)) for title, rows in sets.items()}
    return {title: parts for title, parts in found.items() if parts}


def _forests(results: BenchmarkResults, rows: Sequence[RowResult]) -> Iterator[Forest]:
    """One per measure that any of the rows has a difference in."""
    for measure, title in COMPARED.items():
        known = {
            short_label(results, result): (difference, difference_text(result, measure))
            for result in rows
            if (difference := result.differences.get(measure)) is not None
        }
        if known:
            yield _forest(title, known)


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


def _layer_tables(results: BenchmarkResults, rows: Iterable[RowResult]) -> Iterator[LayerTable]:
    """One per kind of network, by the names of its layers; guided layers stand out."""
    kinds: dict[tuple[str, ...], list[Line]] = {}
    for result in rows:
        measures = [measure for measure in result.values if measure.startswith(_LAYER)]
        layers = tuple(measure.removeprefix(_LAYER) for measure in measures)
        if not layers:
            continue
        guided = tuple(layer in result.guided_layers for layer in layers)
        for line in lines_of(results, result, measures):
            kinds.setdefault(layers, []).append(replace(line, clear=guided) if line.kind == "row" else line)
    return (LayerTable(layers, tuple(found)) for layers, found in kinds.items())


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
        tuple(number_text(ours[name].means[measure] if name in ours else None, measure) for name in names)
        for measure in GROUPED
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
