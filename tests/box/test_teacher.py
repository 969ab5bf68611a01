"""A recognition network of few channels that learns expressions, and goes on where it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from box import teacher
from box.recognition import Recognition
from box.teacher import Teacher, said, tune

BLOCKS = ("conv2_1", "conv4_down", "conv4_1", "conv8_down", "conv256_2")
WIDTHS = {"conv2_1": 2, "conv4_down": 4, "conv4_1": 4, "conv8_down": 8, "conv256_2": 8}


def weights() -> dict[str, torch.Tensor]:
    """A network as the package names it, with few channels and blocks."""
    draw = torch.Generator().manual_seed(0)

    def convolution(name: str, width: int, before: int, side: int) -> dict[str, torch.Tensor]:
        filters = torch.randn(width, before, side, side, generator=draw) / (before * side**2) ** 0.5
        plain = {"conv/bias": torch.zeros(width), "scale/biases": torch.zeros(width)}
        made = {"conv/filters": filters, "scale/weights": torch.ones(width), **plain}
        return {f"{name}/{part}": value for part, value in made.items()}

    found, before = convolution("conv32_down", 2, 3, 7), 2
    for block in BLOCKS:
        found |= convolution(f"{block}/conv1", WIDTHS[block], before, 3)
        found |= convolution(f"{block}/conv2", WIDTHS[block], WIDTHS[block], 3)
        before = WIDTHS[block]
    return {**found, "fc": torch.zeros(before, 4)}


class Faces:
    """Faces that are bright if they are of the second class, in the place of a prepared set."""

    classes, size = ("neutral", "happiness"), 24

    def dataset(self, split: str, transform: object = None) -> Any:
        labels = np.tile([0, 1], 64 if split == "train" else 8)
        light = np.random.default_rng(len(labels)).integers(0, 40, len(labels)) + 200 * labels
        images = torch.from_numpy(light)[:, None, None, None].expand(-1, 3, 24, 24).to(torch.uint8)
        return _Rows(images, labels)


class _Rows(SimpleNamespace):
    def __init__(self, images: torch.Tensor, labels: np.ndarray) -> None:
        super().__init__(images=images, labels=labels, probabilities=np.eye(2, dtype=np.float32)[labels])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        nowhere = torch.full((68, 2), float("nan"))
        label, shares = int(self.labels[row]), torch.from_numpy(self.probabilities[row])
        return {"image": self.images[row], "label": label, "probabilities": shares, "landmarks": nowhere}

    def set_epoch(self, epoch: int) -> None:
        """Nothing here depends on it."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "SIDE", 48)
    monkeypatch.setattr(teacher, "INNER", 40)


def test_a_block_adds_to_what_it_saw_and_a_smaller_one_to_its_mean() -> None:
    still = {name: value * ("conv2/scale" not in name) for name, value in weights().items()}
    maps = Recognition(still).maps(255 * torch.rand(2, 3, 48, 48))
    torch.testing.assert_close(maps["conv4_1"], maps["conv4_down"])
    seen, shrunk = maps["conv2_1"], maps["conv4_down"]
    assert shrunk.shape[1:] == (4, 5, 5)
    torch.testing.assert_close(shrunk[:, :2, :4, :4], torch.nn.functional.avg_pool2d(seen, 2)[..., :4, :4])
    assert not shrunk[:, 2:].any()


@pytest.mark.usefixtures("small")
def test_a_teacher_learns_and_an_interrupted_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "figures", lambda *_: {})
    monkeypatch.setattr(teacher, "HEAD", 1e-1)
    monkeypatch.setattr(teacher, "learning_rate_factor", lambda *_: 1.0)  # else it depends on all epochs
    ends = []
    for name, steps in (("whole", [3]), ("in two", [1, 3])):
        for epochs in steps:
            torch.manual_seed(0)
            network = Teacher(weights(), 2)
            tune(network, Faces(), torch.zeros(2), tmp_path / f"{name}.pt", epochs, seed=1)  # pyright: ignore[reportArgumentType]
        ends.append(network)  # pyright: ignore[reportPossiblyUnboundVariable]
    torch.testing.assert_close(ends[0].state_dict(), ends[1].state_dict())
    logits, labels = said(ends[0], Faces().dataset("val"))
    assert (logits.argmax(1) == labels).double().mean() > 0.9
