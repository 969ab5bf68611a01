"""Grids of settings and seeds: trained, evaluated, compared; the paper's experiments among them."""

from aucue.benchmark.estimate import estimate_seconds
from aucue.benchmark.grid import GRIDS, Cell, Grid, Row
from aucue.benchmark.protocol import PAPER_GRIDS, paper_grid
from aucue.benchmark.report import write_benchmark
from aucue.benchmark.results import BenchmarkResults, collect
from aucue.benchmark.run import is_finished, run_cell, run_grid
from aucue.benchmark.tables import terminal_table, write_tables

__all__ = [
    "BenchmarkResults",
    "Cell",
    "GRIDS",
    "Grid",
    "PAPER_GRIDS",
    "Row",
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
