"""Processes that share one job, one per device: how they come about, and what each of them does."""

import logging
import os
import pickle
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessContext, ProcessException, start_processes

from aucue.errors import AucueError, InputError, said
from aucue.work.cores import available_cores
from aucue.work.processes import end_with_parent

T = TypeVar("T")

_LAST_WORDS = 10.0  # seconds that a process has to end by itself after an error or an interrupt
_OWN_EXITS = (0, 1, -signal.SIGTERM)  # done, an error, or told to end because of another one's


@dataclass(frozen=True)
class Rank:
    """This process among those that share a job.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks and writes for all."""
        return self.index == 0

    def first(self, work: Callable[[], T]) -> T:
        """Let the first process do something alone; all wait for it and get what it returned, or its error.

        Every process has to call it.
        """
        if self.count == 1:
            return work()
        answer: list[Any] = [None, None]
        if self.is_first:
            try:
                answer[0] = work()
            except Exception as error:
                answer[1] = error
        dist.broadcast_object_list(answer)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in their order. Every process has to call it."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values


ALONE = Rank()


def on_ranks(work: Callable[[Rank], T], accelerator: str = "auto", devices: int = 1, num_nodes: int = 1) -> T:
    """Do something in one process per device; the processes can talk to each other.

    Where torchrun, SLURM or the caller has started the processes, this is one of them and all of them call
    this. Otherwise they are started here, and what is handed over must be picklable.

    Args:
        work: What each of them does.
        accelerator: "auto", "cpu", "gpu", ... as Lightning calls them.
        devices: Devices per node.
        num_nodes: Machines.

    Returns:
        What `work` returned in this process; if they were started here, in the first one.

    Raises:
        InputError: There are no such devices, the processes that exist are not as many, or there are several
            nodes and nothing has started the processes.
        AucueError: A process that was started here died.
    """
    rank = joined_rank(accelerator, devices, num_nodes)
    if rank.count < devices * num_nodes:
        return _start(work, accelerator, devices, num_nodes)
    return work(rank)


def joined_rank(accelerator: str = "auto", devices: int = 1, num_nodes: int = 1) -> Rank:
    """This process among those that torchrun, SLURM or the caller has started, which can talk from now on.

    For what must be done before `on_ranks`, by the first of them alone.

    Args:
        accelerator: "auto", "cpu", "gpu", ... as Lightning calls them.
        devices: Devices per node.
        num_nodes: Machines.

    Returns:
        `ALONE` where there is one device, or where `on_ranks` will start the processes.

    Raises:
        InputError: There are no such devices, or the processes that exist are not as many.
    """
    if devices * num_nodes == 1:
        _check_alone()
        return ALONE
    if not dist.is_initialized():
        fabric = _fabric(accelerator, devices, num_nodes)
        if not fabric.strategy.cluster_environment.creates_processes_externally:
            return ALONE
        _join(fabric)
    if dist.get_world_size() != devices * num_nodes:
        raise _wrong_number(dist.get_world_size(), devices, num_nodes)
    return _this_rank()


def is_first_rank() -> bool:
    """Whether this process speaks for all: it is alone, or the first of its group."""
    return not dist.is_initialized() or dist.get_rank() == 0


def _check_alone() -> None:
    """Refuse to do what one process is to do in each of those that torchrun has started: they would write
    the same files. (Jobs of SLURM that do different things are a use of srun.)
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if dist.is_available() and dist.is_torchelastic_launched() and processes > 1:
        raise _wrong_number(processes, 1, 1)


def _wrong_number(processes: int, devices: int, num_nodes: int) -> InputError:
    return InputError(
        f"{processes} processes were started for {devices} devices on {num_nodes} nodes; start one for each."
    )


def _fabric(accelerator: str, devices: int, num_nodes: int) -> Any:
    """Lightning's knowledge of launchers and devices."""
    from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

    # isort: split
    from lightning.fabric import Fabric
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        return Fabric(accelerator=accelerator, devices=devices, num_nodes=num_nodes, strategy="ddp")
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise InputError(f"{devices} devices cannot be used: {said(error)}.") from error


def _join(fabric: Any) -> None:
    """Become one of the processes that exist already, without Lightning's announcement of each."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("fabric", "pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        fabric.launch()
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _this_rank() -> Rank:
    return Rank(dist.get_rank(), dist.get_world_size())


def _start(work: Callable[[Rank], T], accelerator: str, devices: int, num_nodes: int) -> T:
    """Start the processes of this machine and wait for them; none outlives this one."""
    if num_nodes > 1:
        raise InputError(
            f"{num_nodes} nodes need a launcher that starts one process per device on each of them: "
            "torchrun or srun, see docs/scale.md."
        )
    kind = _fabric(accelerator, devices, num_nodes).strategy.root_device.type
    answers = get_context("spawn").SimpleQueue()
    # As bytes: torch would share the memory of every tensor, at the price of an open file each.
    settings = (pickle.dumps(work), kind, devices, _free_port(), answers)
    context: Any = start_processes(_process, settings, devices, join=False, start_method="spawn")
    try:
        return _answer(context, answers)
    finally:
        for process in context.processes:
            process.join(_LAST_WORDS)
            process.kill()


def _process(local_rank: int, work: bytes, kind: str, devices: int, port: int, answers: Any) -> None:
    """One of the started processes, in the surroundings that torchrun would give it."""
    end_with_parent()
    here = {"LOCAL_RANK": local_rank, "LOCAL_WORLD_SIZE": devices, "NODE_RANK": 0}
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in (here | there).items()})
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cores())  # processes whose torch uses every core stall one another
    try:
        if kind == "cuda":
            torch.cuda.set_device(local_rank)
        backend = "nccl" if kind == "cuda" else "gloo"
        dist.init_process_group(backend, rank=local_rank, world_size=devices)
        answer = pickle.loads(work)(_this_rank())
    except (AucueError, OSError) as error:
        answers.put(pickle.dumps(error))
        raise
    if local_rank == 0:
        answers.put(pickle.dumps([answer]))
    dist.barrier()
    dist.destroy_process_group()


def _answer(context: ProcessContext, answers: Any) -> Any:
    """What the first process returned.

    Raises:
        AucueError: One of them found something wrong with its input, or was killed.
        OSError: One of them could not read or write a file.
        ProcessRaisedException: Any other error in one of them, with its traceback.
        KeyboardInterrupt: They were interrupted.
    """
    received = []
    try:
        while not context.join(timeout=0.1, grace_period=_LAST_WORDS):
            _receive(answers, received)  # a long answer does not fit into the pipe
    except ProcessException as failure:
        _receive(answers, received)
        errors = [answer for answer in received if isinstance(answer, Exception)]
        if errors:
            raise errors[0] from None
        if any(process.exitcode not in _OWN_EXITS for process in context.processes):
            raise AucueError(
                "One of the processes died (out of memory, or killed); run the same again: a training goes "
                "on after its last complete epoch."
            ) from failure
        raise
    _receive(answers, received)
    if not received:
        raise KeyboardInterrupt
    return received[0][0]


def _receive(answers: Any, received: list[Any]) -> None:
    """Take what processes have said so far: errors, and the answer in a list."""
    while not answers.empty():
        received.append(pickle.loads(answers.get()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
