from dataclasses import replace
from pathlib import Path

import pytest
from tests.evaluation.pages import Page, assert_self_contained

from aucue.data import PreparedSet
from aucue.errors import InputError, OutputExistsError
from aucue.evaluation import Evaluation, EvaluationSettings, compare, evaluate, write_comparison, write_report
from aucue.evaluation.report.tables import markdown
from aucue.facs import EXPRESSIONS

EXPECTED = 7 + 6  # average faces, and average action-unit maps, which neutral has none of
AVERAGES = 7 * (5 + 1)  # average attention of each layer, and average class maps


@pytest.fixture(scope="module")
def evaluations(models: dict[str, Path], faces: PreparedSet) -> dict[str, Evaluation]:
    return {
        name: evaluate(path, faces, EvaluationSettings(workers=0), progress=False)
        for name, path in models.items()
    }


def test_report(evaluations: dict[str, Evaluation], tmp_path: Path):
    page = Page(write_report(evaluations["guided"], tmp_path / "report.html"))
    assert_self_contained(page)
    assert all(name in page.text for name in EXPRESSIONS)
    evaluation = evaluations["guided"]
    assert f"{evaluation.estimate('att_cos').value:.2f}" in page.text
    assert f"{100 * (evaluation.estimate('accuracy').value or 0):.1f} %" in page.text
    assert "mean of the class" in page.text
    # Four pictures for each of two faces per class; neutral faces have no action-unit map.
    assert len(page.references) == 4 * 14 - 2 + EXPECTED + AVERAGES


def test_the_training_of_the_model_is_drawn(evaluations: dict[str, Evaluation], tmp_path: Path):
    plain = evaluations["guided"]
    assert "The training" not in write_report(plain, tmp_path / "plain.html").read_text()
    curves = {"train/cross_entropy": [2.0, 1.0], "val/accuracy": [0.5, None], "<x>": [1.0]}
    page = Page(
        write_report(replace(plain, model={**plain.model, "curves": curves}), tmp_path / "report.html")
    )
    assert_self_contained(page)
    assert "The training" in page.text
    assert "cross entropy" in page.text
    assert "<x>" not in page.source


def test_names_cannot_inject_markup(evaluations: dict[str, Evaluation], tmp_path: Path):
    page = Page(write_report(evaluations["guided"], tmp_path / "report.html"))
    assert "<face> 0.png" in page.text
    assert "<face>" not in page.source


def test_comparison_shows_every_model_and_the_controls(evaluations: dict[str, Evaluation], tmp_path: Path):
    path = write_comparison(evaluations, tmp_path / "comparison.html", "Guided or not", ["A <note>."])
    page = Page(path)
    assert_self_contained(page)
    for words in ("Guided or not", "A <note>.", "guided", "twin", "control: mean of the class", *EXPRESSIONS):
        assert words in page.text
    # Each face once with its action units, and attention and class map for each of two models.
    assert len(page.references) == (2 + 4) * 14 - 2 + EXPECTED + 2 * AVERAGES


def test_comparison_is_not_overwritten_unasked(evaluations: dict[str, Evaluation], tmp_path: Path):
    path = write_comparison(evaluations, tmp_path / "comparison.html")
    with pytest.raises(OutputExistsError, match=r"comparison\.html"):
        write_comparison(evaluations, path)
    write_comparison(evaluations, path, overwrite=True)


def test_compare_markdown(evaluations: dict[str, Evaluation]):
    (comparison,) = compare(evaluations)
    lines = markdown(comparison).splitlines()
    assert lines[0] == "**noise, test split, 26 faces**"
    accuracy = 100 * (evaluations["guided"].estimate("accuracy").value or 0)
    assert lines[4].startswith(f"| guided | {accuracy:.1f} |")
    (control,) = [line for line in lines if line.startswith("| *control: mean of the class* |")]
    assert control.startswith("| *control: mean of the class* |  |  |  | 0.")
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_different_sets_are_compared_apart(evaluations: dict[str, Evaluation], tmp_path: Path):
    guided = evaluations["guided"]
    elsewhere = replace(guided, data=guided.data | {"name": "elsewhere", "fingerprint": "0"})
    both = {"guided": guided, "guided elsewhere": elsewhere}
    assert [comparison.title.split(",")[0] for comparison in compare(both)] == ["noise", "elsewhere"]
    page = Page(write_comparison(both, tmp_path / "comparison.html"))
    assert len(page.references) == 2 * (4 * 14 - 2 + EXPECTED + AVERAGES)


def test_different_sets_of_the_same_name_are_told_apart(evaluations: dict[str, Evaluation]):
    guided = evaluations["guided"]
    namesake = replace(guided, data=guided.data | {"fingerprint": "0"})
    titles = [comparison.title for comparison in compare({"one": guided, "other": namesake})]
    assert len(set(titles)) == 2
    assert all(title.startswith("noise, test split, 26 faces (set ") for title in titles)


def test_different_cues_are_pointed_out(evaluations: dict[str, Evaluation], tmp_path: Path):
    guided, twin = evaluations["guided"], evaluations["twin"]
    published = replace(twin, data=twin.data | {"regions": "fg2024"})
    page = Page(write_comparison({"ours": guided, "published": published}, tmp_path / "comparison.html"))
    assert "Different action-unit maps judge these models" in page.text
    assert "uniform (for ours)" in page.text
    assert "uniform (for published)" in page.text


def test_figures_without_pictures_can_be_compared(evaluations: dict[str, Evaluation], tmp_path: Path):
    loaded = {name: Evaluation.from_dict(e.to_dict()) for name, e in evaluations.items()}
    page = Page(write_comparison(loaded, tmp_path / "comparison.html"))
    assert page.references == []
    assert "0." in page.text


def test_nothing_to_compare():
    with pytest.raises(InputError, match="no evaluation"):
        compare({})
