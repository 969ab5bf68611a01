"""AffectNet in the two layouts in which it circulates."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aucue.cli.main import main
from aucue.cues import AUCue
from aucue.data import AffectNetSource, open_prepared, prepare
from aucue.data.sources.affectnet import _miscounted
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS

from ..layouts import (
    AFFECTNET_CODES,
    Picture,
    save,
    save_array,
    truncate,
    write,
    write_affectnet_annotations,
    write_affectnet_csv,
    write_published_folds,
)

EIGHT = (*EXPRESSIONS, "contempt")


def odd(source: AffectNetSource, root: Path) -> list[tuple[str, str]]:
    """Findings other than those of the counts, with paths below the root."""
    return [
        (where.removeprefix(f"{root}/"), what) for where, what in source.findings if "instead of" not in what
    ]


def test_tables(tmp_path: Path) -> None:
    pictures = write_affectnet_csv(tmp_path)
    source = AffectNetSource(tmp_path, classes=8)
    assert source.layout == "csv"
    assert source.classes == EIGHT
    assert len(source) == len(pictures) == 24
    for index, picture in enumerate(pictures):
        sample = source[index]
        assert (sample.key, sample.label, sample.split) == (picture.name, picture.label, picture.split)
        assert sample.image == tmp_path / "Manually_Annotated_Images" / picture.name
        assert sample.box == picture.box
        assert not sample.aligned
        assert sample.landmarks is not None
        np.testing.assert_allclose(sample.landmarks, picture.landmarks, atol=0.006)
    surprised = next(index for index, picture in enumerate(pictures) if picture.label == "surprise")
    assert source[surprised].attributes == {"valence": 0.3, "arousal": -0.5}
    assert odd(source, tmp_path) == []
    assert source.provenance["left_out"] == {"none": 2, "no face": 2}
    assert AUCue("contempt", source.classes).codebook["contempt"] == (12, 14)


def test_seven_classes(tmp_path: Path) -> None:
    pictures = write_affectnet_csv(tmp_path)
    source = AffectNetSource(tmp_path)
    assert source.classes == EXPRESSIONS
    assert len(source) == 21
    assert source.provenance["left_out"] == {"contempt": 3, "none": 2, "no face": 2}
    kept = [picture.name for picture in pictures if picture.label != "contempt"]
    assert [source[index].key for index in range(21)] == kept


def test_published_numbers(tmp_path: Path) -> None:
    write_affectnet_csv(tmp_path)
    findings = AffectNetSource(tmp_path).findings
    assert findings[0] == ("train/neutral", "2 samples instead of 74,874")
    assert findings[7] == ("test/neutral", "1 sample instead of 500")
    assert len(findings) == 7 + 7
    assert len(AffectNetSource(tmp_path, classes=8).findings) == 8 + 8

    # Neutral, happy, sad, surprise, fear, disgust, anger, contempt, as the set's authors list them.
    counts = (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750)
    train = {("train", name): count for name, count in zip(AFFECTNET_CODES, counts, strict=True)}
    assert (sum(counts), sum(counts[:7])) == (287_651, 283_901)
    test = {("test", name): 500 for name in EIGHT}
    assert _miscounted({**train, **test}, 8) == []
    assert _miscounted({**train, **test, ("test", "fear"): 499}, 8) == []  # 3,999 circulate, too
    assert len(_miscounted({**train, **test, ("test", "fear"): 499, ("test", "anger"): 499}, 8)) == 2
    test.pop(("test", "contempt"))
    train.pop(("train", "contempt"))
    assert _miscounted({**train, **test}, 7) == []
    assert len(_miscounted({**train, **test, ("test", "fear"): 499}, 7)) == 1


def test_other_places_and_text_of_other_systems(tmp_path: Path) -> None:
    pictures = write_affectnet_csv(tmp_path)
    plain = [AffectNetSource(tmp_path, classes=8)[index] for index in range(24)]
    images = tmp_path / "Manually_Annotated_Images"
    for folder in list(images.iterdir()):
        folder.rename(tmp_path / folder.name)
    images.rmdir()
    lists = tmp_path / "Manually_Annotated_file_lists"
    lists.mkdir()
    for name in ("training.csv", "validation.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).unlink()
        # No header, quoted paths with backslashes, Windows line ends, a byte-order mark, a blank line.
        rows = [line.partition(",") for line in lines[1:]]
        text = "\r\n".join('"{}",{}'.format(path.replace("/", "\\"), rest) for path, _, rest in rows)
        (lists / name.replace("training", "Training")).write_bytes(
            b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n"
        )
    first = tmp_path / pictures[0].name
    first.rename(first.with_suffix(".JPG"))
    source = AffectNetSource(tmp_path, classes=8)
    assert odd(source, tmp_path) == []
    assert len(source) == 24
    for index, before in enumerate(plain):
        sample = source[index]
        assert (sample.key, sample.label, sample.box) == (before.key, before.label, before.box)
        assert isinstance(sample.image, Path)
        assert sample.image.is_file()


def test_columns_in_another_order(tmp_path: Path) -> None:
    pictures = write_affectnet_csv(tmp_path)
    for name in ("training.csv", "validation.csv"):
        rows = [line.split(",") for line in (tmp_path / name).read_text().splitlines()]
        (tmp_path / name).write_text("\n".join(",".join(reversed(row[:7])) for row in rows))
    sample = AffectNetSource(tmp_path)[0]
    assert (sample.key, sample.label, sample.box) == (pictures[0].name, pictures[0].label, pictures[0].box)
    assert sample.attributes == {}
    (tmp_path / "training.csv").write_text("subDirectory_filePath,valence\n")
    with pytest.raises(InputError, match=r"training\.csv: the column 'expression' is missing; it has"):
        AffectNetSource(tmp_path)


@pytest.mark.parametrize(
    ("change", "finding", "kept"),
    [
        (lambda row: [row[0]], "expected a file and an expression, got '2/", False),
        (lambda row: [*row[:6], "11", *row[7:]], "'11' is no class; classes are 0 to 10; the line is", False),
        (lambda row: [*row[:6], "happy", *row[7:]], "'happy' is no class; ", False),
        (lambda row: ["3/train0002.jpg", *row[1:]], "3/train0002.jpg is listed a second time", False),
        (
            lambda row: [*row[:5], "1;2;3", *row[6:]],
            "expected 136 numbers as facial_landmarks, got '1;2;3'",
            True,
        ),
        (lambda row: [*row[:3], "-5", *row[4:]], "the face's box is empty", True),
        (lambda row: [*row[:3], "wide", *row[4:]], "expected 4 numbers as face_x, face_y, face_width,", True),
        (lambda row: [*row[:7], "high", row[8]], "expected a number as valence, got 'high'", True),
    ],
)
def test_malformed_line(tmp_path: Path, change, finding: str, kept: bool) -> None:
    write_affectnet_csv(tmp_path)
    path = tmp_path / "training.csv"
    header, first, *others = path.read_text().splitlines()
    path.write_text("\n".join([header, *others, ",".join(change(first.split(",")))]))
    source = AffectNetSource(tmp_path, classes=8)
    ((where, what),) = odd(source, tmp_path)
    assert where == "training.csv, line 19"
    assert what.startswith(finding)
    assert len(source) == 23 + kept


def test_not_given_is_nothing_odd(tmp_path: Path) -> None:
    write_affectnet_csv(tmp_path)
    path = tmp_path / "training.csv"
    header, first, *others = path.read_text().splitlines()
    row = first.split(",")
    path.write_text("\n".join([header, ",".join([row[0], *["NULL"] * 5, row[6], "", "nan"]), *others]))
    source = AffectNetSource(tmp_path)
    assert odd(source, tmp_path) == []
    sample = source[0]
    assert (sample.box, sample.landmarks, sample.attributes) == (None, None, {})


def test_photographs_and_tables_that_are_missing(tmp_path: Path) -> None:
    pictures = write_affectnet_csv(tmp_path)
    images = tmp_path / "Manually_Annotated_Images"
    (images / pictures[0].name).unlink()
    (tmp_path / "validation.csv").unlink()
    source = AffectNetSource(tmp_path, classes=8)
    assert odd(source, tmp_path) == [
        ("validation.csv", "missing, so there are no test samples"),
        (f"Manually_Annotated_Images/{pictures[0].name}", "missing"),
    ]
    assert source[0].key == pictures[1].name
    images.rename(tmp_path / "elsewhere")
    with pytest.raises(
        InputError, match=r"no picture can be used; the first reason: .*validation.csv: missing"
    ):
        AffectNetSource(tmp_path)


def test_annotations(tmp_path: Path) -> None:
    pictures = write_affectnet_annotations(tmp_path)
    source = AffectNetSource(tmp_path, classes=8)
    assert source.layout == "annotations"
    assert len(source) == len(pictures) == 24
    for index, picture in enumerate(pictures):
        sample = source[index]
        assert (sample.key, sample.label, sample.split) == (picture.name, picture.label, picture.split)
        assert sample.image == tmp_path / picture.name
        assert not sample.aligned
        assert sample.landmarks is not None
        np.testing.assert_allclose(sample.landmarks, picture.landmarks, rtol=1e-6)
    # In the order of their numbers, not of their names.
    assert source[10].key == "train_set/images/10.jpg"
    happy = next(index for index, picture in enumerate(pictures) if picture.label == "happiness")
    assert source[happy].attributes == {"valence": 0.1, "arousal": -0.5}
    assert odd(source, tmp_path) == []
    seven = AffectNetSource(tmp_path)
    assert len(seven) == 21
    assert seven.provenance["left_out"] == {"contempt": 3}


def test_layouts_of_annotations(tmp_path: Path) -> None:
    """Text, bytes, integers and floats; 0-d, one element; landmarks as (68, 2)."""
    pictures = write_affectnet_annotations(tmp_path)
    folder = tmp_path / "train_set" / "annotations"
    for number, value in enumerate(
        [np.array(["3"]), np.array(b"3"), np.array([[3]]), np.array(3.0), np.array("3.0")]
    ):
        save_array(folder / f"{number}_exp.npy", value)
    save_array(folder / "0_lnd.npy", pictures[0].landmarks)
    source = AffectNetSource(tmp_path, classes=8)
    assert [source[index].label for index in range(5)] == ["surprise"] * 5
    np.testing.assert_allclose(source[0].landmarks, pictures[0].landmarks, rtol=1e-6)  # pyright: ignore


def test_annotations_that_are_missing_or_broken(tmp_path: Path) -> None:
    write_affectnet_annotations(tmp_path)
    images, annotations = (tmp_path / "train_set" / name for name in ("images", "annotations"))
    (images / "0.jpg").unlink()
    (annotations / "1_exp.npy").unlink()
    save_array(annotations / "2_exp.npy", np.array({"class": 1}, dtype=object))
    save_array(annotations / "3_exp.npy", np.array([1, 2]))
    save_array(annotations / "4_exp.npy", np.array("11"))
    write(annotations / "5_exp.npy", "")
    truncate(annotations / "6_exp.npy")
    write(annotations / "7_exp.npy", "3")
    (annotations / "8_lnd.npy").unlink()
    save_array(annotations / "9_lnd.npy", np.arange(134.0))
    save_array(annotations / "10_lnd.npy", np.array([None] * 136, dtype=object))
    save_array(annotations / "11_val.npy", np.array("high"))
    (annotations / "12_aro.npy").unlink()
    write(images / "thumbs.db", "")
    source = AffectNetSource(tmp_path, classes=8)
    wheres, whats = zip(*odd(source, tmp_path), strict=True)
    assert wheres == (
        "train_set/images/0.jpg",
        "train_set/images/1.jpg",
        *(f"train_set/annotations/{number}_exp.npy" for number in range(2, 8)),
        "train_set/annotations/8_lnd.npy",
    )
    assert whats[:2] == ("missing", "without a class")
    assert whats[2].startswith("is no .npy array that can be read (Object arrays cannot be loaded")
    assert whats[3] == "expected one number, got an array (2,); the picture is left out"
    assert whats[4] == "'11.0' is no class; classes are 0 to 10; the picture is left out"
    assert all(what.startswith("is no .npy array that can be read") for what in whats[5:8])
    assert whats[8] == "missing"
    assert len(source) == 24 - 8
    samples = {source[index].key: source[index] for index in range(len(source))}
    assert samples["train_set/images/8.jpg"].landmarks is None
    for number in (9, 10):
        assert np.isnan(samples[f"train_set/images/{number}.jpg"].landmarks).all()  # pyright: ignore
    assert "valence" not in samples["train_set/images/11.jpg"].attributes
    assert "arousal" not in samples["train_set/images/12.jpg"].attributes

    report = prepare(source, tmp_path / "set", "none", size=32, workers=1, progress=False)
    assert report.problems == {"train": {"no face": 1, "bad landmarks": 2}}


def test_only_one_split(tmp_path: Path) -> None:
    write_affectnet_annotations(tmp_path)
    (tmp_path / "train_set").rename(tmp_path / "aside")
    source = AffectNetSource(tmp_path)
    assert odd(source, tmp_path) == [("train_set", "missing, so there are no train samples")]
    assert Counter(source[index].split for index in range(len(source))) == {"test": 7}


def test_which_layout(tmp_path: Path) -> None:
    write_affectnet_annotations(tmp_path)
    write_affectnet_csv(tmp_path)
    assert AffectNetSource(tmp_path).layout == "csv"
    assert AffectNetSource(tmp_path, layout="annotations").layout == "annotations"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        InputError, match=r"does not hold training\.csv and validation\.csv or train_set/ and"
    ):
        AffectNetSource(empty)
    with pytest.raises(InputError, match=r"does not hold train_set/ and val_set/; give"):
        AffectNetSource(empty, layout="annotations")
    with pytest.raises(InputError, match="layout must be 'auto' or"):
        AffectNetSource(empty, layout="lmdb")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="7 or 8 classes, not 9"):
        AffectNetSource(empty, classes=9)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="is not a folder"):
        AffectNetSource(tmp_path / "nowhere")


@pytest.mark.parametrize("build", [write_affectnet_csv, write_affectnet_annotations])
def test_pickles_prepares_and_provenance(tmp_path: Path, build) -> None:
    pictures = build(tmp_path)
    source = AffectNetSource(tmp_path, classes=8)
    again = pickle.loads(pickle.dumps(source))
    assert again[23].key == pictures[23].name
    assert again.provenance == source.provenance == AffectNetSource(tmp_path, classes=8).provenance
    assert AffectNetSource(tmp_path).provenance != source.provenance
    report = prepare(source, tmp_path / "set", "none", size=32, workers=1, progress=False)
    assert report.found == {"train": {"precomputed": 16}, "test": {"precomputed": 8}}
    assert report.problems == {}
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert dataset.labels.tolist() == [EIGHT.index(picture.label) for picture in pictures[:16]]
    assert '"arousal": -0.5' in dataset.column("attributes")[0]


def test_what_is_sent_to_workers_does_not_grow_with_landmarks(tmp_path: Path) -> None:
    write_affectnet_csv(tmp_path, train=80, test=8)
    pickled = pickle.dumps(AffectNetSource(tmp_path, classes=8))
    assert len(pickled) < 88 * 100  # 68 points take 544 bytes


def our_aligned(name: str) -> str:
    return f"our_aligned/{name}"


@pytest.fixture
def seven(tmp_path: Path) -> list[Picture]:
    return write_affectnet_annotations(tmp_path, train=14, test=7, classes=7)


def test_folds_with_crops(tmp_path: Path, seven: list[Picture]) -> None:
    crops = tmp_path / "crops"
    folds = write_published_folds(tmp_path / "folds", seven, our_aligned, crops, ["val_set/images/2.jpg"])
    source = AffectNetSource(crops, folds=folds)  # the set itself is not needed
    assert source.layout == "folds"
    assert source.findings == []
    assert len(source) == 14 + 7 + 7
    sample, picture = source[14], seven[14]
    assert (sample.key, sample.label, sample.split) == (our_aligned(picture.name), picture.label, "val")
    assert sample.image == crops / our_aligned(picture.name)
    assert sample.aligned
    np.testing.assert_allclose(sample.landmarks, picture.crop_landmarks, rtol=1e-5)  # pyright: ignore
    assert source[16].landmarks is None


def test_folds_cut_crops_anew(tmp_path: Path, seven: list[Picture]) -> None:
    folds = write_published_folds(tmp_path / "folds", seven, our_aligned)
    (tmp_path / "train_set" / "annotations" / "1_lnd.npy").unlink()
    truncate(tmp_path / "train_set" / "images" / "2.jpg")
    (tmp_path / "train_set" / "images" / "3.jpg").unlink()
    source = AffectNetSource(tmp_path, folds=folds)
    assert odd(source, tmp_path) == [
        ("our_aligned/train_set/images/3.jpg", "missing, and so are their originals")
    ]
    assert len(source) == 27
    sample = pickle.loads(pickle.dumps(source))[0]
    assert np.abs(sample.image.astype(int) - seven[0].crop).mean() < 3
    assert sample.aligned
    assert sample.attributes == {"valence": 0.1 * AFFECTNET_CODES.index(seven[0].label), "arousal": -0.5}
    whole = source[1].image  # without landmarks, the whole picture
    assert isinstance(whole, np.ndarray)
    assert whole.shape == (224, 224, 3)
    assert np.abs(whole[::2, ::2].astype(int) - seven[1].image).mean() < 8
    report = prepare(source, tmp_path / "set", "none", workers=1, progress=False)
    assert report.problems == {"train": {"unreadable": 1}}
    stored = open_prepared(tmp_path / "set").dataset("test")[0]
    np.testing.assert_allclose(stored["landmarks"].numpy(), seven[14].crop_landmarks, atol=0.01)


def test_folds_are_of_the_annotation_release(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The folds name pictures of the layout annotations"):
        AffectNetSource(tmp_path, layout="csv", folds=tmp_path)


def test_unlisted_pictures_have_no_class(tmp_path: Path) -> None:
    pictures = write_affectnet_annotations(tmp_path)
    for number in (100, 101):
        save(tmp_path / "val_set" / "images" / f"{number}.jpg", pictures[0].image)
    assert odd(AffectNetSource(tmp_path), tmp_path) == [
        ("val_set/images", "2 of 10 pictures are without a class"),
        ("val_set/images/100.jpg", "without a class"),
        ("val_set/images/101.jpg", "without a class"),
    ]


@pytest.mark.parametrize("layout", ["csv", "annotations"])
def test_command(tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_affectnet_csv(tmp_path)
    write_affectnet_annotations(tmp_path)
    command = ["prepare", "affectnet", "--root", str(tmp_path), "--out", str(tmp_path / "set")]
    # Every face has landmarks: no detector is needed, nor installed.
    options = ["--classes", "8", "--layout", layout, "--size", "32", "--workers", "1"]
    assert main([*command, *options]) == 1
    assert "train/contempt: 2 samples instead of 3,750" in capsys.readouterr().out
    prepared = open_prepared(tmp_path / "set")
    assert prepared.classes == EIGHT
    assert prepared.dataset("train").landmarks_valid.all()
    assert main([*command[:-1], str(tmp_path / "other"), "--classes", "9"]) == 2
