"""`aucue benchmark`: a grid of settings and seeds -> trained, evaluated, tabulated."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aucue.errors import InputError

if TYPE_CHECKING:
    from aucue.evaluation.benchmark import Grid


def command(
    grid: str,
    *,
    out: Path,
    data: list[str] | None = None,
    protocol: Literal["holdout", "fg2024"] = "holdout",
    seeds: list[int] | None = None,
    jobs: int = 1,
    cell: int | None = None,
    dry_run: bool = False,
    write_grid: Path | None = None,
) -> int:
    """Train and evaluate every cell of a grid, and compare guided with unguided on the same test faces.

    GRID is a YAML file, or one of the paper's experiments, made for your prepared sets: table1 (accuracy and
    CAM-COS of eleven methods), table2 (ATT-COS of the same trainings), table3 (which layers), figure5
    (lambda). For example: aucue benchmark table1 --data raf-db=runs/raf-db affectnet=runs/affectnet --out
    runs/paper

    A finished cell is never run again, an interrupted one goes on from its checkpoint: the same command
    continues. Cells that several grids share are run once if the grids share OUT. Tables (Markdown, LaTeX,
    CSV, JSON) land in OUT/NAME, made anew each time.

    Args:
        grid: Grid file (YAML), or table1, table2, table3 or figure5.
        out: Folder of all cells and tables.
        data: Prepared sets as NAME=DIR, for the paper's experiments; raf-db and affectnet have published
            numbers.
        protocol: For the paper's experiments: holdout selects the epoch on held-out training faces, fg2024 on
            the test faces, as published.
        seeds: Seeds instead of the grid's.
        jobs: Cells side by side, each on its share of the cores and, if there are any, on one GPU.
        cell: Run the cell of this number only, as --dry-run counts them: for the jobs of a scheduler. Tables
            are made by a last call without it.
        dry_run: List the cells with their state and an estimate of time, and run nothing.
        write_grid: File to write the grid to, for editing, instead of running it.

    Returns:
        Exit status: 1 if a cell failed.
    """
    from aucue.evaluation.benchmark import run_cell, run_grid

    chosen = _grid(grid, _sets(data or []), protocol, seeds)
    if write_grid is not None:
        return _write(chosen, write_grid)
    if dry_run:
        return _list_cells(chosen, out)
    if cell is not None:
        if not 0 <= cell < len(chosen.cells):
            raise InputError(f"--cell must be between 0 and {len(chosen.cells) - 1}, got {cell}")
        run_cell(chosen.cells[cell], out)
        return 0
    failures = run_grid(chosen, out, jobs)
    return _tabulate(chosen, out, failures)


def _grid(
    name: str, data: Mapping[str, str], protocol: Literal["holdout", "fg2024"], seeds: list[int] | None
) -> "Grid":
    from aucue.evaluation.benchmark import PAPER_GRIDS, Grid, paper_grid
    from aucue.facs.tables import did_you_mean, read_mapping

    if name in PAPER_GRIDS:
        table, where = paper_grid(name, data, protocol), name
    elif Path(name).suffix in (".yaml", ".yml"):
        table, where = read_mapping(Path(name)), name
    else:
        raise InputError(
            f"{name} is neither a grid file (.yaml) nor one of {', '.join(PAPER_GRIDS)}."
            f"{did_you_mean(name, PAPER_GRIDS)}"
        )
    return Grid.from_dict({**table, **({"seeds": seeds} if seeds else {})}, where)


def _sets(entries: list[str]) -> dict[str, str]:
    sets = {}
    for entry in entries:
        name, equals, path = entry.partition("=")
        if not (name and equals and path):
            raise InputError(f"--data {entry}: expected NAME=DIR, as in raf-db=runs/raf-db")
        sets[name] = path
    return sets


def _write(grid: "Grid", path: Path) -> int:
    from aucue.errors import OutputExistsError

    if path.exists():
        raise OutputExistsError(f"{path} exists; choose another file for --write-grid")
    print(f"Grid: {grid.write(path)}\nNext: aucue benchmark {path} --out DIR")
    return 0


def _list_cells(grid: "Grid", out: Path) -> int:
    from rich.console import Console
    from rich.table import Table

    from aucue.evaluation.benchmark import estimate_seconds, is_finished

    seconds = estimate_seconds(grid, out)
    table = Table(title=grid.title, title_justify="left")
    for heading in ("cell", "training", "read-outs", "state", "time"):
        table.add_column(heading, justify="right" if heading in ("cell", "time") else "left")
    left = 0.0
    for number, cell in enumerate(grid.cells):
        finished = is_finished(cell, out)
        started = cell.folder(out).is_dir()
        left += 0 if finished else seconds[cell.name]
        state = "finished" if finished else "begun" if started else "to do"
        row = (str(number), cell.name, ", ".join(cell.readouts), state, _duration(seconds[cell.name]))
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{len(grid.rows)} rows of the table from {len(grid.cells)} trainings. Left: about {_duration(left)} "
        "on one device like this one, for the networks alone; reading pictures comes on top.",
        soft_wrap=True,
    )
    return 0


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return (
        f"{seconds:.0f} s"
        if minutes < 2
        else f"{minutes:.0f} min"
        if minutes < 120
        else f"{minutes / 60:.1f} h"
    )


def _tabulate(grid: "Grid", out: Path, failures: Mapping[str, str]) -> int:
    from rich.console import Console

    from aucue.evaluation.benchmark import collect, terminal_table, write_tables

    console = Console(highlight=False)
    results = collect(grid, out)
    console.print(terminal_table(results))
    for name, reason in failures.items():
        console.print(f"Failed: {name}: {reason}", markup=False, soft_wrap=True)
    console.print(f"Tables: {write_tables(results, out / grid.name)}", soft_wrap=True)
    return 1 if failures else 0
