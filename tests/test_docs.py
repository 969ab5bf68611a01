"""Pages that are written by a script are those the script would write; commands that pages show exist."""

import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from aucue.cli.arguments import Parser, add_parameters, parse
from aucue.cli.prepare import make_parser
from aucue.data.sources import SOURCES

ROOT = Path(__file__).parent.parent


def test_methods_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    assert (ROOT / "docs" / "methods.md").read_text() == script["page"](), "run docs/make_methods.py"


def shown_commands(page: str) -> list[str]:
    """The lines of a page's code blocks that call aucue."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("aucue ")]


def parser_of(command: str, first: str) -> tuple[Parser, bool]:
    """The parser of a command, and whether the first argument has named it."""
    if command == "prepare":
        return make_parser(first, SOURCES[first]), True
    parser = Parser(prog=command)
    add_parameters(parser, import_module(f"aucue.cli.{command.replace('-', '_')}").command)
    return parser, False


@pytest.mark.parametrize(
    "line",
    sorted({*shown_commands("datasets.md"), *shown_commands("reproduce.md")}),
    ids=lambda line: line[6:60],
)
def test_commands_of_the_pages_parse(line: str) -> None:
    _, command, *arguments = shlex.split(line, comments=True)
    parser, named = parser_of(command, arguments[0])
    assert parse(parser, arguments[named:])["out"] is not None


def test_every_source_has_a_section() -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "docs" / "datasets.md").read_text(), re.MULTILINE)
    named = [name for heading in headings for name in re.findall(r"`([\w-]+)`", heading)]
    assert sorted(named) == sorted(SOURCES)
    shown = {line.split()[2] for line in shown_commands("datasets.md")}
    assert shown == set(SOURCES)
