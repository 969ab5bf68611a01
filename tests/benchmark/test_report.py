"""The page of a benchmark: its numbers are those of the results, and it stands alone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.benchmark.handmade import TABLE, put
from tests.evaluation.handmade import make_evaluation
from tests.evaluation.pages import Page

from aucue.benchmark import BenchmarkResults, Grid, collect, write_benchmark
from aucue.benchmark.report import write_report
from aucue.benchmark.tables import SHOWN
from aucue.errors import InputError
from aucue.evaluation.groups import with_groups

LABELS = ["happiness", "happiness", "fear", "fear", "neutral", "happiness"]
WRONG = ["fear", "happiness", "fear", "happiness", "neutral", "fear"]  # half right
CAM = [0.2, 0.4, 0.6, 0.6, None, 0.3]  # happiness .3, fear .6: macro .45
GENDER = ["male", "male", "male", "female", "female", None]


def shifted(by: float) -> list[float | None]:
    return [None if value is None else value + by for value in CAM]


def results(out: Path, seeds: tuple[int, ...] = (0,), **table: Any) -> BenchmarkResults:
    """Unguided: half right, CAM-COS .45; guided: all right, .70; ATT-COS is .25 and .3 more."""
    grid = Grid.from_dict({**TABLE, "seeds": [0], **table})
    for row in grid.rows:
        guided = bool(row.settings["guidance.weight"])
        layers = {"layer3": shifted(0.25 * guided), "layer4": shifted(0.1 + 0.3 * guided)}
        called, values = (LABELS, shifted(0.25)) if guided else (WRONG, CAM)
        for seed in seeds:
            made = make_evaluation(LABELS, called, values, layers, guided=guided)
            put(grid, out, row.label, seed, with_groups(made, {"gender": GENDER}))
    return collect(grid, out)


def cells(page: Page, row: str) -> list[list[str]]:
    """Texts of the cells of every table row of a class."""
    found = re.findall(rf'<tr class="{row}">(.*?)</tr>', page.source, re.DOTALL)
    return [[re.sub(r"<.*?>", " ", c).strip() for c in re.findall(r"<td.*?</td>", r)] for r in found]


def test_the_tables_hold_the_results(tmp_path: Path) -> None:
    published = [{"guidance": "guided", "CL": 0.8895, "CAM-COS": 0.7}]
    page = Page(write_report(results(tmp_path, published=published), tmp_path / "report.html"))
    assert page.open == []
    main, more = cells(page, "row")[:2], cells(page, "row")[2:4]
    # above .5: fear only without guidance; happiness (.45, .65, .55) in two of three with it
    assert main[0] == ["unguided", "50.00 [18.76, 81.24]", "0.550", "0.450", "50.0", "50.0"]
    assert main[1] == ["guided", "100.00 [60.97, 100.00]", "0.850", "0.700", "83.3", "100.0"]
    assert more[1][0:2] == ["guided", "100.00"]
    assert cells(page, "paper") == [["paper", "88.95", "", "0.70", "", ""]]
    difference = cells(page, "difference")[0]
    assert difference[0] == "minus unguided"
    assert difference[1].startswith("+50.00 [")
    assert " ".join(difference[3].split()) == "+0.250 [0.250, 0.250]"
    assert ["control: mean of the class", "", "0.500", "0.500", "", ""] in cells(page, "control")


def test_intervals_that_exclude_0_are_marked(tmp_path: Path) -> None:
    better = results(tmp_path)
    page = Page(write_report(better, tmp_path / "report.html"))
    (first, *_) = re.findall(r'<tr class="difference">(.*?)</tr>', page.source, re.DOTALL)
    marked = ["good" in c for c in re.findall(r"<td([^>]*)>", first)][1:]
    known = [better.rows[1].difference(m) for m in SHOWN]
    assert marked == [d is not None and d.low > 0 for d in known]
    assert "1 of 1 intervals above 0, 0 below." in page.text
    worse = results(tmp_path, baseline={"guidance": "guided"})
    page = Page(write_report(worse, tmp_path / "report.html"))
    assert 'class="bad">-0.250<' in page.source
    assert "0 of 1 intervals above 0, 1 below." in page.text


def test_differences_are_drawn_in_place(tmp_path: Path) -> None:
    """CAM-COS: an axis from 0 to .25, 4 percent free at both ends (of 1.08 lengths .04)."""
    page = Page(write_report(results(tmp_path), tmp_path / "report.html"))
    drawn = page.source[page.source.index("<h3>CAM-COS</h3>") :]
    zero, low, width, value = (
        float(re.search(pattern, drawn)[1])  # pyright: ignore
        for pattern in (
            r"--zero: ([\d.]+)%",
            r"<i style=\"left: ([\d.]+)%",
            r"width: ([\d.]+)%",
            r"<b style=\"left: ([\d.]+)%",
        )
    )
    assert zero == pytest.approx(100 * 0.04 / 1.08, abs=0.01)
    assert value == low == pytest.approx(100 * 1.04 / 1.08, abs=0.01)
    assert width == 0


def test_attention_per_layer_with_the_guided_one_marked(tmp_path: Path) -> None:
    page = Page(write_report(results(tmp_path), tmp_path / "report.html"))
    section = page.source[page.source.index("Attention, layer by layer") :]
    rows = re.findall(r'<tr class="row">(.*?)</tr>', section, re.DOTALL)[:2]
    assert [re.findall(r">([\d.]+)<", row) for row in rows] == [["0.450", "0.550"], ["0.700", "0.850"]]
    assert [re.findall(r'class="out">([\d.]+)<', row) for row in rows] == [[], ["0.850"]]


def test_groups_with_their_counts_and_small_ones_grey(tmp_path: Path) -> None:
    page = Page(write_report(results(tmp_path), tmp_path / "report.html"))
    section = page.source[page.source.index("Groups of people") :]
    assert "by gender" in section
    assert "female 2 faces male 3 faces" in page.text
    # male: happiness .2 and .4, fear .6, two of three right; female: fear .6, neutral
    rows = re.findall(r'<tr class="row">(.*?)</tr>', section, re.DOTALL)
    figures = [re.findall(r'few">([\d.]+)<', row) for row in rows]
    assert figures == [["50.00", "66.67", "0.600", "0.450"], ["100.00", "100.00", "0.850", "0.700"]]


def test_the_page_stands_alone_and_escapes_names(tmp_path: Path) -> None:
    axes = {"<i>guidance": {"a&b<b>": {"guidance.weight": 0}, "<script>": {"guidance.weight": 4}}}
    table = {"title": "A <script> & more", "notes": ["see <b>"], "figure": {"x": "guidance.weight"}}
    made = results(tmp_path, axes=axes, baseline={"<i>guidance": "a&b<b>"}, **table)
    page = Page(write_report(made, tmp_path / "report.html"))
    assert page.open == []
    assert page.references == []
    for forbidden in ("http", "//", "@import", "url(", "<script", "<link", "<iframe", "<b>see", "a&b<"):
        assert forbidden not in page.source
    for text in ("A <script> & more", "see <b>", "a&b<b>", "minus a&b<b>"):
        assert text in page.text
    assert page.source.count("<svg") == 1


def test_the_published_protocol_is_a_warning_up_front(tmp_path: Path) -> None:
    page = Page(write_report(results(tmp_path, protocol="fg2024"), tmp_path / "report.html"))
    assert page.source.index('class="note warning"') < page.source.index("<h2>")
    assert "ON THE TEST SET" in page.text
    page = Page(write_report(results(tmp_path), tmp_path / "report.html"))
    assert 'class="note warning"' not in page.source


def test_missing_evaluations(tmp_path: Path) -> None:
    made = results(tmp_path, seeds=(1,))
    assert len(made.missing) == 2
    page = Page(write_report(made, tmp_path / "report.html"))
    assert "2 evaluations are missing" in page.text
    assert made.missing[0] in page.text
    assert cells(page, "row")[0] == ["unguided (missing)", *[""] * 5]
    assert "Difference from" not in page.text
    assert "layer by layer" not in page.text


def test_everything_is_written_at_once_and_the_same_again(tmp_path: Path) -> None:
    made, folder = results(tmp_path, figure={"x": "guidance.weight"}), tmp_path / "tables"
    assert write_benchmark(made, folder) == folder / "report.html"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    tables = {"table.md", "table.tex", "results.csv", "results.json", "per_group.csv"}
    assert set(before) == tables | {"report.html", "figure.png", "figure.svg"}
    write_benchmark(made, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_times_are_in_the_report_alone(tmp_path: Path) -> None:
    made = results(tmp_path)
    for cell, seconds in zip(made.grid.cells, (30, 150), strict=True):
        noted = cell.folder(tmp_path) / "seconds.json"
        noted.write_text(json.dumps({"train": seconds, "machine": "an <abacus>"}))
    page = Page(write_report(collect(made.grid, tmp_path), tmp_path / "report.html"))
    assert "Times of 2 trainings: 3.0 min in all" in page.text
    assert f"{made.grid.cells[1].name} 2.5 min an <abacus>" in page.text


def test_a_figure_over_no_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no number"):
        write_benchmark(results(tmp_path, figure={"x": "data.path"}), tmp_path / "tables")
