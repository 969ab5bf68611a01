from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from aucue.data import FaceDataset, Sample, open_prepared, prepare, split_holdout
from aucue.errors import InputError

CLASSES = ("a", "b", "c")


class _Source:
    """Tiny grey pictures with given labels and persons."""

    name = "counts"
    classes = CLASSES
    provenance = {}  # noqa: RUF012
    findings = ()

    def __init__(self, labels: list[str], persons: Sequence[str | None]) -> None:
        self.labels, self.persons = labels, persons

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        image = np.zeros((4, 4, 3), np.uint8)
        return Sample(str(index), self.labels[index], "train", image, person=self.persons[index])


def _dataset(folder: Path, labels: list[str], persons: Sequence[str | None] = ()) -> FaceDataset:
    source = _Source(labels, persons or [None] * len(labels))
    prepare(source, folder / "set", "none", size=4, workers=1, progress=False)
    return open_prepared(folder / "set").dataset("train")


def test_every_class_in_its_share(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, ["a"] * 100 + ["b"] * 37 + ["c"] * 3)
    kept, held = split_holdout(dataset, 0.1)
    assert np.bincount(dataset.labels[held]).tolist() == [10, 4, 1]  # 3.7 -> 4; at least one of c
    assert sorted([*kept, *held]) == list(range(140))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()


def test_the_seed_decides(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, ["a"] * 50 + ["b"] * 50)
    held = [split_holdout(dataset, 0.2, seed)[1].tolist() for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


def test_a_class_of_one_stays_in_training(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, ["a"] * 20 + ["b"])
    kept, _ = split_holdout(dataset, 0.5)
    assert 20 in kept


def test_persons_are_never_divided(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    persons: list[str | None] = [f"p{number}" for number in rng.integers(0, 40, 300)]
    persons[::10] = [None] * 30
    labels = [CLASSES[number] for number in rng.choice(3, 300, p=[0.6, 0.3, 0.1])]
    dataset = _dataset(tmp_path, labels, persons)
    kept, held = split_holdout(dataset, 0.2)
    known = np.array([person or "" for person in persons])
    assert not ({*known[kept]} & {*known[held]}) - {""}
    wanted = np.bincount(dataset.labels) * 0.2
    np.testing.assert_allclose(np.bincount(dataset.labels[held], minlength=3), wanted, atol=4)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_impossible_shares(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        split_holdout(_dataset(tmp_path, ["a", "b"]), fraction)


def test_one_person_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one side would be empty"):
        split_holdout(_dataset(tmp_path, ["a"] * 6, ["me"] * 6), 0.2)
