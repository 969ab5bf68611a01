"""Data sets as people have them: other systems' names, spreadsheets' tables, archives unpacked twice."""

import json
import shutil
import unicodedata
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import config
from PIL import Image

from aucue.data import AffectNetSource, CsvSource, FER2013Source, FolderSource, HuggingFaceSource, RAFDBSource
from aucue.data.sources.repeats import Repeats
from aucue.errors import InputError
from aucue.faces import PrecomputedDetector
from aucue.work import table_path

HEADER = ",".join(["file", *(f"{axis}{i}" for i in range(68) for axis in "xy")])
POINTS = ",".join(str(number) for number in range(136))


def paint(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return path


def labelled(root: Path, text: str, encoding: str = "utf-8") -> CsvSource:
    (root / "labels.csv").write_bytes(text.encode(encoding))
    return CsvSource(root)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a.jpg", "a.jpg"),
        (" ./a.jpg ", "a.jpg"),
        ("faces\\a.jpg", "faces/a.jpg"),
        (".\\faces\\.\\a.jpg", "faces/a.jpg"),
        ("faces//a.jpg", "faces/a.jpg"),
        (unicodedata.normalize("NFD", "é.jpg"), unicodedata.normalize("NFC", "é.jpg")),
        (None, ""),
        ("  ", ""),
    ],
)
def test_one_form_of_a_name(written: str | None, meant: str):
    assert table_path(written) == meant


def test_names_of_other_systems_are_found(tmp_path: Path):
    accented = unicodedata.normalize("NFD", "é.png")  # as a Mac unpacks it
    for seed, name in enumerate(("faces/a.png", f"faces/{accented}")):
        paint(tmp_path / name, seed)
    (tmp_path / "points.csv").write_text(f"{HEADER}\nfaces\\a.png,{POINTS}\nfaces/é.png,{POINTS}\n")
    (tmp_path / "labels.csv").write_text("file,label\nfaces\\a.png,happy\n./faces/é.png,sad\n")
    source = CsvSource(tmp_path, landmarks="points.csv")
    assert [(source[i].key, source[i].label) for i in range(2)] == [
        ("faces/a.png", "happiness"),
        ("faces/é.png", "sadness"),
    ]
    for i in range(2):
        image, landmarks = source[i].image, source[i].landmarks
        assert isinstance(image, Path)
        assert image.is_file()
        assert landmarks is not None
        assert landmarks[67].tolist() == [134, 135]
    detector = PrecomputedDetector(tmp_path / "points.csv")
    assert len(detector(np.zeros((1, 1, 3), np.uint8), "faces/a.png")) == 1


def test_folders_of_other_systems_and_masks_are_found(tmp_path: Path):
    folder = unicodedata.normalize("NFD", "Séance")  # as a Mac unpacks it
    for seed, name in enumerate(("é.png", "mask.PNG")):
        paint(tmp_path / folder / unicodedata.normalize("NFD", name), seed)
    for written in (folder, "séance"):
        rows = f"file,label,mask\n{written}/é.png,happy,{written}/mask.png\nb.png,sad,\nc.png,sad,gone.png\n"
        source = labelled(tmp_path, rows)
        image, mask = source[0].image, source[0].mask
        assert isinstance(image, Path)
        assert mask is not None
        assert image.is_file()
        assert mask.is_file()
        assert [source[1].mask, source[2].mask] == [None, tmp_path / "gone.png"]


@pytest.mark.parametrize("row", ["link/a.png,happy,", "b.png,happy,link/a.png"])
def test_a_link_by_another_case_leads_nowhere_outside(tmp_path: Path, row: str):
    paint(tmp_path / "a.png")
    paint(tmp_path / "set" / "b.png")
    (tmp_path / "set" / "LINK").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"labels\.csv, line 2 .*leads out of"):
        labelled(tmp_path / "set", f"file,label,mask\n{row}\n")


def test_two_spellings_of_one_file_are_one_file(tmp_path: Path):
    paint(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"line 3: a\.png was named before, in line 2"):
        labelled(tmp_path, "file,label\na.png,happy\n./a.png,happy\n")


