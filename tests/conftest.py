"""Fixtures shared by all tests: where the published code's arrays and the real photographs are found."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import aucue  # noqa: F401  (first: makes torchvision importable beside a CPU build of torch)

ROOT = Path(__file__).parent.parent


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} not found; set {variable} to run this test")
    return folder


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Folder of arrays computed by the paper's code (AUCUE_GOLDENS)."""
    return _folder("AUCUE_GOLDENS", ROOT.parent / "shared" / "goldens")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder of real photographs with labels and landmarks (AUCUE_DATA)."""
    return _folder("AUCUE_DATA", ROOT.parent / "shared" / "data")


@pytest.fixture(autouse=True, scope="module")
def _compile_anew() -> Iterator[None]:
    """Forget what the tests of a file have compiled: torch refuses to compile one function too often."""
    yield
    if dynamo := sys.modules.get("torch._dynamo"):
        dynamo.reset()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
