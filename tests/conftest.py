"""Fixtures shared by all tests: where the published code's arrays and the real photographs are found."""

import gc
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

import aucue  # noqa: F401  (first: makes torchvision importable beside a CPU build of torch)

ROOT = Path(__file__).parent.parent

# Files that take long, the longest first: two processes that share the files end at about the same time if no
# long one is left for the end. Where one of these is gone, nothing is wrong. Some of the first four fork this
# process, which is best done before a page is served in it: its threads would be missing in the fork.
SLOW = (
    "evaluation/test_sharded.py",
    "guidance/test_distributed.py",
    "training/test_data_parallel.py",
    "work/test_ranks.py",
    "classifiers/test_classifier.py",
    "examples/test_scripts.py",
    "golden/test_import_fg2024.py",
    "export/test_onnx_file.py",
    "integration/test_methods.py",
    "examples/test_notebook.py",
    "cues/test_au_cue.py",
    "benchmark/test_run.py",
    "training/test_fitting.py",
    "integration/test_benchmark_sets.py",
    "explanation/test_batch.py",
    "app/test_browser.py",
    "cli/test_extras.py",
    "work/test_engines.py",
    "test_package.py",
    "golden/test_resnet50.py",
    "data/test_preparation.py",
    "faces/test_dlib_detector.py",
    "docs/test_site.py",
    "models/test_files.py",
    "export/test_graph.py",
    "evaluation/test_command.py",
    "benchmark/test_results.py",
    "cli/test_demo.py",
    "app/test_server.py",
    "guidance/test_guide.py",
    "cli/test_explain.py",
    "classifiers/test_backbones.py",
    "app/test_views.py",
    "evaluation/test_evidence.py",
    "classifiers/test_regularisers.py",
    "cli/test_train.py",
    "benchmark/test_figure.py",
    "models/test_fg2024.py",
    "guidance/test_alignment.py",
    "training/test_folder.py",
    "benchmark/test_protocol.py",
    "benchmark/test_grid.py",
    "data/sources/test_csv_table.py",
    "cli/test_export.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by the time that they take."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path, len(SLOW)))


def pytest_collection_finish() -> None:
    """Let the garbage collector look less often, and never at what is in memory now, which stays."""
    gc.freeze()
    gc.set_threshold(10_000)


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
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared set of a few rendered faces per expression, which nobody changes."""
    from aucue.data import SyntheticSource, prepare

    out = tmp_path_factory.mktemp("rendered") / "set"
    prepare(SyntheticSource(train=42, val=14, test=21, seed=3, size=64), out, size=48, workers=1)
    return out


@pytest.fixture(scope="session")
def one_registry() -> Iterator[None]:
    """ONNX exports of this process share torch's table of operators, which takes a second to fill."""
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration")
    registry = registration.ONNXRegistry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "from_torchlib", staticmethod(cache(registry.from_torchlib)))
        yield


@pytest.fixture(autouse=True, scope="module")
def _compile_anew() -> Iterator[None]:
    """Forget what the tests of a file have compiled: torch refuses to compile one function too often."""
    yield
    if dynamo := sys.modules.get("torch._dynamo"):
        dynamo.reset()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
