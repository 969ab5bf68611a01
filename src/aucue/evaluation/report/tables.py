"""Tables that people read: lines of text, made once; rendered for page, terminal, Markdown and LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table as TerminalTable
from rich.text import Text

from aucue.evaluation.estimate import Estimate
from aucue.evaluation.measures import Measure
from aucue.work.files import printable

Mark = Literal["", "out", "good", "bad"]
_BELOW = ("paper", "difference", "reference")


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        kind: "set" (a heading), "row"; "paper", "difference" and "reference" (below their row); "control" or
            "total".
        label: What stands at its beginning.
        cells: One text per column.
        marked: Per cell why it stands out: "out" (the best of its column, a guided layer), "good" or "bad" (a
            difference whose interval does not hold 0), "" for nothing; no entries for none.
    """

    kind: Literal["set", "row", "paper", "difference", "reference", "control", "total"]
    label: str
    cells: tuple[str, ...]
    marked: tuple[Mark, ...] = ()

    @property
    def name(self) -> str:
        """The label, with what kind of line it is where the label does not say so."""
        return f"control: {self.label}" if self.kind == "control" else self.label

    @property
    def is_below(self) -> bool:
        """Whether it belongs to the row above."""
        return self.kind in _BELOW


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: Above it.
        corner: Heading of the labels.
        heads: Headings of the columns.
        lines: From top to bottom.
        notes: Sentences without which it would mislead.
    """

    title: str
    corner: str
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def without(self, heads: Sequence[str]) -> "Table":
        """The same without some of the columns."""
        kept = [k for k, head in enumerate(self.heads) if head not in heads]

        def pick(values: Sequence) -> tuple:
            return tuple(values[k] for k in kept) if values else ()

        lines = tuple(replace(line, cells=pick(line.cells), marked=pick(line.marked)) for line in self.lines)
        return replace(self, heads=pick(self.heads), lines=lines)


def number_text(value: float | None, measure: Measure, digits: int | None = None) -> str:
    """A share in percent (1 digit), the rest as it is (3 digits); no minus before a zero, "" for None."""
    if value is None:
        return ""
    digits = digits if digits is not None else 1 if measure.percent else 3
    text = f"{100 * value if measure.percent else value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def estimate_text(estimate: Estimate, measure: Measure, digits: int | None = None) -> str:
    """A figure with its interval: 0.410 [0.383, 0.452]; a dash where it is undefined."""
    if estimate.value is None:
        return "–"
    value = number_text(estimate.value, measure, digits)
    if estimate.interval is None:
        return value
    low, high = (number_text(end, measure, digits) for end in estimate.interval)
    return f"{value} [{low}, {high}]"


def markdown(table: Table) -> str:
    """As a Markdown table under its title, with its notes as a list."""
    head = [table.corner, *table.heads]
    rows = ["| " + " | ".join(map(_in_markdown, head)) + " |", "|---|" + "---:|" * len(table.heads)]
    for line in table.lines:
        label = _in_markdown(line.name)
        label = {"row": label, "total": label, "set": f"**{label}**"}.get(line.kind, f"*{label}*")
        rows.append(f"| {label} | " + " | ".join(map(_in_markdown, line.cells)) + " |")
    notes = ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join([f"**{table.title}**", "", *rows, *notes])


def latex(table: Table, label: str) -> str:
    """As a LaTeX table (package booktabs).

    Args:
        table: The table.
        label: For references to it.
    """
    columns, rows = len(table.heads) + 1, []
    for before, line in zip([None, *table.lines], table.lines, strict=False):
        if before is not None and _opens_block(before, line):
            rows.append(r"\midrule")
        if line.kind == "set":
            rows.append(rf"\multicolumn{{{columns}}}{{l}}{{\textbf{{{_in_latex(line.label)}}}}} \\")
            continue
        indent = r"\quad " if line.is_below else ""
        cells = [
            indent + _in_latex(line.name),
            *(_in_latex(cell).replace("-", "$-$") for cell in line.cells),
        ]
        rows.append(" & ".join(cells) + r" \\")
    notes = " ".join(table.notes)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_in_latex(table.title)}. {_in_latex(notes)}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', label)}}}",
            r"\begin{tabular}{l" + "r" * len(table.heads) + "}",
            r"\toprule",
            " & ".join(map(_in_latex, (table.corner, *table.heads))) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def for_terminal(table: Table) -> TerminalTable:
    """For a terminal: labels fold, figures do not; controls are grey."""
    grey = ["grey: controls, maps that never looked at the picture"]
    controls = any(line.kind == "control" for line in table.lines)
    caption = Text("\n".join(map(printable, [*table.notes, *grey * controls])))
    shown = TerminalTable(
        title=Text(printable(table.title)), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    shown.title_justify = shown.caption_justify = "left"
    shown.add_column(Text(printable(table.corner)), overflow="fold")
    for head in table.heads:
        shown.add_column(Text(printable(head)), justify="right", no_wrap=len(table.heads) > 2)
    for line, after in pairwise([*table.lines, None]):
        assert line is not None
        style = {"set": "bold", "row": None, "total": None}.get(line.kind, "dim")
        label = ("  " if line.is_below else "") + printable(line.label)
        last = after is not None and _opens_block(line, after)
        shown.add_row(Text(label), *map(Text, map(printable, line.cells)), style=style, end_section=last)
    return shown


def _opens_block(before: Line, line: Line) -> bool:
    """Whether a rule belongs between two lines: around controls, and above the next set."""
    return line.kind == "set" or (line.kind == "control") != (before.kind == "control")


def _in_markdown(text: str) -> str:
    return text.replace("|", "\\|")


def _in_latex(text: str) -> str:
    """Plain text as LaTeX."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    special |= {"±": r"$\pm$", "λ": r"$\lambda$", "<": "$<$", ">": "$>$"}
    return "".join(special.get(sign, sign) for sign in text)
