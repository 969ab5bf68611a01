import json
from pathlib import Path

import pytest
from PIL import Image

from aucue.cli.main import main


def _collection(root: Path) -> Path:
    for name in ("train/happy/a.png", "train/sad/b.png", "test/happy/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "grey").save(root / name)
    return root


def _prepare(*arguments: str | Path) -> int:
    return main(["prepare", *map(str, arguments), "--detector", "none", "--size", "16", "--workers", "1"])


def test_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    assert _prepare("folder", "--root", _collection(tmp_path / "raw"), "--out", out) == 0
    text = capsys.readouterr().out
    assert "raw: faces found, and problems" in text
    assert [line.split() for line in text.splitlines() if "train" in line] == [
        ["│", "train", "│", "2", "│", "2", "│", "2", "│"]
    ]
    assert f"Prepared set: {out}" in text
    assert json.loads((out / "aucue.json").read_text())["samples"] == {"test": 1, "train": 2}


def test_unusable_pictures_give_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _collection(tmp_path / "raw")
    (root / "train/happy/a.png").write_text("no picture")
    out = tmp_path / "set"
    assert _prepare("folder", "--root", root, "--out", out) == 1
    assert f"1 could not be used and are left out; see {out}/problems.csv" in capsys.readouterr().out
    assert "not an image" in (out / "problems.csv").read_text()


def test_csv_paths_are_relative_to_the_root(tmp_path: Path) -> None:
    root = _collection(tmp_path / "raw")
    (root / "list.csv").write_text("file,label\nhappy/a.png,contempt\nsad/b.png,neutral\n")
    arguments = (
        "--labels",
        "list.csv",
        "--images",
        "train",
        "--classes",
        "neutral",
        "contempt",
        "--split",
        "val",
    )
    assert _prepare("csv", "--root", root, "--out", tmp_path / "set", *arguments) == 0
    description = json.loads((tmp_path / "set" / "aucue.json").read_text())
    assert description["samples"] == {"val": 2}
    assert description["classes"] == ["neutral", "contempt"]


def test_synthetic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = ("--train", "3", "--val", "0", "--test", "2", "--seed", "4", "--shortcut")
    assert _prepare("synthetic", "--out", tmp_path / "set", *counts) == 0
    assert "landmarks given" in capsys.readouterr().out
    description = json.loads((tmp_path / "set" / "aucue.json").read_text())
    assert description["found"] == {"train": {"precomputed": 3}, "test": {"precomputed": 2}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("folder",), "--root is missing"),
        (("csv", "--root", "absent"), "no such table"),
        (("folder", "--root", "absent"), "absent is not a folder"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert _prepare(*arguments, "--out", tmp_path / "set") == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("aucue prepare: ")
    assert message in error
    assert "\n" not in error


def test_nothing_is_overwritten_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = _collection(tmp_path / "raw"), tmp_path / "set"
    arguments = ("folder", "--root", root, "--out", out)
    assert _prepare(*arguments) == 0
    assert "complete already" not in capsys.readouterr().out
    assert _prepare(*arguments) == 0
    assert "It was complete already; --overwrite prepares it anew." in capsys.readouterr().out
    assert _prepare(*arguments, "--template", "fg2024") == 2
    assert "prepared with other settings (template)" in capsys.readouterr().err
    assert _prepare(*arguments, "--template", "fg2024", "--overwrite") == 0
