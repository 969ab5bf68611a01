"""What commands print: names of any kind arrive as text."""

from pathlib import Path

import pytest
from rich.table import Table

from aucue.work.progress import tracked
from aucue.work.terminal import Terminal

NAME, SHOWN = "[red]a[/red]:smile:\x1b[31m\u202e.jpg", r"[red]a[/red]:smile:\x1b[31m\u202e.jpg"
SRC = Path(__file__).parents[2] / "src" / "aucue"


def test_every_way_of_printing(capsys: pytest.CaptureFixture[str]):
    terminal = Terminal()
    terminal.say(f"{NAME}\nnext", NAME)
    table = Table(NAME, title=NAME)
    table.add_row(NAME)
    terminal.print(table, NAME)
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 6
    assert printed.startswith(f"{SHOWN}\nnext\n{SHOWN}\n")
    assert "\x1b" not in printed


def test_a_long_line_is_not_wrapped(capsys: pytest.CaptureFixture[str]):
    Terminal(stderr=True).say("x" * 300)
    assert capsys.readouterr().err == "x" * 300 + "\n"


def test_a_progress_bar_of_any_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    assert list(tracked(iter("abc"), NAME, total=3)) == ["a", "b", "c"]
    shown = capsys.readouterr().err
    assert SHOWN in shown
    assert "\x1b[31m\u202e" not in shown
    assert list(tracked(iter("abc"), None, total=3)) == ["a", "b", "c"]
    assert not capsys.readouterr().err


def test_there_is_one_console():
    own = [path for path in SRC.rglob("*.py") if "rich.console import Console" in path.read_text()]
    assert own == [SRC / "work" / "terminal.py"]
