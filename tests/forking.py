"""Processes that share a job, forked: they need not import torch and Lightning, which takes seconds each.

`tests/work/test_ranks.py` has them started as users do.
"""

from typing import Any

import pytest
import torch
from torch.multiprocessing.spawn import start_processes

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
