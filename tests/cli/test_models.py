from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from tests.builders import information, untrained

from aucue.cli.main import main
from aucue.models import Model, listing


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's cache with a model of aucue in two versions, another model and a data set."""

    def repository(name: str, *files: Path, kind: str = "model") -> SimpleNamespace:
        versions = [
            SimpleNamespace(snapshot_path=file.parent, last_modified=k) for k, file in enumerate(files)
        ]
        return SimpleNamespace(repo_id=name, repo_type=kind, revisions=versions)

    ours = [
        Model(untrained(classes=("neutral", "fear")), information(("neutral", "fear"))).save(
            tmp_path / name / "model.safetensors"
        )
        for name in ("old", "new")
    ]
    other = tmp_path / "other" / "model.safetensors"
    other.parent.mkdir()
    other.write_bytes(b"no model")
    repositories = [
        repository("jane/fer", *ours),
        repository("jim/other", other),
        repository("jim/set", ours[0], kind="dataset"),
    ]
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: SimpleNamespace(repos=repositories))


def test_models_of_this_machine(cache: None) -> None:
    box, fer = listing.models_here()
    assert (box.name, box.where) == ("box", "box")
    assert (fer.name, fer.where) == ("hf:jane/fer", "cached")
    assert fer.card is not None
    assert fer.card.classes == ("neutral", "fear")


def test_the_command(
    cache: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    asked = []

    def list_models(self: object, **options: object) -> list[SimpleNamespace]:
        asked.append(options)
        return [SimpleNamespace(id="jane/fer"), SimpleNamespace(id="ann/pain")]

    monkeypatch.setattr(huggingface_hub.HfApi, "list_models", list_models)
    monkeypatch.setattr("aucue.models.hub.is_reachable", lambda address: True)
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "hf:jane/fer" in text
    assert "ann/pain" not in text
    assert not asked  # nothing was asked of a hub
    assert main(["models", "--hub", "--search", "pain"]) == 0
    text = capsys.readouterr().out
    assert text.count("hf:jane/fer") == 1
    assert "hf:ann/pain" in text
    assert asked == [{"filter": "aucue", "search": "pain", "limit": 50}]


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("aucue.models.hub.is_reachable", lambda address: False)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_models", None)  # would try again for half a minute
    assert main(["models", "--hub"]) == 2
    assert "The list of models: " in capsys.readouterr().err


def test_nothing_was_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise huggingface_hub.CacheNotFound("no cache", "nowhere")

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", missing)
    assert [model.name for model in listing.models_here()] == ["box"]
