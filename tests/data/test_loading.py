import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aucue.data import EpochSampler, FaceDataset, make_loader, open_prepared, prepare, train_transform

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
    """Also where they are not forked, so that nothing is shared but what is handed over."""
    expected = epochs(dataset, 0, count=2)
    loader = make_loader(dataset, 5, shuffle=True, seed=1, workers=1)
    loader.multiprocessing_context = multiprocessing.get_context("spawn")
    assert isinstance(loader.sampler, EpochSampler)
    assert equal(expected, [list(loader) for _ in range(2)])


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
