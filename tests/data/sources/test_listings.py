"""Lists and small files beside photographs."""

import os
import unicodedata
from pathlib import Path

import pytest

from aucue.data.sources.expected import Finding
from aucue.data.sources.listings import (
    LISTED,
    find_files,
    list_findings,
    names_in,
    read_each,
    read_lines,
    shorten,
)
from aucue.errors import InputError


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbfa 1\r\n\r\n  b\t2  \r\n", b"a 1\n\n b\t2", b"a 1\r\rb\t2\r"],
    ids=["dos", "unix", "mac"],
)
def test_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    assert read_lines(path) == [(1, "a 1"), (3, "b\t2")]


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"caf\xe9 1\n")
    assert read_lines(tmp_path / "list.txt") == [(1, "caf\ufffd 1")]
    with pytest.raises(InputError, match=r"nothing\.txt cannot be read"):
        read_lines(tmp_path / "nothing.txt")


def test_files_are_found_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/One.JPG", "a/two.jpg", "three.jpg", "a/.hidden.jpg"):
        (tmp_path / name).touch()
    assert names_in(tmp_path / "a") == {"one.jpg": "One.JPG", "two.jpg": "two.jpg"}
    assert names_in(tmp_path / "b") == {}
    paths = ["a/one.jpg", "a/two.jpg", "a/four.jpg", "three.jpg", "b/one.jpg"]
    assert find_files(tmp_path, paths) == {
        "a/one.jpg": "a/One.JPG",
        "a/two.jpg": "a/two.jpg",
        "three.jpg": "three.jpg",
    }


def test_folders_are_found_however_their_names_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accented = unicodedata.normalize("NFD", "café")  # as a Mac unpacks it
    for name in (f"Train/{accented}/a.jpg", "Train/other/b.JPG", "c.jpg", "C.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    looked, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: looked.append(folder) or listdir(folder))
    paths = ["train/café/a.jpg", "train/café/b.jpg", "./TRAIN/other/b.jpg", "c.jpg", "C.jpg"]
    assert find_files(tmp_path, paths) == {
        "train/café/a.jpg": f"Train/{accented}/a.jpg",
        "./TRAIN/other/b.jpg": "Train/other/b.JPG",
        "c.jpg": "c.jpg",
        "C.jpg": "C.jpg",
    }
    assert len(looked) == len(set(looked)) == 4


def test_no_path_leads_above_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.jpg").touch()
    paths = ["../a.jpg", str(tmp_path / "a.jpg"), "x/../../a.jpg", "a/" * 5000 + "a.jpg"]
    assert find_files(tmp_path / "inner", paths) == {}


def test_values_come_in_the_order_of_the_items() -> None:
    assert read_each(lambda number: number**2, range(1000)) == [number**2 for number in range(1000)]
    assert read_each(str, []) == []


def test_findings_name_the_number_and_then_each(tmp_path: Path) -> None:
    def findings(places: list[str], of: int) -> list[Finding]:
        return list_findings(places, of, "photographs", "missing", tmp_path)

    assert findings([], 3) == []
    assert findings(["a.jpg"], 1) == [Finding(str(tmp_path / "a.jpg"), "missing")]
    assert findings(["a.jpg", "b.jpg"], 1500) == [
        Finding(str(tmp_path), "2 of 1,500 photographs are missing"),
        Finding(str(tmp_path / "a.jpg"), "missing"),
        Finding(str(tmp_path / "b.jpg"), "missing"),
    ]
    assert findings(["a.jpg", "b.jpg"], 2) == [Finding(str(tmp_path), "all 2 photographs are missing")]
    assert len(findings([str(number) for number in range(2 * LISTED)], 9999)) == 1 + LISTED


def test_too_many_findings_are_cut(tmp_path: Path) -> None:
    few = [Finding("a", "odd")] * LISTED
    assert shorten(few, tmp_path) == few
    assert shorten([*few, *few, few[0]], tmp_path) == [
        *few,
        Finding(str(tmp_path), f"{LISTED + 1:,} more of the same kind"),
    ]
