"""Grids run once, side by side, interrupted and continued."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from aucue.errors import AucueError, InputError
from aucue.evaluation import Evaluation
from aucue.evaluation.benchmark import Grid, collect, is_finished, run_cell, run_grid, write_tables


def results(grid: Grid, out: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """Figures and rows of every evaluation of a grid."""
    found = {}
    for row in grid.rows:
        for seed in grid.seeds:
            folder = grid.evaluation(out, row, seed)
            figures = Evaluation.load(folder / "evaluation.json").to_dict()
            found[f"{row.label} {seed}"] = figures, (folder / "per_image.csv").read_text()
    return found


def test_every_row_is_trained_and_evaluated_once(table: dict[str, Any], tmp_path: Path) -> None:
    grid = Grid.from_dict(table)
    assert run_grid(grid, tmp_path, progress=False) == {}
    assert all(is_finished(cell, tmp_path) for cell in grid.cells)
    found = results(grid, tmp_path)
    assert set(found) == {f"{row.label} 0" for row in grid.rows}
    assert {figures["model"]["method"] for figures, _ in found.values()} == {"cam", "layercam"}
    assert {figures["data"]["faces"] for figures, _ in found.values()} == {21}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"}
    assert run_grid(grid, tmp_path, progress=False) == {}
    assert {path: path.stat().st_mtime_ns for path in written} == written
    seconds = json.loads((grid.cells[0].folder(tmp_path) / "seconds.json").read_text())
    assert seconds["train"] > 0


def test_a_killed_grid_goes_on_to_the_results_of_an_undisturbed_one(
    table: dict[str, Any], tmp_path: Path
) -> None:
    table["settings"]["epochs"] = 8
    grid = Grid.from_dict(table)
    run_grid(grid, tmp_path / "undisturbed", progress=False)
    killed = tmp_path / "killed"
    first, second = grid.cells
    file = grid.write(tmp_path / "grid.yaml")
    command = [sys.executable, "-m", "aucue.cli.main", "benchmark", str(file), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    checkpoint = second.folder(killed) / "checkpoints" / "last.ckpt"
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert is_finished(first, killed)
    assert not is_finished(second, killed)
    kept = first.folder(killed) / "model.safetensors"
    before = kept.stat().st_mtime_ns
    assert run_grid(grid, killed, progress=False) == {}
    assert kept.stat().st_mtime_ns == before
    assert results(grid, killed) == results(grid, tmp_path / "undisturbed")
    tables = [write_tables(collect(grid, out), out / "small") for out in (killed, tmp_path / "undisturbed")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_cells_side_by_side_give_the_same_results(table: dict[str, Any], tmp_path: Path) -> None:
    grid = Grid.from_dict(table)
    assert run_grid(grid, tmp_path / "one", progress=False) == {}
    assert run_grid(grid, tmp_path / "two", jobs=2, progress=False) == {}
    assert results(grid, tmp_path / "two") == results(grid, tmp_path / "one")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_broken_cell_is_noted_and_the_others_go_on(
    jobs: int, table: dict[str, Any], tmp_path: Path
) -> None:
    table["axes"]["guidance"]["broken"] = {"guidance.layers": ["layer9"]}
    grid = Grid.from_dict(table)
    failures = run_grid(grid, tmp_path, jobs=jobs, progress=False)
    (broken,) = (cell for cell in grid.cells if not is_finished(cell, tmp_path))
    assert set(failures) == {broken.name}
    assert "'layer9' is no layer of test_resnet" in failures[broken.name]
    assert (broken.folder(tmp_path) / "failure.txt").read_text().strip() == failures[broken.name]


def test_a_cell_that_another_process_runs_is_left_alone(table: dict[str, Any], tmp_path: Path) -> None:
    cell = Grid.from_dict(table).cells[0]
    cell.folder(tmp_path).mkdir(parents=True)
    with (
        FileLock(cell.folder(tmp_path) / ".lock"),
        pytest.raises(AucueError, match=f"{cell.name} is being run by another process"),
    ):
        run_cell(cell, tmp_path, progress=False)
    assert not is_finished(cell, tmp_path)


def test_jobs_must_be_positive(table: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        run_grid(Grid.from_dict(table), tmp_path, jobs=0)
