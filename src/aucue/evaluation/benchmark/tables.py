"""Tables of a benchmark: Markdown and LaTeX to read, CSV and JSON for machines, one for the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from aucue.evaluation.benchmark.collect import MEASURES, BenchmarkResults, RowResult
from aucue.evaluation.results import write_csv

SHOWN = ("CL", "ATT-COS", "CAM-COS", "specific", "own face")
_SHARES = ("CL", "balanced", "specific", "own face")  # printed in percent
_PROTOCOLS = {
    "holdout": "Protocol holdout: the epoch was selected on held-out training faces; the test faces were "
    "looked at once.",
    "fg2024": "Protocol fg2024: the epoch was selected ON THE TEST SET, as published; every figure is "
    "flattering",
}


def write_tables(results: BenchmarkResults, folder: Path) -> Path:
    """Write `table.md`, `table.tex`, `results.csv` and `results.json`, replacing earlier ones.

    Args:
        results: What to write.
        folder: Created if need be.

    Returns:
        Path of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.tex").write_text(latex(results), encoding="utf-8")
    write_csv(folder / "results.csv", list(_long_rows(results)))
    figures = json.dumps(to_dict(results), indent=2, ensure_ascii=False)
    (folder / "results.json").write_text(figures + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(results) + "\n", encoding="utf-8")
    return folder / "table.md"


def explanation(results: BenchmarkResults) -> list[str]:
    """What a reader of the tables has to know, in sentences."""
    grid = results.grid
    seeds = f"seed{'s' if len(grid.seeds) > 1 else ''} {', '.join(map(str, grid.seeds))}"
    sentences = [*grid.notes, _PROTOCOLS[grid.protocol], f"Mean ± standard deviation over {seeds}."]
    if grid.baseline:
        sentences.append(
            f"Δ: minus the row with {next(iter(grid.baseline.values()))}, with the 95 % interval of a paired "
            "bootstrap over test faces."
        )
    if results.missing:
        sentences.append(f"Missing: {'; '.join(results.missing)}.")
    return sentences


def markdown(results: BenchmarkResults) -> str:
    """As a Markdown table under its title."""
    head, body = _cells(results)
    lines = [f"**{results.grid.title}**", "", *(f"{text}  " for text in explanation(results)), ""]
    lines += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(cells) + " |" for cells in body]
    return "\n".join(lines)


def latex(results: BenchmarkResults) -> str:
    """As a LaTeX table (package booktabs)."""
    head, body = _cells(results)
    rows = [" & ".join(map(_escaped, cells)) + r" \\" for cells in (head, *body)]
    return "\n".join(
        [
            *(f"% {_escaped(text)}" for text in explanation(results)),
            r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def terminal_table(results: BenchmarkResults) -> Table:
    """For a terminal."""
    head, body = _cells(results)
    table = Table(title=results.grid.title, caption=" ".join(explanation(results)), box=SIMPLE_HEAD)
    table.title_justify = table.caption_justify = "left"
    for k, name in enumerate(head):
        table.add_column(name, justify="right" if k else "left")
    for cells in body:
        table.add_row(*cells)
    return table


def to_dict(results: BenchmarkResults) -> dict[str, Any]:
    """Everything as plain values that JSON can hold."""
    grid = results.grid
    return {
        "name": grid.name,
        "title": grid.title,
        "protocol": grid.protocol,
        "seeds": list(grid.seeds),
        "rows": [
            {
                **row.row.place,
                "faces": row.set,
                "values": {name: list(row.values[name].values()) for name in MEASURES},
                "att_cos": dict(row.att_cos),
                "difference": {k: d and [d.value, d.low, d.high] for k, d in row.differences.items()},
                "published": dict(row.row.published),
            }
            for row in results.rows
        ],
        "controls": {title: dict(values) for title, values in results.controls.items()},
        "missing": list(results.missing),
    }


def _long_rows(results: BenchmarkResults) -> Iterator[dict[str, Any]]:
    """One line per row and measure."""
    for row in results.rows:
        for measure in MEASURES:
            difference = row.differences.get(measure)
            yield {
                **row.row.place,
                "measure": measure,
                "mean": row.mean(measure),
                "sd": row.deviation(measure),
                "seeds": len(row.values[measure]),
                "difference": difference and difference.value,
                "low": difference and difference.low,
                "high": difference and difference.high,
                "published": row.row.published.get(measure),
            }


def _cells(results: BenchmarkResults) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table that people read, as text."""
    constant = results.grid.constant_axes()
    axes = [axis for axis in results.grid.axes if axis not in constant] or list(results.grid.axes)
    body = [
        [" / ".join(row.row.place[axis] for axis in axes), *(_cell(row, measure) for measure in SHOWN)]
        for row in results.rows
    ]
    several = len(results.controls) > 1
    for title, values in results.controls.items():
        for name, value in values.items():
            text = "" if value is None else f"{value:.2f}"
            label = f"control: {name}" + (f" ({title})" if several else "")
            body.append([label, *(text if measure.endswith("COS") else "" for measure in SHOWN)])
    return [" / ".join(axes), *SHOWN], body


def _cell(row: RowResult, measure: str) -> str:
    """Mean ± deviation, the difference with its interval, and the published value."""
    average, deviation = row.mean(measure), row.deviation(measure)
    if average is None:
        return ""
    text = _number(average, measure)
    if deviation is not None:
        text += f" ± {_number(deviation, measure)}"
    if difference := row.differences.get(measure):
        values = [
            _number(value, measure, signed=True)
            for value in (difference.value, difference.low, difference.high)
        ]
        text += f", Δ {values[0]} [{values[1]}, {values[2]}]"
    if measure in row.row.published:
        text += f" (paper {_number(row.row.published[measure], measure)})"
    return text


def _number(value: float, measure: str, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f}" if measure in _SHARES else f"{value:{sign}.3f}"


def _escaped(text: str) -> str:
    """Plain text as LaTeX."""
    for sign in "&%#_":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", r"$\pm$").replace("Δ", r"$\Delta$")
