"""Grids run once, side by side, interrupted and continued."""

import json
import os
import signal
import subprocess
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from filelock import FileLock
from lightning.pytorch import Trainer
from safetensors.torch import load_file

from aucue.benchmark import Grid, collect, is_finished, run_cell, run_grid, write_tables
from aucue.cli.main import main
from aucue.errors import AucueError, InputError
from aucue.evaluation import Evaluation
from aucue.models import load_card

from ..forking import ForkedCommand
from .conftest import small_table


class Run(NamedTuple):
    """A grid that was run: its folder, and which cells failed, for which reason."""

    grid: Grid
    out: Path
    failures: dict[str, str]


@pytest.fixture(scope="module")
def runs(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Run]:
    """The grid and one training more, which breaks, in this process; without the guided one, by two processes
    side by side.
    """
    table, folder = small_table(rendered), tmp_path_factory.mktemp("runs")
    table["axes"]["guidance"]["broken"] = {"guidance.layers": ["layer9"]}
    grids = {1: Grid.from_dict(table)}
    del table["axes"]["guidance"]["guided"]
    grids[2] = Grid.from_dict(table)
    outs = {jobs: folder / str(jobs) for jobs in grids}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", ForkedCommand)
        failures = {jobs: run_grid(grids[jobs], out, jobs, progress=False) for jobs, out in outs.items()}
    return {jobs: Run(grids[jobs], out, failures[jobs]) for jobs, out in outs.items()}