def test_a_table_of_other_pictures_is_an_error(tmp_path: Path):
    paint(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"names none of .* first is 'x/a\.png', one of them is 'a\.png'"):
        labelled(tmp_path, "file,label\nx/a.png,happy\n")
    (tmp_path / "points.csv").write_text(f"{HEADER}\nother.png,{POINTS}\n")
    (tmp_path / "labels.csv").write_text("file,label\na.png,happy\n")
    with pytest.raises(InputError, match=r"points.csv names none of the pictures of .*'other.png'"):
        CsvSource(tmp_path, landmarks="points.csv")


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png"])
def test_a_table_names_nothing_outside(tmp_path: Path, name: str):
    paint(tmp_path / "set" / "b.png")
    paint(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"labels.csv, line 2"):
        labelled(tmp_path / "set", f"file,label\n{name},happy\n")


def test_tables_as_spreadsheets_save_them(tmp_path: Path):
    paint(tmp_path / "a.png")
    text = "file,label,,\na.png,happy,,\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert labelled(tmp_path, text, encoding)[0].label == "happiness"
    for wrong, said in (
        ("file;label\na.png;happy\n", "separated by semicolons; save it with commas"),
        ("file\tlabel\na.png\thappy\n", "separated by tabs"),
        ("file,label,label\na.png,happy,sad\n", "'label' occurs more than once"),
    ):
        with pytest.raises(InputError, match=said):
            labelled(tmp_path, wrong)
    (tmp_path / "labels.csv").write_bytes(b"file,label\na.png,happy\nb\xff.png,sad\n")
    with pytest.raises(InputError, match="line 3: not UTF-8 text; save it as CSV UTF-8"):
        CsvSource(tmp_path)


