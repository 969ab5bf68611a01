"""A folder that goes with the server, even with a killed one; and memory that goes back to the system."""

import ctypes
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "aucue-page-"
_LOCK = ".lock"
_NEW = 60  # seconds in which a server may not have taken its lock yet
_MALLOC = (
    (-3, 2**20),  # M_MMAP_THRESHOLD: a block of so many bytes goes back as soon as it is free
    (-8, 2),  # M_ARENA_MAX: all threads share so many arenas
)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for the time of a server; those that killed servers left behind are removed first."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
        lock = FileLock(Path(folder, _LOCK))
        with lock:
            yield Path(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove the folder of a server that no longer runs: nobody holds its lock."""
    lock = folder / _LOCK
    try:
        if folder.is_symlink() or not lock.is_file() or time.time() - lock.stat().st_mtime < _NEW:
            return
        with FileLock(lock, timeout=0):
            pass
    except (Timeout, OSError):  # it runs, or is somebody else's
        return
    shutil.rmtree(folder, ignore_errors=True)


class Allocator:
    """The C library's memory: what photographs have left free in it goes back to the system.

    Left to itself, glibc gives each thread an arena of its own and keeps in it whatever is free, pictures of
    tens of megabytes included: memory would grow until every thread has had its largest photograph.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(None)
            self._trim = library.malloc_trim
            for parameter, value in _MALLOC:
                library.mallopt(parameter, value)
        except (OSError, AttributeError, TypeError):  # another C library
            self._trim = None

    def sweep(self) -> None:
        """Give free memory back."""
        if self._trim is not None:
            self._trim(0)
