"""Functions take few arguments, more than eight for a reason and by name; a class has its name for itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import aucue

SOURCE = Path(aucue.__file__).parent
MOST, MOST_BY_POSITION = 8, 5

REASONS = {
    "cli/benchmark.py command": "the options of `aucue benchmark`, each documented there",
    "cli/export.py command": "the options of `aucue export`, each documented there",
    "cli/prepare.py _prepare": "the options that `aucue prepare` has for every source",
    "cli/serve.py command": "the options of `aucue serve`, each documented there",
    "classifiers/classifier.py __init__": "what a network is rebuilt from: the entries of a model file",
    "classifiers/transformers/apvit.py __init__": "the numbers that the authors publish of their network",
    "data/preparation.py prepare": "the options of `aucue prepare`",
    "data/sources/hugging_face.py __init__": "the options of `aucue prepare huggingface`",
    "data/sources/synthetic.py __init__": "the options of `aucue prepare synthetic`",
    "guidance/guide.py __init__": "all of guidance in one call, for the training loops of others",
}


def signatures() -> Iterator[tuple[str, int, int]]:
    """Name of every function, how many parameters it has, and how many of them by position."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                by_position = [entry.arg for entry in (*node.args.posonlyargs, *node.args.args)]
                own = len(by_position) - (by_position[:1] in (["self"], ["cls"]))
                name = f"{path.relative_to(SOURCE).as_posix()} {node.name}"
                yield name, own + len(node.args.kwonlyargs), own


def test_more_than_eight_parameters_have_a_reason() -> None:
    found = list(signatures())
    assert len(found) > 1500
    many = {name: (number, by_position) for name, number, by_position in found if number > MOST}
    assert 0 < len(many) <= len(REASONS)
    assert many.keys() <= REASONS.keys(), "group them in a record of settings, or say why not"
    crowded = [name for name in many if many[name][1] > MOST_BY_POSITION]
    assert not crowded, "let them be given by name"


def test_no_two_classes_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            homes.setdefault(node.name, []).append(path.relative_to(SOURCE).as_posix())
    assert len(homes) > 100
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}
