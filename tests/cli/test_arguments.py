"""Parsers made from signatures: what they accept, and the one line they print otherwise."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from aucue.cli.arguments import Parser, add_parameters, arguments_of, describe, parse, run_command

GIVEN = {}


def command(
    photos: list[Path],
    *,
    model: Path,
    out: Path = Path("here"),
    overwrite: bool = False,
    sharpen: bool = True,
    batch_size: int | None = None,
    share: float = 0.5,
    level: int = 0,
    how: Literal["slow", "fast"] = "slow",
    names: list[str] | None = None,
) -> int:
    """Do something with photographs.

    Args:
        photos: Photographs to take.
        model: Where the model
            is.
        out: Folder for the results.
        batch_size: How many at once.
        level: How much.
    """
    GIVEN.update(locals())
    return 7


def run(line: str) -> int:
    GIVEN.clear()
    return run_command(command, line.split(), prog="aucue test")


def test_values_have_their_types():
    assert run("a.jpg b.jpg --model 5 --batch_size 3 --share .25 --how fast --names x y") == 7
    assert {
        "photos": [Path("a.jpg"), Path("b.jpg")],
        "model": Path("5"),
        "out": Path("here"),
        "overwrite": False,
        "sharpen": True,
        "batch_size": 3,
        "share": 0.25,
        "level": 0,
        "how": "fast",
        "names": ["x", "y"],
    } == GIVEN


def test_flags():
    run("a --model m --overwrite --no-sharpen")
    assert (GIVEN["overwrite"], GIVEN["sharpen"]) == (True, False)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a --model m --ovewrite", "There is no option '--ovewrite'. Did you mean '--overwrite'?"),
        ("a --model m --batchsize 3", "There is no option '--batchsize'. Did you mean '--batch-size'?"),
        ("a --model m --zzz", "There is no option '--zzz'. See"),
        ("a", "Missing: --model"),
        ("--model m", "Missing: PHOTO"),
        ("a --model", "--model"),
        ("a --model m --batch-size many", "--batch-size: expected a whole number, got many"),
        ("a --model m --share much", "--share: expected a number, got much"),
        ("a --model m --how so", "--how: expected one of slow, fast, got so"),
    ],
)
def test_mistakes_are_one_line(line: str, complaint: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as leave:
        run(line)
    printed = capsys.readouterr()
    assert leave.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("aucue test: ")
    assert complaint in printed.err
    assert not GIVEN


def test_help_is_made_from_the_docstring(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as leave:
        run("--help")
    text = capsys.readouterr().out
    assert leave.value.code == 0
    assert "Do something with photographs." in text
    assert "PHOTO [PHOTO ...]" in text
    assert "--model FILE" in text
    assert "Where the model is. (required)" in text
    assert "--batch-size N" in text
    assert "--out DIR" in text
    assert "Folder for the results. (default: here)" in text
    assert "How much. (default: 0)" in text
    assert "--how {slow,fast}" in text


class Collection:
    """Something to be prepared.

    In the folder:

        a/b.jpg   one picture
        c.csv     a table

    - the first thing is this one, which needs more words than fit into one line of eighty characters
    - the second is short

    Args:
        root: Where it is.
        table: A table in it.
        names: Their order.
        size: How many.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        table: str | os.PathLike[str] | None = None,
        names: Sequence[str] = ("neutral", "happiness"),
        kind: str | Path = "facs",
        size: Literal[7, 8] = 7,
        other: int = 0,
    ) -> None:
        self.given = (root, table, names, kind, size)


def parsed(line: str) -> dict[str, Any]:
    parser = Parser(prog="aucue test", description=describe(Collection)[0])
    add_parameters(parser, Collection, positional=False, skip=("other",))
    return arguments_of(Collection, parse(parser, line.split()), skip=("other",))


def test_parameters_of_a_class_are_options():
    arguments = parsed("--root here --table 7.csv --names a b --kind 5 --size 8")
    assert Collection(**arguments).given == (Path("here"), Path("7.csv"), ["a", "b"], "5", 8)
    assert Collection(**parsed("--root 3")).given == (Path("3"), None, ["neutral", "happiness"], "facs", 7)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "Missing: --root"),
        ("--root x --size 9", "--size: expected one of 7, 8, got 9"),
        ("--root x --other 1", "There is no option '--other'"),
    ],
)
def test_mistakes_in_options_of_a_class(line: str, complaint: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parsed(line)
    assert complaint in capsys.readouterr().err


def test_help_of_a_class_keeps_lists_and_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    assert "\n    a/b.jpg   one picture\n    c.csv     a table\n" in text
    assert "\n- the first thing is this one, which" in text
    assert "\n- the second is short\n" in text
    assert "--root DIR" in text
    assert "--table FILE" in text
    assert "Their order. (default: neutral happiness)" in text


def command_with_a_choice(photo: Path | None = None, *, out: Path = Path("here")) -> int:
    """Do something with one photograph.

    Args:
        photo: Photograph to take; by default one of ours.
        out: Folder for the results.
    """
    GIVEN.update(locals())
    return 0


@pytest.mark.parametrize(("line", "photo"), [("a.jpg --out there", Path("a.jpg")), ("--out there", None)])
def test_a_positional_argument_with_a_default_may_be_left_out(line: str, photo: Path | None):
    GIVEN.clear()
    assert run_command(command_with_a_choice, line.split(), prog="aucue test") == 0
    assert {"photo": photo, "out": Path("there")} == GIVEN


def test_what_stands_behind_two_dashes_keeps_its_name():
    GIVEN.clear()
    assert run_command(command_with_a_choice, ["--out", "there", "--", "--my_photo.jpg"], "aucue test") == 0
    assert {"photo": Path("--my_photo.jpg"), "out": Path("there")} == GIVEN


def test_its_help_says_so(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run_command(command_with_a_choice, ["--help"], prog="aucue test")
    assert "[PHOTO]" in capsys.readouterr().out


DAMAGED = {
    "a date that is none": "2001-13-45",
    "a tag": "!!timestamp x",
    "digits": "9" * 5000,
    "lists": "[" * 1000,
    "aliases": "{a: &a [x, x], b: &b [*a, *a]" + ", c: [*b, *b, *b, *b]" * 100 + "}",
    "zero byte": "a\0b",
    "escape": "\x1b[31mred",
    "broken letter": "a\udcff",
}


@pytest.mark.parametrize("value", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("option", ["--n", "--x", "--names", "--choice"])
def test_whatever_a_value_is_the_complaint_is_one_short_line(option, value, capsys):
    def command(
        *, n: int = 1, x: float = 1.0, names: list[int] | None = None, choice: Literal["a", "b"] = "a"
    ) -> int:
        """Do nothing."""
        return 0

    with pytest.raises(SystemExit) as leave:
        run_command(command, [option, value], "aucue x")
    complaint = capsys.readouterr().err
    assert leave.value.code == 2
    assert complaint.startswith("aucue x: ")
    assert complaint.endswith("\n")
    assert complaint[:-1].isprintable()
    assert len(complaint) < 400


def test_a_text_is_taken_as_it_is():
    taken = []

    def command(photo: Path, *, name: str | None = None) -> int:
        """Do nothing."""
        taken.append((photo, name))
        return 0

    for value in (*DAMAGED.values(), "a" * 300, "[x", "a: b", "*a"):
        assert run_command(command, [value, "--name", value], "aucue x") == 0
        assert taken.pop() == (Path(value), value)
