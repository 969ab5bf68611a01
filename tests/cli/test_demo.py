import json
from pathlib import Path

import pytest

from aucue.cli import demo
from aucue.cli.main import main
from aucue.work import engines


def test_demo_compares_four_models_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole demo on a handful of faces, two trainings side by side; what it shows on enough faces is in
    docs/results.md.
    """
    monkeypatch.setattr(demo, "FACES", (28, 7, 14))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(engines, "available_cores", lambda: 2)
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    names = ["plain, unguided", "plain, guided", "shortcut, unguided", "shortcut, guided"]
    assert all(name in printed for name in names)
    assert "report.html" in printed.replace("\n", "")
    page = (out / "report.html").read_text()
    assert all(name in page for name in names)
    for name in names:
        figures = json.loads((out / name.replace(", ", "/") / "evaluation" / "evaluation.json").read_text())
        assert figures["data"]["faces"] == 14
        assert figures["model"]["guidance"]["weight"] == (0 if name.endswith("unguided") else 4)
        assert demo._epochs_done(out / name.replace(", ", "/")) == 1

    model = out / "plain" / "guided" / "model.safetensors"
    trained = model.stat().st_mtime_ns
    monkeypatch.setattr(engines, "available_cores", lambda: 1)  # in this process
    assert main(["demo", "--out", str(out)]) == 0
    assert model.stat().st_mtime_ns == trained
