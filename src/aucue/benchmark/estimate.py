"""How long a grid will take: the measured time of one network on this machine, times its images."""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch

from aucue.benchmark.grid import Cell, Grid, is_finished
from aucue.benchmark.run import training_seconds
from aucue.data import open_prepared
from aucue.training import ClassifierSettings, TrainConfig
from aucue.training.fitting import build_classifier

_REPEATS = 3
_CPU_BATCH = 8  # images; enough to measure the speed of a large network in seconds


def estimate_seconds(grid: Grid, out: str | os.PathLike[str]) -> dict[str, float]:
    """Seconds that every cell of a grid will take, or has taken.

    A finished cell tells its own training time. For the others, one forward and backward pass of the network
    is timed and multiplied by the images of all epochs: reading pictures and drawing cues come on top, more
    so the smaller the network.

    Args:
        grid: Whose cells.
        out: The benchmark's folder.

    Returns:
        Name of each cell -> seconds on one device.

    Raises:
        InputError: A prepared set or a setting cannot be used.
    """
    return {cell.name: _seconds(cell, out) for cell in grid.cells}


def _seconds(cell: Cell, out: str | os.PathLike[str]) -> float:
    if is_finished(cell, out) and (noted := training_seconds(cell, out)):
        return noted[0]
    config = cell.config(out)
    prepared = open_prepared(config.data.path)
    images = prepared.provenance["samples"]
    trained, looked_at = _passes(images, config)
    settings = json.dumps(config.to_dict()["classifier"])
    forward, step = _time_per_image(settings, prepared.classes, config.data.batch_size)
    return config.epochs * (trained * step + looked_at * forward) + images.get("test", 0) * forward


def _passes(images: Mapping[str, int], config: TrainConfig) -> tuple[float, float]:
    """Images of an epoch that are trained on, and those that only select."""
    if config.select_on == "test":
        return images["train"], images["test"]
    if "val" in images:
        return images["train"], images["val"]
    held_out = config.data.holdout * images["train"]
    return images["train"] - held_out, held_out


@lru_cache
def _time_per_image(classifier: str, classes: tuple[str, ...], batch_size: int) -> tuple[float, float]:
    """Seconds per image of a forward pass, and of a forward and a backward pass.

    Args:
        classifier: Settings of the network as JSON, so that equal ones are measured once.
        classes: Of the data set.
        batch_size: Of the training; a CPU is measured on a part of it.
    """
    settings = ClassifierSettings(**{**json.loads(classifier), "pretrained": False, "weights": None})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_classifier(settings, classes).to(device)
    batch = batch_size if device.type == "cuda" else min(batch_size, _CPU_BATCH)
    images = torch.rand(batch, 3, network.input_size, network.input_size, device=device)
    labels = torch.arange(batch, device=device) % len(classes)

    def forward() -> None:
        with torch.no_grad():
            network(images)

    def step() -> None:
        network.loss(network(images), labels).backward()

    return _seconds_per_call(forward, device) / batch, _seconds_per_call(step, device) / batch


def _seconds_per_call(call: Callable[[], None], device: torch.device) -> float:
    """Fastest of a few calls, after one that does not count."""
    call()
    durations = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        durations.append(time.perf_counter() - started)
    return min(durations)
