"""RAF-DB in the layout in which it is distributed."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.cli.main import main
from aucue.cues import AUCue
from aucue.data import RAFDBSource, open_prepared, prepare
from aucue.data.sources.raf_db import _PARTS
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS

from ..layouts import Picture, save, truncate, write, write_published_folds, write_raf_db


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    return write_raf_db(tmp_path)


def odd(source: RAFDBSource) -> list[tuple[str, str]]:
    """Findings other than those of the counts, with paths below the part's folder."""
    return [
        (where.partition("/basic/")[2] or where, what)
        for where, what in source.findings
        if "instead of" not in what
    ]


def our_aligned(name: str) -> str:
    return f"basic/Image/our_aligned/{name}"


def test_published_numbers() -> None:
    expected = _PARTS[False].expected
    assert sum(count for (split, _), count in expected.items() if split == "train") == 12271
    assert sum(count for (split, _), count in expected.items() if split == "test") == 3068
    compound = _PARTS[True].expected
    by_class = {name: count for (split, name), count in compound.items() if split == "all splits"}
    assert (
        sum(by_class.values()) == compound["train", "all classes"] + compound["test", "all classes"] == 3954
    )
    assert (by_class["happily surprised"], by_class["angrily disgusted"]) == (697, 841)


def test_originals(tmp_path: Path, pictures: list[Picture]) -> None:
    source = RAFDBSource(tmp_path)
    assert source.name == "raf-db"
    assert source.classes == EXPRESSIONS
    assert len(source) == len(pictures) == 21
    for index, picture in enumerate(pictures):
        sample = source[index]
        assert (sample.key, sample.label, sample.split) == (picture.name, picture.label, picture.split)
        assert sample.image == tmp_path / "basic" / "Image" / "original" / picture.name
        assert sample.box == picture.box
        assert sample.landmarks is None
        assert not sample.aligned
    assert {source[index].label for index in range(14)} == set(EXPRESSIONS)
    # Number 5: gender 5 % 3, race 5 // 3 % 3, age 5 % 5.
    assert source[4].attributes == {"gender": "unsure", "race": "African-American", "age": "0-3"}
    assert odd(source) == []
    assert ("train/happiness", "2 samples instead of 4,772") in source.findings
    assert len(source.findings) == 14


def test_aligned(tmp_path: Path, pictures: list[Picture]) -> None:
    source = RAFDBSource(tmp_path, images="aligned")
    sample = source[0]
    assert sample.image == tmp_path / "basic" / "Image" / "aligned" / "train_00001_aligned.jpg"
    assert sample.aligned
    assert sample.box is None
    assert sample.key == pictures[0].name
    assert sample.attributes["race"] == "Caucasian"
    # Without the other pictures, too.
    for path in (tmp_path / "basic" / "Image" / "original").iterdir():
        path.unlink()
    assert len(RAFDBSource(tmp_path, images="aligned")) == 21


def test_compound(tmp_path: Path) -> None:
    pictures = write_raf_db(tmp_path, train=11, test=11, compound=True)
    source = RAFDBSource(tmp_path, compound=True)
    assert source.name == "raf-db-compound"
    assert [source[index].label for index in range(22)] == [picture.label for picture in pictures]
    assert source.classes[0] == "happily surprised"
    assert source.classes[10] == "disgustedly surprised"
    assert source.findings[:3] == [
        ("train/all classes", "11 samples instead of 3,162"),
        ("test/all classes", "11 samples instead of 792"),
        ("all splits/happily surprised", "2 samples instead of 697"),
    ]
    assert len(source.findings) == 2 + 11
    # Guidance needs no more than the name of the codebook.
    assert AUCue("compound", source.classes).codebook["happily surprised"] == (1, 2, 5, 6, 12, 25, 26, 27)


def test_root_may_be_the_part_itself(tmp_path: Path, pictures: list[Picture]) -> None:
    assert len(RAFDBSource(tmp_path / "basic")) == 21
    (tmp_path / "basic").rename(tmp_path / "mine")
    assert len(RAFDBSource(tmp_path / "mine")) == 21
    (tmp_path / "mine").rename(tmp_path / "compound")
    with pytest.raises(InputError, match="holds no folder basic"):
        RAFDBSource(tmp_path / "compound")
    with pytest.raises(InputError, match="is not a folder; give the one that holds basic and compound"):
        RAFDBSource(tmp_path / "nowhere")


