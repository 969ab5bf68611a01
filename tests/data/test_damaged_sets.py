"""Prepared sets of strangers: damaged, contradictory, or made to remove what is not theirs."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from aucue.data import open_prepared, prepare
from aucue.errors import InputError, OutputExistsError

from .conftest import write_collection

JSON_FILES = ("aucue.json", "train/state.json", "train/dataset_info.json")
VALUES = (None, True, -1, 1e999, 10**40, "", "../..", "\0", [], [[]], {}, {"a": 1}, ["x", 1])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    source = write_collection(folder / "collection", 6)
    prepare(source, folder / "set", size=16, workers=1, progress=False)
    return folder / "set"


@pytest.fixture
def out(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "set")


def read(folder: Path) -> int:
    """Everything that a training reads of a set."""
    prepared = open_prepared(folder)
    _ = prepared.name, prepared.classes, prepared.template, prepared.size, prepared.provenance
    count = 0
    for split in prepared.splits:
        dataset = prepared.dataset(split)
        _ = dataset.probabilities, dataset.landmarks_valid, dataset.column("key")
        count += sum(sample["image"].ndim == 3 for sample in (dataset[n] for n in range(len(dataset))))
    return count


def mutated_json(text: str, chance: random.Random) -> str:
    """One value replaced, one entry removed, or one letter changed."""
    content = json.loads(text)
    node: Any = content
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = chance.choice(places)
        if isinstance(node[place], dict | list) and node[place] and chance.random() < 0.6:
            node = node[place]
            continue
        break
    way = chance.randrange(4)
    if way == 0:
        del node[place]
    elif way < 3:
        node[place] = chance.choice(VALUES)
    else:
        at = chance.randrange(len(text))
        return text[:at] + chance.choice('{}[]",:x0') + text[at + 1 :]
    return json.dumps(content)


def outcome(folder: Path, file: Path) -> str:
    """Either the set is read, or one sentence names a file of it and says what to do."""
    try:
        read(folder)
    except InputError as error:
        sentence = str(error)
        assert str(folder) in sentence, (file, sentence)
        said = ("prepare the set again", "is no name of a file in", "leads out of")
        assert any(text in sentence for text in said), (file, sentence)
        return "refused"
    return "read"


@pytest.mark.parametrize("name", JSON_FILES)
def test_damaged_json_is_one_sentence(out: Path, name: str) -> None:
    chance, file = random.Random(name), out / name
    text = file.read_text()
    results = []
    for _ in range(60):
        file.write_text(mutated_json(text, chance))
        results.append(outcome(out, file))
    assert results.count("refused") > 10
    file.write_bytes(b"\xff\xfe{")
    assert outcome(out, file) == "refused"
    file.write_text(text)
    assert read(out) == 6


def test_damaged_arrow_files_are_one_sentence(out: Path) -> None:
    chance, file = random.Random(3), next((out / "train").glob("*.arrow"))
    content = file.read_bytes()
    results = []
    for number in range(40):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = content[: chance.randrange(len(content))]
        file.unlink()  # the one before is still mapped
        file.write_bytes(cut if number % 2 else bytes(damaged))
        results.append(outcome(out, file))
    assert "refused" in results


def test_a_split_that_contradicts_the_description(out: Path) -> None:
    description = json.loads((out / "aucue.json").read_text())
    for changed, message in [
        ({"samples": {"train": 4, "test": 3}}, "3 samples instead of 4"),
        ({"classes": ["fear", "anger"]}, "a label is none of the 2 classes"),
    ]:
        (out / "aucue.json").write_text(json.dumps(description | changed))
        with pytest.raises(InputError, match=rf"train: the stored split is damaged \({message}"):
            open_prepared(out).dataset("train")


def test_state_names_no_file_outside(out: Path) -> None:
    state = out / "train" / "state.json"
    content = json.loads(state.read_text())
    content["_data_files"] = [{"filename": "../test/" + next((out / "test").glob("*.arrow")).name}]
    state.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"state.json: .* is no name of a file in"):
        open_prepared(out).dataset("train")


def test_overwrite_removes_nothing_that_an_index_names(out: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (out / "photos").mkdir()
    splits = ["train", "../mine", str(mine), "photos", ".", "..", 5]
    (out / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    source = write_collection(tmp_path / "again", 4, ("train",))
    prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert (out / "photos").is_dir()
    assert open_prepared(out).splits == ("train",)


def test_a_folder_named_like_a_split_is_left_alone(out: Path, tmp_path: Path) -> None:
    shutil.rmtree(out / "test")
    (out / "test").mkdir()
    (out / "test" / "mine.txt").write_text("mine")
    elsewhere = shutil.copytree(out / "train", tmp_path / "elsewhere")
    shutil.rmtree(out / "train")
    (out / "train").symlink_to(elsewhere)
    source = write_collection(tmp_path / "again", 4, ("train",))
    with pytest.raises(OutputExistsError, match="train is no part of a prepared set; move it away"):
        prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
    assert (out / "test" / "mine.txt").exists()
    assert list(elsewhere.glob("*.arrow"))
    (out / "train").unlink()
    prepare(source, out, size=16, workers=1, overwrite=True, progress=False)  # continues
    assert read(out) == 4


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 1, "settings": 5}'])
def test_a_damaged_set_can_be_overwritten(out: Path, tmp_path: Path, content: str) -> None:
    source = write_collection(tmp_path / "again", 4, ("train",))
    for name in ("aucue.json", "dataset_dict.json"):
        (out / name).write_text(content)
    with pytest.raises(InputError, match=r"aucue.json.*overwrite the set \(--overwrite\)"):
        prepare(source, out, size=16, workers=1, progress=False)
    prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
    assert read(out) == 4
