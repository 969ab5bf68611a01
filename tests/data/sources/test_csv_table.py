import pickle
from pathlib import Path

import numpy as np
import pytest

from aucue.data import CsvSource
from aucue.errors import InputError

from ..conftest import mean_face, write_csv

POINTS = [f"{axis}{index}" for index in range(68) for axis in "xy"]


def _table(folder: Path, *lines: str, header: str = "file,label") -> Path:
    (folder / "labels.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


def given(source: CsvSource, index: int) -> np.ndarray:
    landmarks = source[index].landmarks
    assert landmarks is not None
    return landmarks


def test_reads_columns(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    root = _table(
        tmp_path,
        "sub/a.jpg,Happy,training,007,0.5,x",
        "b.jpg,fear,valid,,,",
        header="file,label,split,person,valence,source",
    )
    source = CsvSource(root)
    first, second = source[0], source[1]
    assert (first.key, first.label, first.split, first.person) == ("sub/a.jpg", "happiness", "train", "007")
    assert first.attributes == {"valence": 0.5, "source": "x"}
    assert first.image == tmp_path / "images" / "sub" / "a.jpg"
    assert first.landmarks is None
    assert (second.label, second.split, second.person) == ("fear", "val", None)
    assert len(source) == 2
    assert source.name == tmp_path.name


def test_images_lie_beside_the_table_without_a_folder_of_their_own(tmp_path: Path) -> None:
    assert CsvSource(_table(tmp_path, "a.jpg,anger"))[0].image == tmp_path / "a.jpg"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("happy", "happiness"),
        ("sad", "sadness"),
        ("Angry", "anger"),
        ("surprised", "surprise"),
        ("fearful", "fear"),
        (" disgusted ", "disgust"),
        ("NEUTRAL", "neutral"),
    ],
)
def test_synonyms(tmp_path: Path, written: str, meant: str) -> None:
    assert CsvSource(_table(tmp_path, f"a.jpg,{written}"))[0].label == meant


def test_a_synonym_may_be_a_class_of_its_own(tmp_path: Path) -> None:
    source = CsvSource(_table(tmp_path, "a.jpg,happy"), classes=("sad", "happy"))
    assert source[0].label == "happy"


def test_landmarks_in_the_table_itself(tmp_path: Path) -> None:
    face = mean_face().round(2)
    broken = face.copy()
    broken[3, 0] = np.nan
    rows = [["file", "label", *POINTS], ["a.jpg", "fear", *face.ravel()], ["b.jpg", "fear", *broken.ravel()]]
    source = CsvSource(write_csv(tmp_path / "all.csv", rows).parent, "all.csv")
    np.testing.assert_allclose(given(source, 0), face, atol=1e-4)
    assert source[1].landmarks is None
    assert source[0].attributes == {}


def test_landmarks_in_another_table(tmp_path: Path) -> None:
    face = mean_face().round(2)
    rows = [["file", *POINTS], ["b.jpg", *face.ravel()], ["b.jpg", *(face * 0.5).ravel()]]
    write_csv(tmp_path / "landmarks.csv", rows)
    source = CsvSource(_table(tmp_path, "a.jpg,fear", "b.jpg,fear"), landmarks="landmarks.csv")
    assert source[0].landmarks is None
    np.testing.assert_allclose(given(source, 1), face, atol=1e-4)  # the larger face


def test_provenance_follows_the_content(tmp_path: Path) -> None:
    before = CsvSource(_table(tmp_path, "a.jpg,fear")).provenance
    assert CsvSource(_table(tmp_path, "a.jpg,fear")).provenance == before
    assert CsvSource(_table(tmp_path, "a.jpg,anger")).provenance != before