def test_text_files_of_other_systems(tmp_path: Path, pictures: list[Picture]) -> None:
    part = tmp_path / "basic"
    plain = [RAFDBSource(tmp_path)[index] for index in range(21)]
    for path in part.rglob("*.txt"):
        text = path.read_text().replace(" ", "\t  ").replace("\n", "\r\n\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    for path in sorted((part / "Image" / "original").iterdir())[:5]:
        path.rename(path.with_suffix(".JPG"))
    source = RAFDBSource(tmp_path)
    assert odd(source) == []
    for index, before in enumerate(plain):
        sample = source[index]
        assert (sample.label, sample.box, sample.attributes) == (before.label, before.box, before.attributes)
        assert isinstance(sample.image, Path)
        assert sample.image.is_file()


def test_files_that_are_missing_or_unlisted(tmp_path: Path, pictures: list[Picture]) -> None:
    part = tmp_path / "basic"
    (part / "Image" / "original" / "train_00001.jpg").unlink()
    (part / "Image" / "original" / "train_00003.jpg").unlink()
    save(part / "Image" / "original" / "train_99999.jpg", pictures[0].image)
    write(part / "Image" / "original" / "readme.txt", "no picture")
    (part / "Annotation" / "boundingbox" / "test_0001_boundingbox.txt").unlink()
    (part / "Annotation" / "manual" / "test_0002_manu_attri.txt").unlink()
    source = RAFDBSource(tmp_path)
    assert odd(source) == [
        (f"{part}/Image/original".partition("/basic/")[2], "2 of 21 photographs are missing"),
        ("Image/original/train_00001.jpg", "missing"),
        ("Image/original/train_00003.jpg", "missing"),
        ("Image/original/train_99999.jpg", "in no line of the label list"),
        ("Annotation/manual/test_0002_manu_attri.txt", "missing"),
        ("Annotation/boundingbox/test_0001_boundingbox.txt", "missing"),
    ]
    assert len(source) == 19
    samples = {source[index].key: source[index] for index in range(19)}
    assert samples["test_0001.jpg"].box is None
    assert samples["test_0002.jpg"].attributes == {}


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("train_00001.jpg", "expected a file and a class number, got 'train_00001.jpg'"),
        ("train_00001.jpg five", "expected a file and a class number, got 'train_00001.jpg five'"),
        ("train_00001.jpg 8", "8 is no class; classes are 1 to 7"),
        ("train_00001.jpg 0", "0 is no class; classes are 1 to 7"),
        ("dev_00001.jpg 5", "dev_00001.jpg begins with neither train nor test"),
        ("train_00002.jpg 5", "train_00002.jpg is listed a second time"),
    ],
)
def test_malformed_line_of_the_list(tmp_path: Path, pictures: list[Picture], line: str, finding: str) -> None:
    path = tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[1:], "", line]))
    source = RAFDBSource(tmp_path)
    assert len(source) == 20
    assert odd(source)[0] == (
        "EmoLabel/list_patition_label.txt, line 22",
        f"{finding}; the line is left out",
    )
    assert odd(source)[1:] == [("Image/original/train_00001.jpg", "in no line of the label list")]


@pytest.mark.parametrize(
    ("file", "content", "finding"),
    [
        ("manual/{}_manu_attri.txt", "1 2\n3 4\n", "expected five points and three codes, 13 numbers, got 4"),
        ("manual/{}_manu_attri.txt", "1 2\n3 x\n", "holds something else than numbers: "),
        ("manual/{}_manu_attri.txt", "1 2\nnan 4\n", "holds a number that is not finite"),
        ("boundingbox/{}_boundingbox.txt", "1 2 3", "expected left, top, right, bottom, got 3 numbers"),
        ("boundingbox/{}_boundingbox.txt", "9 2 3 5", "the box 9 2 3 5 is empty"),
    ],
)
def test_malformed_annotation(
    tmp_path: Path, pictures: list[Picture], file: str, content: str, finding: str
) -> None:
    file = file.format("train_00001")
    write(tmp_path / "basic" / "Annotation" / file, content)
    source = RAFDBSource(tmp_path)
    (where, what), *others = odd(source)
    assert where == f"Annotation/{file}"
    assert what.startswith(finding)
    assert others == []
    assert len(source) == 21
    assert bool(source[0].attributes) == ("boundingbox" in file)
    assert (source[0].box is None) == ("boundingbox" in file)


def test_unknown_code(tmp_path: Path, pictures: list[Picture]) -> None:
    path = tmp_path / "basic" / "Annotation" / "manual" / "train_00001_manu_attri.txt"
    path.write_text("\n".join([*path.read_text().splitlines()[:5], "1", "3", "0.5"]))
    source = RAFDBSource(tmp_path)
    assert [what for _, what in odd(source)] == [
        "3 is no code for race; codes are 0 to 2",
        "0.5 is no code for age; codes are 0 to 4",
    ]
    assert source[0].attributes == {"gender": "female"}


