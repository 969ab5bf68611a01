"""Collections that say nothing of splits get some: by class, by person, the same ones each time."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.data import CsvSource, FolderSource
from aucue.data.sources.splitting import persons_in, split_of_each
from aucue.errors import InputError


def test_every_class_in_its_share() -> None:
    labels = ["happiness"] * 100 + ["disgust"] * 7 + ["fear"]
    splits = split_of_each(labels, [None] * 108)
    dealt = Counter(zip(labels, splits, strict=True))
    assert dealt["happiness", "test"] == 20
    assert dealt["happiness", "val"] == 10
    assert (dealt["disgust", "train"], dealt["disgust", "test"], dealt["disgust", "val"]) == (5, 1, 1)
    assert dealt["fear", "train"] == 1  # of a single face nothing can be spared
    assert split_of_each(labels, [None] * 108) == splits
    assert split_of_each(labels, [None] * 108, seed=1) != splits


def test_groups_stay_together() -> None:
    labels = ["neutral", "happiness"] * 50
    persons = [f"p{index // 4}" for index in range(100)]
    splits = split_of_each(labels, persons)
    sides = {person: {splits[i] for i in range(100) if persons[i] == person} for person in persons}
    assert all(len(side) == 1 for side in sides.values())
    assert {"train", "val", "test"} == set(splits)


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)).save(path)


def collection(root: Path) -> Path:
    """Ten persons, neutral and smiling, and the first smile twice under another name."""
    for person in range(10):
        paint(root / f"neutral/p{person}_1.png", person)
        paint(root / f"happy/p{person}_2.png", 100 + person)
    paint(root / "happy/copy.png", 100)
    return root


def test_a_folder_of_labels_is_dealt_out_and_copies_stay_together(tmp_path: Path) -> None:
    source = FolderSource(collection(tmp_path))
    splits = {sample.key: sample.split for sample in map(source.__getitem__, range(len(source)))}
    assert Counter(splits.values()).keys() == {"train", "val", "test"}
    assert splits["happy/copy.png"] == splits["happy/p0_2.png"]


def test_persons_are_found_in_paths(tmp_path: Path) -> None:
    source = FolderSource(collection(tmp_path), person=r"(p[0-9])_")
    samples = list(map(source.__getitem__, range(len(source))))
    assert {sample.person for sample in samples} == {None, *(f"p{n}" for n in range(10))}
    for person in range(10):
        assert len({s.split for s in samples if s.person == f"p{person}"}) == 1
    assert source.provenance != FolderSource(tmp_path).provenance


def test_a_pattern_that_finds_nobody_is_told() -> None:
    assert persons_in(["a/anna_1.png", "a/x.png"], "[a-z]+(?=_)") == ["anna", None]
    with pytest.raises(InputError, match=r"'\(\[' is no regular expression"):
        persons_in(["a"], "([")
    with pytest.raises(InputError, match=r"'id-' is found in no path, such as 'a/b.png'"):
        persons_in(["a/b.png"], "id-")


def test_a_table_without_splits_is_dealt_out_by_person(tmp_path: Path) -> None:
    collection(tmp_path)
    rows = [f"neutral/p{n}_1.png,neutral,p{n}" for n in range(10)]
    rows += [f"happy/p{n}_2.png,happy,p{n}" for n in range(10)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,person", *rows]))
    source = CsvSource(tmp_path)
    samples = list(map(source.__getitem__, range(20)))
    assert Counter(sample.split for sample in samples) == {"train": 14, "test": 4, "val": 2}
    assert all(len({s.split for s in samples if s.person == f"p{n}"}) == 1 for n in range(10))
    whole = CsvSource(tmp_path, split="test")
    assert {whole[index].split for index in range(20)} == {"test"}
    assert whole.provenance != source.provenance
