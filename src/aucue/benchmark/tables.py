"""Tables of a benchmark: Markdown and LaTeX to read, CSV and JSON for machines, one for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table as TerminalTable

from aucue.benchmark.bootstrap import Difference
from aucue.benchmark.results import BenchmarkResults, GroupResult, RowResult
from aucue.evaluation.files import write_csv
from aucue.evaluation.measures import MEASURES, Figure, Measure, column_of
from aucue.evaluation.report.comparison import COSINES, FURTHER
from aucue.evaluation.report.tables import Line, Mark, Table, for_terminal, latex, markdown, number_text
from aucue.work.files import appearing, write_json

SHOWN = ("accuracy", "att_cos", "cam_cos", "specificity", "own_face")
"""Measures of the table that people read first; the files for machines have all."""

PROTOCOLS: Mapping[str, str] = {
    "holdout": "Protocol holdout: what is selected is selected on a held-out part of the training faces; the "
    "test faces are touched once.",
    "fg2024": "Protocol fg2024: the epoch is selected ON THE TEST SET, as published; all figures are "
    "optimistic.",
}


def write_tables(results: BenchmarkResults, folder: Path) -> Path:
    """Write `table.md`, `table.tex`, `results.csv` and `results.json`, replacing earlier ones.

    Where the set has attributes also `per_group.csv`, and `times.csv` where times of trainings were noted.

    Args:
        results: What to write.
        folder: Created if need be.

    Returns:
        Path of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = tables(results)
    _write_text(folder / "table.tex", "\n".join(latex(table, label) for label, table in found.items()))
    write_json(folder / "results.json", to_dict(results))
    _write_csv(folder / "results.csv", list(_long_rows(results)))
    _write_csv(folder / "per_group.csv", list(_group_rows(results)))
    _write_csv(folder / "times.csv", _time_rows(results))
    _write_text(folder / "table.md", "\n\n".join(map(markdown, found.values())) + "\n")
    return folder / "table.md"


def explanation(results: BenchmarkResults) -> list[str]:
    """What a reader of the tables has to know, in sentences: notes, protocol, reading, what is missing."""
    missing = [f"Missing: {'; '.join(results.missing)}."] if results.missing else []
    return [*results.notes, PROTOCOLS[results.grid.protocol], *reading(results), *missing]


def reading(results: BenchmarkResults) -> list[str]:
    """How the table is read, in sentences."""
    grid = results.grid
    numbers = ", ".join(map(str, grid.seeds))
    averaged = (
        f"Mean ± standard deviation over seeds {numbers}."
        if len(grid.seeds) > 1
        else f"One seed ({numbers})."
    )
    sentences = [f"{averaged} Shares (CL, specific, own face) in percent."]
    if grid.baseline:
        sentences.append(
            f'Lines "minus {baseline_name(results)}": difference of the means over the seeds that both have, '
            "with the 95 % interval of a paired bootstrap over the test faces; it says what other faces "
            "would do to these networks, not what other seeds would."
        )
    if any(result.row.published for result in results.rows):
        sentences.append('Lines "paper": published values.')
    if results.controls:
        sentences.append(
            "Controls: maps that never looked at the image; a cosine speaks as far as it exceeds them."
        )
    return sentences


def shown_axes(results: BenchmarkResults) -> tuple[str, ...]:
    """Axes on which the rows of some set differ; all of them where none does."""
    sets = results.by_set().values()
    axes = tuple(results.grid.axes)
    return tuple(a for a in axes if any(len({r.row.place[a] for r in rows}) > 1 for rows in sets)) or axes


def short_label(results: BenchmarkResults, result: RowResult) -> str:
    """The row's names on the axes shown."""
    return " / ".join(result.row.place[axis] for axis in shown_axes(results))


def tables(results: BenchmarkResults) -> dict[str, Table]:
    """The tables that people read, by a label: the main one, and evidence where it was measured."""
    name = results.grid.name
    return {name: main_table(results)} | {
        f"{name}-evidence-{k}": table for k, table in enumerate(evidence_tables(results), start=1)
    }


def main_table(results: BenchmarkResults, *, brief: bool = False, measures: Sequence[str] = SHOWN) -> Table:
    """Rows, their differences and controls.

    Args:
        results: What to show.
        brief: Fewer digits and no intervals, for a terminal.
        measures: Its columns.
    """
    sets, found = results.by_set(), []
    for title, rows in sets.items():
        if len(sets) > 1:
            found.append(Line("set", title, ("",) * len(measures)))
        for result in rows:
            found += lines_of(results, result, [(m, None) for m in measures], brief=brief)
        for name, value in results.controls.get(title, {}).items():
            cells = tuple(_text(value if m in COSINES else None, m, brief=brief) for m in measures)
            if any(cells):
                found.append(Line("control", name, cells))
    heads = tuple(MEASURES[measure].column for measure in measures)
    return Table(
        heading(results), " / ".join(shown_axes(results)), heads, tuple(found), tuple(explanation(results))
    )