def test_what_cannot_be_used_at_all(tmp_path: Path, pictures: list[Picture]) -> None:
    part = tmp_path / "basic"
    with pytest.raises(InputError, match="images must be 'original' or 'aligned'"):
        RAFDBSource(tmp_path, images="cropped")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="holds no folder compound"):
        RAFDBSource(tmp_path, compound=True)
    (part / "Image" / "original").rename(part / "Image" / "photographs")
    with pytest.raises(InputError, match=r"no photograph can be used; .*all 21 photographs are missing"):
        RAFDBSource(tmp_path)
    write(part / "EmoLabel" / "list_patition_label.txt", "\n1\n")
    with pytest.raises(InputError, match="no line can be read; expected a file and a class number, got '1'"):
        RAFDBSource(tmp_path)
    (part / "EmoLabel" / "list_patition_label.txt").unlink()
    with pytest.raises(InputError, match=r"list_patition_label\.txt is missing; it lists"):
        RAFDBSource(tmp_path)


def test_pickles_and_provenance(tmp_path: Path, pictures: list[Picture]) -> None:
    source = RAFDBSource(tmp_path)
    again = pickle.loads(pickle.dumps(source))
    assert again[20] == source[20]
    assert again.provenance == source.provenance == RAFDBSource(tmp_path).provenance
    write(tmp_path / "basic" / "Annotation" / "boundingbox" / "train_00001_boundingbox.txt", "1 2 30 40")
    assert RAFDBSource(tmp_path).provenance != source.provenance
    assert "research" in source.provenance["licence"]


def test_prepare_originals(tmp_path: Path, pictures: list[Picture]) -> None:
    truncate(tmp_path / "basic" / "Image" / "original" / "train_00002.jpg")
    report = prepare(RAFDBSource(tmp_path), tmp_path / "set", "none", size=48, workers=1, progress=False)
    # No detector: the crop is the set's box, widened.
    assert report.found == {"train": {"box": 13}, "test": {"box": 7}}
    assert report.skipped == 1
    assert len(report.findings) == 14
    dataset = open_prepared(tmp_path / "set").dataset("test")
    assert dataset.column("key") == [picture.name for picture in pictures[14:]]
    assert '"gender": "female"' in dataset.column("attributes")[0]


def test_prepare_aligned(tmp_path: Path, pictures: list[Picture]) -> None:
    source = RAFDBSource(tmp_path, images="aligned")
    prepare(source, tmp_path / "set", "none", size=100, workers=1, progress=False)
    stored = open_prepared(tmp_path / "set").dataset("train")[0]["image"].numpy()
    with Image.open(tmp_path / "basic" / "Image" / "aligned" / "train_00001_aligned.jpg") as picture:
        expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert np.abs(stored.astype(int) - expected).mean() < 2  # stored as JPEG once more


def test_folds_with_crops(tmp_path: Path, pictures: list[Picture]) -> None:
    folds = write_published_folds(
        tmp_path / "folds", pictures, our_aligned, tmp_path, failed=["test_0003.jpg"]
    )
    source = RAFDBSource(tmp_path, folds=folds)
    assert source.findings == []
    # The published folds validate on the test pictures.
    assert Counter(source[index].split for index in range(len(source))) == {"train": 14, "val": 7, "test": 7}
    sample, picture = source[14], pictures[14]
    assert (sample.key, sample.label, sample.split) == (our_aligned(picture.name), picture.label, "val")
    assert source[21].key == f"test/{our_aligned(picture.name)}"
    assert sample.image == tmp_path / our_aligned(picture.name)
    assert sample.aligned
    assert sample.attributes == RAFDBSource(tmp_path)[14].attributes
    assert sample.landmarks is not None
    np.testing.assert_allclose(sample.landmarks, picture.crop_landmarks, rtol=1e-5)
    assert source[16].landmarks is None


def test_folds_cut_crops_anew(tmp_path: Path, pictures: list[Picture]) -> None:
    folds = write_published_folds(tmp_path / "folds", pictures, our_aligned)
    source = RAFDBSource(tmp_path, folds=folds)
    assert source.findings == []
    for index in (0, 20):
        sample, picture = pickle.loads(pickle.dumps(source))[index], pictures[index]
        assert isinstance(sample.image, np.ndarray)
        assert sample.aligned
        # From the same five points the same crop, but for the JPEG of the original and two decimals.
        assert np.abs(sample.image.astype(int) - picture.crop).mean() < 3
    report = prepare(source, tmp_path / "set", "none", workers=1, progress=False)
    assert report.ok
    assert report.found["train"] == {"precomputed": 14}
    stored = open_prepared(tmp_path / "set").dataset("train")[3]
    np.testing.assert_allclose(stored["landmarks"].numpy(), pictures[3].crop_landmarks, atol=0.01)


