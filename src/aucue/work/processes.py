"""Processes that never outlive the one that started them, even if that is killed."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from functools import partial

_STARTER = "AUCUE_STARTED_BY"


def starter_environment() -> dict[str, str]:
    """Environment variables by which a command of this package, started with `subprocess`, knows its starter:
    it calls `end_with_parent` and ends when this process does.
    """
    return {_STARTER: str(os.getpid())}


def end_with_parent(worker: int = 0) -> None:
    """End this process as soon as the one that started it has ended, however that came about.

    To be called in a process of `multiprocessing` (a worker of a pool or of a data loader), or in a command
    that was started with `starter_environment`. In any other process nothing happens.

    Args:
        worker: Not used: data loaders hand it to what they call in a new worker.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        until_then: Callable[[], object] = parent.join  # waits for a pipe that closes with the parent
    elif starter := os.environ.pop(_STARTER, None):
        until_then = partial(_until_reparented, int(starter))
    else:
        return
    threading.Thread(target=_end_after, args=(until_then,), name="end-with-parent", daemon=True).start()


def _until_reparented(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)


def _end_after(until_then: Callable[[], object]) -> None:
    until_then()
    os._exit(1)  # at once: whatever waits for the parent (a full pipe) would wait for ever
