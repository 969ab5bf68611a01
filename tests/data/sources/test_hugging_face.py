import json
import pickle
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pytest
from datasets import config
from PIL import Image

from aucue.data import Finding, HuggingFaceSource, open_prepared, prepare
from aucue.errors import InputError

from ..conftest import mean_face, paint

WORDS = ["Angry", "happy", "neutral"]


def table(number: int = 3, **columns: Any) -> datasets.Dataset:
    """Painted faces, labelled angry, happy, neutral, angry, ..."""
    columns = {"image": [paint(mean_face((40 + n, 48))) for n in range(number)], **columns}
    columns.setdefault("label", [n % 3 for n in range(number)])
    made = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    if isinstance(columns["label"][0], int):
        made = made.cast_column("label", datasets.ClassLabel(names=WORDS))
    return made


def save(folder: Path, **splits: datasets.Dataset) -> Path:
    datasets.DatasetDict(splits).save_to_disk(folder)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return folder


def test_splits_labels_and_pictures(tmp_path: Path) -> None:
    root = save(tmp_path / "faces", test=table(1), validation=table(2), train=table(4))
    source = HuggingFaceSource(root)
    samples = [source[place] for place in range(len(source))]
    assert [(sample.key, sample.label, sample.split) for sample in samples] == [
        ("train/000000", "anger", "train"),
        ("train/000001", "happiness", "train"),
        ("train/000002", "neutral", "train"),
        ("train/000003", "anger", "train"),
        ("validation/000000", "anger", "val"),
        ("validation/000001", "happiness", "val"),
        ("test/000000", "anger", "test"),
    ]
    assert (source.name, source.findings) == ("faces", ())
    assert isinstance(samples[3].image, bytes)
    report = prepare(source, tmp_path / "set", "none", size=96, workers=1, progress=False)
    assert (report.samples, report.ok) == ({"train": 4, "val": 2, "test": 1}, True)
    stored = open_prepared(tmp_path / "set").dataset("train")[3]["image"].permute(1, 2, 0).numpy()
    difference = stored.astype(int) - np.asarray(paint(mean_face((43, 48))))
    assert np.abs(difference).mean() < 2  # but for JPEG


def test_a_data_set_without_splits_is_of_the_split_asked_for(tmp_path: Path) -> None:
    table(2).save_to_disk(tmp_path / "faces")
    source = HuggingFaceSource(tmp_path / "faces", split="testing", name="mine")
    assert [source[place].key for place in range(2)] == ["test/000000", "test/000001"]
    assert source.name == "mine"


def test_landmarks_persons_and_other_columns(tmp_path: Path) -> None:
    others = {
        "points": [mean_face((40, 48)).tolist(), None, mean_face((42, 48)).ravel().tolist()[:100]],
        "person": [7, None, 8],
        "age": [30, 41, None],
        "embedding": [[0.0, 1.0]] * 3,
        "sex": [0, 1, 0],
    }
    others["points"][0] = np.ravel(others["points"][0]).tolist()
    faces = table(3, **others).cast_column("sex", datasets.ClassLabel(names=["male", "female"]))
    source = HuggingFaceSource(save(tmp_path / "faces", train=faces), landmarks="points")
    first, second, third = (source[place] for place in range(3))
    np.testing.assert_allclose(np.asarray(first.landmarks), mean_face((40, 48)), rtol=1e-6)
    assert second.landmarks is None
    assert third.landmarks is not None
    assert third.landmarks.shape == (100,)
    assert (first.person, second.person) == ("7", None)
    assert dict(first.attributes) == {"age": 30, "sex": "male"}
    assert dict(third.attributes) == {"age": None, "sex": "male"}
    report = prepare(source, tmp_path / "set", "none", size=32, workers=1, progress=False)
    assert report.found == {"train": {"precomputed": 1, "none": 2}}
    assert report.problems == {"train": {"no face": 1, "bad landmarks": 1}}
    assert json.loads(open_prepared(tmp_path / "set").dataset("train").column("attributes")[1])["age"] == 41


def test_landmarks_of_two_axes(tmp_path: Path) -> None:
    shape = datasets.Array2D((68, 2), "float32")
    faces = table(1, points=[mean_face().tolist()]).cast_column("points", shape)
    source = HuggingFaceSource(save(tmp_path / "faces", train=faces), landmarks="points")
    np.testing.assert_allclose(np.asarray(source[0].landmarks), mean_face(), rtol=1e-6)


def test_labels_in_words(tmp_path: Path) -> None:
    faces = table(4, label=["sad", "Disgust", "bored", None])
    source = HuggingFaceSource(save(tmp_path / "faces", train=faces))
    assert [source[place].label for place in range(len(source))] == ["sadness", "disgust"]
    assert source.findings == (
        Finding("train/bored", "1 samples whose label is no class; left out"),
        Finding("train/no label", "1 samples whose label is no class; left out"),
    )


