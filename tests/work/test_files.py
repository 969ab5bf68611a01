import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from aucue.errors import InputError
from aucue.work import appearing, cell, claimed, files, inside, printable, read_json, write_json
from aucue.work.files import LOCK_FILE


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    _write_half(path)
    assert read_json(path, "write it again") == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def _write_half(path: Path) -> None:
    with suppress(KeyError), appearing(path) as unfinished:
        unfinished.write_text("half")
        raise KeyError


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_damaged_json_is_one_sentence_that_names_the_file(tmp_path: Path, content: bytes):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json .*; write it again\.$"):
        read_json(tmp_path / "a.json", "write it again")


@pytest.mark.parametrize(
    "name", ["a.png", "sub/a.png", "..a", "a b", "ä.jpg", "link-within/a", "clip 00:01:00.jpg", "sub/a:b"]
)
def test_names_that_stay_inside(tmp_path: Path, name: str):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link-within").symlink_to(tmp_path / "sub")
    assert inside(tmp_path, name, "list.jsonl") == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "sub/../../a",
        "/etc/hostname",
        "a//b",
        "C:\\a",
        "C:/a",
        "c:a",
        "..\\a",
        "a\0",
        "link/a",
        5,
        None,
        ["a"],
    ],
)
def test_names_that_lead_out(tmp_path: Path, name: object):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"^list\.jsonl: "):
        inside(folder, name, "list.jsonl")


def test_a_colon_is_in_no_name_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "_NEVER_IN_NAMES", "\\:")
    with pytest.raises(InputError, match=r"'a\.jpg:stream' is no name of a file"):
        inside(tmp_path, "a.jpg:stream", "list.jsonl")


def test_a_folder_is_claimed_by_one_process(tmp_path: Path):
    script = (
        "from pathlib import Path\nfrom aucue.work import claimed\nimport sys\n"
        "with claimed(Path(sys.argv[1])): pass"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with claimed(tmp_path):
        second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 1
    assert "Another process is writing to" in second.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_control_characters_are_shown_not_sent():
    assert printable("a\x1b[31mb\n\udcff\u202eß") == "a\\x1b[31mb\\n\\udcff\\u202eß"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("@a", "'@a"),
        ("-x.jpg", "'-x.jpg"),
        ("\t=a", "'\t=a"),
        ("a=1", "a=1"),
        (-1.5, -1.5),
    ],
)
def test_cells_are_no_formulas(value: object, expected: object):
    assert cell(value) == expected


def test_a_claim_sweeps_what_a_killed_process_left(tmp_path: Path):
    left, mine = tmp_path / f".{'0' * 16}.unfinished.json", tmp_path / ".unfinished.json"
    for lock_file, is_left in (("other.lock", True), (LOCK_FILE, False)):
        left.touch()
        mine.touch()
        with claimed(tmp_path, lock_file):
            assert (left.exists(), mine.exists()) == (is_left, True)
    with appearing(left) as unfinished:
        unfinished.touch()
        assert files._LEFT_OVER.fullmatch(unfinished.name)
