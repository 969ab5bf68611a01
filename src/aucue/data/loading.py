"""Batches, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from aucue.data.prepared import FaceDataset, FaceSample
from aucue.work.cores import default_workers
from aucue.work.processes import end_with_parent
from aucue.work.ranks import ALONE, Rank


class EpochSampler(Sampler[int]):
    """Shuffles a data set anew in every epoch, and tells it which epoch that is.

    Each pass is a new epoch, unless `set_epoch` says which one comes next (Lightning does).

    Args:
        dataset: What is shuffled.
        seed: Of the order, not negative.
        batch_size: Samples per batch of one process; needed where several share the epoch.
        rank: Which part of the epoch is wanted, see `part_of_batches`.
    """

    def __init__(self, dataset: FaceDataset, seed: int = 0, batch_size: int = 1, rank: Rank = ALONE) -> None:
        self.dataset = dataset
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self._next_epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is."""
        self._next_epoch = epoch

    def __len__(self) -> int:
        return len(part_of_batches(np.arange(len(self.dataset)), self.batch_size, self.rank))

    def __iter__(self) -> Iterator[int]:
        epoch = self._next_epoch
        self._next_epoch += 1
        self.dataset.set_epoch(epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.dataset))
        yield from part_of_batches(order, self.batch_size, self.rank).tolist()


def part_of_batches(order: np.ndarray, batch_size: int, rank: Rank) -> np.ndarray:
    """A process's part of every batch: together, the k-th batches of all are the k-th of one process whose
    batch is as large as theirs together.

    Every process has as many batches, and the last ones differ by a sample at most. A last batch with less
    than a sample for each process is left out.

    Args:
        order: All samples (N,), in order.
        batch_size: Samples per batch of one process.
        rank: Which part.

    Returns:
        The samples of this process, in order.
    """
    last = len(order) % (rank.count * batch_size)
    kept = len(order) - last if last < rank.count else len(order)
    return order[:kept][rank.index :: rank.count]


def whole_batches(order: np.ndarray, batch_size: int, rank: Rank) -> np.ndarray:
    """A process's batches where they are dealt out in turn: all samples once, in the batches of one process.

    Args:
        order: All samples (N,), in order.
        batch_size: Samples per batch.
        rank: Whose batches; in the last round some processes may have none.

    Returns:
        The samples of this process, in order.
    """
    return order[np.arange(len(order)) // batch_size % rank.count == rank.index]


def make_loader(
    dataset: FaceDataset,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    workers: int | None = None,
    drop_last: bool = False,
    rank: Rank = ALONE,
) -> DataLoader[FaceSample]:
    """Batches of a data set; what they hold does not depend on the number of workers.

    Args:
        dataset: The samples.
        batch_size: Samples per batch.
        shuffle: In a new order in every epoch, see `EpochSampler`; otherwise in the data set's order.
        seed: Of the order.
        workers: Loader processes; by default what fits this machine and the size of the set.
        drop_last: Leave out the last batch if it is not full.
        rank: Which process this is of those that share the samples: of shuffled ones each has its part of
            every batch (`part_of_batches`), of others whole batches in turn (`whole_batches`).
    """
    if shuffle:
        sampler = EpochSampler(dataset, seed, batch_size, rank)
    else:
        sampler = whole_batches(np.arange(len(dataset)), batch_size, rank).tolist()
    workers = default_workers(len(dataset)) if workers is None else workers
    return DataLoader(
        dataset,
        batch_size,
        sampler=sampler,
        num_workers=workers,
        worker_init_fn=end_with_parent,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        drop_last=drop_last,
        # Of its own, so that starting workers draws nothing from the user's random numbers.
        generator=torch.Generator().manual_seed(seed),
    )
