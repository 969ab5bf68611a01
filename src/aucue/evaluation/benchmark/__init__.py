"""Grids of settings and seeds: trained, evaluated, compared; the paper's experiments among them."""

from aucue.evaluation.benchmark.collect import BenchmarkResults, collect
from aucue.evaluation.benchmark.estimate import estimate_seconds
from aucue.evaluation.benchmark.grid import Cell, Grid, Row
from aucue.evaluation.benchmark.protocol import PAPER_GRIDS, paper_grid
from aucue.evaluation.benchmark.report import write_benchmark
from aucue.evaluation.benchmark.run import is_finished, run_cell, run_grid
from aucue.evaluation.benchmark.tables import terminal_table, write_tables

__all__ = [
    "BenchmarkResults",
    "Cell",
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
