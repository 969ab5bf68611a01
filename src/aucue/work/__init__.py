"""How work is done, nothing of faces: engines, ranks, cores, progress, files and tables.

The names below are imported when they are first used: a process that only counts cores needs no torch.
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.work.cores import available_cores, default_workers
    from aucue.work.engines import Engine, open_engine
    from aucue.work.files import (
        appearing,
        cell,
        claimed,
        inside,
        printable,
        read_json,
        table_path,
        write_json,
    )
    from aucue.work.progress import progress_bar
    from aucue.work.ranks import ALONE, Rank, is_first_rank, joined_rank, on_ranks

_HOME = {
    "cores": ("available_cores", "default_workers"),
    "engines": ("Engine", "open_engine"),
    "files": ("appearing", "cell", "claimed", "inside", "printable", "read_json", "table_path", "write_json"),
    "progress": ("progress_bar",),
    "ranks": ("Rank", "ALONE", "on_ranks", "is_first_rank", "joined_rank"),
}

__all__ = [
    "available_cores",
    "default_workers",
    "Engine",
    "open_engine",
    "appearing",
    "cell",
    "claimed",
    "inside",
    "printable",
    "read_json",
    "table_path",
    "write_json",
    "progress_bar",
    "Rank",
    "ALONE",
    "on_ranks",
    "is_first_rank",
    "joined_rank",
]

__getattr__ = on_first_use(__name__, _HOME)
