"""What is written for a model hub, and what is sent: to a hub of the tests' own, without a network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled
from tests.export.tiny import tiny

from aucue.errors import HubError, InputError, OutputExistsError
from aucue.export import hub, model_card, push, write_repository
from aucue.models import Card, GuidanceRecord, Model, load_model


class FakeHub:
    """As much of `HfApi` as is used, noting what it is sent."""

    held: set[str]
    sent: list[Any]

    def __init__(self) -> None:
        self.__class__.sent.append("asked")

    def file_exists(self, repository: str, name: str) -> bool:
        return name in self.held

    def create_repo(self, repository: str, private: bool, exist_ok: bool) -> None:
        self.sent.append(("repository", repository, private, exist_ok))

    def create_commit(self, repository: str, operations: list[Any], commit_message: str) -> Any:
        files = {entry.path_in_repo: Path(entry.path_or_fileobj).read_bytes() for entry in operations}
        self.sent.append((repository, files))

        class Commit:
            commit_url = f"https://hub.example/{repository}/commit/1"

        return Commit


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    FakeHub.held, FakeHub.sent = set(), []
    monkeypatch.setattr(hub, "HfApi", FakeHub)
    monkeypatch.setattr("aucue.models.hub.is_reachable", lambda address: True)
    return FakeHub


def test_a_folder_has_the_model_and_its_card(model: Model, tmp_path: Path):
    file, card = write_repository(model, tmp_path / "repo", "jane/fer")
    assert sorted(path.name for path in (tmp_path / "repo").iterdir()) == [card.name, file.name]
    classifier, info = load_model(file)
    assert classifier.config == model.network.config
    assert info.provenance["settings"] == {"data": {"path": "faces", "batch_size": 8}, "out": "m"}
    assert b"jane.doe" not in file.read_bytes()


def test_no_folder_of_a_relative_path_leaves_this_machine(model: Model, tmp_path: Path):
    settings = {
        "out": "runs/jane.doe/m",
        "data": {"path": "../jane.doe/faces"},
        "classifier": {"weights": "jane.doe\\m.safetensors"},
        "teacher": "hf:jane/fer",
    }
    info = replace(model.card, provenance={**model.card.provenance, "settings": settings})
    file, _ = write_repository(Model(model.network, info), tmp_path / "repo", "jane/fer")
    assert b"jane.doe" not in file.read_bytes()
    assert load_model(file)[1].provenance["settings"] == {
        "out": "m",
        "data": {"path": "faces"},
        "classifier": {"weights": "m.safetensors"},
        "teacher": "hf:jane/fer",
    }


def test_a_card_that_was_worked_on_stays(model: Model, tmp_path: Path):
    _, card = write_repository(model, tmp_path, "jane/fer")
    card.write_text("my own words")
    for overwrite in (False, True):
        write_repository(model, tmp_path, "jane/fer", overwrite=overwrite)
        assert card.read_text() == "my own words"
    card.unlink()
    write_repository(model, tmp_path, "jane/fer")
    assert card.read_text().startswith("---")


def test_another_model_is_not_replaced_unasked(model: Model, tmp_path: Path):
    file, card = write_repository(model, tmp_path, "jane/fer")
    before = file.read_bytes()
    other = tiny("prm")
    with pytest.raises(OutputExistsError, match=r"model\.safetensors exists and is not of this model"):
        write_repository(Model(other, Card(other.classes)), tmp_path, "jane/fer")
    assert file.read_bytes() == before
    write_repository(Model(other, Card(other.classes)), tmp_path, "jane/fer", overwrite=True)
    assert "PRM" in card.read_text()


def test_a_strangers_readme_is_not_replaced(model: Model, tmp_path: Path):
    (tmp_path / "README.md").write_text("a project")
    with pytest.raises(OutputExistsError, match=r"README\.md exists"):
        write_repository(model, tmp_path, "jane/fer")
    assert (tmp_path / "README.md").read_text() == "a project"


def test_the_card_says_what_matters(model: Model):
    card = model_card(model, "jane/fer", license="cc-by-nc-4.0")
    _, header, text = card.split("---\n", 2)
    assert yaml.safe_load(header) == {
        "license": "cc-by-nc-4.0",
        "library_name": "aucue",
        "pipeline_tag": "image-classification",
        "tags": hub._TAGS,
    }
    for words in (
        "# fer\n",
        'aucue.load("hf:jane/fer")',
        "An expression is not an emotion",
        "- Data: drawn faces (train 30, test 20 faces).",
        "attention of stages.0 (weight 4)",
        "| happiness | AU6 Cheek Raiser, AU12 Lip Corner Puller, AU25 Lips Part |",
        "| held out accuracy | 0.7123 |",
        "Licence of the weights: cc-by-nc-4.0.",
        "Licence of the data it was trained on: for research.",
        "The faces are nobody's.",
        "must not be used for",
    ):
        assert words in text
    assert "att cos" not in text  # was not a number
    assert "neutral |" not in text  # has no action units


def test_the_card_of_a_bare_model_invents_nothing():
    classifier = tiny()
    card = model_card(Model(classifier, Card(classifier.classes)), "jane/fer")
    assert "license:" not in card
    assert "Licence of the weights: not stated" in card
    assert "trained on: not stated" in card
    assert "- Data: not stated." in card
    assert "None were stored with the model" in card
    assert "codebook `" not in card
    assert "uided" not in card


def test_two_files_are_sent_and_no_more(model: Model, tmp_path: Path, fake: type[FakeHub]):
    file, card = write_repository(model, tmp_path, "jane/fer")
    (tmp_path / "holiday.jpg").write_bytes(b"private")
    assert push(tmp_path, "jane/fer") == "https://hub.example/jane/fer/commit/1"
    sent = {"model.safetensors": file.read_bytes(), "README.md": card.read_bytes()}
    assert fake.sent == ["asked", ("repository", "jane/fer", True, True), ("jane/fer", sent)]


def test_public_is_asked_for(model: Model, tmp_path: Path, fake: type[FakeHub]):
    write_repository(model, tmp_path, "jane/fer")
    push(tmp_path, "jane/fer", public=True)
    assert fake.sent[1] == ("repository", "jane/fer", False, True)


def test_a_model_on_the_hub_is_not_replaced_unasked(model: Model, tmp_path: Path, fake: type[FakeHub]):
    write_repository(model, tmp_path, "jane/fer")
    fake.held = {"model.safetensors"}
    with pytest.raises(OutputExistsError, match="jane/fer holds a model already"):
        push(tmp_path, "jane/fer")
    assert fake.sent == ["asked"]
    push(tmp_path, "jane/fer", overwrite=True)
    assert len(fake.sent) == 4


def test_a_hub_that_does_not_answer_is_told_at_once(
    model: Model, tmp_path: Path, fake: type[FakeHub], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("aucue.models.hub.is_reachable", lambda address: False)
    write_repository(model, tmp_path, "jane/fer")
    with pytest.raises(HubError, match=r"^jane/fer: \S+ cannot be reached\.$"):
        push(tmp_path, "jane/fer")
    assert fake.sent in ([], ["asked"])  # its own client would try again and again


@pytest.mark.parametrize("name", ["fer", "jane doe/fer", "jane/fer/1", "../fer", ""])
def test_a_name_that_no_hub_takes_writes_nothing(name: str, model: Model, tmp_path: Path):
    with pytest.raises(InputError, match="is no repository of a model hub; write OWNER/NAME"):
        write_repository(model, tmp_path / "repo", name)
    assert not list(tmp_path.iterdir())


def test_an_incomplete_folder_is_not_sent(tmp_path: Path, fake: type[FakeHub]):
    with pytest.raises(InputError, match=r"model\.safetensors: no such file"):
        push(tmp_path, "jane/fer")
    assert not fake.sent


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (LocalTokenNotFoundError("no token"), r"^jane/fer: sending needs a login; run 'hf auth login'"),
        (OfflineModeIsEnabled("offline"), r"^jane/fer: \S+ cannot be reached\.$"),
        (OSError("connection\nreset"), r"cannot be used \(connection reset\)\.$"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    error: Exception, sentence: str, model: Model, tmp_path: Path, fake: type[FakeHub], monkeypatch: Any
):
    def fail(*_: object, **__: object) -> None:
        raise error

    write_repository(model, tmp_path, "jane/fer")
    monkeypatch.setattr(fake, "create_repo", fail)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(HubError, match=sentence):
        push(tmp_path, "jane/fer")


def test_the_card_says_how_it_was_guided(model: Model):
    classifier, info = model.network, model.card
    by_map = replace(info, guidance=GuidanceRecord(weight=0.0, class_map=2.0, layers=["stages.0"]))
    assert "guided: attention of stages.0 (weight 4)" in model_card(Model(classifier, info), "jane/fer")
    assert "guided: class map (weight 2)" in model_card(Model(classifier, by_map), "jane/fer")
    by_masks = replace(info, guidance=GuidanceRecord(cue="mask", layers=["stages.0"]))
    card = model_card(Model(classifier, by_masks), "jane/fer")
    assert "- Told where to look; guided: attention of stages.0 (weight 4); cue mask." in card
    unguided = replace(info, guidance=GuidanceRecord(weight=0.0, layers=["stages.0"]))
    assert "Not guided: nothing told it where to look" in model_card(Model(classifier, unguided), "jane/fer")


def test_the_card_of_a_mean_of_trainings_says_so(model: Model):
    info = replace(model.card, provenance={**model.card.provenance, "mean_of": ["one", "two"]})
    card = model_card(Model(model.network, info), "jane/fer")
    assert "mean of those of 2 trainings (one, two). Settings, guidance and date are those of" in card
    assert "mean of those" not in model_card(model, "jane/fer")


@pytest.mark.parametrize(
    "trained_on", ["drawn faces", {"samples": [1], "notes": "x", "licence": 3}, {"name": 7}]
)
def test_the_card_of_a_stranger_s_model_of_any_form(trained_on: object):
    classifier = tiny()
    info = Card(classifier.classes, provenance={"trained_on": trained_on})
    card = model_card(Model(classifier, info), "jane/fer")
    assert "Licence of the data it was trained on: not stated" in card


def test_models_that_it_learnt_from_stand_beside_the_licence():
    classifier = tiny()
    told = {"model": "box", "trained_on": {"name": "ferplus", "licence": "research only"}}
    provenance = {"started_from": told, "taught_by": {"model": "elder"}}
    card = model_card(Model(classifier, Card(classifier.classes, provenance=provenance)), "jane/fer")
    started = "Started from the model box; data that it was trained on: ferplus, licence: research only."
    assert started in card
    assert "Taught by the model elder; data that it was trained on: not stated, licence: not stated." in card
    later = {"started_from": {"model": "mine", "trained_on": {"name": "own"}, "started_from": told}}
    card = model_card(Model(classifier, Card(classifier.classes, provenance=later)), "jane/fer")
    assert "- Started from the model mine; data that it was trained on: own, licence: not stated." in card
    assert f"- The model mine: {started}" in card
    none = model_card(Model(classifier, Card(classifier.classes, provenance={"taught_by": "x"})), "jane/fer")
    assert "Taught by" not in none


def test_what_a_stranger_s_model_says_is_text(tmp_path: Path):
    evil = "x\n# Safe\n<script>a</script> [click](http://a) | `b` \x1b[31m"
    said = {"name": evil, "notes": [evil], "licence": evil, "samples": {evil: 3}}
    classifier = tiny()
    before = {"model": evil, "trained_on": said}
    provenance = {"trained_on": said, "date": evil, "started_from": before, "taught_by": before}
    provenance["mean_of"] = [evil]
    info = Card(classifier.classes, provenance=provenance, metrics={evil: 1.0})
    card = write_repository(Model(classifier, info), tmp_path, "jane/fer")[1].read_text()
    assert card.count("&lt;script>") == 13
    assert not any(part in card for part in ("<script", " [click]", "\n# Safe", "`b`", "\x1b"))
