"""The folds of the published code as a source."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

from aucue.cli.main import main
from aucue.data import FoldsSource, open_prepared, prepare
from aucue.errors import InputError
from aucue.faces import TEMPLATES, eye_centres
from aucue.facs import EXPRESSIONS

from ..conftest import mean_face, paint

IDS = {"Anger": 4, "Disgust": 5, "Fear": 3, "Happiness": 1, "Neutral": 0, "Sadness": 6, "Surprise": 2}


def write_folds(folder: Path, splits: dict[str, list[str]], images: Path | None = None) -> Path:
    """Lists for painted faces; every third picture has no landmarks, labels count through the classes."""
    for split, paths in splits.items():
        (folder / split).mkdir(parents=True)
        lines = {"image_ids": paths, "class_labels": [], "landmarks": []}
        for number, path in enumerate(paths):
            points = mean_face((48, 48), 20 + number)
            values = np.full(136, np.inf) if number % 3 == 2 else points.T.ravel()
            lines["class_labels"].append(f"{path},{number % 7}")
            lines["landmarks"].append(",".join([path, *map(str, values)]))
            if images is not None:
                (images / path).parent.mkdir(parents=True, exist_ok=True)
                paint(points).save(images / path)
        for name, content in lines.items():
            (folder / split / f"{name}.txt").write_text("\n".join(content) + "\n")
    (folder / "class_id.yaml").write_text(yaml.safe_dump(IDS))
    return folder


@pytest.fixture
def folds(tmp_path: Path) -> FoldsSource:
    splits = {"train": ["a/0.png", "a/1.png", "a/2.png"], "test": ["b/0.png"]}
    return FoldsSource(write_folds(tmp_path / "RAF-DB", splits, tmp_path / "images"), tmp_path / "images")


def test_samples(folds: FoldsSource) -> None:
    assert folds.name == "RAF-DB"
    assert folds.classes == EXPRESSIONS
    samples = [folds[index] for index in range(len(folds))]
    assert [(s.key, s.split, s.label) for s in samples] == [
        ("a/0.png", "train", "neutral"),
        ("a/1.png", "train", "happiness"),
        ("a/2.png", "train", "surprise"),
        ("b/0.png", "test", "neutral"),
    ]
    assert samples[1].image == folds.images / "a/1.png"
    assert samples[1].landmarks is not None
    np.testing.assert_allclose(samples[1].landmarks, mean_face((48, 48), 21), rtol=1e-6)
    assert samples[2].landmarks is None
    again = pickle.loads(pickle.dumps(folds))[1]
    np.testing.assert_array_equal(again.landmarks, samples[1].landmarks)


def test_published_example(goldens: Path, tmp_path: Path) -> None:
    source = FoldsSource(goldens / "folds_example" / "RAF-DB", tmp_path)
    marked = np.load(goldens / "landmarks.npz")["lm224"]
    samples = [source[index] for index in range(len(source))]

    assert source.classes == EXPRESSIONS
    assert [sample.label for sample in samples] == [*EXPRESSIONS[1:], "neutral"]
    assert {sample.split for sample in samples} == {"test"}
    found = [sample.landmarks for sample in samples if sample.landmarks is not None]
    assert len(found) == 6
    for points, expected in zip(found, marked, strict=False):
        np.testing.assert_allclose(points, expected, rtol=1e-6)
    assert samples[-1].landmarks is None


def test_without_landmarks(folds: FoldsSource) -> None:
    (folds.folder / "test" / "landmarks.txt").unlink()
    source = FoldsSource(folds.folder, folds.images)
    assert source[3].landmarks is None
    assert source[0].landmarks is not None


def test_a_picture_in_two_splits_has_two_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = FoldsSource(
        write_folds(tmp_path / "x", {"val": ["0.png", "1.png"], "test": ["0.png"]}), tmp_path
    )
    assert [source[i].key for i in range(3)] == ["0.png", "1.png", "test/0.png"]
    assert source[2].image == tmp_path / "0.png"
    assert "1 pictures are in a second split" in caplog.text


def test_provenance_follows_the_content(folds: FoldsSource) -> None:
    before = folds.provenance
    assert FoldsSource(folds.folder, folds.images).provenance == before
    labels = folds.folder / "train" / "class_labels.txt"
    labels.write_text(labels.read_text().replace("a/0.png,0", "a/0.png,3"))
    assert FoldsSource(folds.folder, folds.images).provenance != before


def test_prepare(folds: FoldsSource, tmp_path: Path) -> None:
    report = prepare(folds, tmp_path / "set", "none", size=64, workers=1, progress=False)
    assert report.found == {"train": {"precomputed": 2, "none": 1}, "test": {"precomputed": 1}}
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert [bool(sample["landmarks_valid"]) for sample in (dataset[i] for i in range(3))] == [
        True,
        True,
        False,
    ]


def test_pictures_are_crops_unless_said_otherwise(folds: FoldsSource, tmp_path: Path) -> None:
    def landmarks(source: FoldsSource) -> np.ndarray:
        out = tmp_path / f"set-{source.aligned}"
        prepare(source, out, "none", size=192, workers=1, progress=False)
        return open_prepared(out).dataset("train").landmarks[1]

    # Pictures of 96 pixels at twice the size: pixel centres p lie at 2 p + 0.5.
    np.testing.assert_allclose(landmarks(folds), 2 * mean_face((48, 48), 21) + 0.5, atol=1e-3)
    turned = FoldsSource(folds.folder, folds.images, aligned=False)
    eyes = eye_centres(landmarks(turned))
    fit = TEMPLATES["aucue"].points(192)[:2]
    assert np.abs(eyes - fit).max() < 10
    assert folds.provenance != turned.provenance


def test_command(folds: FoldsSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = ["--out", str(tmp_path / "set"), "--detector", "none", "--size", "32", "--workers", "1"]
    arguments = ["prepare", "folds", "--root", str(folds.folder), *fixed]
    assert main(arguments) == 2
    assert "Missing: --images" in capsys.readouterr().err
    assert main([*arguments, "--images", str(folds.images)]) == 1
    assert "0.png: the same picture as " in capsys.readouterr().out.replace("\n", "")
    assert open_prepared(tmp_path / "set").classes == EXPRESSIONS


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("class_id.yaml", "Anger: 0\nFear: 2\n", "ids of the classes must be 0, 1, 2"),
        ("class_id.yaml", "Anger: 0\n", "two or more different classes"),
        ("train/class_id.yaml", "Anger: 0\nFear: 1\n", "give classes different ids"),
        ("train/image_ids.txt", "a/0.png\na/9.png\n", "line 2: a/9.png has no label in class_labels.txt"),
        ("train/image_ids.txt", "a/0.png\n\na/1.png\n", "line 2: empty"),
        ("train/image_ids.txt", "a/0.png\na/0.png\n", "line 2: a/0.png is named twice"),
        ("train/class_labels.txt", "a/0.png,0\na/1.png\n", "line 2: expected 'path,id', got 'a/1.png'"),
        ("train/class_labels.txt", "a/0.png,7\n", "line 1: class 7 is not among the 7"),
        ("train/class_labels.txt", "a/0.png,1\na/0.png,2\n", "line 2: a/0.png was happiness before"),
        (
            "train/landmarks.txt",
            "a/0.png" + ",1" * 136 + "\n",
            "line 2: a/1.png has no line in landmarks.txt",
        ),
        (
            "train/landmarks.txt",
            "a/0.png,1\na/1.png" + ",1" * 136 + "\n",
            "2 values instead of a path and 136",
        ),
        ("train/landmarks.txt", "a/0.png" + ",1" * 135 + ",inf\n", "line 1: some landmarks are not finite"),
        ("train/landmarks.txt", "a/0.png" + ",1" * 135 + ",x\n", "landmarks.txt cannot be read"),
    ],
)
def test_what_is_wrong_is_named(folds: FoldsSource, file: str, content: str, message: str) -> None:
    (folds.folder / file).write_text(content)
    with pytest.raises(InputError, match="(?s)" + message.replace("(", r"\(")):
        FoldsSource(folds.folder, folds.images)


def test_missing_parts(folds: FoldsSource, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folds found; expected"):
        FoldsSource(folds.images, folds.images)
    with pytest.raises(InputError, match="is not a folder; give the one that the folds' paths"):
        FoldsSource(folds.folder, tmp_path / "nowhere")
    (folds.folder / "test" / "class_labels.txt").unlink()
    with pytest.raises(InputError, match=r"class_labels.txt cannot be read"):
        FoldsSource(folds.folder, folds.images)
    (folds.folder / "class_id.yaml").unlink()
    with pytest.raises(InputError, match=r"class_id.yaml is missing"):
        FoldsSource(folds.folder, folds.images)
