"""Where work is done that falls into pieces: the processes of this machine, or a Ray cluster.

An engine applies a function to items in worker processes. The function is sent to each worker once, so it may
carry much (a whole source); items go out one by one, and what they become travels back to the caller, who
alone writes files. So nothing depends on a file system that the workers share, and both engines give the
same.
"""

import importlib.util
import logging
import multiprocessing
import os
import pickle
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from aucue.errors import AucueError, InputError, MissingExtraError, said
from aucue.work.cores import available_cores
from aucue.work.processes import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

EngineName = Literal["local", "ray"]

_RESUME = "what is finished is kept: run the same again, perhaps with fewer workers"


class Engine(Protocol):
    """Applies a function to items in worker processes."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], most: int) -> Iterator[Result]:
        """Apply a function to every item.

        Args:
            work: Must pickle, as must the items and the results.
            items: Each should be worth a second or more: handing one out costs milliseconds.
            most: How many workers are worth starting, where the caller has not asked for a number.

        Returns:
            The results in the order of the items, each as soon as those before it are there.

        Raises:
            AucueError: A worker died, or `work` raised it; other errors of `work` are raised too.
        """
        ...


def open_engine(name: str, workers: int | None = None) -> Engine:
    """An engine by name.

    Args:
        name: "local" for processes of this machine, "ray" for a Ray cluster: the one in RAY_ADDRESS, the one
            that is running here, or else one started for the purpose on this machine.
        workers: How many processes; by default as many as there are cores and work.

    Raises:
        InputError: There is no such engine, or fewer than one worker.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"Unknown engine '{name}'; use {' or '.join(ENGINES)}.")
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}.")
    return ENGINES[name](workers)


class LocalEngine:
    """Processes of this machine; with one worker or one item it is this process that works.

    Args:
        workers: How many; by default one per core this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], most: int) -> Iterator[Result]:
        """Apply a function to every item, see `Engine.run`."""
        workers = min(self.workers or min(available_cores(), most), len(items))
        if workers <= 1:
            yield from map(work, items)
            return
        # Not fork: it copies the locks of the threads that torch and Arrow have started by now.
        context = multiprocessing.get_context("spawn")
        with _one_thread_per_process():
            pool = ProcessPoolExecutor(workers, context, _Process.start, (work,))
            try:
                waiting: deque[Future[Result]] = deque()
                for item in items:
                    waiting.append(pool.submit(_Process.work, item))
                    if len(waiting) == 2 * workers:  # enough to keep them busy; more would pile up results
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            except BrokenProcessPool as error:
                raise AucueError(
                    "A worker process died (out of memory, killed, or the script lacks "
                    f"if __name__ == '__main__':); {_RESUME}."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


class _Process:
    """What a process of the local engine does."""

    function: Callable[[Any], Any]

    @classmethod
    def start(cls, function: Callable[[Any], Any]) -> None:
        """Remember the function."""
        end_with_parent()
        _be_quiet()
        cls.function = staticmethod(function)

    @classmethod
    def work(cls, item: Any) -> Any:
        """Apply it."""
        return cls.function(item)


class RayEngine:
    """Actors of a Ray cluster, fed by Ray Data.

    The workers import aucue, and find the photographs under the same paths as this machine does.

    Args:
        workers: How many, if the cluster has so many cores; by default one per core.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError(
                "The engine ray is not installed; install it with: pip install 'aucue[distributed]'."
            )
        self.workers = workers

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], most: int) -> Iterator[Result]:
        """Apply a function to every item, see `Engine.run`."""
        if not items:
            return
        ray = _connected()
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        workers = min(self.workers or most, cores, len(items))
        rows = [{"item": ray.cloudpickle.dumps(item)} for item in items]  # as Ray sends `work`
        with _quiet_ray_data():
            results = _mapped(ray.data.from_items(rows, override_num_blocks=len(rows)), work, workers)
            results.context.enable_progress_bars = False
            results.context.execution_options.preserve_order = True
            try:
                for row in results.iter_rows():
                    result = pickle.loads(row["result"])
                    if isinstance(result, AucueError):
                        raise result
                    yield result
            except ray.exceptions.RayActorError as error:
                raise AucueError(
                    f"A Ray worker died (out of memory, killed, or its node was lost); {_RESUME}."
                ) from error


def _mapped(rows: Any, work: Callable[[Any], Any], workers: int) -> Any:
    """A Ray data set of the results, to be computed; its workers are never replaced by others: an item that
    kills its worker would kill those for ever.
    """
    import ray.data

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*ray_remote_args.* is deprecated")  # gone in Ray 2.64
        return rows.map_batches(
            _Actor,
            fn_constructor_args=(work, os.getcwd()),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            max_restarts=0,
            max_task_retries=0,
        )


class _Actor:
    """What a worker of the Ray engine does."""

    def __init__(self, function: Callable[[Any], Any], folder: str) -> None:
        _be_quiet()
        with suppress(OSError):  # relative paths mean the same as for the caller, where they can
            os.chdir(folder)
        self._function = function

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        return {"result": [pickle.dumps(self._outcome(pickle.loads(item))) for item in batch["item"]]}

    def _outcome(self, item: Any) -> Any:
        try:
            return self._function(item)
        except AucueError as error:  # a value, so that Ray does not wrap it
            return error


def _connected() -> Any:
    """Ray, connected to a cluster. It tells its makers nothing, and the console only of failures."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    if not ray.is_initialized():
        quiet: Any = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address := os.environ.get("RAY_ADDRESS"):
            _check_answer(address)
            ray.init(address, **quiet)
            return ray
        try:
            ray.init("auto", **quiet)
        except ConnectionError:  # Ray starts a worker per core that it sees, also those that are not ours
            ray.init("local", num_cpus=available_cores(), include_dashboard=False, **quiet)
    return ray


def _check_answer(address: str) -> None:
    """Knock at a cluster's door, at which Ray would wait for minutes.

    Args:
        address: Content of RAY_ADDRESS: "host:port", "ray://host:port", "auto" or "local".

    Raises:
        InputError: Nobody answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host:
            socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(f"No Ray cluster answers at RAY_ADDRESS={address}: {said(error)}.") from error


@contextmanager
def _quiet_ray_data() -> Iterator[None]:
    """Ray Data logs its plans, and failures that are raised as well."""
    logger = logging.getLogger("ray.data")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _be_quiet() -> None:
    """In a worker: what aucue would warn of is told in the results."""
    logging.getLogger("aucue").setLevel(logging.ERROR)


@contextmanager
def _one_thread_per_process() -> Iterator[None]:
    """Processes started in here do not open a thread per core each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


ENGINES: Mapping[str, type[LocalEngine] | type[RayEngine]] = {"local": LocalEngine, "ray": RayEngine}
"""Engines by name."""
