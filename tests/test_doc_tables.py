"""Tables that scripts bring into pages: every one has its place."""

from pathlib import Path

import pytest

from box import robustness
from experiments import paper_page
from experiments.doc_tables import block, paste, table

ROOT = Path(__file__).parent.parent
PLACES = {
    "docs/recipe.md": (
        "trials",
        "evidence-trials",
        "box-trials",
        "box-mixes",
        "box-steady",
        "box-causes",
        "where-costs",
        "box-teachers",
        "box-taught",
    ),
    "docs/results.md": paper_page.NAMES,
    "docs/evidence.md": ("targets", "main", "recall", "measures"),
    "MODEL_CARD.md": (
        *robustness.TABLES,
        "sets",
        "detectors",
        "expressions",
        "calibration",
        "evidence",
        "speed",
    ),
}


@pytest.mark.parametrize("page", PLACES)
def test_every_table_has_one_place(page: str, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text((ROOT / page).read_text())
    texts = {name: block(name, f"new {name} \\1") for name in PLACES[page]}
    paste(copy, texts)
    assert all(copy.read_text().count(text) == 1 for text in texts.values())
    with pytest.raises(SystemExit, match="0 places"):
        paste(copy, {"other": ""})


def test_columns_but_the_first_lie_to_the_right() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
