import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from aucue.data import PreparedSet
from aucue.errors import InputError, OutputExistsError
from aucue.evaluation import MEASURES, Evaluation, EvaluationSettings, evaluate, write_evaluation
from aucue.evaluation.estimate import estimates, wilson
from aucue.evaluation.files import FILES, write_csv
from aucue.facs import EXPRESSIONS
from aucue.work.files import check_free


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(models["guided"], faces, EvaluationSettings(workers=0), progress=False)


def test_json_round_trip(evaluation: Evaluation):
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == evaluation


def test_undefined_figures_become_none(evaluation: Evaluation):
    values = {("margin", "attention"): torch.tensor([torch.nan, 0.5, 0.5])}
    found = estimates(values, torch.tensor([0, 1, 1]), ("neutral", "fear", "anger"), ("fear", "anger"))
    estimate = found["margin", "attention"]
    assert (estimate.value, estimate.micro) == (0.5, 0.5)
    assert estimate.per_expression == {"fear": 0.5, "anger": None}
    assert estimate.faces == {"fear": 2, "anger": 0}
    nothing = {("margin", "attention"): torch.full((3,), torch.nan)}
    found = estimates(nothing, torch.tensor([0, 1, 1]), ("neutral", "fear", "anger"), ("fear", "anger"))
    assert (found["margin", "attention"].value, found["margin", "attention"].interval) == (None, None)
    with_none = replace(evaluation, estimates={**evaluation.estimates, "margin": {"attention": estimate}})
    assert Evaluation.from_dict(json.loads(json.dumps(with_none.to_dict()))) == with_none


def test_every_figure_has_an_interval_that_holds_it(evaluation: Evaluation):
    for key, variants in evaluation.estimates.items():
        for variant, estimate in variants.items():
            assert estimate.value is not None, (key, variant)
            if MEASURES[key].pooled:  # larger on resampled faces by itself
                assert estimate.interval is None
                continue
            assert estimate.interval is not None, (key, variant)
            low, high = estimate.interval
            assert low - 1e-9 <= estimate.value <= high + 1e-9, (key, variant)


@pytest.mark.parametrize("right", [0, 1, 8, 10])
def test_wilson_interval(right: int):
    expected = binomtest(right, 10).proportion_ci(method="wilson")
    assert wilson(right, 10) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_written_files(evaluation: Evaluation, tmp_path: Path):
    report = write_evaluation(evaluation, tmp_path / "out")
    assert report == tmp_path / "out" / "report.html"
    assert sorted(path.name for path in report.parent.iterdir()) == sorted(FILES)
    assert Evaluation.load(report.parent / "evaluation.json") == evaluation


def test_tables(evaluation: Evaluation, tmp_path: Path):
    folder = write_evaluation(evaluation, tmp_path / "out").parent
    read = {
        name: list(csv.DictReader((folder / f"{name}.csv").open(encoding="utf-8")))
        for name in ("per_expression", "per_image", "confusion", "estimates")
    }
    assert [row["expression"] for row in read["per_expression"]] == [*EXPRESSIONS, "average"]
    macro = read["per_expression"][-1]
    assert float(macro["cam_cos.true"]) == pytest.approx(evaluation.estimate("cam_cos").value, rel=1e-5)
    assert read["per_expression"][0]["cam_cos.true"] == ""
    assert len(read["per_image"]) == 26
    counts = [[int(row[name]) for name in EXPRESSIONS] for row in read["confusion"]]
    assert counts == evaluation.classification.confusion
    rows = {(row["measure"], row["variant"]): row for row in read["estimates"]}
    assert len(rows) == sum(map(len, evaluation.estimates.values()))
    accuracy = evaluation.estimate("accuracy")
    found = rows["accuracy", ""]
    assert float(found["value"]) == pytest.approx(accuracy.value, rel=1e-5)
    assert (float(found["low"]), float(found["high"])) == pytest.approx(accuracy.interval, rel=1e-5)


def test_an_earlier_evaluation_is_not_overwritten_unasked(evaluation: Evaluation, tmp_path: Path):
    write_evaluation(evaluation, tmp_path)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_evaluation(evaluation, tmp_path)
    write_evaluation(evaluation, tmp_path, overwrite=True)


@pytest.mark.parametrize("content", ["{}", "not json", '{"classification": {}}', "[]"])
def test_another_file_is_refused(content: str, tmp_path: Path):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(InputError, match=r"evaluation"):
        Evaluation.load(tmp_path / "evaluation.json")


def test_a_damaged_file_is_one_sentence_that_names_it(evaluation: Evaluation, tmp_path: Path) -> None:
    """Values, entries and letters of a sound file are changed at random: it loads, or the error says why."""
    random, path = np.random.default_rng(16), tmp_path / "evaluation.json"
    sound, refusals = json.dumps(evaluation.to_dict()), []
    others = [None, 5, "x", [], {}, float("inf"), True, [1, "a"]]
    for _ in range(300):
        figures = json.loads(sound)
        place = figures
        while isinstance(place, dict) and place:
            name = str(random.choice(list(place)))
            if not isinstance(place[name], dict) or random.random() < 0.3:
                place[name] = others[random.integers(8)]
                break
            place = place[name]
        letters = bytearray(json.dumps(figures).encode())
        if random.random() < 0.2:
            letters[random.integers(len(letters))] = random.integers(256)
        path.write_bytes(letters)
        try:
            Evaluation.load(path).per_expression_rows()
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 150
    assert all(refusal.startswith(str(path)) for refusal in refusals)


def test_formulas_are_quoted_in_tables(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", [{"key": "=1+1", "@x": -0.5, "label": "a"}])
    assert (tmp_path / "rows.csv").read_text().splitlines() == ["key,'@x,label", "'=1+1,-0.5,a"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out is a file, not a folder"):
        check_free(tmp_path / "out", [], overwrite=True)
