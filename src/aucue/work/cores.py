"""How many processes fit this machine."""

import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_TINY = 512
_MOST = 16


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its container (cgroup v2) if less.

    Processes that share a job on one machine (LOCAL_WORLD_SIZE of them, as torchrun says) share its cores.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, min(cores, _quota() or cores) // sharing)


def default_workers(samples: int) -> int:
    """Loader processes for a data set.

    None for a tiny set, whose loading costs less than starting them; otherwise one per core but the one that
    trains, up to 16.

    Args:
        samples: Size of the data set.
    """
    return 0 if samples <= _TINY else min(max(1, available_cores() - 1), _MOST)


def _quota() -> int | None:
    """Cores the container's CPU quota amounts to, rounded up; None if there is no quota."""
    try:
        quota, period = _CPU_MAX.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return None
