"""Running a grid: every cell once, resumable, in this process or in one process per device."""

import hashlib
import logging
import math
import os
import platform
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aucue.benchmark.grid import EVALUATED_FILE, Cell, Grid, is_finished
from aucue.errors import AucueError, InputError, printable
from aucue.evaluation.run import evaluate
from aucue.evaluation.settings import FACES, EvaluationSettings
from aucue.models.naming import MODEL_FILE
from aucue.training import fit
from aucue.work import available_cores
from aucue.work.files import appearing, claimed, read_json, write_json
from aucue.work.processes import starter_environment
from aucue.work.terminal import Terminal

logger = logging.getLogger(__name__)

SECONDS_FILE = "seconds.json"
LOG_FILE = "log.txt"
FAILURE_FILE = "failure.txt"
_LOCK = ".lock"
_UNFINISHED = ".unfinished"


def run_cell(cell: Cell, out: str | os.PathLike[str], progress: bool = True) -> None:
    """Train a cell and evaluate it on the test faces, leaving alone what is finished.

    A training that was interrupted goes on from its last checkpoint. The seconds that the training took, over
    all starts, land in `seconds.json`.

    Args:
        cell: Which one.
        out: The benchmark's folder.
        progress: Show progress bars.

    Raises:
        InputError: Another process is running this cell, or what it noted of its time is damaged.
    """
    folder = cell.folder(out)
    with claimed(folder, _LOCK):  # a lock of its own: the training claims the folder as well
        try:
            _train(cell, out, progress)
            for readout in cell.readouts:
                _evaluate(cell, readout, out, progress)
        except Exception as error:
            with appearing(folder / FAILURE_FILE) as unfinished:
                unfinished.write_text(f"{_reason(error)}\n", encoding="utf-8", errors="backslashreplace")
            raise
        (folder / FAILURE_FILE).unlink(missing_ok=True)


def _train(cell: Cell, out: str | os.PathLike[str], progress: bool) -> None:
    folder = cell.folder(out)
    if (folder / MODEL_FILE).is_file():
        return
    before, started = training_seconds(cell, out), time.perf_counter()
    try:
        fit(cell.config(out), progress=progress)
    finally:
        seconds = (before[0] if before else 0.0) + time.perf_counter() - started
        write_json(folder / SECONDS_FILE, {"train": round(seconds, 1), "machine": machine()})


def training_seconds(cell: Cell, out: str | os.PathLike[str]) -> tuple[float, str] | None:
    """What a training took over all starts, and what it ran on; None where that was not noted.

    Raises:
        InputError: The note is damaged.
    """
    path = cell.folder(out) / SECONDS_FILE
    if not path.is_file():
        return None
    remedy = "remove it, nothing but the time of the training is lost"
    noted = read_json(path, remedy)
    seconds, machine = noted.get("train"), noted.get("machine")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isinstance(machine, str):
        seconds = math.nan
    if 0 <= seconds < math.inf:
        return seconds, str(machine)
    raise InputError(f"{path} does not say what a training took; {remedy}.")


def _evaluate(cell: Cell, readout: str, out: str | os.PathLike[str], progress: bool) -> None:
    """Evaluate under one read-out; the folder appears whole or not at all."""
    folder, data = cell.folder(out), cell.config(out).data
    target, unfinished = cell.evaluation(out, readout), folder / _UNFINISHED
    if (target / EVALUATED_FILE).is_file():
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    evaluate(
        folder / MODEL_FILE,
        data.path,
        EvaluationSettings(
            readout=readout,
            codebook=cell.assessment.codebook,
            regions=cell.assessment.regions,
            evidence=cell.assessment.evidence > 0,
            evidence_faces=cell.assessment.evidence or FACES,
            workers=data.workers,
        ),
        name=cell.name,
        out=unfinished,
        progress=progress,
    )
    os.replace(unfinished, target)


