"""From evaluations to tables; independent figures are taken from the evaluations' own files."""

import csv
import json
import re
import shutil
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from aucue.benchmark import Grid, collect, run_grid, write_tables
from aucue.benchmark.report import write_report
from aucue.benchmark.tables import evidence_tables, main_table
from aucue.errors import InputError
from aucue.evaluation import Evaluation
from aucue.evaluation.report.tables import latex, markdown
from experiments import paper_page

from ..builders import small_settings


@pytest.fixture(scope="session")
def finished(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Grid, Path]:
    """A grid of two rows and two seeds, run."""
    table: dict[str, Any] = {
        "name": "small",
        "title": "Small_grid",
        "seeds": [0, 1],
        "settings": small_settings(rendered),
        "axes": {"guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}}},
        "baseline": {"guidance": "unguided"},
        "published": [{"guidance": "guided", "CL": 0.8895}],
    }
    grid, out = Grid.from_dict(table), tmp_path_factory.mktemp("grid")
    assert run_grid(grid, out, progress=False) == {}
    return grid, out


def test_means_and_deviations_over_seeds(finished: tuple[Grid, Path]) -> None:
    grid, out = finished
    for row, result in zip(grid.rows, collect(grid, out).rows, strict=True):
        files = [grid.evaluation(out, row, seed) / "evaluation.json" for seed in grid.seeds]
        cosines = [Evaluation.load(file).estimate("cam_cos").value for file in files]
        known = [value for value in cosines if value is not None]
        assert result.mean("cam_cos") == pytest.approx(mean(known))
        assert result.deviation("cam_cos") == pytest.approx(stdev(known))


def test_the_difference_is_that_of_the_means_and_inside_its_interval(finished: tuple[Grid, Path]) -> None:
    unguided, guided = collect(*finished).rows
    assert unguided.differences == {}
    for measure in ("accuracy", "balanced_accuracy", "att_cos", "cam_cos", "specificity"):
        difference, ours, theirs = guided.difference(measure), guided.mean(measure), unguided.mean(measure)
        assert difference is not None
        assert ours is not None
        assert theirs is not None
        assert difference.value == pytest.approx(ours - theirs, abs=1e-5)
        assert difference.low <= difference.value <= difference.high


def test_the_page_of_the_papers_grids_has_tables_and_times(finished: tuple[Grid, Path]) -> None:
    page = paper_page.text(collect(*finished))
    assert page.startswith("**Small_grid: ")
    assert page.count("| *minus unguided* |") == 1
    assert "What decides" not in page  # its grid asks for no evidence
    assert re.search(r"^4 trainings, \d+ minutes on one core", page, re.MULTILINE)


def test_tables_say_protocol_seeds_controls_and_published_numbers(finished: tuple[Grid, Path]) -> None:
    results = collect(*finished)
    text = markdown(main_table(results))
    assert "the test faces are touched once" in text
    assert "over seeds 0, 1" in text
    assert "| *paper* | 88.95 |" in text
    assert text.count("| *control: ") == len(next(iter(results.controls.values())))
    assert "Missing" not in text
    table = latex(main_table(results), "small")
    assert r"\toprule" in table
    assert table.count(r" \\") == 1 + 4 + len(next(iter(results.controls.values())))


def test_files_for_machines_hold_every_row_and_measure(finished: tuple[Grid, Path], tmp_path: Path) -> None:
    write_tables(collect(*finished), tmp_path)
    figures = json.loads((tmp_path / "results.json").read_text())
    assert [row["place"]["guidance"] for row in figures["rows"]] == ["unguided", "guided"]
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = {
            (row["guidance"], row["measure"], row["variant"], row["statistic"]): row["value"]
            for row in csv.DictReader(file)
        }
    accuracy = figures["rows"][1]["measures"]["accuracy"][""]
    assert (
        float(rows["guided", "accuracy", "", "mean"]) == accuracy["mean"] == mean(accuracy["values"].values())
    )
    assert float(rows["guided", "accuracy", "", "difference low"]) == accuracy["difference"]["low"]
    assert rows["guided", "accuracy", "", "published"] == "0.8895"
    assert ("guided", "att_cos", "layer4", "sd") in rows
    assert ("guided", "specificity", "class_map", "seed 1 low") in rows


def test_evidence_in_a_grid(finished: tuple[Grid, Path], tmp_path: Path) -> None:
    """The trainings are there; what is new is measured, and beside the baseline."""
    plain, out = finished
    shutil.copytree(out, tmp_path / "out")
    asked = {"evidence": 1, "judge": {"codebook": "fg2024"}, "seeds": [0]}
    grid = Grid.from_dict({**plain.table, **asked})
    weights = [cell.folder(tmp_path / "out") / "model.safetensors" for cell in grid.cells]
    before = [path.stat().st_mtime_ns for path in weights]
    assert run_grid(grid, tmp_path / "out", progress=False) == {}
    assert [path.stat().st_mtime_ns for path in weights] == before
    results = collect(grid, tmp_path / "out")
    unguided, guided = results.rows
    evaluated = Evaluation.load(grid.evaluation(tmp_path / "out", guided.row, 0) / "evaluation.json")
    assert evaluated.data["codebook"] == "fg2024"
    for figure in (("deletion.mean", "gain"), ("occlusion.mean", "ratio"), ("stability", "shifted")):
        difference, ours, theirs = guided.difference(*figure), guided.mean(*figure), unguided.mean(*figure)
        assert ours == evaluated.estimate(*figure).value
        if ours is not None and theirs is not None:
            assert difference is not None
            assert difference.value == pytest.approx(ours - theirs, abs=1e-5)
    (table,) = evidence_tables(results)
    assert table.heads == ("good", "unguided", "guided")
    labels = [line.label for line in table.lines]
    assert labels.count("minus unguided") >= 10
    for title in ("Pointing game", "Deletion (mean fill)", "Deletion (mean fill): gain", "Stability"):
        assert title in labels
    text = write_tables(results, tmp_path / "tables").read_text()
    assert "Deletion (mean fill): gain" in text
    assert text.count("| *minus unguided* |") == labels.count("minus unguided") + 1
    assert "label{tab:small-evidence-1}" in (tmp_path / "tables" / "table.tex").read_text()
    page = write_report(results, tmp_path / "report.html").read_text()
    assert "Does the decision depend on what the map shows?" in page
    assert evidence_tables(collect(plain, out)) == []


def test_missing_evaluations_are_listed(finished: tuple[Grid, Path], tmp_path: Path) -> None:
    grid, out = finished
    shutil.copytree(out, tmp_path / "out")
    shutil.rmtree(grid.evaluation(tmp_path / "out", grid.rows[1], 1))
    results = collect(grid, tmp_path / "out")
    (missing,) = results.missing
    assert missing.startswith("guided, seed 1 (cam-test_resnet-lambda4-")
    assert f"Missing: {missing}." in markdown(main_table(results))
    assert "guided (1 of 2 seeds)" in markdown(main_table(results))
    assert len(results.rows[1].values["accuracy", ""]) == 1


def test_evaluations_of_other_faces_are_refused(finished: tuple[Grid, Path], tmp_path: Path) -> None:
    grid, out = finished
    shutil.copytree(out, tmp_path / "out")
    table = grid.evaluation(tmp_path / "out", grid.rows[1], 0) / "per_image.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(InputError, match="were made on different faces"):
        collect(grid, tmp_path / "out")


def test_the_published_protocol_says_what_it_selects_on(finished: tuple[Grid, Path], tmp_path: Path) -> None:
    grid = Grid.from_dict({**finished[0].table, "protocol": "fg2024"})
    results = collect(grid, tmp_path)
    assert len(results.missing) == 4
    assert "ON THE TEST SET" in markdown(main_table(results))
    assert "ON THE TEST SET" in latex(main_table(results), "small")
