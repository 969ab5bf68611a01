"""The paper's ResNet-50 with the weights of the goldens: drawn once, for they are 25 million."""

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def weight(goldens: Path) -> Callable[..., np.ndarray]:
    """The recipe of the test networks: value of a parameter by its published name and shape."""
    return runpy.run_path(str(goldens / "recipe.py"))["weight"]


@pytest.fixture(scope="session")
def encoder(goldens: Path, weight: Callable[..., np.ndarray]) -> dict[str, Tensor]:
    """Everything in the ResNet-50 but its head, by published name; not to be changed."""
    lines = (goldens / "keys_resnet50_cam.txt").read_text().splitlines()
    entries = (line.removeprefix("encoder ") for line in lines if line.startswith("encoder "))
    tensors = {name: torch.from_numpy(array) for name, array in np.load(goldens / "resnet50_bn.npz").items()}
    for name, shape in (entry.split(" ", 1) for entry in entries):
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(0)
        elif name not in tensors:
            sides = [int(side) for side in shape.strip("()").split(",") if side.strip()]
            tensors[name] = torch.from_numpy(weight(name, tuple(sides)))
    return tensors
