"""`import aucue` is light, and torchvision is importable after it whatever the builds of torch."""

import json
import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aucue


def _python(code: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command, offline = [sys.executable, "-c", code], os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=offline, check=False)


# Rooms in the order of what they need, as one process imports them one after the other.
_ROOMS = (
    "aucue",
    "aucue.cli.main",
    "aucue.metrics",
    "aucue.explanation.batch",
    "aucue.app",
    "timm.models.naflexvit",
    "torchvision.transforms.v2",
    "aucue.training.objective",
    "aucue.evaluation.run",
    "aucue.evaluation.report",
    "aucue.training.fitting",
    "aucue.benchmark",
)


# What is in memory after each of them, then what becomes of the names for which something stood.
_CODE = """
import importlib, json, sys
loaded = {}
for room in ROOMS:
    importlib.import_module(room)
    loaded[room] = [*sys.modules]
    if room == "timm.models.naflexvit":
        kept = sys.modules[room].NaFlexRopeIterator
        loaded["kept from the compiler"] = [str(kept.__next__._torchdynamo_disable)]

import torch, torchmetrics
from timm.models import _hub, load_state_dict_from_hf
try:
    load_state_dict_from_hf("nobody/nothing")
except Exception as error:
    loaded["the hub asked"] = [type(error).__name__, _hub.EntryNotFoundError.__module__]

from torchvision.ops.roi_align import is_compile_supported
loaded["the compiler asked"] = [str(is_compile_supported("cpu")), torch.compiler.disable.__module__]

matrix = torchmetrics.ConfusionMatrix(task="multiclass", num_classes=2)
matrix.update(torch.tensor([0, 1]), torch.tensor([1, 1]))
figure, axes = matrix.plot()
from matplotlib import pyplot
left = torchmetrics.utilities.plot.trim_axs(pyplot.subplots(2, 2)[1], 2)
loaded["drawn"] = [type(figure).__name__, type(axes).__name__, f"{len(left)} of 4"]
import scipy.signal
scipy.signal.lfilter
loaded["scipy asked"] = [*sys.modules]
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What one process found in memory after each step."""
    result = _python(f"ROOMS = {_ROOMS}{_CODE}")
    assert result.returncode == 0, result.stderr
    return {step: set(found) for step, found in json.loads(result.stdout).items()}


@pytest.mark.parametrize(
    ("room", "heavy"),
    [
        ("aucue", {"torch", "torchvision", "PIL", "numpy"}),
        ("aucue.cli.main", {"torch", "matplotlib", "rich"}),
        ("aucue.metrics", {"torchmetrics", "timm", "torchvision"}),
        ("aucue.explanation.batch", {"torchmetrics", "lightning", "datasets", "matplotlib", "pandas"}),
        ("aucue.explanation.batch", {"torch._dynamo", "sympy", "huggingface_hub", "pyarrow"}),
        ("aucue.app", {"torchmetrics", "lightning", "datasets", "matplotlib", "gradio", "torch._dynamo"}),
        ("aucue.training.objective", {"torchmetrics", "lightning"}),
        ("aucue.evaluation.report", {"torchmetrics", "lightning", "matplotlib"}),
        ("aucue.training.fitting", {"matplotlib", "scipy.signal"}),
        ("aucue.benchmark", {"aucue.benchmark.figure"}),
    ],
)
def test_a_room_loads_no_more_than_it_needs(loaded: dict[str, set[str]], room: str, heavy: set[str]):
    assert not heavy & loaded[room]


def test_onnxruntime_tells_nobody(tmp_path: Path):
    """Since version 1.29 what it would send its makers lies in the home as soon as it is imported."""
    hushed = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    home = {name: value for name, value in os.environ.items() if name not in hushed} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-B", "-c", "import aucue, onnxruntime"], check=True, env=home)
    assert not [*tmp_path.rglob("*")]


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


def test_what_timm_keeps_from_the_compiler_stays_kept(loaded: dict[str, set[str]]):
    assert not loaded["timm.models.naflexvit"] & {"torch._dynamo", "sympy"}
    assert loaded["kept from the compiler"] == {"True"}
    assert loaded["the compiler asked"] == {"True", "torch.compiler"}


def test_timm_gets_the_client_of_the_hub_as_soon_as_it_asks(loaded: dict[str, set[str]]):
    assert loaded["the hub asked"] == {"LocalEntryNotFoundError", "huggingface_hub.errors"}


def test_what_stands_for_matplotlib_draws(loaded: dict[str, set[str]]):
    assert "torchmetrics" in loaded["aucue.benchmark"]
    assert not loaded["aucue.benchmark"] & {"matplotlib.pyplot", "scipy.signal"}
    assert loaded["drawn"] == {"Figure", "Axes", "2 of 4"}
    assert "scipy.signal._signaltools" in loaded["scipy asked"]


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
    code = """
import sys
try:
    import torchvision
except RuntimeError as error:
    print(error)
import aucue, torchvision
print(torchvision.loaded)
"""
    result = _python(code, tmp_path)
    assert result.stdout.splitlines() == ["operator torchvision::nms does not exist", "True"], result.stderr


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
