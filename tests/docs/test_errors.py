"""Every message that docs/errors.md quotes is one that the source has."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUOTED = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)


def wording(node: ast.expr) -> str:
    """A text of the source with … for what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(wording, values))
        case _:
            return "…"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py")]
    kinds = (ast.Constant, ast.JoinedStr)
    return [wording(node) for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]


def test_page_quotes_messages() -> None:
    assert len(QUOTED) > 25
    assert len(set(QUOTED)) == len(QUOTED)
    assert all(message.endswith((".", "…")) for message in QUOTED)


@pytest.mark.parametrize("message", QUOTED)
def test_quoted_message_is_in_the_source(message: str, texts: list[str]) -> None:
    # An … in the page stands for anything, also for parts of a text that the source writes as such.
    pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in texts), f"no message of the source reads: {message}"


def test_a_message_that_is_not_there_would_be_noticed(texts: list[str]) -> None:
    assert not any("the face detector dlib is missing" in text for text in texts)