def results(grid: Grid, out: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """Figures and rows of every evaluation of a grid, without those of the broken training."""
    found = {}
    for row in grid.rows:
        for seed in grid.seeds if row.place["guidance"] != "broken" else ():
            folder = grid.evaluation(out, row, seed)
            figures = Evaluation.load(folder / "evaluation.json").to_dict()
            found[f"{row.label} {seed}"] = figures, (folder / "per_image.csv").read_text()
    return found


def test_every_row_is_trained_and_evaluated_once(runs: dict[int, Run]) -> None:
    grid, out, failures = runs[1]
    finished = [cell for cell in grid.cells if is_finished(cell, out)]
    assert len(finished) == 2
    found = results(grid, out)
    assert set(found) == {f"{m} / {g} 0" for m in ("CAM", "LayerCAM") for g in ("unguided", "guided")}
    assert {figures["model"]["method"] for figures, _ in found.values()} == {"cam", "layercam"}
    assert {figures["data"]["faces"] for figures, _ in found.values()} == {21}
    paths = [path for cell in finished for path in cell.folder(out).rglob("*") if path.name != ".lock"]
    written = {path: path.stat().st_mtime_ns for path in paths}
    assert run_grid(grid, out, progress=False) == failures  # the broken one is tried again
    assert {path: path.stat().st_mtime_ns for path in written} == written
    seconds = json.loads((finished[0].folder(out) / "seconds.json").read_text())
    assert seconds["train"] > 0


def benchmark_until_killed(arguments: list[str], training: Path) -> None:
    """A benchmark that is killed as soon as the training in a folder has written its first checkpoint."""
    torch.set_num_threads(1)  # threads of the process that this one was forked from are not there
    save = Trainer.save_checkpoint

    def save_and_die(trainer: Trainer, filepath: str, *arguments: Any, **options: Any) -> None:
        save(trainer, filepath, *arguments, **options)
        if Path(filepath) == training / "checkpoints" / "last.ckpt":
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save_checkpoint", save_and_die)
        main(["benchmark", *arguments])


def test_a_killed_grid_goes_on_to_the_results_of_an_undisturbed_one(
    runs: dict[int, Run], table: dict[str, Any], tmp_path: Path
) -> None:
    grid, undisturbed, killed = Grid.from_dict(table), runs[1].out, tmp_path / "killed"
    first, second = grid.cells
    file = grid.write(tmp_path / "grid.yaml")
    arguments = [str(file), "--out", str(killed)]
    process = get_context("fork").Process(
        target=benchmark_until_killed, args=(arguments, second.folder(killed))
    )
    process.start()
    process.join(300)
    process.kill()
    assert process.exitcode == -signal.SIGKILL
    assert (second.folder(killed) / "checkpoints" / "last.ckpt").exists()
    assert is_finished(first, killed)
    assert not is_finished(second, killed)
    kept = first.folder(killed) / "model.safetensors"
    before = kept.stat().st_mtime_ns
    assert run_grid(grid, killed, progress=False) == {}
    assert kept.stat().st_mtime_ns == before
    assert results(grid, killed) == results(grid, undisturbed)
    tables = [write_tables(collect(grid, out), out / "small") for out in (killed, undisturbed)]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_cells_side_by_side_give_the_same_results(runs: dict[int, Run]) -> None:
    one, two = runs[1], runs[2]
    both = results(two.grid, two.out)
    assert len(both) == 2
    assert both == {name: figures for name, figures in results(one.grid, one.out).items() if name in both}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_broken_cell_is_noted_and_the_others_go_on(jobs: int, runs: dict[int, Run]) -> None:
    grid, out, failures = runs[jobs]
    (broken,) = (cell for cell in grid.cells if not is_finished(cell, out))
    assert set(failures) == {broken.name}
    assert "'layer9' is no layer of test_resnet" in failures[broken.name]
    assert (broken.folder(out) / "failure.txt").read_text().strip() == failures[broken.name]


def test_arms_begin_with_the_weights_of_their_start(table: dict[str, Any], tmp_path: Path) -> None:
    settings = {**table["settings"], "optimizer.lr": 1e-12, "epochs": 1}  # so that they stay where they begin
    axes = {"arm": {"plain": {}, "taught": {"teacher": "start"}}}
    start = {"guidance.weight": 0, "optimizer.lr": 0.01}
    grid = Grid.from_dict({"name": "on", "settings": settings, "start": start, "axes": axes, "seeds": [4]})
    began, *arms = grid.cells
    assert not is_finished(began, tmp_path)
    assert run_grid(grid, tmp_path, progress=False) == {}
    assert is_finished(began, tmp_path)
    assert not list(began.folder(tmp_path).rglob("evaluation.json"))
    first = load_file(began.folder(tmp_path) / "model.safetensors")
    for arm in arms:
        then = load_file(arm.folder(tmp_path) / "model.safetensors")
        torch.testing.assert_close(then["head.fc.weight"], first["head.fc.weight"], rtol=0, atol=1e-8)
    plain, taught = (load_card(arm.folder(tmp_path) / "model.safetensors").provenance for arm in arms)
    assert "taught_by" not in plain
    assert taught["taught_by"]["model"] == began.name


def test_a_cell_that_another_process_runs_is_left_alone(table: dict[str, Any], tmp_path: Path) -> None:
    cell = Grid.from_dict(table).cells[0]
    cell.folder(tmp_path).mkdir(parents=True)
    with (
        FileLock(cell.folder(tmp_path) / ".lock"),
        pytest.raises(AucueError, match="Another process is writing to"),
    ):
        run_cell(cell, tmp_path, progress=False)
    assert not is_finished(cell, tmp_path)


class KilledCommand:
    """What `subprocess.Popen` gives, for a command that is killed before it does anything."""

    commands: ClassVar[list[list[str]]] = []
    pid = 0

    def __init__(self, command: list[str], **_: Any) -> None:
        self.commands.append(command)

    def wait(self) -> int:
        """Its status."""
        return -signal.SIGKILL


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of cells side by side, each of which is killed."""
    monkeypatch.setattr(KilledCommand, "commands", [])
    monkeypatch.setattr(subprocess, "Popen", KilledCommand)
    monkeypatch.setattr("aucue.benchmark.run._give_share_of_cores", lambda *_: None)
    return KilledCommand.commands


def test_two_benchmarks_at_once_keep_to_their_own_cells(
    table: dict[str, Any], tmp_path: Path, killed: list[list[str]]
) -> None:
    """The second begins before a process of the first has read which cell is its own."""
    grids = Grid.from_dict(table), Grid.from_dict({**table, "seeds": [7, 8]})
    for grid in grids:
        run_grid(grid, tmp_path, jobs=2, progress=False)
    asked = [
        Grid.load(command[command.index("benchmark") + 1]).cells[int(command[-1])].name for command in killed
    ]
    assert sorted(asked) == sorted(cell.name for grid in grids for cell in grid.cells)


def test_a_killed_cell_does_not_give_the_reason_of_an_earlier_run(
    table: dict[str, Any], tmp_path: Path, killed: list[list[str]]
) -> None:
    grid = Grid.from_dict(table)
    for cell in grid.cells:
        cell.folder(tmp_path).mkdir(parents=True)
        (cell.folder(tmp_path) / "failure.txt").write_text("The set was not there.\n")
    failures = run_grid(grid, tmp_path, jobs=2, progress=False)
    assert len(killed) == len(failures) == 2
    for cell in grid.cells:
        assert failures[cell.name] == f"ended with status -9, see {cell.folder(tmp_path) / 'log.txt'}"


def test_jobs_must_be_positive(table: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        run_grid(Grid.from_dict(table), tmp_path, jobs=0)
