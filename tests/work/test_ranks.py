"""Processes that share a job."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from aucue.errors import AucueError, InputError
from aucue.work import available_cores
from aucue.work.ranks import ALONE, Rank, is_first_rank, on_ranks

from ..forking import fork_ranks


def find_fault() -> None:
    raise InputError("the folder is taken")


def talk(rank: Rank) -> dict[str, Any]:
    """What a process hears of the others; the last entry does not fit into a pipe."""
    fault = None
    try:
        rank.first(find_fault)
    except InputError as error:
        fault = str(error)
    return {
        "rank": (rank.index, rank.count),
        "speaks for all": rank.gather(is_first_rank()),
        "processes": rank.gather(os.getpid()),
        "first": rank.gather(rank.first(os.getpid)),
        "fault": rank.gather(fault),
        "threads": rank.gather(torch.get_num_threads()),
        "long": "x" * 2_000_000,
    }


def complain(rank: Rank) -> None:
    """The second process finds a mistake, while the first waits for it."""
    if rank.index == 1:
        raise InputError("the second half of the set is missing")
    rank.gather(None)


def die(rank: Rank) -> None:
    """The second process is killed, while the first waits for it."""
    if rank.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    rank.gather(None)


def outcome(work: Any) -> Any:
    try:
        return on_ranks(work, "cpu", devices=2)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


@contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """What this process and those that it starts print goes into a file."""
    before = os.dup(1)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes made of each of the functions above."""
    printed = tmp_path_factory.mktemp("outcomes") / "printed.txt"
    with pytest.MonkeyPatch.context() as patch, printed_to(printed):
        patch.delenv("OMP_NUM_THREADS", raising=False)
        # So that processes find this file, whichever way pytest was called.
        patch.syspath_prepend(Path(__file__).parents[2])
        found = {"talk": outcome(talk)}
        fork_ranks(patch)
        found |= {work.__name__: outcome(work) for work in (complain, die)}
    return found | {"alive": multiprocessing.active_children(), "printed": printed.read_text()}


def test_processes_talk_to_each_other(outcomes: dict[str, Any]) -> None:
    heard = outcomes["talk"]
    first, second = heard["processes"]
    assert first != second
    assert first != os.getpid() != second
    assert heard["rank"] == (0, 2)  # the answer is that of the first
    assert heard["speaks for all"] == [True, False]
    assert heard["first"] == [first, first]
    assert heard["fault"] == ["the folder is taken"] * 2
    assert heard["threads"] == [max(1, available_cores() // 2)] * 2  # of one machine
    assert heard["long"] == "x" * 2_000_000
    assert outcomes["printed"] == ""


def test_errors_and_deaths_end_all_processes(outcomes: dict[str, Any]) -> None:
    assert outcomes["complain"] == {
        "error": "InputError",
        "message": "the second half of the set is missing",
    }
    assert outcomes["die"]["error"] == "AucueError"
    assert "died (out of memory, or killed); run the same again" in outcomes["die"]["message"]
    assert outcomes["alive"] == []


def test_one_device_is_this_process() -> None:
    assert on_ranks(lambda rank: (rank, os.getpid())) == (ALONE, os.getpid())
    assert ALONE.gather("a") == ["a"]
    assert ALONE.first(lambda: 3) == 3
    assert is_first_rank()


def test_processes_that_exist_must_be_as_many_as_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes were started for 1 devices on 1 nodes"):
        on_ranks(lambda rank: rank)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert on_ranks(lambda rank: rank) == ALONE


def test_what_cannot_be_started() -> None:
    with pytest.raises(InputError, match=r"2 nodes need a launcher .*torchrun or srun, see docs/scale.md"):
        on_ranks(lambda rank: rank, "cpu", devices=1, num_nodes=2)
    if not torch.cuda.is_available():
        with pytest.raises(AucueError, match=r"2 devices cannot be used: .*gpu"):
            on_ranks(lambda rank: rank, "gpu", devices=2)
