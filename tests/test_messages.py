"""One voice: every deliberate error of the source is a sentence of the same make."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aucue.errors
from aucue.errors import AucueError, said

SOURCE = Path(aucue.errors.__file__).parent
ERRORS = {name for name, value in vars(aucue.errors).items() if isinstance(value, type)} | {"Forbidden"}
QUESTION = "did_you_mean"  # its answer, " Did you mean 'x'?", follows a full stop
LOCATION = re.compile(r"[\w.-]+[:,]|--|'|\(|it |torch\.|dlib |timm ")  # what may begin in small letters


def messages(tree: ast.AST) -> Iterator[tuple[int, list[ast.expr]]]:
    """Line and parts of the text of each deliberate error that is made in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
            text = node.args[0]
            if name in ERRORS and isinstance(text, ast.JoinedStr | ast.Constant):
                yield node.lineno, text.values if isinstance(text, ast.JoinedStr) else [text]


def faults(parts: list[ast.expr], names: set[str]) -> list[str]:
    """What is not in the common voice in a message; `names` are those that the module knows."""
    texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
    found = [f"quotes with {mark}" for mark in ('"', "`") if any(mark in text for text in texts)]
    if isinstance(parts[-1], ast.FormattedValue) and QUESTION in ast.unparse(parts[-1].value):
        parts = parts[:-1]
    end = parts[-1]
    if not (isinstance(end, ast.Constant) and str(end.value).endswith(".") and not _doubled(parts)):
        found.append("does not end with one full stop")
    start = parts[0]
    if isinstance(start, ast.Constant):
        word = re.match(r"\w*", str(start.value))
        small = str(start.value)[:1].islower() and not LOCATION.match(str(start.value))
        if small and word and word[0] not in names:
            found.append("begins neither with where nor with a capital letter")
    return found


def _doubled(parts: list[ast.expr]) -> bool:
    """Whether another error's sentence, which has a full stop, comes before the last one."""
    return (
        len(parts) > 1
        and str(getattr(parts[-1], "value", "")) == "."
        and isinstance(parts[-2], ast.FormattedValue)
        and ast.unparse(parts[-2].value) in ("error", "str(error)")
    )


def names_in(tree: ast.AST) -> set[str]:
    """Names of arguments, variables and fields of a module: a message may begin with one."""
    return {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


def test_messages_have_one_voice() -> None:
    count, wrong = 0, []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, parts in messages(tree):
            count += 1
            wrong += [
                f"{path.relative_to(SOURCE)}:{line}: {fault}" for fault in faults(parts, names_in(tree))
            ]
    assert count > 400
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("InputError(f'{path}: no such file')", "does not end with one full stop"),
        ("InputError(f'{path}: {error}')", "does not end with one full stop"),
        ("InputError(f'{path}: cannot be read: {error}.')", "does not end with one full stop"),
        ("InputError(f'{path}: no column \"{name}\".')", 'quotes with "'),
        ("InputError('The setting `name` is no text.')", "quotes with `"),
        ("errors.HubError('the hub is away.')", "begins neither with where nor with a capital letter"),
        ("InputError(f'{path}: no such file.')", None),
        ("InputError(f'There is no {x!r}.{did_you_mean(x, known)}')", None),
        ("InputError(f'fps must be more than 0, got {fps:g}.', fps=fps.fps)", None),
    ],
)
def test_a_fault_is_found(code: str, fault: str | None) -> None:
    tree = ast.parse(code)
    ((_, parts),) = messages(tree)
    assert faults(parts, names_in(tree)) == ([] if fault is None else [fault])


def test_what_others_say_is_part_of_a_sentence() -> None:
    assert said(AucueError("The file is damaged.")) == "The file is damaged"
    assert said(ValueError("two\n  lines")) == "two lines"
    assert said(ValueError("data:\n1,2,3"), first_line=True) == "data:"
    assert said(ValueError()) == "ValueError"
    assert said(FileNotFoundError(2, "No such file or directory", "a.jpg")) == "No such file or directory"
    assert said(ValueError("a" * 1000)) == "a" * 400 + "..."
    assert said(ValueError("\x1b[31mred")) == r"\x1b[31mred"
