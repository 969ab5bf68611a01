"""Published numbers against the tables printed in the design document."""

import re
from pathlib import Path

import pytest

from aucue.benchmark.published import (
    lambdas,
    layer_stacks,
    published_lambda,
    published_layers,
    published_method,
)
from aucue.classifiers import METHODS

DESIGN = Path(__file__).parents[3] / "shared" / "DESIGN.md"
BY_TITLE = {method.title: method.name for method in METHODS.values() if method.in_paper}


@pytest.fixture(scope="module")
def measures() -> str:
    """The section on measures, which prints the published tables."""
    if not DESIGN.is_file():
        pytest.skip(f"{DESIGN} not found")
    return DESIGN.read_text(encoding="utf-8").split("## 8. Measures")[1].split("## 9.")[0]


def test_tables_1_and_2(measures: str) -> None:
    lines = [line.strip("| \n").split("|") for line in measures.splitlines() if line.startswith("|")]
    header, _, *rows = [[entry.strip() for entry in line] for line in lines]
    assert header[1:] == ["RAF CL", "RAF CAM-COS", "Aff CL", "Aff CAM-COS", "RAF ATT-COS", "Aff ATT-COS"]
    sets = {"RAF": "raf-db", "Aff": "affectnet"}
    seen = 0
    for title, *entries in rows:
        for column, entry in zip(header[1:], entries, strict=True):
            set_name, measure = column.split()
            printed = [float(number) for number in entry.split(" -> ")] if entry != "-" else [None, None]
            for guided, value in zip((False, True), printed, strict=True):
                ours = published_method(sets[set_name], BY_TITLE[title], guided).get(measure)
                scale = 100 if measure == "CL" else 1
                assert ours == (None if value is None else pytest.approx(value / scale)), (title, column)
                seen += value is not None
    assert seen == (11 * 6 - 2) * 2
    assert set(BY_TITLE) == {row[0] for row in rows}


def test_table_3(measures: str) -> None:
    text = re.search(r"Table 3 \(RAF-DB, CAM; CL / CAM-COS\): (.+?)\. Figure 5", measures, re.DOTALL)
    assert text
    printed = {}
    for entry in text[1].split(";"):
        found = re.fullmatch(r"\s*(?:layer )?(\S+) (\d\d\.\d\d) / (\.\d\d)", entry)
        assert found, entry
        printed[found[1]] = {"CL": float(found[2]) / 100, "CAM-COS": float(found[3])}
    assert tuple(printed) == layer_stacks()
    for stack, values in printed.items():
        assert published_layers("raf-db", stack) == pytest.approx(values)


def test_figure_5(measures: str) -> None:
    text = re.search(r"lambda: ATT-COS CAM-COS CL\): (.+?)\.\n", measures, re.DOTALL)
    assert text
    printed = [[float(number) for number in entry.split()] for entry in text[1].split("|")]
    assert tuple(weight for weight, *_ in printed) == lambdas()
    assert len(printed) == 16
    for weight, att_cos, cam_cos, accuracy in printed:
        values = {"ATT-COS": att_cos, "CAM-COS": cam_cos, "CL": accuracy / 100}
        assert published_lambda("raf-db", weight) == pytest.approx(values)


def test_values_are_shares_and_agree_where_the_paper_prints_them_twice() -> None:
    cam = published_method("raf-db", "cam", guided=False), published_method("raf-db", "cam", guided=True)
    for stack, table1 in zip(("none", "5"), cam, strict=True):
        assert published_layers("raf-db", stack) == {name: table1[name] for name in ("CL", "CAM-COS")}
    assert published_lambda("raf-db", 4)["CL"] == cam[1]["CL"]  # its cosines differ by .01 between the two
    assert all(0 < value < 1 for weight in lambdas() for value in published_lambda("raf-db", weight).values())


@pytest.mark.parametrize(
    "found",
    [
        published_method("ferplus", "cam", guided=True),
        published_layers("affectnet", "5"),
        published_layers("raf-db", "5+1"),
        published_lambda("affectnet", 9),
        published_lambda("raf-db", 0),
    ],
)
def test_what_was_not_published_is_empty(found: dict[str, float]) -> None:
    assert found == {}