def test_damaged_tables_of_landmarks(tmp_path: Path):
    path = tmp_path / "points.csv"
    for content, said in (
        (f"{HEADER}\na\xff.png,{POINTS}\n".encode("latin-1"), "not UTF-8 text"),
        (f"{HEADER}\na.png,{POINTS}\n".encode("utf-16"), "UTF-16 text; save it as CSV UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            PrecomputedDetector(path)


def test_a_label_against_its_soft_label_is_a_finding(tmp_path: Path):
    for name in ("a.png", "b.png"):
        paint(tmp_path / name)
    columns = ",".join(f"p {name}" for name in ("happiness", "sadness"))
    (tmp_path / "labels.csv").write_text(f"file,label,{columns}\na.png,sad,9,1\nb.png,sad,5,5\n")
    source = CsvSource(tmp_path, classes=("happiness", "sadness"))
    (finding,) = source.findings
    assert "line 2 ('a.png')" in finding.where
    assert finding.what == "labelled sadness, but its soft label says happiness"


def test_what_systems_leave_behind_is_no_label(tmp_path: Path):
    root = tmp_path / "faces" / "faces"  # an archive unpacked into a folder of its own name
    paint(root / "happy" / "a.png")
    paint(root / "happy" / "__MACOSX" / "._a.png")
    paint(tmp_path / "faces" / "__MACOSX" / "happy" / "a.png")
    (root / "Thumbs.db").touch()
    (root / "happy" / ".DS_Store").touch()
    source = FolderSource(tmp_path / "faces")
    assert [source[i].key for i in range(len(source))] == ["happy/a.png"]


def test_folders_that_are_neither_split_nor_label(tmp_path: Path):
    for split in ("train", "test", "extra"):
        paint(tmp_path / "a" / split / "happy" / "a.png")
    with pytest.raises(InputError, match="unknown split 'extra'; known splits: train, val, test"):
        FolderSource(tmp_path / "a")
    paint(tmp_path / "b" / "train" / "happy" / "a.png")
    paint(tmp_path / "b" / "sad" / "a.png")
    with pytest.raises(InputError, match="folders of splits and the label sad"):
        FolderSource(tmp_path / "b")


def test_labels_by_other_names(tmp_path: Path):
    for name in ("1", "2"):
        paint(tmp_path / name / "a.png")
    source = FolderSource(tmp_path, label_names=["1=surprise", "2=Fear"])
    assert [source[i].label for i in range(2)] == ["surprise", "fear"]
    (tmp_path / "labels.csv").write_text("file,label\n1/a.png,1\n2/a.png,fear\n")
    table = CsvSource(tmp_path, label_names=["1=surprise"])
    assert [table[i].label for i in range(2)] == ["surprise", "fear"]
    for wrong in ("1", "=fear", "1=joyful"):
        with pytest.raises(InputError, match="label-names"):
            FolderSource(tmp_path, label_names=[wrong])


def test_photographs_that_cannot_be_read_here_are_named(tmp_path: Path):
    paint(tmp_path / "happy" / "a.png")
    (tmp_path / "happy" / "b.DNG").touch()
    (tmp_path / "happy" / "c.jfif").touch()
    source = FolderSource(tmp_path)
    assert [source[i].key for i in range(2)] == ["happy/a.png", "happy/c.jfif"]
    assert ["b.DNG" in finding.where for finding in source.findings] == [True]


def test_raf_db_as_it_is_passed_around(tmp_path: Path):
    root = tmp_path / "archive" / "DATASET"
    for number, code in enumerate((1, 4, 7)):
        paint(root / "train" / str(code) / f"train_0000{number}_aligned.jpg", number)
    paint(root / "test" / "4" / "test_0001_aligned.jpg", 9)
    paint(root / "train" / "8" / "x.jpg", 8)
    (root / "train_labels.csv").write_text(
        "image,label\ntrain_00000_aligned.jpg,1\ntrain_00001_aligned.jpg,5\ntrain_00002_aligned.jpg,7\n"
    )
    source = RAFDBSource(tmp_path / "archive")
    assert [(s.key, s.label, s.split, s.aligned) for s in (source[i] for i in range(len(source)))] == [
        ("train_00000.jpg", "surprise", "train", True),
        ("train_00001.jpg", "happiness", "train", True),
        ("train_00002.jpg", "neutral", "train", True),
        ("test_0001.jpg", "happiness", "test", True),
    ]
    said = " ".join(": ".join(finding) for finding in source.findings)
    assert "no class; classes are 1 to 7" in said
    assert "4/train_00001_aligned.jpg: with another label in the table" in said


def test_the_same_picture_in_two_splits(tmp_path: Path):
    for name, seed in (("train/happy/a.png", 1), ("test/happy/b.png", 1), ("test/sad/c.png", 2)):
        paint(tmp_path / name, seed)
    paint(tmp_path / "train/happy/d.png", 1)
    paint(tmp_path / "test/sad/e.png", 2)  # twice in one split and with one label harms nothing
    paint(tmp_path / "test/fear/f.png", 2)
    source = FolderSource(tmp_path)
    assert source[0].split == "test"
    repeats = Repeats(source)
    found = [(Path(finding.where).name, finding.what) for finding in repeats.findings]
    twin = f"the same picture as {tmp_path / 'test/happy/b.png'} of the split test"
    labelled = f"the same picture as {tmp_path / 'test/fear/f.png'}, which is labelled fear"
    assert found == [("c.png", labelled), ("e.png", labelled), ("a.png", twin), ("d.png", twin)]
    assert repeats.harmless == 0
    assert Repeats(FolderSource(tmp_path / "train")).harmless == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order", "no .npy array"),
        (b"", "no .npy array"),
        (
            b"\x93NUMPY\x01\x00v\x00{'descr': '<U1', 'fortran_order': False, 'shape': (), }".ljust(128)
            + b"\xff" * 4,
            "",
        ),
    ],
)
def test_one_damaged_array_stops_nothing(tmp_path: Path, content: bytes, said: str):
    for split in ("train_set", "val_set"):
        for number in (1, 2):
            paint(tmp_path / split / "images" / f"{number}.jpg", number)
            folder = tmp_path / split / "annotations"
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{number}_exp.npy", np.array("1"))
            np.save(folder / f"{number}_lnd.npy", np.arange(136.0))
    (tmp_path / "train_set/annotations/1_exp.npy").write_bytes(content)
    (tmp_path / "train_set/annotations/2_lnd.npy").write_bytes(content)
    np.save(tmp_path / "val_set/annotations/1_lnd.npy", np.zeros(136, [("a", "f4")]))
    source = AffectNetSource(tmp_path)
    assert len(source) == 3
    assert any(said in finding.what for finding in source.findings)
    for index in (0, 1):  # listed as bad when they are prepared
        landmarks = source[index].landmarks
        assert landmarks is not None
        assert np.isnan(landmarks).all()


