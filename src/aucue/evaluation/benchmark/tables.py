"""Tables of a benchmark: Markdown and LaTeX to read, CSV and JSON for machines, one for the terminal."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aucue.evaluation.benchmark.bootstrap import Difference
from aucue.evaluation.benchmark.collect import BenchmarkResults, RowResult
from aucue.evaluation.results import write_csv
from aucue.work.files import appearing, write_json

SHOWN = ("CL", "ATT-COS", "CAM-COS", "specific", "own face")
"""Measures of the tables that people read; the files for machines have all."""

PROTOCOLS: Mapping[str, str] = {
    "holdout": "Protocol holdout: what is selected is selected on a held-out part of the training faces; the "
    "test faces are touched once.",
    "fg2024": "Protocol fg2024: the epoch is selected ON THE TEST SET, as published; all figures are "
    "optimistic.",
}

_COSINES = ("ATT-COS", "CAM-COS")
_ACCURACIES = ("CL", "balanced")


@dataclass(frozen=True)
class Line:
    """One line of a table that people read.

    Attributes:
        kind: "set" (a heading), "row", "paper" and "difference" (below their row) or "control".
        label: What stands at its beginning.
        cells: One text per measure.
        clear: Per cell, whether it is a difference whose interval does not hold 0.
    """

    kind: Literal["set", "row", "paper", "difference", "control"]
    label: str
    cells: tuple[str, ...]
    clear: tuple[bool, ...] = ()


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
    _write_text(folder / "table.tex", latex(results))
    write_json(folder / "results.json", to_dict(results))
    _write_csv(folder / "results.csv", list(_long_rows(results)))
    _write_csv(folder / "per_group.csv", list(_group_rows(results)))
    _write_csv(folder / "times.csv", _time_rows(results))
    _write_text(folder / "table.md", markdown(results) + "\n")
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
    sentences = [f"{averaged} CL, specific and own face in percent."]
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


def lines(results: BenchmarkResults, *, brief: bool = False, measures: Sequence[str] = SHOWN) -> list[Line]:
    """The table that people read.

    Args:
        results: What to show.
        brief: Fewer digits and no intervals, for a terminal.
        measures: Its columns.
    """
    sets = results.by_set()
    found = []
    for title, rows in sets.items():
        if len(sets) > 1:
            found.append(Line("set", title, ("",) * len(measures)))
        for result in rows:
            found += lines_of(results, result, measures, brief=brief)
        for name, value in results.controls.get(title, {}).items():
            cells = tuple(number_text(value if m in _COSINES else None, m, brief=brief) for m in measures)
            if any(cells):
                found.append(Line("control", f"control: {name}", cells))
    return found


def lines_of(
    results: BenchmarkResults, result: RowResult, measures: Sequence[str], *, brief: bool = False
) -> Iterator[Line]:
    """A row, what the paper has for it, and its difference from the baseline."""
    there, wanted = len(result.seeds), len(results.grid.seeds)
    lacking = "" if there == wanted else f" ({there} of {wanted} seeds)" if there else " (missing)"
    values = tuple(mean_text(result, measure, brief=brief) for measure in measures)
    yield Line("row", short_label(results, result) + lacking, values)
    published = result.row.published
    if any(measure in published for measure in measures):
        yield Line("paper", "paper", tuple(_published(published.get(m), m) for m in measures))
    if result.differences:
        yield Line(
            "difference",
            f"minus {baseline_name(results)}",
            tuple(difference_text(result, m, brief=brief) for m in measures),
            tuple(is_clear(result.differences.get(m)) for m in measures),
        )


def markdown(results: BenchmarkResults) -> str:
    """As a Markdown table under its title."""
    head = [" / ".join(shown_axes(results)), *SHOWN]
    rows = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * len(SHOWN)]
    for line in lines(results):
        label = line.label.replace("|", "\\|")
        label = {"row": label, "set": f"**{label}**"}.get(line.kind, f"*{label}*")
        rows.append(f"| {label} | " + " | ".join(line.cells) + " |")
    return "\n".join([f"**{heading(results)}**", "", *rows, "", *(f"- {s}" for s in explanation(results))])


def latex(results: BenchmarkResults) -> str:
    """As a LaTeX table (package booktabs)."""
    head = [" / ".join(shown_axes(results)), *SHOWN]
    rows, found = [], lines(results)
    for before, line in zip([None, *found], found, strict=False):
        if _opens_block(before, line):
            rows.append(r"\midrule")
        if line.kind == "set":
            rows.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\textbf{{{_escaped(line.label)}}}}} \\")
            continue
        indent = r"\quad " if line.kind in ("paper", "difference") else ""
        cells = [indent + _escaped(line.label), *(_escaped(cell).replace("-", "$-$") for cell in line.cells)]
        rows.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(heading(results))}. {_escaped(' '.join(explanation(results)))}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', results.grid.name)}}}",
            r"\begin{tabular}{l" + "r" * len(SHOWN) + "}",
            r"\toprule",
            " & ".join(map(_escaped, head)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def terminal_table(results: BenchmarkResults) -> Table:
    """For a terminal of 80 columns."""
    star = ["* This interval does not hold 0; the report shows it."] if results.grid.baseline else []
    caption = Text("\n".join([*explanation(results), *star]))
    table = Table(title=Text(heading(results)), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.title_justify = table.caption_justify = "left"
    table.add_column(Text(" / ".join(shown_axes(results))), overflow="fold")
    for measure in SHOWN:
        table.add_column(measure, justify="right", no_wrap=True)
    found = lines(results, brief=True)
    for line, after in zip(found, [*found[1:], None], strict=True):
        style = {"set": "bold", "row": None}.get(line.kind, "dim")
        indent = "  " if line.kind in ("paper", "difference") else ""
        last = after is not None and _opens_block(line, after)
        table.add_row(Text(indent + line.label), *map(Text, line.cells), style=style, end_section=last)
    return table


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
                "attention_layer": result.attention_layer,
                "measures": {measure: _summary(result, measure) for measure in result.values},
                "groups": {
                    attribute: {value: asdict(group) for value, group in members.items()}
                    for attribute, members in result.groups.items()
                },
            }
            for result in results.rows
        ],
        "controls": {title: dict(values) for title, values in results.controls.items()},
        "missing": list(results.missing),
        "notes": list(results.notes),
    }


def difference_text(result: RowResult, measure: str, *, brief: bool = False) -> str:
    """A difference with its interval, in brief a star where that does not hold 0; nothing without any."""
    difference = result.differences.get(measure)
    if difference is None:
        return ""
    value, low, high = (
        number_text(v, measure, brief=brief) for v in (difference.value, difference.low, difference.high)
    )
    uncertainty = ("*" if is_clear(difference) else "") if brief else f" [{low}, {high}]"
    return f"{'' if value.startswith('-') else '+'}{value}{uncertainty}"


def is_clear(difference: Difference | None) -> bool:
    """Whether the interval of a difference does not hold 0."""
    return difference is not None and not difference.low <= 0 <= difference.high


def mean_text(result: RowResult, measure: str, *, brief: bool = False) -> str:
    """Mean ± deviation; nothing where no evaluation has a value."""
    spread = number_text(result.deviation(measure), measure, brief=brief)
    return number_text(result.mean(measure), measure, brief=brief) + (spread and f" ± {spread}")


def number_text(value: float | None, measure: str, *, brief: bool = False) -> str:
    """Shares in percent, cosines as they are; no minus before a zero, nothing for None."""
    if value is None:
        return ""
    cosine = measure.startswith(_COSINES)
    digits = (3 if cosine else 2 if measure in _ACCURACIES else 1) - brief
    text = f"{value if cosine else 100 * value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def baseline_name(results: BenchmarkResults) -> str:
    """What differences are taken from."""
    return next(iter(results.grid.baseline.values()))


def heading(results: BenchmarkResults) -> str:
    """The title, with the test faces where they are the same for all rows."""
    sets = list(results.by_set())
    return results.grid.title + (f": {sets[0]}" if len(sets) == 1 else "")


def _opens_block(before: Line | None, line: Line) -> bool:
    """Whether a rule belongs between two lines: around controls, and above the next set."""
    if before is None:
        return False
    return line.kind == "set" or (line.kind == "control") != (before.kind == "control")


def _published(value: float | None, measure: str) -> str:
    """As printed in the paper: accuracies with two digits, cosines with two, some with three."""
    if value is None:
        return ""
    return f"{value:.3f}".removesuffix("0") if measure in _COSINES else f"{100 * value:.2f}"


def _escaped(text: str) -> str:
    """Plain text as LaTeX."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    special |= {"±": r"$\pm$", "λ": r"$\lambda$", "<": "$<$", ">": "$>$"}
    return "".join(special.get(sign, sign) for sign in text)


