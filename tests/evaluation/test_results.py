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
from aucue.evaluation import Evaluation, Mean, evaluate
from aucue.evaluation.results import FILES, Estimate, check_free, wilson, write_csv
from aucue.facs import EXPRESSIONS


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(models["guided"], faces, workers=0, progress=False)


def test_json_round_trip(evaluation: Evaluation):
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == evaluation


def test_evidence_survives_and_older_files_have_none(evaluation: Evaluation):
    estimates = {"energy class map": Estimate(0.4, None, {"fear": 0.4}, {"fear": 3}, (0.3, 0.5))}
    estimates["occlusion mean ratio"] = Estimate(None, None, {"fear": None}, {"fear": 0}, None)
    with_evidence = replace(evaluation, evidence=estimates)
    values = json.loads(json.dumps(with_evidence.to_dict()))
    assert Evaluation.from_dict(values) == with_evidence
    del values["evidence"]
    assert Evaluation.from_dict(values) == evaluation


def test_undefined_figures_become_none():
    computed = {
        "macro": torch.tensor(torch.nan),
        "micro": torch.tensor(0.5),
        "per_class": torch.tensor([torch.nan, 0.5]),
        "count": torch.tensor([0, 2]),
    }
    mean = Mean.of(computed, ("neutral", "fear"), ("fear",))
    assert mean == Mean(None, 0.5, {"fear": 0.5}, {"fear": 2})


@pytest.mark.parametrize("right", [0, 1, 8, 10])
def test_wilson_interval(right: int):
    expected = binomtest(right, 10).proportion_ci(method="wilson")
    assert wilson(right, 10) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_written_files(evaluation: Evaluation, tmp_path: Path):
    report = evaluation.write(tmp_path / "out")
    assert report == tmp_path / "out" / "report.html"
    assert sorted(path.name for path in report.parent.iterdir()) == sorted(FILES)
    assert Evaluation.load(report.parent / "evaluation.json") == evaluation


def test_tables(evaluation: Evaluation, tmp_path: Path):
    folder = evaluation.write(tmp_path / "out").parent
    read = {
        name: list(csv.DictReader((folder / f"{name}.csv").open(encoding="utf-8")))
        for name in ("per_expression", "per_image", "confusion")
    }
    assert [row["expression"] for row in read["per_expression"]] == [*EXPRESSIONS, "macro average"]
    macro = read["per_expression"][-1]
    assert float(macro["cam_cos"]) == pytest.approx(evaluation.cam_cos.macro, rel=1e-5)
    assert read["per_expression"][0]["cam_cos"] == ""
    assert len(read["per_image"]) == 26
    counts = [[int(row[name]) for name in EXPRESSIONS] for row in read["confusion"]]
    assert counts == evaluation.classification.confusion


def test_an_earlier_evaluation_is_not_overwritten_unasked(evaluation: Evaluation, tmp_path: Path):
    evaluation.write(tmp_path)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        evaluation.write(tmp_path)
    evaluation.write(tmp_path, overwrite=True)


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
