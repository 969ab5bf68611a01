"""`import aucue` is light, and torchvision is importable after it whatever the builds of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import aucue


def _python(code: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )


def test_import_loads_no_torch():
    result = _python(
        "import aucue, sys; print(sorted({'torch', 'torchvision', 'PIL', 'numpy'} & {*sys.modules}))"
    )
    assert result.stdout.strip() == "[]"


def test_torchvision_can_be_imported_after_aucue():
    result = _python("import aucue; import torchvision; from torchvision.transforms import v2; print('fine')")
    assert result.stdout.strip() == "fine", result.stderr


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


def test_public_names():
    assert set(aucue.__all__) <= set(dir(aucue))
    assert aucue.__version__[0].isdigit()
    assert aucue.pictures.overlay.__module__ == "aucue.pictures"
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        _ = aucue.Clasifier  # pyright: ignore