def test_tables_of_affectnet_and_fer_as_they_come(tmp_path: Path):
    head = "subDirectory_filePath;face_x;face_y;face_width;face_height;facial_landmarks;expression"
    (tmp_path / "training.csv").write_text(f"{head}\n1.jpg;1;1;2;2;;1\n")
    with pytest.raises(InputError, match=r"training\.csv: its columns are separated by semicolons"):
        AffectNetSource(tmp_path)
    (tmp_path / "training.csv").write_bytes(f"{head}\n".encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8 text"):
        AffectNetSource(tmp_path)
    pixels = " ".join(["7"] * 48 * 48)
    (tmp_path / "fer" / "fer").mkdir(parents=True)
    (tmp_path / "fer/fer/fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{pixels},Training\n")
    assert FER2013Source(tmp_path / "fer")[0].label == "happiness"


def saved_set(root: Path) -> Path:
    paint(root.parent / "a.png")
    rows = {"image": [{"bytes": (root.parent / "a.png").read_bytes(), "path": None}] * 2, "label": [0, 1]}
    label = datasets.ClassLabel(names=["neutral", "happiness"])
    features = datasets.Features(image=datasets.Image(), label=label)
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features)}).save_to_disk(str(root))
    return root


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("dataset_dict.json", {"splits": ["../train"]}),
        ("dataset_dict.json", {"splits": "train"}),
        ("train/state.json", {"_data_files": [{"filename": "../../other.arrow"}]}),
        ("train/state.json", {"_data_files": [5]}),
        ("train/state.json", {}),
    ],
)
def test_a_saved_set_names_nothing_outside(tmp_path: Path, file: str, change: dict):
    root = saved_set(tmp_path / "set")
    shutil.copy(root / "train" / "data-00000-of-00001.arrow", tmp_path / "other.arrow")
    content = json.loads((root / file).read_text()) | change
    if not change:
        del content["_data_files"]
    (root / file).write_text(json.dumps(content))
    with pytest.raises(InputError, match=file.rpartition("/")[2]):
        HuggingFaceSource(root)


def test_no_address_in_a_folder_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "faces"
    (root / "README.md").parent.mkdir()
    (root / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: http://127.0.0.1:9/a.parquet\n---\n"
    )
    with pytest.raises(InputError, match="holds neither Parquet files nor pictures"):
        HuggingFaceSource(root)
    paint(root / "train" / "happy" / "a.png")
    paint(root / "train" / "sad" / "a.png", 1)
    assert len(HuggingFaceSource(root)) == 2  # the pictures there, and nothing else


def test_labels_that_are_no_labels(tmp_path: Path):
    picture = {"bytes": paint(tmp_path / "a.png").read_bytes(), "path": None}
    for values in ([True, False], [[0, 1], [1, 0]], [0.5, 1.0]):
        table = datasets.Dataset.from_dict({"image": [picture] * 2, "label": values})
        table = table.cast_column("image", datasets.Image())
        root = tmp_path / type(values[0]).__name__
        table.save_to_disk(str(root))
        with pytest.raises(InputError, match="'label' holds neither names nor numbers"):
            HuggingFaceSource(root)


def test_a_damaged_arrow_file_is_refused(tmp_path: Path):
    root = saved_set(tmp_path / "set")
    file = root / "train" / "data-00000-of-00001.arrow"
    content = bytearray(file.read_bytes())
    found = 0
    for place in range(len(content) - 4):  # offsets of the pictures: 0, size, 2 * size
        size = len((tmp_path / "a.png").read_bytes())
        if content[place : place + 8] == size.to_bytes(4, "little") + (2 * size).to_bytes(4, "little"):
            content[place : place + 4] = (2**30).to_bytes(4, "little")
            found += 1
    assert found
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be loaded"):
        HuggingFaceSource(root)