def evidence_tables(results: BenchmarkResults) -> list[Table]:
    """Per set of faces whose evidence was measured, further measures as lines, and the rows as columns."""
    found = []
    for title, rows in results.by_set().items():
        known = [result for result in rows if result.seeds]
        measures = [m for m in FURTHER if any(m.key in result.headlines for result in known)]
        if any(measure.costly for measure in measures):
            lines = [line for m in measures for line in _evidence_lines(results, known, m)]
            heads = ("good", *(short_label(results, result) for result in known))
            found.append(Table(f"{results.grid.title}, evidence: {title}", "", heads, tuple(lines)))
    return found


def _evidence_lines(results: BenchmarkResults, rows: Sequence[RowResult], measure: Measure) -> Iterator[Line]:
    """A measure of every row, its gain where it has one, their differences, and what to read them against."""
    variants = [None, *(["gain"] if any((measure.key, "gain") in row.values for row in rows) else [])]
    for variant in variants:
        title = measure.title + (f": {variant}" if variant else "")
        better = "higher" if variant else measure.better
        yield Line("row", title, (better, *(mean_text(row, measure.key, variant) for row in rows)))
        differences = [row.difference(measure.key, variant) for row in rows]
        if any(differences):
            texts = (difference_text(row, measure.key, variant) for row in rows)
            label = f"minus {baseline_name(results)}"
            marks: list[Mark] = ["", *(mark_of(difference, better) for difference in differences)]
            yield Line("difference", label, ("", *texts), tuple(marks))
    if measure.reference:
        texts = (mean_text(row, measure.key, measure.reference) for row in rows)
        yield Line("reference", measure.name_of(measure.reference), ("", *texts))


def lines_of(
    results: BenchmarkResults,
    result: RowResult,
    columns: Sequence[tuple[str, str | None]],
    *,
    brief: bool = False,
) -> Iterator[Line]:
    """A row, what the paper has for it, and its difference from the baseline.

    Args:
        results: Of the grid.
        result: Of the row.
        columns: Measures, each under a variant or under the one that says it all.
        brief: Fewer digits and no intervals.
    """
    there, wanted = len(result.seeds), len(results.grid.seeds)
    lacking = "" if there == wanted else f" ({there} of {wanted} seeds)" if there else " (missing)"
    values = tuple(mean_text(result, *column, brief=brief) for column in columns)
    yield Line("row", short_label(results, result) + lacking, values)
    published = [result.row.published.get(MEASURES[m].column) if v is None else None for m, v in columns]
    if any(value is not None for value in published):
        texts = (_published(value, m) for value, (m, _) in zip(published, columns, strict=True))
        yield Line("paper", "paper", tuple(texts))
    if result.differences:
        yield Line(
            "difference",
            f"minus {baseline_name(results)}",
            tuple(difference_text(result, *column, brief=brief) for column in columns),
            tuple(mark_of(result.difference(*column), MEASURES[column[0]].better) for column in columns),
        )


def terminal_table(results: BenchmarkResults) -> TerminalTable:
    """For a terminal of 80 columns."""
    table = main_table(results, brief=True)
    star = ("* This interval does not hold 0; the report shows it.",) if results.grid.baseline else ()
    return for_terminal(replace(table, notes=(*table.notes, *star)))


def to_dict(results: BenchmarkResults) -> dict[str, Any]:
    """Everything as plain values that JSON can hold; times are left out, they are no result."""
    grid = results.grid
    return {
        "name": grid.name,
        "title": grid.title,
        "protocol": grid.protocol,
        "seeds": list(grid.seeds),
        "baseline": dict(grid.baseline),
        "rows": [
            {
                "place": dict(result.row.place),
                "settings": dict(result.row.settings),
                "faces": result.set,
                "seeds": list(result.seeds),
                "headlines": dict(result.headlines),
                "measures": {
                    key: {v: _summary(result, key, v) for m, v in result.values if m == key}
                    for key in dict.fromkeys(measure for measure, _ in result.values)
                },
                "published": dict(result.row.published),
                "groups": {
                    attribute: {value: _group_summary(group) for value, group in members.items()}
                    for attribute, members in result.groups.items()
                },
            }
            for result in results.rows
        ],
        "controls": {title: dict(values) for title, values in results.controls.items()},
        "missing": list(results.missing),
        "notes": list(results.notes),
    }


def difference_text(
    result: RowResult, measure: str, variant: str | None = None, *, brief: bool = False
) -> str:
    """A difference with its interval, in brief a star where that does not hold 0; nothing without any."""
    difference = result.difference(measure, variant)
    if difference is None:
        return ""
    value, low, high = (
        _text(v, measure, brief=brief) for v in (difference.value, difference.low, difference.high)
    )
    uncertainty = ("*" if is_clear(difference) else "") if brief else f" [{low}, {high}]"
    return f"{'' if value.startswith('-') else '+'}{value}{uncertainty}"


