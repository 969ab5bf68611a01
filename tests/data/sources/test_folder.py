import logging
import os
import pickle
from pathlib import Path

import pytest
from PIL import Image

from aucue.data import FolderSource
from aucue.data.sources.expected import Finding
from aucue.errors import InputError
from aucue.work.files import LOCK_FILE


def _place(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "PNG")


def test_folders_of_splits_and_labels(tmp_path: Path) -> None:
    _place(
        tmp_path,
        "train/happy/b.png",
        "train/happy/a.JPG",
        "Validation/Sadness/deep/c.png",
        "test/anger/d.png",
    )
    source = FolderSource(tmp_path)
    found = [(s.key, s.label, s.split) for s in (source[i] for i in range(len(source)))]
    assert found == [
        ("Validation/Sadness/deep/c.png", "sadness", "val"),
        ("test/anger/d.png", "anger", "test"),
        ("train/happy/a.JPG", "happiness", "train"),
        ("train/happy/b.png", "happiness", "train"),
    ]
    assert source[0].image == tmp_path / "Validation/Sadness/deep/c.png"
    assert source.classes[0] == "neutral"
    assert len(source.classes) == 7


def test_folders_of_labels_are_one_split(tmp_path: Path) -> None:
    _place(tmp_path, "contempt/a.png", "neutral/b.png")
    source = FolderSource(tmp_path, classes=("neutral", "contempt"), split="test", name="mine")
    assert [(source[i].label, source[i].split) for i in range(2)] == [
        ("contempt", "test"),
        ("neutral", "test"),
    ]
    assert source.name == "mine"


def test_other_files_are_ignored_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _place(tmp_path, "anger/a.png")
    (tmp_path / "anger" / "notes.txt").write_text("x")
    (tmp_path / "anger" / ".hidden.png").write_text("x")
    (tmp_path / "readme.md").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert len(FolderSource(tmp_path)) == 1
    assert "1 files ignored" in caplog.text


def test_provenance_tells_collections_apart(tmp_path: Path) -> None:
    _place(tmp_path, "anger/a.png")
    before = FolderSource(tmp_path).provenance
    assert FolderSource(tmp_path).provenance == before
    _place(tmp_path, "anger/b.png")
    assert FolderSource(tmp_path).provenance != before


def test_travels_to_other_processes(tmp_path: Path) -> None:
    _place(tmp_path, "anger/a.png")
    assert pickle.loads(pickle.dumps(FolderSource(tmp_path)))[0] == FolderSource(tmp_path)[0]


def test_unknown_label_names_folder_and_neighbour(tmp_path: Path) -> None:
    _place(tmp_path, "train/hapiness/a.png")
    with pytest.raises(
        InputError, match=r"hapiness: unknown label 'hapiness'; known labels: neutral, .*happiness"
    ):
        FolderSource(tmp_path)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (lambda root: None, "no pictures found; expected <split>/<label>"),
        (lambda root: (root / "anger").mkdir(), "no pictures found"),
        (lambda root: root.rmdir(), "is not a folder"),
    ],
)
def test_nothing_there(tmp_path: Path, setup, message: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    setup(root)
    with pytest.raises(InputError, match=message):
        FolderSource(root)


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown split 'dev'; known splits: train, val, test"):
        FolderSource(tmp_path, split="dev")


def test_what_aucue_wrote_is_no_photograph(tmp_path: Path) -> None:
    _place(tmp_path, "anger/a.png", "sets/x.png", "anger/explained/b.png")
    (tmp_path / "anger" / "explained" / LOCK_FILE).touch()
    source = FolderSource(tmp_path, out=tmp_path / "sets")
    assert [source[i].key for i in range(len(source))] == ["anger/a.png"]
    where = str(tmp_path / "anger" / "explained")
    assert source.findings == [Finding(where, "left out: aucue wrote this folder")]


def _refuse(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a folder be unreadable, to the superuser as well."""
    scandir = os.scandir

    def refuse(path: str | Path = "."):
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def _keys(source: FolderSource) -> list[str]:
    return [source[index].key for index in range(len(source))]


def test_folders_behind_links_are_searched_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _place(root, "anger/a.png", "anger/z/b.png", "fear/c.png")
    _place(tmp_path, "elsewhere/d.png", "elsewhere/deep/e.png")
    (root / "anger" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "anger" / "again").symlink_to(tmp_path / "elsewhere" / "deep")
    (root / "anger" / "b").symlink_to(root / "anger" / "z")
    (tmp_path / "elsewhere" / "deep" / "loop").symlink_to(tmp_path / "elsewhere")
    source = FolderSource(root, split="train")
    assert _keys(source) == [
        "anger/a.png",
        "anger/z/b.png",
        "anger/again/e.png",
        "anger/linked/d.png",
        "fear/c.png",
    ]
    assert source.findings == []


def test_a_link_to_a_folder_above_brings_no_other_label(tmp_path: Path) -> None:
    _place(tmp_path, "anger/a.png", "fear/b.png")
    (tmp_path / "anger" / "up").symlink_to(tmp_path)
    source = FolderSource(tmp_path, split="train")
    assert _keys(source) == ["anger/a.png", "fear/b.png"]
    where = str(tmp_path / "anger" / "up")
    assert source.findings == [Finding(where, "left out: it links to a folder that it lies in")]


def test_links_that_lead_nowhere_are_findings(tmp_path: Path) -> None:
    _place(tmp_path, "anger/a.png")
    for name in ("anger/linked", "fear"):
        (tmp_path / name).symlink_to(tmp_path / "unmounted")
    source = FolderSource(tmp_path, split="train")
    assert _keys(source) == ["anger/a.png"]
    assert source.findings == [
        Finding(str(tmp_path / name), "left out: a link that leads nowhere")
        for name in ("fear", "anger/linked")
    ]


def test_folders_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _place(tmp_path, "anger/a.png", "anger/deep/b.png")
    what = "left out: it cannot be read: Permission denied"
    with monkeypatch.context() as patch:
        _refuse(patch, tmp_path / "anger" / "deep")
        source = FolderSource(tmp_path, split="train")
    assert _keys(source) == ["anger/a.png"]
    assert source.findings == [Finding(str(tmp_path / "anger" / "deep"), what)]
    _refuse(monkeypatch, tmp_path / "anger")
    with pytest.raises(InputError, match=f"no pictures.*anger: {what}"):
        FolderSource(tmp_path, split="train")