def test_folds_some_of_whose_pictures_are_missing(tmp_path: Path, pictures: list[Picture]) -> None:
    part = tmp_path / "basic"
    folds = write_published_folds(tmp_path / "folds", pictures, our_aligned, tmp_path)
    for name in ("train_00001", "train_00002", "train_00003", "test_0001"):
        (part / "Image" / "our_aligned" / f"{name}.jpg").unlink()
    (part / "Image" / "original" / "test_0001.jpg").unlink()
    write(part / "Annotation" / "manual" / "train_00002_manu_attri.txt", "no points")
    (part / "Annotation" / "manual" / "train_00003_manu_attri.txt").unlink()
    (part / "Annotation" / "boundingbox" / "train_00003_boundingbox.txt").unlink()
    source = RAFDBSource(tmp_path, folds=folds)
    whats = [what for _, what in odd(source)]
    assert "missing, and so are their originals" in whats
    assert "3 of 21 crops are missing and cut anew from the originals" in whats
    assert "without points and box, so that no crop can be cut" in whats
    assert len(source) == 28 - 2 - 1
    boxed = source[1]
    assert boxed.key == our_aligned("train_00002.jpg")
    assert isinstance(boxed.image, np.ndarray)
    # The box, widened by 15 % a side and stretched.
    left, top, right, bottom = pictures[1].box
    dx, dy = 0.15 * (right - left), 0.15 * (bottom - top)
    with Image.open(part / "Image" / "original" / "train_00002.jpg") as picture:
        region = (left - dx, top - dy, right + dx, bottom + dy)
        expected = picture.resize((224, 224), Image.Resampling.BICUBIC, region)
    assert np.abs(boxed.image.astype(int) - np.asarray(expected)).mean() < 1


def test_folds_originals_that_cannot_be_cut(tmp_path: Path, pictures: list[Picture]) -> None:
    folds = write_published_folds(tmp_path / "folds", pictures, our_aligned)
    truncate(tmp_path / "basic" / "Image" / "original" / "train_00001.jpg")
    manual = tmp_path / "basic" / "Annotation" / "manual" / "train_00002_manu_attri.txt"
    manual.write_text("5 5\n" * 5 + "0\n0\n0\n")  # five times the same point: the box is taken
    source = RAFDBSource(tmp_path, folds=folds)
    assert isinstance(source[1].image, np.ndarray)
    report = prepare(source, tmp_path / "set", "none", workers=1, progress=False)
    assert report.problems == {"train": {"unreadable": 1}}


def test_folds_contradict_other_arguments(tmp_path: Path, pictures: list[Picture]) -> None:
    with pytest.raises(InputError, match="leave out compound and images"):
        RAFDBSource(tmp_path, compound=True, folds=tmp_path)
    with pytest.raises(InputError, match="leave out compound and images"):
        RAFDBSource(tmp_path, images="aligned", folds=tmp_path)


def test_command(tmp_path: Path, pictures: list[Picture], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "basic" / "Image" / "original" / "test_0007.jpg").unlink()
    command = ["prepare", "raf-db", "--root", str(tmp_path), "--out", str(tmp_path / "set")]
    fixed = ["--detector", "none", "--size", "32", "--workers", "1"]
    assert main([*command, *fixed]) == 1  # a photograph is missing, and the set is small
    findings = (tmp_path / "set" / "findings.csv").read_text().splitlines()
    assert findings[1] == f"{tmp_path}/basic/Image/original/test_0007.jpg,missing"
    assert len(findings) == 1 + 1 + 14
    assert "test_0007.jpg" in capsys.readouterr().out
    prepared = open_prepared(tmp_path / "set")
    assert prepared.classes == EXPRESSIONS
    assert len(prepared.dataset("test")) == 6


def test_command_with_folds_and_compound(tmp_path: Path, pictures: list[Picture]) -> None:
    folds = write_published_folds(tmp_path / "folds", pictures, our_aligned)
    command = [
        "prepare",
        "raf-db",
        "--root",
        str(tmp_path),
        "--detector",
        "none",
        "--size",
        "32",
        "--workers",
        "1",
    ]
    assert main([*command, "--folds", str(folds), "--out", str(tmp_path / "folds-set")]) == 0
    assert open_prepared(tmp_path / "folds-set").dataset("val").landmarks_valid.all()
    write_raf_db(tmp_path, train=11, test=11, compound=True)
    assert main([*command, "--compound", "--images", "aligned", "--out", str(tmp_path / "compound-set")]) == 1
    assert open_prepared(tmp_path / "compound-set").classes[0] == "happily surprised"
