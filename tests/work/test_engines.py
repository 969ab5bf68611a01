"""Both engines on the same work. `eval` is the function: every process can import it."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aucue.data import prepare
from aucue.data.shards import Job
from aucue.errors import AucueError, InputError, MissingExtraError
from aucue.work import engines
from aucue.work.engines import Engine, LocalEngine, open_engine

from ..data.conftest import write_collection
from ..data.test_preparation import contents

DIE = "__import__('os')._exit(3)"
WHERE = "__import__('os').getpid()"


def uneven(count: int) -> list[str]:
    """Numbers, of which the first takes longest."""
    return [f"__import__('time').sleep({0.3 if number == 0 else 0}) or {number}" for number in range(count)]


def check_engine(engine: Engine) -> None:
    """What every engine promises, with two workers."""
    assert list(engine.run(eval, [], 2)) == []
    folder = "__import__('os').getcwd()"
    fault = "__import__('aucue.work.engines', fromlist=['engines']).open_engine('abacus')"
    results = engine.run(eval, [*uneven(9), folder, fault, "11"], 2)
    assert [next(results) for _ in range(10)] == [*range(9), os.getcwd()]
    with pytest.raises(InputError, match="Unknown engine 'abacus'"):
        list(results)
    with pytest.raises(AucueError, match=r"worker .*died .*what is finished is kept: run the same again"):
        list(engine.run(eval, ["1", DIE, "2", "3"], 2))


def test_local_engine() -> None:
    check_engine(LocalEngine(2))


def test_one_worker_or_one_item_starts_no_process() -> None:
    here = {os.getpid()}
    assert set(LocalEngine(workers=1).run(eval, [WHERE] * 3, most=4)) == here
    assert set(LocalEngine().run(eval, [WHERE] * 3, most=1)) == here
    assert set(LocalEngine(workers=4).run(eval, [WHERE], most=4)) == here


def test_processes_of_the_local_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    threads, level, process = LocalEngine(2).run(
        eval,
        [
            "__import__('os').environ['OMP_NUM_THREADS']",
            "__import__('logging').getLogger('aucue').level",
            WHERE,
        ],
        2,
    )
    assert (threads, level) == ("1", logging.ERROR)
    assert process != os.getpid()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert list(LocalEngine(2).run(eval, ["1", "2"], 2)) == [1, 2]
    assert "OMP_NUM_THREADS" not in os.environ


def test_script_without_guard_is_told_so(tmp_path: Path) -> None:
    """Its worker processes run the script again and die; that is explained, not only shown."""
    script = tmp_path / "script.py"
    script.write_text(
        "from aucue.work.engines import LocalEngine\nlist(LocalEngine(2).run(eval, ['1', '2'], 2))"
    )
    outcome = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    lines = outcome.stderr.strip().splitlines()
    last = [line for line in lines if "resource_tracker" not in line][-1]  # Python's own may warn at the end
    assert last.startswith("aucue.errors.AucueError: A worker process died")
    assert "what is finished is kept" in last


def test_unknown_or_missing_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="Unknown engine 'abacus'; use local or ray"):
        open_engine("abacus")
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        open_engine("local", 0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aucue\[distributed\]'"):
        open_engine("ray")


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    """Two workers of a Ray of this file's tests alone, since it takes long to start."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="the extra aucue[distributed] is not installed")
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield open_engine("ray", workers=2)
    ray.shutdown()


def test_ray_engine(ray_engine: Engine) -> None:
    check_engine(ray_engine)


def test_where_ray_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """In RAY_ADDRESS, else on this machine, else it is started with the cores that this process may use."""
    ray = pytest.importorskip("ray", reason="the extra aucue[distributed] is not installed")
    calls: list[tuple[str, int | None]] = []

    def init(address: str, num_cpus: int | None = None, **options: Any) -> None:
        calls.append((address, num_cpus))
        if address != "local":
            raise ConnectionError(address)

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(engines, "available_cores", lambda: 3)
    engines._connected()
    assert calls == [("auto", None), ("local", 3)]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"

    with socket.create_server(("127.0.0.1", 0)) as cluster:
        address = f"127.0.0.1:{cluster.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setattr(ray, "init", lambda address, **options: calls.append((address, None)))
        engines._connected()
        assert calls[2:] == [(address, None)]
    for silent in (address, f"ray://{address}", "head:port"):
        monkeypatch.setenv("RAY_ADDRESS", silent)
        with pytest.raises(InputError, match=f"No Ray cluster answers at RAY_ADDRESS={silent}"):
            engines._connected()


def test_both_engines_prepare_the_same(
    ray_engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the one is interrupted and the other goes on."""
    source = write_collection(tmp_path / "collection", 70)  # chunks of 16
    prepare(source, tmp_path / "local", size=32, workers=1, progress=False)
    done: list[tuple[int, int]] = []
    shard, run = Job.shard, type(ray_engine).run

    def interrupt(job: Job, chunk: tuple[int, int]) -> bytes:
        if done:
            raise KeyboardInterrupt
        done.append(chunk)
        return shard(job, chunk)

    monkeypatch.setattr(Job, "shard", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "mixed", size=32, workers=1, progress=False)
    monkeypatch.undo()
    submitted = []
    monkeypatch.setattr(
        type(ray_engine),
        "run",
        lambda self, work, items, most: submitted.extend(items) or run(self, work, items, most),
    )
    prepare(source, tmp_path / "mixed", size=32, workers=1, progress=False, engine="ray")
    assert submitted == [(16, 32), (32, 48), (48, 64), (64, 70)]
    assert contents(tmp_path / "mixed") == contents(tmp_path / "local")
