"""The tables of docs/evidence.md: their places in the page, and figures by hand."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.evaluation.handmade import make_evaluation

ROOT = Path(__file__).parent.parent
BLOCKS = ("targets", "measures", "controls", "room", "expressions", "seeds")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("evidence_tables")


def test_every_table_has_one_place(tables: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text((ROOT / "docs" / "evidence.md").read_text())
    texts = {name: f"<!-- {name} -->\nnew {name} \\1\n<!-- /{name} -->" for name in BLOCKS}
    tables.paste(page, texts)
    assert all(page.read_text().count(text) == 1 for text in texts.values())
    with pytest.raises(SystemExit, match="0 places"):
        tables.paste(page, {"other": ""})


def results(tables: ModuleType, **columns: dict[str, list[list[float]]]):
    """Faces of happiness (two) and fear (one); column -> arm -> seed -> values."""
    labels = np.array(["happiness", "happiness", "fear"])
    found = {
        arm: [
            {name: np.array(arms[arm][seed]) for name, arms in columns.items()}
            for seed in range(len(next(iter(columns.values()))[arm]))
        ]
        for arm in ("unguided", "aucue")
    }
    return tables.Results(make_evaluation([*labels], [*labels], [0.5] * 3), labels, found)


def test_ratio_of_means_over_seeds(tables: ModuleType) -> None:
    made = results(
        tables,
        above={"unguided": [[0.1, 0.3, 0.4], [0.2, 0.2, 0.2]], "aucue": [[0.6, 0.6, 0.6]] * 2},
        below={"unguided": [[0.2, 0.2, 0.2]] * 2, "aucue": [[0.2, 0.2, np.nan], [0.4, 0.4, 0.4]]},
    )
    found = made.estimate(tables.Figure("ratio", "higher", {"above": 1.0}, per="below"))
    # Means per expression, over expressions, over seeds: ((0.2 + 0.4) / 2 + 0.2) / 2 and 0.2; 0.6 and 0.3.
    assert found.values == pytest.approx([0.25 / 0.2, 0.6 / 0.3])
    assert found.verdict(1, 0, "lower") == "no"
    gain = made.estimate(tables.Figure("gain", "higher", {"above": 1.0, "below": -1.0}, macro=False))
    # Means over faces: 0.8 / 3 and 0.2; the face without a value takes no part in its column.
    assert gain.values == pytest.approx([(0.8 / 3 + 0.2) / 2 - 0.2, 0.6 - 0.3])


def test_differences_are_paired(tables: ModuleType) -> None:
    base = [[0.1, 0.9, 0.4], [0.5, 0.2, 0.7]]
    made = results(tables, m={"unguided": base, "aucue": [[v + 0.01 for v in its] for its in base]})
    found = made.estimate(tables.Figure("m", "higher", {"m": 1.0}))
    assert found.difference(1, 0, "higher") == "**+0.010 (+0.010 to +0.010)**"
    assert found.difference(0, 1, "higher") == "-0.010 (-0.010 to -0.010)"
    assert (found.verdict(1, 0, "higher"), found.verdict(1, 0, "near 0")) == ("yes", "not clear")
