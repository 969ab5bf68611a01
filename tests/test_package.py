"""`import aucue` is light, and torchvision is importable after it whatever the builds of torch."""

import json
import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aucue


def _python(code: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )


# Rooms in the order of what they need, as one process imports them one after the other.
_ROOMS = (
    "aucue",
    "aucue.cli.main",
    "aucue.metrics",
    "aucue.explanation.batch",
    "aucue.app",
    "torchvision.transforms.v2",
    "aucue.training.objective",
    "aucue.evaluation.run",
    "aucue.evaluation.report",
    "aucue.training.fitting",
    "aucue.benchmark",
)


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What is in memory once a room, and those before it, are imported."""
    code = (
        "import importlib, json, sys\nloaded = {}\n"
        f"for room in {_ROOMS}:\n    importlib.import_module(room)\n    loaded[room] = [*sys.modules]\n"
        "print(json.dumps(loaded))"
    )
    result = _python(code)
    assert result.returncode == 0, result.stderr
    return {room: set(modules) for room, modules in json.loads(result.stdout).items()}


@pytest.mark.parametrize(
    ("room", "heavy"),
    [
        ("aucue", {"torch", "torchvision", "PIL", "numpy"}),
        ("aucue.cli.main", {"torch", "matplotlib", "rich"}),
        ("aucue.metrics", {"torchmetrics", "timm", "torchvision"}),
        ("aucue.explanation.batch", {"torchmetrics", "lightning", "datasets", "matplotlib", "pandas"}),
        ("aucue.explanation.batch", {"torch._dynamo", "sympy"}),
        ("aucue.app", {"torchmetrics", "lightning", "datasets", "matplotlib", "gradio", "torch._dynamo"}),
        ("aucue.training.objective", {"torchmetrics", "lightning"}),
        ("aucue.evaluation.report", {"torchmetrics", "lightning", "matplotlib"}),
        ("aucue.benchmark", {"aucue.benchmark.figure"}),
    ],
)
def test_a_room_loads_no_more_than_it_needs(loaded: dict[str, set[str]], room: str, heavy: set[str]):
    assert not heavy & loaded[room]


def test_torchvision_can_be_imported_after_aucue(loaded: dict[str, set[str]]):
    assert "torchvision.transforms.v2" in loaded["torchvision.transforms.v2"]


@pytest.mark.parametrize(("torchvision", "left_alone"), [("cpu", True), ("cu130", False)])
def test_imports_are_left_alone_where_the_builds_fit(torchvision: str, left_alone: bool, tmp_path: Path):
    for package, build in (("torch", "cpu"), ("torchvision", torchvision)):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "version.py").write_text(f"__version__ = '2.9.0+{build}'\n")
    result = _python(
        "import sys; before = [*sys.meta_path]; import aucue; print(before == sys.meta_path)", tmp_path
    )
    assert result.stdout.strip() == str(left_alone), result.stderr


def test_what_timm_keeps_from_the_compiler_stays_kept():
    code = (
        "import aucue, sys\nfrom aucue.classifiers import Classifier\n"
        "from timm.models.naflexvit import NaFlexRopeIterator as kept\nimport torch\n"
        "before = 'torch._dynamo' in sys.modules\n"
        "from torchvision.ops.roi_align import is_compile_supported\n"
        "print(before, kept.__next__._torchdynamo_disable, is_compile_supported('cpu'), "
        "torch.compiler.disable.__module__)"
    )
    assert _python(code).stdout.split() == ["False", "True", "True", "torch.compiler"]


# A package that fails as the CUDA build of torchvision does beside a CPU build of torch.
_FAKE = """
import torch
try:
    torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "Meta")
except RuntimeError:
    raise RuntimeError("operator torchvision::nms does not exist") from None
loaded = True
"""


def test_missing_operators_are_declared(tmp_path: Path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(_FAKE)
    without = _python("import torchvision", tmp_path)
    assert "torchvision::nms does not exist" in without.stderr
    result = _python("import aucue, torchvision; print(torchvision.loaded)", tmp_path)
    assert result.stdout.strip() == "True", result.stderr


def test_other_errors_of_torchvision_are_not_hidden(tmp_path: Path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('disk on fire')")
    assert "disk on fire" in _python("import aucue, torchvision", tmp_path).stderr


def test_names_that_are_called_stable_exist():
    page = (Path(__file__).parent.parent / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    stable = page.partition("<!-- stable -->")[2].partition("<!-- /stable -->")[0]
    names = re.findall(r"`aucue\.([\w.]+)`", stable)
    assert {name for name in names if "." not in name} == set(aucue.__all__) - {"__version__"}
    for name in names:
        assert operator.attrgetter(name)(aucue) is not None


def test_public_names():
    assert set(aucue.__all__) <= set(dir(aucue))
    assert aucue.__version__[0].isdigit()
    assert aucue.pictures.overlay.__module__ == "aucue.pictures.heat"
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        _ = aucue.Clasifier  # pyright: ignore
