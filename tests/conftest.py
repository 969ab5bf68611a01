"""Fixtures shared by all tests: where the published code's arrays and the real photographs are found."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import aucue  # noqa: F401  (first: makes torchvision importable beside a CPU build of torch)
from aucue.work.engines import Engine, open_engine

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, so that what they share is made once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


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


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[Engine]:
    """Two workers of a Ray that lives as long as the tests; for tests in the xdist group "ray", so that one
    process starts it.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="the extra aucue[distributed] is not installed")
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield open_engine("ray", workers=2)
    ray.shutdown()


@pytest.fixture(autouse=True, scope="module")
def _compile_anew() -> Iterator[None]:
    """Forget what the tests of a file have compiled: torch refuses to compile one function too often."""
    yield
    if dynamo := sys.modules.get("torch._dynamo"):
        dynamo.reset()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