def run_grid(grid: Grid, out: str | os.PathLike[str], jobs: int = 1, progress: bool = True) -> dict[str, str]:
    """Run every cell that is not finished; one that fails is noted and left, the others go on.

    Args:
        grid: Which cells.
        out: The benchmark's folder; cells of other grids in it are shared where their settings agree.
        jobs: Cells side by side, each in a process of its own with its share of the cores and, where there
            are GPUs, one of them.
        progress: Show progress bars.

    Returns:
        Name of each cell that failed -> why, in a line; also in its `failure.txt`.

    Raises:
        InputError: `jobs` is not positive.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}.")
    failures = {}
    starts = {cell.start.name for cell in grid.cells if cell.start is not None}
    for awaited in (True, False):  # what others go on from, then these
        left = [c for c in grid.cells if (c.name in starts) is awaited and not is_finished(c, out)]
        if jobs == 1 or len(left) < 2:
            failures |= _run_here(left, grid, out, progress)
        else:
            failures |= _run_side_by_side(left, grid, out, min(jobs, len(left)), progress)
    return failures


def _run_here(
    left: Sequence[Cell], grid: Grid, out: str | os.PathLike[str], progress: bool
) -> dict[str, str]:
    failures, terminal = {}, Terminal(stderr=True)
    for cell in left:
        if progress:
            number = grid.cells.index(cell)
            terminal.say(f"cell {number} of {len(grid.cells)}: {cell.name}", style="bold")
        try:
            run_cell(cell, out, progress)
        except Exception as error:  # of any kind: the other cells do not depend on this one
            failures[cell.name] = _reason(error)
            if not isinstance(error, AucueError):
                logger.error("%s failed", printable(cell.name), exc_info=error)
    return failures


def _run_side_by_side(
    left: Sequence[Cell], grid: Grid, out: str | os.PathLike[str], jobs: int, progress: bool
) -> dict[str, str]:
    """One process per cell, as many at a time as there are slots."""
    # Named by its content: another call with this name and folder must not change what the numbers stand for.
    digest = hashlib.sha256(grid.text.encode()).hexdigest()[:8]
    file = grid.write(Path(out, grid.name, f"grid-{digest}.yaml"))
    slots: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(jobs):
        slots.put(slot)

    def work(cell: Cell) -> tuple[str, str | None]:
        slot = slots.get()
        try:
            return cell.name, _run_apart(cell, grid.cells.index(cell), file, out, slot, jobs)
        finally:
            slots.put(slot)

    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Terminal(stderr=True), disable=not progress)
    with bar, ThreadPoolExecutor(jobs) as pool:
        task = bar.add_task("", total=len(left))
        failures = {}
        for name, failure in pool.map(work, left):
            failures |= {name: failure} if failure else {}
            bar.advance(task)
    return failures


def _run_apart(
    cell: Cell, number: int, grid_file: Path, out: str | os.PathLike[str], slot: int, jobs: int
) -> str | None:
    """Run a cell in a process of its own; why it failed, if it did."""
    folder = cell.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / FAILURE_FILE
    noted.unlink(missing_ok=True)  # of an earlier run: a process that is killed notes nothing
    command = [sys.executable, "-m", "aucue", "benchmark", str(grid_file)]
    command += ["--out", str(out), "--cell", str(number)]
    environment = os.environ | _device(slot) | starter_environment()
    with (folder / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _give_share_of_cores(process.pid, slot, jobs)
        status = process.wait()
    if status == 0:
        return None
    return (
        noted.read_text(encoding="utf-8", errors="replace").strip()
        if noted.is_file()
        else f"ended with status {status}, see {folder / LOG_FILE}"
    )


def _device(slot: int) -> dict[str, str]:
    """What makes a process see one GPU only; nothing without GPUs."""
    gpus = torch.cuda.device_count()
    if not gpus:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(gpu) for gpu in range(gpus)]
    return {"CUDA_VISIBLE_DEVICES": names[slot % len(names)]}


def _give_share_of_cores(process: int, slot: int, jobs: int) -> None:
    """Keep jobs apart: two whose torch uses all cores stall one another."""
    if available_cores() < 2 or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(process, cores[slot % len(cores) :: jobs])


def machine() -> str:
    """What a training ran on, in a few words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU, {threads} thread{'s' if threads > 1 else ''}"


def _reason(error: Exception) -> str:
    """Why a cell failed, in a line."""
    kind = "" if isinstance(error, AucueError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
