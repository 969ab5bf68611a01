"""Grids of settings and seeds: trained, evaluated, compared; the paper's experiments among them."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.benchmark.estimate import estimate_seconds
    from aucue.benchmark.grid import GRIDS, Cell, Grid, Row, check_sets, is_finished
    from aucue.benchmark.protocol import PAPER_GRIDS, paper_grid
    from aucue.benchmark.report import write_benchmark
    from aucue.benchmark.results import BenchmarkResults, collect
    from aucue.benchmark.run import run_cell, run_grid
    from aucue.benchmark.tables import terminal_table, write_tables

_HOME = {
    "estimate": ("estimate_seconds",),
    "grid": ("GRIDS", "Cell", "Grid", "Row", "check_sets", "is_finished"),
    "protocol": ("PAPER_GRIDS", "paper_grid"),
    "report": ("write_benchmark",),
    "results": ("BenchmarkResults", "collect"),
    "run": ("run_cell", "run_grid"),
    "tables": ("terminal_table", "write_tables"),
}

__all__ = [
    "BenchmarkResults",
    "Cell",
    "GRIDS",
    "Grid",
    "PAPER_GRIDS",
    "Row",
    "check_sets",
    "collect",
    "estimate_seconds",
    "is_finished",
    "paper_grid",
    "run_cell",
    "run_grid",
    "terminal_table",
    "write_benchmark",
    "write_tables",
]

__getattr__ = on_first_use(__name__, _HOME)
