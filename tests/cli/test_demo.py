import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aucue.cli import demo
from aucue.cli.main import main
from aucue.work.engines import LocalEngine


def as_if_in_others(self: LocalEngine, work: Any, items: Sequence[Any], most: int) -> Iterator[Any]:
    """What goes to other processes and comes back, goes by pickle."""
    for item in items:
        sent, asked = pickle.loads(pickle.dumps((work, item)))
        yield pickle.loads(pickle.dumps(sent(asked)))


def test_demo_compares_four_models_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole demo on a handful of faces; what it shows on enough of them is in docs/results.md."""
    monkeypatch.setattr(demo, "FACES", (14, 7, 7))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(LocalEngine, "run", as_if_in_others)
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    names = ["plain, unguided", "plain, guided", "shortcut, unguided", "shortcut, guided"]
    assert all(name in printed for name in names)
    assert "report.html" in printed.replace("\n", "")
    page = (out / "report.html").read_text()
    assert all(name in page for name in names)
    assert page.index("On rendered faces, the guided network is right in") < page.index("<table")
    for name in names:
        figures = json.loads((out / name.replace(", ", "/") / "evaluation" / "evaluation.json").read_text())
        assert figures["data"]["faces"] == 7
        assert figures["model"]["guidance"]["weight"] == (0 if name.endswith("unguided") else 4)
        assert demo._epochs_done(out / name.replace(", ", "/")) == 1

    model = out / "plain" / "guided" / "model.safetensors"
    trained = model.stat().st_mtime_ns
    monkeypatch.setattr(demo, "SETS", {"plain": demo.SETS["plain"]})  # one shows that a demo goes on
    assert main(["demo", "--out", str(out)]) == 0
    assert model.stat().st_mtime_ns == trained