def test_travels_to_other_processes(tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(CsvSource(_table(tmp_path, "a.jpg,fear"))))
    assert source[0].label == "fear"


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        (
            "file,label",
            ["a.jpg,happines"],
            r"labels.csv, line 2 \('a.jpg'\): unknown label 'happines'; known",
        ),
        ("file,label", ["a.jpg,happines"], "known labels: neutral, happiness, .*Did you mean 'happiness'"),
        ("file,label", ["a.jpg,fear", "b.jpg,"], r"line 3 \('b.jpg'\): unknown label ''"),
        (
            "file,label,split",
            ["a.jpg,fear,dev"],
            r"line 2 \('a.jpg'\): unknown split 'dev'; known splits: tr",
        ),
        ("file,label", ["a.jpg,fear", "a.jpg,anger"], "line 3: a.jpg was named before, in line 2"),
        ("file,label", [",fear"], "line 2: no file is named"),
        ("path,label", ["a.jpg,fear"], "the column 'file' is missing; it has path, label"),
        ("file,emotion", ["a.jpg,fear"], "the column 'label' is missing"),
        ("file,label,x0", ["a.jpg,fear,1"], "the column 'y0' is missing"),
        ("file,label", [], "the table has no rows"),
        ("file,label", ["a.jpg,fear,too,many"], "is not a CSV table that can be read"),
    ],
)
def test_bad_tables(tmp_path: Path, header: str, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CsvSource(_table(tmp_path, *lines, header=header))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0" * 10, b"file,label\n\xff\xfe.jpg,fear\n"])
def test_no_table_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.csv"):
        CsvSource(tmp_path)
    with pytest.raises(InputError, match="no such table"):
        CsvSource(tmp_path, "absent.csv")


def test_missing_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures is not a folder"):
        CsvSource(_table(tmp_path, "a.jpg,fear"), images="pictures")


def test_paths_are_relative_to_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces" / "tables").mkdir(parents=True)
    (tmp_path / "faces" / "pictures").mkdir()
    _table(tmp_path / "faces" / "tables", "a.jpg,fear")
    write_csv(tmp_path / "points.csv", [["file", *POINTS], ["a.jpg", *mean_face().ravel()]])
    source = CsvSource("faces", "tables/labels.csv", "pictures", tmp_path / "points.csv")
    assert source[0].image == Path("faces/pictures/a.jpg")
    np.testing.assert_allclose(given(source, 0), mean_face(), rtol=1e-6)


def test_too_few_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two or more different classes"):
        CsvSource(_table(tmp_path, "a.jpg,fear"), classes=("fear", "Fear"))


@pytest.mark.parametrize(
    ("name", "samples", "labels"), [("ferplus", 25828, 7), ("london", 244, 2), ("sfhq", 114, 7)]
)
def test_reads_real_collections(photographs: Path, name: str, samples: int, labels: int) -> None:
    source = CsvSource(photographs / name, landmarks="landmarks.csv")
    assert len(source) == samples
    every = [source[index] for index in range(samples)]
    assert len({sample.label for sample in every}) == labels
    assert all(sample.landmarks is not None for sample in every)
    assert all(isinstance(sample.image, Path) and sample.image.is_file() for sample in every[::100])


def test_votes_are_soft_labels(tmp_path: Path) -> None:
    root = _table(tmp_path, "a.jpg,fear,6,0,2", "b.jpg,calm,0,.5,.5", header="file,label,p calm,p joy,p fear")
    source = CsvSource(root, classes=("calm", "joy", "fear"))
    for index, shares in enumerate([(0.75, 0, 0.25), (0, 0.5, 0.5)]):
        np.testing.assert_allclose(np.asarray(source[index].probabilities), shares)
    assert source[0].attributes == {}
    assert CsvSource(_table(tmp_path, "a.jpg,fear"))[0].probabilities is None


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("p calm", "1", "'p joy' is missing"),
        ("p calm,p joy", "0,0", "line 2 .*'a.jpg'.* one above 0"),
        ("p calm,p joy", "-1,2", "no negative number"),
        ("p calm,p joy", "nan,1", "no negative number"),
        ("p calm,p joy", "much,1", "must be numbers"),
    ],
)
def test_soft_labels_that_are_none(tmp_path: Path, header: str, row: str, message: str) -> None:
    root = _table(tmp_path, f"a.jpg,calm,{row}", header=f"file,label,{header}")
    with pytest.raises(InputError, match=message):
        CsvSource(root, classes=("calm", "joy"))


def test_a_large_table_with_line_breaks_in_values(tmp_path: Path) -> None:
    note = '"' + "two\nlines " * 20 + '"'
    rows = 10_000  # more than the megabyte that Arrow reads at once
    root = _table(tmp_path, *(f"{row}.jpg,fear,{note}" for row in range(rows)), header="file,label,note")
    source = CsvSource(root, split="train")
    assert len(source) == rows
    assert source[rows - 1].attributes == {"note": note.strip('"')}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.jpg,fear,x", "", "b.jpg,joyfull,x"], r"line 6 \('b.jpg'\): unknown label"),
        (['a.jpg,fear,"x|y|"', "b.jpg,joyfull,x"], r"line 7 \('b.jpg'\): unknown label"),
        (['a.jpg,fear,"x|y"', "", "a.jpg,fear,x"], "line 7: a.jpg was named before, in line 4"),
        (["a.jpg,fear,x", "", "", ",fear,x"], "line 7: no file is named"),
    ],
)
def test_lines_are_counted_as_editors_do(tmp_path: Path, end: str, rows: list[str], message: str) -> None:
    lines = ["", 'file,label,"a note|of mine"', *rows, ""]
    (tmp_path / "labels.csv").write_bytes("|".join(lines).replace("|", end).encode())
    with pytest.raises(InputError, match=message):
        CsvSource(tmp_path)


def test_names_with_colons(tmp_path: Path) -> None:
    name = "clip 00:01:00.jpg"
    (tmp_path / name).touch()
    assert CsvSource(_table(tmp_path, f"{name},fear"), split="train")[0].image == tmp_path / name
    with pytest.raises(InputError, match=r"'C:/a\.jpg' is no name of a file"):
        CsvSource(_table(tmp_path, "C:\\a.jpg,fear"))