def test_other_names_of_columns_and_classes(tmp_path: Path) -> None:
    faces = table(3).rename_columns({"image": "photo", "label": "emotion"})
    root = save(tmp_path / "faces", train=faces)
    source = HuggingFaceSource(root, image="photo", label="emotion", classes=("happiness", "neutral"))
    assert [source[place].label for place in range(len(source))] == ["happiness", "neutral"]
    assert [source[place].key for place in range(len(source))] == ["train/000001", "train/000002"]
    assert source.findings == (Finding("train/Angry", "1 samples whose label is no class; left out"),)


def test_numbers_without_names(tmp_path: Path) -> None:
    faces = table(3).cast_column("label", datasets.Value("int64"))
    root = save(tmp_path / "faces", train=faces)
    with pytest.raises(InputError, match="'label' holds numbers without names; give the names of the labels"):
        HuggingFaceSource(root)
    source = HuggingFaceSource(root, label_names=["sad", "fear"])
    assert [source[place].label for place in range(len(source))] == ["sadness", "fear"]
    assert source.findings == (Finding("train/no label", "1 samples whose label is no class; left out"),)


def test_unknown_splits_are_left_out(tmp_path: Path) -> None:
    source = HuggingFaceSource(save(tmp_path / "faces", train=table(2), extra=table(3)))
    assert len(source) == 2
    assert source.findings == (Finding("extra", "3 samples in a split that is none of train, val, test"),)


def test_folder_as_the_hub_lays_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for split, word in (("train", "happy"), ("train", "sad"), ("test", "sad")):
        folder = tmp_path / "faces" / split / word
        folder.mkdir(parents=True)
        Image.new("RGB", (20, 20), "grey").save(folder / "a.png")
    source = HuggingFaceSource(tmp_path / "faces")
    assert [(source[place].label, source[place].split) for place in range(3)] == [
        ("happiness", "train"),
        ("sadness", "train"),
        ("sadness", "test"),
    ]
    assert source[0].image == tmp_path / "faces" / "train" / "happy" / "a.png"


def test_pictures_that_are_missing_are_listed(tmp_path: Path) -> None:
    paint(mean_face()).save(tmp_path / "a.png")
    good = {"bytes": (tmp_path / "a.png").read_bytes(), "path": None}
    faces = table(3, image=[None, {"bytes": b"no picture", "path": "a.jpg"}, good])
    source = HuggingFaceSource(save(tmp_path / "faces", train=faces))
    report = prepare(source, tmp_path / "set", "none", size=16, workers=1, progress=False)
    assert report.problems == {"train": {"unreadable": 2, "no face": 1}}


def test_travels_as_a_path_and_is_told_apart(tmp_path: Path) -> None:
    source = HuggingFaceSource(save(tmp_path / "faces", train=table(40)))
    content = pickle.dumps(source)
    assert len(content) < 10_000
    assert pickle.loads(content)[3] == source[3]
    assert HuggingFaceSource(tmp_path / "faces").provenance == source.provenance
    other = HuggingFaceSource(save(tmp_path / "other" / "faces", train=table(39)))
    assert other.provenance != source.provenance
    assert "licence" not in source.provenance


def test_the_licence_is_kept(tmp_path: Path) -> None:
    faces = table(2)
    faces.info.license = "cc-by-4.0"
    source = HuggingFaceSource(save(tmp_path / "faces", train=faces))
    assert source.provenance["licence"] == "cc-by-4.0"


def test_what_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as refused:
        HuggingFaceSource("nobody/has-such-a-set")
    assert "nobody/has-such-a-set cannot be loaded, neither as a folder nor from the hub" in str(
        refused.value
    )
    assert "\n" not in str(refused.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds neither Parquet files nor pictures"):
        HuggingFaceSource(tmp_path / "empty")
    root = save(tmp_path / "faces", train=table(3))
    with pytest.raises(InputError, match="there is no column 'photo'; it has image, label"):
        HuggingFaceSource(root, image="photo")
    with pytest.raises(InputError, match="the column 'label' does not hold pictures"):
        HuggingFaceSource(root, image="label")
    with pytest.raises(InputError, match=r"no picture can be used \(train/Angry: 1 samples whose label"):
        HuggingFaceSource(root, classes=("pain", "boredom"))


def test_folders_that_are_not_searched_are_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("faces/happy/a.png", "faces/sad/b.png", "elsewhere/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "grey").save(tmp_path / name)
    link = tmp_path / "faces" / "sad" / "linked"
    link.symlink_to(tmp_path / "elsewhere")
    source = HuggingFaceSource(tmp_path / "faces")
    assert len(source) == 2
    assert source.findings == (Finding(str(link), "left out: a link; put the folder itself here"),)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        InputError, match=r"neither Parquet files nor pictures \(.*linked: left out: a link.*\)\.$"
    ):
        HuggingFaceSource(tmp_path / "bare")
