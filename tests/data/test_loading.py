import pickle
from itertools import chain
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aucue.data import EpochSampler, FaceDataset, make_loader, open_prepared, prepare, train_transform
from aucue.data.loading import part_of_batches, whole_batches
from aucue.work import Rank

from .conftest import write_collection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loading")
    source = write_collection(folder / "collection", 24, ("train",))
    return prepare(source, folder / "set", size=32, progress=False).path


@pytest.fixture
def dataset(folder: Path) -> FaceDataset:
    return open_prepared(folder).dataset("train", train_transform(32), seed=5)


def epochs(dataset: FaceDataset, workers: int, count: int = 3) -> list[list[dict[str, Tensor]]]:
    loader = make_loader(dataset, 5, shuffle=True, seed=1, workers=workers)
    return [list(loader) for _ in range(count)]


def equal(a: list[list[dict[str, Tensor]]], b: list[list[dict[str, Tensor]]]) -> bool:
    pairs = [pair for x, y in zip(a, b, strict=True) for pair in zip(x, y, strict=True)]
    return all(torch.equal(x[name], y[name]) for x, y in pairs for name in x)


def test_batch(dataset: FaceDataset) -> None:
    batch = next(iter(make_loader(dataset, 5)))
    described = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert described == {
        "image": ((5, 3, 32, 32), torch.uint8),
        "landmarks": ((5, 68, 2), torch.float32),
        "stored": ((5, 68, 2), torch.float32),
        "landmarks_valid": ((5,), torch.bool),
        "label": ((5,), torch.int64),
        "index": ((5,), torch.int64),
    }


def test_batches_do_not_depend_on_the_workers(folder: Path) -> None:
    """Neither in order nor in random transforms, in any epoch, though workers live through all of them."""
    results = [epochs(open_prepared(folder).dataset("train", train_transform(32)), n) for n in (0, 1, 2)]
    assert equal(results[0], results[1])
    assert equal(results[0], results[2])


def test_workers_started_afresh_know_the_epoch(dataset: FaceDataset) -> None:
    """Also where they are not forked, so that nothing is shared but what is handed over.

    What is handed over comes back to this process, which does with it what a worker does: starting one anew
    takes seconds.
    """
    expected = epochs(dataset, 0, count=2)
    loader = make_loader(dataset, 5, shuffle=True, seed=1, workers=1)
    handed_over = ForkingPickler.dumps((loader.dataset, loader.collate_fn, loader.worker_init_fn))
    there, collate, _ = pickle.loads(handed_over)
    assert there is not dataset
    assert loader.batch_sampler is not None
    found = [[collate([there[i] for i in batch]) for batch in loader.batch_sampler] for _ in range(2)]
    assert equal(expected, found)


def test_every_epoch_has_an_order_of_its_own(dataset: FaceDataset) -> None:
    first, second, third = (torch.cat([b["index"] for b in epoch]).tolist() for epoch in epochs(dataset, 0))
    assert sorted(first) == list(range(24))
    assert first != second != third != first
    again = torch.cat([b["index"] for b in epochs(dataset, 0, 1)[0]]).tolist()
    assert again == first


def test_a_resumed_epoch_is_the_same(dataset: FaceDataset) -> None:
    expected = epochs(dataset, 0)[2]
    loader = make_loader(dataset, 5, shuffle=True, seed=1, workers=0)
    assert isinstance(loader.sampler, EpochSampler)
    loader.sampler.set_epoch(2)
    assert equal([expected], [list(loader)])


def test_seeds_differ(dataset: FaceDataset) -> None:
    orders = [list(EpochSampler(dataset, seed)) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_in_order_without_shuffling(dataset: FaceDataset) -> None:
    batches = list(make_loader(dataset, 10, workers=0))
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(24))
    assert len(list(make_loader(dataset, 10, workers=0, drop_last=True))) == 2


def test_the_users_random_numbers_are_left_alone(dataset: FaceDataset) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(make_loader(dataset, 5, shuffle=True, workers=1))
    assert torch.equal(torch.rand(3), expected)


NUMBERS = (1, 2, 7, 12, 13, 14, 24, 25, 26, 27)
SHARES = [(batch_size, count) for batch_size in (1, 2, 4) for count in (1, 2, 3, 5)]


def batches_of(samples: np.ndarray, size: int) -> list[list[int]]:
    return [samples[start : start + size].tolist() for start in range(0, len(samples), size)]


@pytest.mark.parametrize("samples", NUMBERS)
@pytest.mark.parametrize(("batch_size", "count"), SHARES)
def test_parts_of_batches(samples: int, batch_size: int, count: int) -> None:
    """The k-th batches of all processes together are the k-th batch of one, but for a last one too small."""
    order = np.random.default_rng(0).permutation(samples)
    parts = [
        batches_of(part_of_batches(order, batch_size, Rank(index, count)), batch_size)
        for index in range(count)
    ]
    together = [sorted(chain(*batches)) for batches in zip(*parts, strict=True)]  # all have as many
    whole = [sorted(batch) for batch in batches_of(order, batch_size * count)]
    assert together == [batch for batch in whole if len(batch) >= count]
    assert len(whole) - len(together) <= 1
    for batches in zip(*parts, strict=True):
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 1


@pytest.mark.parametrize("samples", NUMBERS)
@pytest.mark.parametrize(("batch_size", "count"), SHARES)
def test_whole_batches(samples: int, batch_size: int, count: int) -> None:
    """Every batch of one process is that of exactly one of several, in turn."""
    order = np.random.default_rng(0).permutation(samples)
    dealt = [
        batches_of(whole_batches(order, batch_size, Rank(index, count)), batch_size) for index in range(count)
    ]
    expected = batches_of(order, batch_size)
    assert [dealt[k % count][k // count] for k in range(len(expected))] == expected
    assert sum(map(len, dealt)) == len(expected)


def test_processes_share_an_epoch(dataset: FaceDataset) -> None:
    """The same faces, augmented alike, in every epoch: 24 in batches of 10 and 4, one process or two."""

    def seen(batch_size: int, rank: Rank) -> list[dict[str, Tensor]]:
        loader = make_loader(dataset, batch_size, shuffle=True, seed=1, workers=0, rank=rank)
        assert len(loader) == 3
        return [batch for _ in range(2) for batch in loader]

    alone = seen(10, Rank(0, 1))
    halves = zip(seen(5, Rank(0, 2)), seen(5, Rank(1, 2)), strict=True)
    for whole, (first, second) in zip(alone, halves, strict=True):
        assert len(whole["index"]) in (10, 4)
        for name in whole:
            assert torch.equal(whole[name][0::2], first[name])
            assert torch.equal(whole[name][1::2], second[name])


def test_processes_share_a_set_in_order(dataset: FaceDataset) -> None:
    parts = [make_loader(dataset, 7, workers=0, rank=Rank(index, 2)) for index in range(2)]
    assert [[batch["index"].tolist() for batch in part] for part in parts] == [
        [list(range(7)), list(range(14, 21))],
        [list(range(7, 14)), [21, 22, 23]],
    ]
