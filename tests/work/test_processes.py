import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aucue.work.processes import end_with_parent, starter_environment

# Starts what aucue starts: workers of a pool, of a data loader, and a command; waits in them.
PARENT = '''
import os, subprocess, sys, threading, time
from pathlib import Path

FOLDER = Path(sys.argv[1])

class Slow:
    """Items that are never finished."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        (FOLDER / f"loader.{os.getpid()}").touch()
        time.sleep(600)

def work(item):
    (FOLDER / f"pool.{os.getpid()}").touch()
    time.sleep(600)

COMMAND = """
import os, sys, time
from pathlib import Path
from aucue.cli import main as entry
def run(name, argv):
    Path(argv[0], f"command.{os.getpid()}").touch()
    time.sleep(600)
entry._run = run
entry.main(["train", sys.argv[1]])
"""

if __name__ == "__main__":
    from aucue.data.loading import make_loader
    from aucue.work.engines import LocalEngine
    from aucue.work.processes import starter_environment

    subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(FOLDER)], env=os.environ | starter_environment()
    )
    loader = make_loader(Slow(), 1, workers=1)
    threading.Thread(target=lambda: list(loader), daemon=True).start()
    list(LocalEngine(2).run(work, [1, 2], 2))
'''


def _alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not fetched by anybody does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def _wait(condition, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    try:
        assert _wait(lambda: len(list(tmp_path.glob("*.[0-9]*"))) == 4)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    started = {int(path.suffix[1:]): path.stem for path in tmp_path.glob("*.[0-9]*")}
    assert sorted(started.values()) == ["command", "loader", "pool", "pool"]
    assert parent.pid not in started
    _wait(lambda: not any(map(_alive, started)))
    assert [name for process, name in started.items() if _alive(process)] == []


def test_a_process_that_nobody_started_watches_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("threading.Thread", None)
    end_with_parent()
    assert starter_environment() == {"AUCUE_STARTED_BY": str(os.getpid())}
