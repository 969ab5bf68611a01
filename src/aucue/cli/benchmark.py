"""`aucue benchmark`: a grid of settings and seeds -> trained, evaluated, tabulated."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aucue.errors import InputError, require_extras

if TYPE_CHECKING:
    from aucue.benchmark import Grid


def command(
    grid: str,
    *,
    out: Path,
    data: list[str] | None = None,
    protocol: Literal["holdout", "fg2024"] | None = None,
    backbones: list[str] | None = None,
    codebooks: list[str] | None = None,
    seeds: list[int] | None = None,
    jobs: int = 1,
    cell: int | None = None,
    dry_run: bool = False,
    write_grid: Path | None = None,
) -> int:
    """Train and evaluate every cell of a grid, and compare guided with unguided on the same test faces.

    GRID is a YAML file, a grid that comes with aucue, on FER+ (cues, evidence, ferplus, figure5-ferplus,
    losses, methods-ferplus, table3-ferplus), or one of the paper's experiments, made for your prepared sets:
    table1 (accuracy and CAM-COS of eleven methods), table2 (ATT-COS of the same trainings), table3 (which
    layers), figure5 (lambda). For example: aucue benchmark table1 --data raf-db=runs/raf-db
    affectnet=runs/affectnet --out runs/paper

    A finished cell is never run again, an interrupted one goes on from its checkpoint: the same command
    continues. Cells that several grids share are run once if the grids share OUT. Tables (Markdown, LaTeX,
    CSV, JSON) land in OUT/NAME, made anew each time.

    Args:
        grid: Grid file (YAML), or the name of a grid or an experiment, see above.
        out: Folder of all cells and tables.
        data: Prepared sets as NAME=DIR, for the paper's experiments; raf-db and affectnet have published
            numbers. For another grid one folder, DIR, instead of the one that it names.
        protocol: For the paper's experiments: holdout (unless said otherwise) selects the epoch on held-out
            training faces, fg2024 on the test faces, as published.
        backbones: For the paper's experiments: timm models to compare on a further axis, instead of the
            ResNet-50 alone; methods with a network of their own are then left out.
        codebooks: For the paper's experiments: facs, fg2024 or files (YAML) to compare on a further axis.
        seeds: Seeds instead of the grid's.
        jobs: Cells side by side, each on its share of the cores and, if there are any, on one GPU.
        cell: Run the cell of this number only, as --dry-run counts them: for the jobs of a scheduler. Tables
            are made by a last call without it.
        dry_run: List the cells with their state and an estimate of time, and run nothing.
        write_grid: File to write the grid to, for editing, instead of running it.

    Returns:
        Exit status: 1 if a cell failed.
    """
    require_extras("lightning", "datasets")
    varied = {"data": data, "protocol": protocol, "backbones": backbones, "codebooks": codebooks}
    chosen = _grid(grid, {name: value for name, value in varied.items() if value is not None}, seeds)
    if write_grid is not None:
        return _write(chosen, write_grid)
    if dry_run:
        return _list_cells(chosen, out)
    cells = chosen.cells
    if cell is not None:
        if not 0 <= cell < len(cells):
            raise InputError(f"--cell must be between 0 and {len(cells) - 1}, got {cell}.")
        cells = cells[cell : cell + 1]
    from aucue.benchmark import check_sets

    check_sets(cells, out)
    from aucue.benchmark import run_cell, run_grid  # needs torch

    if cell is not None:
        run_cell(cells[0], out)
        return 0
    failures = run_grid(chosen, out, jobs)
    return _tabulate(chosen, out, failures)


def _grid(name: str, varied: Mapping[str, Any], seeds: list[int] | None) -> "Grid":
    """The grid of a file, or an experiment of the paper, varied as asked for."""
    from aucue.benchmark import GRIDS, PAPER_GRIDS, Grid, paper_grid
    from aucue.work.files import shipped
    from aucue.work.tables import did_you_mean, read_mapping

    ours = shipped(GRIDS)
    if name in ours and not Path(name).exists():
        name = str(ours[name])
    if name in PAPER_GRIDS:
        _check(varied.get("backbones", []), varied.get("codebooks", []))
        table, where = paper_grid(name, **{**varied, "data": _sets(varied.get("data", []))}), name
    elif Path(name).suffix not in (".yaml", ".yml"):
        raise InputError(
            f"{name} is neither a grid file (.yaml) nor one of {', '.join([*ours, *PAPER_GRIDS])}."
            f"{did_you_mean(name, [*ours, *PAPER_GRIDS])}"
        )
    elif varied.keys() == {"data"} and len(varied["data"]) == 1 and "=" not in varied["data"][0]:
        table, where = read_mapping(Path(name)), name
        settings = table.get("settings") or {}
        if isinstance(settings, Mapping):  # what else it is, the grid says
            table["settings"] = {**settings, "data.path": varied["data"][0]}
    elif varied:
        options = ", ".join(f"--{option}" for option in varied)
        raise InputError(
            f"{options}: only for the paper's experiments ({', '.join(PAPER_GRIDS)}); {name} says for itself "
            "what it varies, so write it there."
        )
    else:
        table, where = read_mapping(Path(name)), name
    return Grid.from_dict({**table, **({"seeds": seeds} if seeds else {})}, where)


def _check(backbones: list[str], codebooks: list[str]) -> None:
    """Find a mistake before the first training, not in each of them."""
    from aucue.facs import Codebook

    for codebook in codebooks:
        Codebook.load(codebook)
    if backbones:
        from aucue.classifiers.backbones import pretrained_cfg  # needs torch and timm

        for backbone in backbones:
            pretrained_cfg(backbone)


def _sets(entries: list[str]) -> dict[str, str]:
    sets = {}
    for entry in entries:
        name, equals, path = entry.partition("=")
        if not (name and equals and path):
            raise InputError(f"--data {entry}: expected NAME=DIR, as in raf-db=runs/raf-db.")
        if name in sets:
            raise InputError(f"--data {entry}: {name} is {sets[name]} already; give each set its own name.")
        sets[name] = path
    return sets


def _write(grid: "Grid", path: Path) -> int:
    from aucue.errors import OutputExistsError
    from aucue.work.terminal import Terminal

    if path.exists():
        raise OutputExistsError(f"{path} exists; choose another file for --write-grid.")
    Terminal().say(f"Grid: {grid.write(path)}", f"Next: aucue benchmark {path} --out DIR")
    return 0


def _list_cells(grid: "Grid", out: Path) -> int:
    from rich.table import Table

    from aucue.benchmark import estimate_seconds, is_finished
    from aucue.work.terminal import Terminal

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
    terminal = Terminal()
    terminal.print(table)
    terminal.say(
        f"{len(grid.rows)} rows of the table from {len(grid.cells)} trainings. Left: about {_duration(left)} "
        "on one device like this one, for the networks alone; reading pictures comes on top."
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
    from aucue.benchmark import collect, terminal_table, write_benchmark
    from aucue.work.terminal import Terminal

    terminal = Terminal()
    results = collect(grid, out)
    terminal.print(terminal_table(results))
    for name, reason in failures.items():
        terminal.say(f"Failed: {name}: {reason}")
    report = write_benchmark(results, out / grid.name)
    terminal.say(f"Report: {report}", f"Tables: {report.parent / 'table.md'}")
    return 1 if failures else 0
