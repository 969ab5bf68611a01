"""A small part of benchmarks/fuzz.py: mutated inputs are read, or answered with one sentence."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from aucue.errors import InputError

ROOT = Path(__file__).parent.parent
SLOW = ("training: checkpoint", "explanations", "videos", "hugging face", "evaluation: faces", "seconds")
"""Kinds that tests of their own mutate."""


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return import_module("fuzz")


@pytest.mark.parametrize("family", ["tables", "data_sets", "photographs"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_inputs_are_read_or_refused(fuzz: ModuleType, family: str, tmp_path: Path):
    kinds = getattr(import_module("fuzz_inputs"), family)(tmp_path / family)
    kinds = {name: kind for name, kind in kinds.items() if name not in SLOW}
    tallies = fuzz.fuzz(kinds, count=25 * len(kinds), seed=1)
    assert {name: dict(tally.wrong) for name, tally in tallies.items() if tally.wrong} == {}
    assert sum(tally.refused for tally in tallies.values()) > 5 * len(kinds)


def test_what_is_wrong_is_counted(fuzz: ModuleType, tmp_path: Path):
    """The check itself can fail: an error that is no sentence, and a sentence of two lines."""
    file = tmp_path / "a"
    file.write_text("content")

    class Lines(InputError):
        def __str__(self) -> str:
            return "one\ntwo"

    def two_lines() -> None:
        raise Lines

    class Careless:
        def __del__(self) -> None:
            raise KeyError("printed by Python, with its traceback, and ignored")

    kinds = {
        "broken": fuzz.Kind([file], lambda: {}["missing"]),
        "hangs": fuzz.Kind([file], lambda: None),
        "lines": fuzz.Kind([file], two_lines),
        "ignored": fuzz.Kind([file], lambda: Careless() and None),
    }
    tallies = fuzz.fuzz(kinds, count=12, seed=0, keep=tmp_path / "kept")
    assert [tally.wrong.total() for tally in tallies.values()] == [3, 0, 3, 3]
    assert file.read_text() == "content"
    assert len(list((tmp_path / "kept").glob("*.input"))) == 3