def is_clear(difference: Difference | None) -> bool:
    """Whether the interval of a difference does not hold 0."""
    return difference is not None and not difference.low <= 0 <= difference.high


def mark_of(difference: Difference | None, better: str) -> Mark:
    """Whether a difference is good or bad; "" where its interval holds 0, or neither direction is better."""
    if difference is None or not is_clear(difference) or better == "near 0":
        return ""
    return "good" if (difference.value > 0) == (better == "higher") else "bad"


def mean_text(result: RowResult, measure: str, variant: str | None = None, *, brief: bool = False) -> str:
    """Mean ± deviation over seeds, or the interval over faces of a single seed; nothing without any value."""
    value = _text(result.mean(measure, variant), measure, brief=brief)
    spread = _text(result.deviation(measure, variant), measure, brief=brief)
    interval = result.interval(measure, variant)
    if interval is None or brief or not value:
        return value + (spread and f" ± {spread}")
    low, high = (_text(end, measure) for end in interval)
    return f"{value} [{low}, {high}]"


def _text(value: float | None, measure: str, *, brief: bool = False) -> str:
    """Accuracies with two digits, as the paper prints them; in brief one digit less of everything."""
    its = MEASURES[measure]
    digits = 2 if its.is_counted else 1 if its.percent else 3
    return number_text(value, its, digits - brief)


def baseline_name(results: BenchmarkResults) -> str:
    """What differences are taken from."""
    return next(iter(results.grid.baseline.values()))


def heading(results: BenchmarkResults) -> str:
    """The title, with the test faces where they are the same for all rows."""
    sets = list(results.by_set())
    return results.grid.title + (f": {sets[0]}" if len(sets) == 1 else "")


def _published(value: float | None, measure: str) -> str:
    """As printed in the paper: accuracies with two digits, cosines with two, some with three."""
    if value is None:
        return ""
    return f"{100 * value:.2f}" if MEASURES[measure].percent else f"{value:.3f}".removesuffix("0")


def _summary(result: RowResult, measure: str, variant: str) -> dict[str, Any]:
    seeds, difference = result.values[measure, variant], result.difference(measure, variant)
    return {
        "mean": result.mean(measure, variant),
        "sd": result.deviation(measure, variant),
        "values": {str(seed): estimate.value for seed, estimate in seeds.items()},
        "intervals": {str(seed): estimate.interval for seed, estimate in seeds.items()},
        "difference": difference and asdict(difference),
    }


def _group_summary(group: GroupResult) -> dict[str, Any]:
    means = {column_of(figure): value for figure, value in group.means.items()}
    return {"faces": group.faces, "small": group.small, "means": means}


def _long_rows(results: BenchmarkResults) -> Iterator[dict[str, Any]]:
    """One line per number: of a row, a figure and a statistic, or of a control."""

    def line(
        place: Mapping[str, str], faces: str, figure: Figure, statistic: str, value: Any
    ) -> dict[str, Any]:
        names = {axis: place.get(axis) for axis in results.grid.axes}
        measure, variant = figure
        what = {"faces": faces, "measure": measure, "variant": variant}
        return {**names, **what, "statistic": statistic, "value": value}

    for result in results.rows:
        row = partial(line, result.row.place, result.set)
        for figure, seeds in result.values.items():
            for seed, estimate in seeds.items():
                yield row(figure, f"seed {seed}", estimate.value)
                for end, value in zip(("low", "high"), estimate.interval or (), strict=False):
                    yield row(figure, f"seed {seed} {end}", value)
            summary = _summary(result, *figure)
            yield row(figure, "mean", summary["mean"])
            yield row(figure, "sd", summary["sd"])
            for name, value in (summary["difference"] or {}).items():
                yield row(figure, "difference" if name == "value" else f"difference {name}", value)
        for column, value in result.row.published.items():
            key = next((key for key, measure in MEASURES.items() if measure.column == column), column)
            yield row((key, result.headlines.get(key, "")), "published", value)
    for title, controls in results.controls.items():
        for name, value in controls.items():
            yield line({}, title, ("control", name), "mean", value)


def _group_rows(results: BenchmarkResults) -> Iterator[dict[str, Any]]:
    """One line per row and group."""
    for result in results.rows:
        for attribute, members in result.groups.items():
            for value, group in members.items():
                place = {**result.row.place, "test faces": result.set, "seeds": len(result.seeds)}
                group_of = {"attribute": attribute, "value": value, "faces": group.faces}
                means = _group_summary(group)["means"]
                yield {**place, **group_of, "small": int(group.small), **means}


def _time_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    return [
        {"cell": cell, "seconds": seconds, "machine": machine}
        for cell, (seconds, machine) in results.seconds.items()
    ]


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with equal keys, numbers with all their digits; without rows no file."""
    if rows:
        write_csv(path, rows, digits=None)
    else:
        path.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    with appearing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
