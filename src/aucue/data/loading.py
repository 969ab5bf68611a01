"""Batches, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from aucue.data.cores import default_workers
from aucue.data.prepared import FaceDataset, FaceSample


class EpochSampler(Sampler[int]):
    """Shuffles a data set anew in every epoch, and tells it which epoch that is.

    Each pass is a new epoch, unless `set_epoch` says which one comes next (Lightning does).

    Args:
        dataset: What is shuffled.
        seed: Of the order, not negative.
    """

    def __init__(self, dataset: FaceDataset, seed: int = 0) -> None:
        self.dataset = dataset
        self.seed = seed
        self._next_epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is."""
        self._next_epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        epoch = self._next_epoch
        self._next_epoch += 1
        self.dataset.set_epoch(epoch)
        yield from np.random.default_rng((self.seed, epoch)).permutation(len(self.dataset)).tolist()


def make_loader(
    dataset: FaceDataset,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    workers: int | None = None,
    drop_last: bool = False,
) -> DataLoader[FaceSample]:
    """Batches of a data set; what they hold does not depend on the number of workers.

    Args:
        dataset: The samples.
        batch_size: Samples per batch.
        shuffle: In a new order in every epoch, see `EpochSampler`; otherwise in the data set's order.
        seed: Of the order.
        workers: Loader processes; by default what fits this machine and the size of the set.
        drop_last: Leave out the last batch if it is not full.
    """
    workers = default_workers(len(dataset)) if workers is None else workers
    return DataLoader(
        dataset,
        batch_size,
        sampler=EpochSampler(dataset, seed) if shuffle else None,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        drop_last=drop_last,
        # Of its own, so that starting workers draws nothing from the user's random numbers.
        generator=torch.Generator().manual_seed(seed),
    )
