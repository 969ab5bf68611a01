import inspect
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from aucue.cli.main import main
from aucue.data import open_prepared
from aucue.data.sources.registry import SOURCES


def _collection(root: Path) -> Path:
    for grey, name in enumerate(("train/happy/a.png", "train/sad/b.png", "test/happy/c.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 100 + grey).convert("RGB").save(root / name)
    return root


def _prepare(*arguments: str | Path) -> int:
    return main(["prepare", *map(str, arguments), "--detector", "none", "--size", "16", "--workers", "1"])


def test_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    assert _prepare("folder", "--root", _collection(tmp_path / "raw"), "--out", out) == 0
    text = capsys.readouterr().out
    assert "raw: faces found, and problems" in text
    assert [line.split() for line in text.splitlines() if "│ train" in line] == [
        ["│", "train", "│", "2", "│", "2", "│", "2", "│"]
    ]
    assert "│ sadness   │     1 │    0 │" in text
    assert (
        "Warning: no neutral, 1 happiness, no surprise, no fear, no anger, no disgust, 1 sadness to train on"
        in text
    )
    assert "Warning: no face was found in 3 of 3 pictures" in text
    assert text.endswith(f"Next:  aucue inspect {out}\n")
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
        (("folder",), "Missing: --root"),
        (("folds", "--root", "x"), "Missing: --images"),
        (("csv", "--root", "absent"), "absent/labels.csv: no such table"),
        (("folder", "--root", "absent"), "absent is not a folder"),
        (("folder", "--root", "absent", "--labels", "x"), "There is no option '--labels'"),
        (("synthetic", "--trian", "3"), "There is no option '--trian'. Did you mean '--train'?"),
        (
            ("ferplus", "--root", "x", "--labels", "hard"),
            "--labels: expected one of majority, soft, got hard",
        ),
        (("affectnet", "--root", "x", "--classes", "9"), "--classes: expected one of 7, 8, got 9"),
        (("afectnet", "--root", "x"), "There is no source 'afectnet'; choose from folder, "),
        (("--size", "8"), "There is no source '--size'; choose from folder, csv, raf-db, "),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert _prepare(*arguments, "--out", tmp_path / "set") == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("aucue prepare")
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize(("arguments", "status"), [((), 2), (("--help",), 0), (("-h",), 0)])
def test_sources_are_listed(
    arguments: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", *arguments]) == status
    text = capsys.readouterr().out
    assert "\n  csv        Photographs named by a CSV table with the columns `file` and `label`.\n" in text
    assert [line.split()[0] for line in text.split("Sources:\n")[1].split("\n\n")[0].splitlines()] == [
        *SOURCES
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each parameter of each constructor is an option with a text, and so are the common ones."""
    assert main(["prepare", name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: aucue prepare {name}")
    options = text.split("options:")[1]
    for parameter in (*inspect.signature(SOURCES[name]).parameters, "out", "engine", "size"):
        assert f"  --{parameter.replace('_', '-')}" in options
    assert not re.search(r"\n  --\S+( \S+| \{[^}]*\}| [A-Z_]+ \[.*)?\n  --", options), (
        "an option lacks a text"
    )


def test_synthetic_faces_are_drawn_no_smaller_than_their_crops(tmp_path: Path) -> None:
    def drawn(size: int) -> int:
        out = tmp_path / str(size)
        line = f"prepare synthetic --train 2 --val 0 --test 0 --workers 1 --out {out} --size {size}"
        assert main(line.split()) == 0
        return json.loads((out / "aucue.json").read_text())["settings"]["source"]["size"]

    assert (drawn(32), drawn(120)) == (112, 120)


def test_findings_are_shown_and_give_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = " ".join(["128"] * 48 * 48)
    rows = [f"{number % 7},{pixels},Training" for number in range(3)]
    (tmp_path / "fer2013.csv").write_text(
        "\n".join(["emotion,pixels,Usage", *rows, "9,1 2 3,Training"]) + "\n"
    )
    out = tmp_path / "set"
    assert _prepare("fer2013", "--root", tmp_path, "--name", "few", "--out", out) == 1
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if line.startswith("Found")]
    assert found[0] == f"Found: {tmp_path}/fer2013.csv, line 5: 3 pixels instead of 2304; left out."
    assert found[1] == "Found: train/anger: 1 sample instead of 3,995."
    assert (len(found), found[10]) == (11, f"Found 12 more; see {out}/findings.csv")
    assert len((out / "findings.csv").read_text().splitlines()) == 23
    description = json.loads((out / "aucue.json").read_text())
    assert (description["name"], description["findings"], description["samples"]) == ("few", 22, {"train": 3})


def test_soft_labels_and_eight_classes(tmp_path: Path) -> None:
    pixels = " ".join(["128"] * 48 * 48)
    votes = ["0,0,0,0,0,0,0,8,2,0", "4,6,0,0,0,0,0,0,0,0"]
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,{pixels},Training\n0,{pixels},Training\n")
    answers = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [f"Training,fer{number}.png,{line}" for number, line in enumerate(votes)]
    (tmp_path / "fer2013new.csv").write_text("\n".join([f"Usage,Image name,{answers}", *rows]) + "\n")
    options = ("--labels", "soft", "--contempt", "--out", tmp_path / "set")
    assert _prepare("ferplus", "--root", tmp_path, *options) == 1  # far fewer pictures than there should be
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert dataset.labels.tolist() == [7, 1]
    assert dataset.probabilities is not None
    assert dataset.probabilities[1].tolist() == pytest.approx([0.4, 0.6, 0, 0, 0, 0, 0, 0])


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


def test_out_inside_the_root_is_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _collection(tmp_path / "raw")
    for root_of_set, out in ((root, root / "set"), (root, root / "train" / "happy" / "set")):
        for _ in range(2):
            assert _prepare("folder", "--root", root_of_set, "--out", out) == (0 if out.parent == root else 1)
    assert "left out: aucue wrote this folder" in capsys.readouterr().out  # the first, beside the second


def test_names_reach_the_terminal_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _collection(tmp_path / "raw[bold]:smile:\x1b[31m")
    assert _prepare("folder", "--root", root, "--out", tmp_path / "set") == 0
    said = capsys.readouterr().out
    assert r"raw[bold]:smile:\x1b[31m: faces found" in said
    assert "\x1b" not in said
