import json
import pickle
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors

from aucue.data import FaceDataset, PreparedSet, eval_transform, open_prepared, prepare, train_transform
from aucue.errors import InputError

from .conftest import write_collection


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """A set of 30 faces: 15 in train, 15 in test."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(write_collection(folder / "collection", 30), folder / "set", size=48, progress=False)
    return open_prepared(folder / "set")


def same(a: FaceDataset, b: FaceDataset, places: range | None = None) -> bool:
    pairs = ((a[i], b[i]) for i in places or range(len(a)))
    tensors = [(x[name], y[name]) for x, y in pairs for name in ("image", "landmarks")]
    return all(torch.equal(*pair) for pair in tensors)


def test_stored_sample(prepared: PreparedSet) -> None:
    dataset = prepared.dataset("test")
    face = dataset[4]
    assert set(face) == {"image", "landmarks", "stored", "landmarks_valid", "label", "index"}
    assert type(face["image"]) is Tensor
    assert (face["image"].dtype, face["image"].shape) == (torch.uint8, (3, 48, 48))
    assert (face["landmarks"].dtype, face["landmarks"].shape) == (torch.float32, (68, 2))
    assert face["landmarks_valid"] is True
    assert (face["label"], face["index"]) == (9 % 7, 4)
    assert dataset.column("key")[4] == "face009.png"
    assert len(dataset) == 15


def test_columns_need_no_decoding(prepared: PreparedSet) -> None:
    dataset = prepared.dataset("train")
    assert dataset.labels.tolist() == [number % 7 for number in range(0, 30, 2)]
    assert dataset.landmarks.shape == (15, 68, 2)
    assert dataset.landmarks_valid.all()
    assert dataset.column("person") == [f"p{number // 4}" for number in range(0, 30, 2)]
    assert json.loads(dataset.column("attributes")[1]) == {"valence": 0.2}
    with pytest.raises(InputError, match="no column 'age'; it has label, landmarks"):
        dataset.column("age")


def test_places_from_the_end_and_beyond(prepared: PreparedSet) -> None:
    dataset = prepared.dataset("train")
    assert dataset[-1]["index"] == 14
    with pytest.raises(IndexError):
        dataset[15]


def test_transform_changes_image_and_landmarks(prepared: PreparedSet) -> None:
    plain, enlarged = prepared.dataset("train"), prepared.dataset("train", eval_transform(96))
    assert enlarged[0]["image"].shape == (3, 96, 96)
    torch.testing.assert_close(enlarged[0]["landmarks"], (plain[0]["landmarks"] + 0.5) * 2 - 0.5)
    assert type(enlarged[0]["landmarks"]) is Tensor


def test_what_was_hidden_is_told_where_that_is_asked_for(prepared: PreparedSet) -> None:
    plain = prepared.dataset("train", train_transform(48), 3)
    telling = prepared.dataset("train", train_transform(48), 3, hidden=True).subset(range(15))
    samples = [telling[i] for i in range(15)]
    assert all("hidden" not in plain[i] for i in range(15))
    assert all(torch.equal(plain[i]["image"], sample["image"]) for i, sample in enumerate(samples))
    hidden = [sample.get("hidden") for sample in samples]
    assert all(each is not None and each.shape == (1, 48, 48) for each in hidden)
    assert 0 < sum(each is not None and bool(each.any()) for each in hidden) < 15


def test_chance_depends_on_seed_epoch_and_sample_alone(prepared: PreparedSet) -> None:
    def dataset(seed: int = 0, epoch: int = 0) -> FaceDataset:
        result = prepared.dataset("train", train_transform(48), seed)
        result.set_epoch(epoch)
        return result

    assert same(dataset(), dataset())
    assert same(dataset(), dataset(), range(14, -1, -1))
    assert not same(dataset(), dataset(seed=1), range(3))
    assert not same(dataset(), dataset(epoch=1), range(3))
    assert same(dataset(epoch=1), dataset(epoch=1), range(3))


def test_samples_of_one_epoch_are_drawn_apart(prepared: PreparedSet) -> None:
    drawn = []

    def note(image: object, landmarks: tv_tensors.KeyPoints) -> tuple[tv_tensors.Image, tv_tensors.KeyPoints]:
        drawn.append(torch.rand(()).item())
        return tv_tensors.Image(torch.zeros(3, 2, 2, dtype=torch.uint8)), landmarks

    dataset = prepared.dataset("train", note)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        _ = [dataset[place] for place in range(15)]
    assert len(set(drawn)) == 45


def test_the_users_random_numbers_are_left_alone(prepared: PreparedSet) -> None:
    dataset = prepared.dataset("train", train_transform(48))
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    _ = dataset[0]
    assert torch.equal(torch.rand(3), expected)


def test_subset(prepared: PreparedSet) -> None:
    whole = prepared.dataset("train", train_transform(48), seed=3)
    part = whole.subset([5, 2, 9]).subset(np.array([2, 0]))
    assert part.labels.tolist() == whole.labels[[9, 5]].tolist()
    assert part.column("key") == [whole.column("key")[9], whole.column("key")[5]]
    assert torch.equal(part[0]["image"], whole[9]["image"])  # with the same random transform
    assert part[0]["index"] == 0
    assert len(part) == 2


def test_the_same_samples_with_other_soft_labels(prepared: PreparedSet) -> None:
    whole = prepared.dataset("train", train_transform(48), seed=3)
    shares = np.random.default_rng(0).dirichlet(np.ones(7), len(whole))
    told = whole.with_probabilities(shares)
    assert same(told, whole)  # with the same random transforms
    assert told[-1].get("probabilities") is not None
    part = told.subset([5, 2]).subset([1])
    np.testing.assert_array_equal(part.probabilities, shares[[2]].astype(np.float32))
    np.testing.assert_array_equal(part[0].get("probabilities"), shares[2].astype(np.float32))
    assert (whole.probabilities, whole[0].get("probabilities")) == (None, None)
    with pytest.raises(ValueError, match="14 soft labels for 15 samples"):
        whole.with_probabilities(shares[1:])


def test_the_same_samples_changed_otherwise(prepared: PreparedSet) -> None:
    told = prepared.dataset("test").with_probabilities(np.full((15, 7), 1 / 7))
    small = told.subset([4]).with_transform(eval_transform(24))
    assert small[0]["image"].shape == (3, 24, 24)
    assert small.column("key") == ["face009.png"]
    assert small.probabilities is not None
    assert torch.equal(small.with_transform(None)[0]["image"], told[4]["image"])


def test_epoch_of_a_subset_is_its_own(prepared: PreparedSet) -> None:
    whole = prepared.dataset("train", train_transform(48))
    part = whole.subset([0])
    part.set_epoch(4)
    assert (whole.epoch, part.epoch) == (0, 4)


def test_travels_to_other_processes_as_a_path(prepared: PreparedSet) -> None:
    dataset = prepared.dataset("train", train_transform(48), seed=2).subset([3, 4])
    dataset.set_epoch(6)
    content = pickle.dumps(dataset)
    assert len(content) < 10_000
    copy = pickle.loads(content)
    assert copy.epoch == 6
    assert same(copy, dataset)


def test_many_stored_batches(tmp_path: Path) -> None:
    """Arrow keeps 100 rows together; every row is found in its own batch."""
    source = write_collection(tmp_path / "collection", 230, ("test",))
    prepare(source, tmp_path / "set", size=8, workers=1, progress=False)
    dataset = open_prepared(tmp_path / "set").dataset("test")
    assert len(dataset) == 230
    stored = datasets.load_from_disk(tmp_path / "set" / "test")
    for place in (0, 99, 100, 199, 200, 229):
        np.testing.assert_array_equal(
            dataset[place]["image"].permute(1, 2, 0).numpy(),
            np.asarray(stored[place]["image"]),  # pyright: ignore[reportArgumentType, reportCallIssue]
        )


def test_no_such_split(prepared: PreparedSet) -> None:
    with pytest.raises(InputError, match="no split 'val'; it has train, test"):
        prepared.dataset("val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no prepared set"),
        ("{", "aucue.json cannot be read"),
        ("[]", "does not hold a JSON object"),
        ('{"format": 99}', "format 99 instead of 1"),
    ],
)
def test_not_a_prepared_set(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "aucue.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_prepared(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_prepared(tmp_path / "absent")


def test_lost_files(prepared: PreparedSet, tmp_path: Path) -> None:
    (tmp_path / "aucue.json").write_text((prepared.path / "aucue.json").read_text())
    with pytest.raises(InputError, match=r"train/state.json cannot be read .* prepare the set again"):
        open_prepared(tmp_path).dataset("train")