def _summary(result: RowResult, measure: str) -> dict[str, Any]:
    difference = result.differences.get(measure)
    return {
        "mean": result.mean(measure),
        "sd": result.deviation(measure),
        "values": {str(seed): value for seed, value in result.values[measure].items()},
        "difference": difference and asdict(difference),
        "published": result.row.published.get(measure),
    }


def _long_rows(results: BenchmarkResults) -> Iterator[dict[str, Any]]:
    """One line per number: of a row, a measure and a statistic, or of a control."""

    def line(
        place: Mapping[str, str], faces: str, measure: str, statistic: str, value: Any
    ) -> dict[str, Any]:
        names = {axis: place.get(axis) for axis in results.grid.axes}
        return {**names, "faces": faces, "measure": measure, "statistic": statistic, "value": value}

    for result in results.rows:
        place, faces = result.row.place, result.set
        for measure, seeds in result.values.items():
            for seed, value in seeds.items():
                yield line(place, faces, measure, f"seed {seed}", value)
            summary = _summary(result, measure)
            yield line(place, faces, measure, "mean", summary["mean"])
            yield line(place, faces, measure, "sd", summary["sd"])
            for name, value in (summary["difference"] or {}).items():
                name = "difference" if name == "value" else f"difference {name}"
                yield line(place, faces, measure, name, value)
        for measure, value in result.row.published.items():
            yield line(place, faces, measure, "published", value)
    for title, controls in results.controls.items():
        for name, value in controls.items():
            yield line({}, title, "cosine", f"control {name}", value)


def _group_rows(results: BenchmarkResults) -> Iterator[dict[str, Any]]:
    """One line per row and group."""
    for result in results.rows:
        for attribute, members in result.groups.items():
            for value, group in members.items():
                place = {**result.row.place, "test faces": result.set, "seeds": len(result.seeds)}
                group_of = {"attribute": attribute, "value": value, "faces": group.faces}
                yield {**place, **group_of, "small": int(group.small), **group.means}


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
