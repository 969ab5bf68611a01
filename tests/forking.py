"""Processes that share a job, forked: they need not import torch and Lightning, which takes seconds each.

`test_ranks.py` and `test_processes.py` have them started as users do.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from typing import IO, Any

import pytest
import torch
from torch.multiprocessing.spawn import start_processes

from aucue.cli.main import main
from aucue.work import ranks


def fork_ranks(patch: pytest.MonkeyPatch) -> None:
    """Let `on_ranks` fork this process as long as a patch is in place."""

    def forked(function: Any, settings: tuple[Any, ...], count: int, join: bool, start_method: str) -> Any:
        assert (function, start_method) == (_process, "spawn")
        return start_processes(_in_fork, settings, count, join=join, start_method="fork")

    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setattr(ranks, "start_processes", forked)


_process = ranks._process


def _in_fork(*settings: Any) -> None:
    torch.set_num_threads(1)  # threads of the process that this one was forked from are not there
    _process(*settings)


class ForkedCommand:
    """What `subprocess.Popen` gives, for a command of aucue that a fork of this process runs."""

    def __init__(
        self, command: Sequence[str], stdout: IO[bytes], stderr: IO[bytes], env: Mapping[str, str]
    ) -> None:
        assert list(command[:3]) == [sys.executable, "-m", "aucue"]
        assert stdout is stderr
        settings = list(command[3:]), stdout.fileno(), dict(env)
        self._process = get_context("fork").Process(target=_run_command, args=settings)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self) -> int:
        """Wait for its end; its status."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _run_command(arguments: list[str], log: int, environment: dict[str, str]) -> None:
    torch.set_num_threads(1)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.environ.clear()
    os.environ.update(environment)
    status = main(arguments)
    sys.stdout.flush()
    os._exit(status)  # the usual end would join the thread that forked, which is this one now
