"""Model files named by the address of a hub: `hf:OWNER/NAME`, from a hub of the tests' own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from aucue.classifiers import Classifier
from aucue.errors import HubError, InputError
from aucue.models import Card, hub, load_model, save_model


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a hub that gives one model file was asked for."""
    classifier = Classifier("test_resnet", ("neutral", "happiness"), input_size=32)
    file = save_model(tmp_path / "model.safetensors", classifier, Card(classifier.classes))
    questions = []

    def give(repository: str, name: str, revision: str | None, local_files_only: bool) -> str:
        questions.append((repository, name, revision, local_files_only))
        return str(file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", give)
    monkeypatch.setattr(hub, "is_reachable", lambda address: True)
    return questions


def test_a_path_is_a_path(asked: list[Any]):
    assert hub.local_file("models/hf:a.safetensors") == Path("models/hf:a.safetensors")
    assert not asked


def test_a_model_of_the_hub_is_loaded(asked: list[Any]):
    classifier, info = load_model("hf:jane/fer")
    assert classifier.classes == info.classes == ("neutral", "happiness")
    load_model(Path("hf:jane/fer@v1"))  # as the command line has it
    assert asked == [
        ("jane/fer", "model.safetensors", None, False),
        ("jane/fer", "model.safetensors", "v1", False),
    ]


def test_without_a_network_only_the_cache_is_asked(asked: list[Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "is_reachable", lambda address: False)
    load_model("hf:jane/fer")
    assert asked[0][3] is True


@pytest.mark.parametrize(
    ("switched_off", "sentence"),
    [
        (True, r"^jane/fer: no copy is on this machine, and the hub is switched off \(HF_HUB_OFFLINE\)\.$"),
        (False, r"^jane/fer: no copy is on this machine, and http://127\.0\.0\.1:9 cannot be reached\.$"),
    ],
)
def test_the_hub_s_own_client_offline(
    switched_off: bool, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", switched_off)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HubError, match=sentence):
        load_model("hf:jane/fer")


@pytest.mark.parametrize("address", ["hf:", "hf:a/b/c", "hf:../x"])
def test_an_address_that_is_none(address: str):
    with pytest.raises(InputError, match="is no repository of a model hub; write OWNER/NAME"):
        load_model(address)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (errors.RepositoryNotFoundError, "has none of that name, or it is private"),
        (errors.RevisionNotFoundError, "no such version"),
        (errors.EntryNotFoundError, r"holds no model\.safetensors"),
        (RuntimeError, r"cannot be used \(it broke\)"),
    ],
)
def test_refusals_are_one_sentence(
    kind: type[Exception], sentence: str, asked: list[Any], monkeypatch: pytest.MonkeyPatch
):
    error = kind.__new__(kind)  # the client's own ask for a whole HTTP response
    Exception.__init__(error, "it broke")

    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(HubError, match=sentence):
        load_model("hf:jane/fer")


def test_the_hub_s_client_needs_no_one_to_have_imported_it(tmp_path: Path):
    program = "from aucue.models import local_file; local_file('hf:jane/fer')"
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True)
    assert "jane/fer: no copy is on this machine, and the hub is switched off" in run.stderr
