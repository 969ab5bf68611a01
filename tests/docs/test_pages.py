"""Pages that are written by a script are those the script would write; commands that pages show exist."""

import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from aucue.cli.arguments import Parser, add_parameters, parse
from aucue.cli.prepare import make_parser
from aucue.cli.train import run as train
from aucue.data.sources.registry import SOURCES

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_methods_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    assert (ROOT / "docs" / "methods.md").read_text() == script["page"](), "run docs/make_methods.py"


def shown_commands(page: str) -> list[str]:
    """The lines of a page's code blocks that call aucue."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("aucue ")]


class Parsed(Exception):
    """Raised in place of what a command would do."""


def parse_train(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(parser: Parser, settings: object) -> None:
        raise Parsed

    monkeypatch.setattr(Parser, "instantiate", stop)
    with pytest.raises(Parsed):
        train(arguments)


@pytest.mark.parametrize(
    "line",
    sorted({line for page in PAGES for line in shown_commands(page)}),
    ids=lambda line: line[6:60],
)
def test_commands_of_the_pages_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, command, *arguments = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "1"), comments=True)
    if command == "train":
        parse_train(arguments, monkeypatch)
    elif command == "prepare":
        assert parse(make_parser(arguments[0], SOURCES[arguments[0]]), arguments[1:])["out"] is not None
    else:
        parser = Parser(prog=command)
        add_parameters(parser, import_module(f"aucue.cli.{command.replace('-', '_')}").command)
        parse(parser, arguments)


def test_every_source_has_a_section() -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "docs" / "datasets.md").read_text(), re.MULTILINE)
    named = [name for heading in headings for name in re.findall(r"`([\w-]+)`", heading)]
    assert sorted(named) == sorted(SOURCES)
    commands = map(str.split, shown_commands("datasets.md"))
    shown = {words[2] for words in commands if words[1] == "prepare"}
    assert shown == set(SOURCES)
