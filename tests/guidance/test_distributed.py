"""Two processes on the CPU make the same step as one process with the whole batch."""

from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aucue.guidance import Guidance

VALID = {
    "all": [True, True, True, True, True, True],
    "unequal": [True, True, True, False, True, False],
    "none on one rank": [True, False, True, False, False, False],
    "none": [False] * 6,
}


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.LazyLinear(2)
    )


def batch() -> tuple[Tensor, Tensor]:
    """Images (6, 3, 12, 12) and cues (6, 1, 24, 24)."""
    source = torch.Generator().manual_seed(1)
    return torch.rand(6, 3, 12, 12, generator=source), torch.rand(6, 1, 24, 24, generator=source)


def step(model: nn.Module, guidance: Guidance, rows: slice, valid: list[bool]) -> tuple[float, list[Tensor]]:
    """One step's guidance term and gradients, on some rows of the batch."""
    images, cue = batch()
    model.zero_grad()
    term_of_task = model(images[rows]).square().mean()
    term = guidance(cue[rows], torch.tensor(valid)[rows])
    (term_of_task + term).backward()
    return term.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def rank(index: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=index, world_size=2)
    network = small_network()
    network(torch.rand(1, 3, 12, 12))
    model = DistributedDataParallel(network)
    guidance = Guidance(model, ["0", "2"])
    rows = slice(3 * index, 3 * index + 3)
    torch.save(
        {name: step(model, guidance, rows, valid) for name, valid in VALID.items()}, f"{folder}/{index}.pt"
    )
    dist.barrier()  # none leaves while the other one still talks
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What the two processes found, by case."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    # Fresh ones: of two that were forked, the second one once did not end in a whole run of the tests.
    processes = [get_context("spawn").Process(target=rank, args=(index, str(folder))) for index in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"{index}.pt", weights_only=True) for index in range(2)]


@pytest.mark.parametrize("case", VALID)
def test_gradients_equal_those_of_one_process(case, ranks):
    network = small_network()
    network(torch.rand(1, 3, 12, 12))
    term, gradients = step(network, Guidance(network, ["0", "2"]), slice(None), VALID[case])
    (first, first_gradients), (second, second_gradients) = (found[case] for found in ranks)
    torch.testing.assert_close(first_gradients, second_gradients, rtol=0, atol=0)
    torch.testing.assert_close(first_gradients, gradients)
    assert (first + second) / 2 == pytest.approx(term)
