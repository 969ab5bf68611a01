"""`aucue serve` where it cannot start; tests/app has it running."""

from pathlib import Path

import pytest

from aucue.app import server
from aucue.cli.main import main
from aucue.models import files


def test_needs_gradio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == (
        "aucue serve: The web page needs Gradio; install it with: pip install 'aucue[app]'.\n"
    )


def test_needs_a_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")
    monkeypatch.setattr(files, "BOXED", tmp_path / "gone.safetensors")
    assert main(["serve"]) == 2
    assert "carries no model; name a model file" in capsys.readouterr().err
    assert main(["serve", "--model", "gone.safetensors"]) == 2
    error = capsys.readouterr().err
    assert "no such model file" in error
    assert error.count("\n") == 1
