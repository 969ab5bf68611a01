"""Benchmarks of six faces, with every number worked out by hand."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.benchmark.handmade import TABLE, put
from tests.evaluation.handmade import make_evaluation

from aucue.benchmark import Grid, collect, terminal_table, write_tables
from aucue.benchmark.bootstrap import Difference
from aucue.benchmark.tables import main_table, mark_of
from aucue.errors import InputError
from aucue.evaluation import Evaluation
from aucue.evaluation.groups import with_groups
from aucue.evaluation.report.tables import latex, markdown

LABELS = ["happiness", "happiness", "fear", "fear", "neutral", "happiness"]
WRONG = ["fear", "happiness", "fear", "happiness", "neutral", "fear"]  # half right
BETTER = ["happiness", "happiness", "fear", "happiness", "neutral", "fear"]  # four of six
CAM = [0.2, 0.4, 0.6, 0.6, None, 0.3]  # happiness .3, fear .6: macro .45
GENDER = ["male", "male", "male", "female", "female", None]


def shifted(by: float) -> list[float | None]:
    return [None if value is None else value + by for value in CAM]


def evaluations(gender: bool = False) -> dict[tuple[str, int], Evaluation]:
    made = {
        ("unguided", 0): make_evaluation(LABELS, WRONG, CAM),
        ("unguided", 1): make_evaluation(LABELS, WRONG, shifted(0.1)),
        ("guided", 0): make_evaluation(LABELS, LABELS, shifted(0.25), guided=True),
        ("guided", 1): make_evaluation(LABELS, BETTER, shifted(0.25), guided=True),
    }
    return {key: with_groups(e, {"gender": GENDER}) for key, e in made.items()} if gender else made


def prepared(out: Path, made: dict[tuple[str, int], Evaluation], **table: Any) -> Grid:
    grid = Grid.from_dict({**TABLE, **table})
    for (label, seed), evaluation in made.items():
        put(grid, out, label, seed, evaluation)
    return grid


def test_means_deviations_and_differences(tmp_path: Path):
    unguided, guided = collect(prepared(tmp_path, evaluations()), tmp_path).rows
    assert unguided.mean("accuracy") == 0.5
    assert unguided.deviation("accuracy") == 0
    assert guided.mean("accuracy") == pytest.approx((1 + 4 / 6) / 2)
    assert guided.deviation("accuracy") == pytest.approx(math.sqrt(2 * (1 / 6) ** 2))
    assert unguided.mean("cam_cos") == pytest.approx((0.45 + 0.55) / 2)
    assert [e.value for e in guided.values["cam_cos", "true"].values()] == pytest.approx([0.7, 0.7])
    # recall: happiness 1/3, fear 1/2, neutral 1 without; 1 and (2/3, 1/2, 1) with guidance
    assert unguided.mean("balanced_accuracy") == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)
    balanced = guided.difference("balanced_accuracy")
    assert balanced is not None
    assert balanced.value == pytest.approx((1 + (2 / 3 + 1 / 2 + 1) / 3) / 2 - (1 / 3 + 1 / 2 + 1) / 3)
    accuracy = guided.difference("accuracy")
    assert accuracy is not None
    assert accuracy.value == pytest.approx(1 / 3)
    assert 0 <= accuracy.low < accuracy.value < accuracy.high <= 1
    # .25 more in the first seed, .15 in the second, on every face: no uncertainty from the faces
    cosine = guided.difference("cam_cos")
    assert cosine is not None
    assert (cosine.value, cosine.low, cosine.high) == pytest.approx((0.2, 0.2, 0.2))
    assert unguided.differences == {}


def test_specificity_and_own_face_are_differences_of_shares(tmp_path: Path):
    _, guided = collect(prepared(tmp_path, evaluations()), tmp_path).rows
    # above .5 without guidance: fear both (macro .5), second seed .5, .5 as well (.4 + .1 is not above);
    # with guidance .45, .65, .85, .85, .55: happiness 2/3, fear 1
    assert guided.mean("specificity") == pytest.approx(5 / 6)
    difference = guided.difference("specificity")
    assert difference is not None
    assert difference.value == pytest.approx(5 / 6 - 0.5)
    assert guided.difference("specificity", "attention") == difference


def test_att_cos_is_compared_at_the_same_layer(tmp_path: Path):
    """The guided layer is not the one that the unguided twin's own figure is about."""
    layers = {"layer3": CAM, "layer4": shifted(0.1)}
    grid = Grid.from_dict({**TABLE, "seeds": [0]})
    put(grid, tmp_path, "unguided", 0, make_evaluation(LABELS, WRONG, CAM, layers, layer="layer4"))
    higher = {"layer3": shifted(0.25), "layer4": shifted(0.3)}
    put(grid, tmp_path, "guided", 0, make_evaluation(LABELS, WRONG, CAM, higher, layer="layer3"))
    unguided, guided = collect(grid, tmp_path).rows
    assert (unguided.headlines["att_cos"], guided.headlines["att_cos"]) == ("layer4", "layer3")
    assert (unguided.mean("att_cos"), guided.mean("att_cos")) == pytest.approx((0.55, 0.7))
    differences = [guided.difference("att_cos", layer) for layer in (None, "layer3", "layer4")]
    assert [round(d.value, 9) for d in differences if d] == [0.25, 0.25, 0.2]


@pytest.mark.parametrize(
    ("difference", "better", "mark"),
    [
        (Difference(0.2, 0.1, 0.3), "higher", "good"),
        (Difference(0.2, 0.1, 0.3), "lower", "bad"),
        (Difference(-0.2, -0.3, -0.1), "lower", "good"),
        (Difference(-0.2, -0.3, -0.1), "higher", "bad"),
        (Difference(0.2, -0.1, 0.3), "higher", ""),
        (Difference(0.2, 0.1, 0.3), "near 0", ""),
        (None, "higher", ""),
    ],
)
def test_a_difference_is_good_in_the_direction_of_its_measure(
    difference: Difference | None, better: str, mark: str
):
    assert mark_of(difference, better) == mark


def test_only_seeds_that_both_have_are_compared(tmp_path: Path):
    made = evaluations()
    del made["unguided", 0]
    results = collect(prepared(tmp_path, made), tmp_path)
    unguided, guided = results.rows
    assert (unguided.seeds, guided.seeds) == ((1,), (0, 1))
    cosine = guided.difference("cam_cos")
    assert cosine is not None
    assert cosine.value == pytest.approx(0.15)
    assert [line.split(" (")[0] for line in results.missing] == ["unguided, seed 0"]


def test_a_network_that_diverged_has_no_difference(tmp_path: Path):
    made = {
        ("unguided", 0): make_evaluation(LABELS, WRONG, CAM),
        ("guided", 0): make_evaluation(LABELS, WRONG, [None] * 6),
    }
    results = collect(prepared(tmp_path, made, seeds=[0]), tmp_path)
    guided = results.rows[1]
    assert guided.mean("cam_cos") is None
    assert guided.difference("cam_cos") is None
    assert guided.difference("accuracy") == Difference(0.0, 0.0, 0.0)
    assert main_table(results).lines[2].cells[2] == ""


def test_groups_are_averaged_over_seeds(tmp_path: Path):
    results = collect(prepared(tmp_path, evaluations(gender=True)), tmp_path)
    male, female = (results.rows[1].groups["gender"][value] for value in ("male", "female"))
    assert (male.faces, female.faces, male.small) == (3, 2, True)
    assert female.means["accuracy", ""] == pytest.approx((1 + 0.5) / 2)
    assert male.means["cam_cos", "micro"] == pytest.approx(0.4 + 0.25)
    assert male.means["cam_cos", "macro"] == pytest.approx(0.45 + 0.25)
    write_tables(results, tmp_path / "tables")
    rows = list(csv.DictReader((tmp_path / "tables" / "per_group.csv").open(encoding="utf-8")))
    assert [(row["guidance"], row["value"]) for row in rows[:3]] == [
        ("unguided", "female"),
        ("unguided", "male"),
        ("guided", "female"),
    ]
    assert float(rows[3]["cam_cos.micro"]) == male.means["cam_cos", "micro"]


def test_other_faces_are_refused(tmp_path: Path):
    made = evaluations()
    made["guided", 1] = make_evaluation(LABELS, BETTER, CAM, fingerprint="f1")
    grid = prepared(tmp_path, made)
    with pytest.raises(InputError, match="different faces, which cannot be paired") as error:
        collect(grid, tmp_path)
    for label, seed in (("guided", 0), ("guided", 1)):
        row = next(row for row in grid.rows if row.label == label)
        assert str(grid.evaluation(tmp_path, row, seed)) in str(error.value)


@pytest.mark.parametrize("keys", [["a", "b", "c", "d", "f", "e"], ["a", "b", "c", "d", "e", "g"]])
def test_faces_in_another_order_or_of_another_name_are_refused(keys: Sequence[str], tmp_path: Path):
    made = {
        ("unguided", 0): make_evaluation(LABELS, WRONG, CAM, keys=list("abcdef")),
        ("guided", 0): make_evaluation(LABELS, WRONG, CAM, keys=keys),
    }
    with pytest.raises(InputError, match="different faces"):
        collect(prepared(tmp_path, made, seeds=[0]), tmp_path)


def test_numbers_as_names_of_faces_stay_text(tmp_path: Path):
    keys = ["001", "1", "1e3", "2026-01-01", "", "a\nb"]
    made = {(label, 0): make_evaluation(LABELS, WRONG, CAM, keys=keys) for label in ("unguided", "guided")}
    _, guided = collect(prepared(tmp_path, made, seeds=[0]), tmp_path).rows
    assert guided.difference("accuracy") == Difference(0.0, 0.0, 0.0)


def test_rows_that_cannot_be_read_are_refused(tmp_path: Path):
    grid = prepared(tmp_path, evaluations())
    table = grid.evaluation(tmp_path, grid.rows[0], 0) / "per_image.csv"
    table.unlink()
    with pytest.raises(InputError, match=r"per_image\.csv"):
        collect(grid, tmp_path)


def test_other_action_unit_maps_are_pointed_out(tmp_path: Path):
    made = {
        ("unguided", 0): make_evaluation(LABELS, WRONG, CAM),
        ("guided", 0): make_evaluation(LABELS, WRONG, CAM, codebook="fg2024"),
    }
    results = collect(prepared(tmp_path, made, seeds=[0]), tmp_path)
    (note,) = results.notes
    assert note.startswith("guided: its cosines were measured with other action-unit maps (codebook fg2024")
    assert len(results.controls["tiny, test split, 6 faces"]) == 2 * 5


TWO_SETS = {
    "axes": {
        "set": {"RAF_DB": {"data.path": "raf"}, "AffectNet": {"data.path": "aff"}},
        **TABLE["axes"],
    },
    "seeds": [0],
    "published": [{"set": "RAF_DB", "guidance": "guided", "CL": 0.8895, "CAM-COS": 0.7, "ATT-COS": 0.875}],
}


def two_sets(out: Path) -> Grid:
    made = {
        ("RAF_DB / unguided", 0): make_evaluation(LABELS, WRONG, CAM, set_name="raf"),
        ("RAF_DB / guided", 0): make_evaluation(LABELS, BETTER, shifted(0.25), set_name="raf"),
        ("AffectNet / guided", 0): make_evaluation(LABELS, WRONG, CAM, set_name="aff", fingerprint="f1"),
    }
    return prepared(out, made, **TWO_SETS)


def test_lines_of_two_sets(tmp_path: Path):
    results = collect(two_sets(tmp_path), tmp_path)
    found = main_table(results).lines
    assert [(line.kind, line.label) for line in found if line.kind != "control"] == [
        ("set", "raf, test split, 6 faces"),
        ("row", "unguided"),
        ("row", "guided"),
        ("paper", "paper"),
        ("difference", "minus unguided"),
        ("set", "aff, test split, 6 faces"),
        ("row", "unguided (missing)"),
        ("row", "guided"),
    ]
    assert found[1].cells == ("50.00 [18.76, 81.24]", "0.450", "0.450", "50.0", "50.0")
    assert found[3].cells == ("88.95", "0.875", "0.70", "", "")
    assert found[4].cells[1] == "+0.250 [0.250, 0.250]"
    controls = [line for line in found if line.kind == "control"]
    assert len(controls) == 10
    assert controls[0].cells == ("", "0.500", "0.500", "", "")


def test_sets_of_the_same_name_are_told_apart(tmp_path: Path):
    made = {
        ("RAF_DB / guided", 0): make_evaluation(LABELS, WRONG, CAM),
        ("AffectNet / guided", 0): make_evaluation(LABELS, WRONG, CAM, fingerprint="f1"),
    }
    results = collect(prepared(tmp_path, made, **TWO_SETS), tmp_path)
    assert list(results.by_set()) == [f"tiny, test split, 6 faces (set {name})" for name in ("f0", "f1")]


def test_markdown(tmp_path: Path):
    text = markdown(main_table(collect(two_sets(tmp_path), tmp_path))).splitlines()
    assert text[0] == "**A tiny grid**"
    assert text[2] == "| guidance | CL | ATT-COS | CAM-COS | specific | own face |"
    assert len({line.count("|") for line in text if line.startswith("|")}) == 1
    assert "- One seed (0). Shares (CL, specific, own face) in percent." in text
    assert text[-1].startswith("- Missing: AffectNet / unguided, seed 0 (cam-resnet10t-lambda0-")


def test_latex(tmp_path: Path):
    table = {"title": "50 % of_this & {that} ~ \\x", "axes": {"a#b": TABLE["axes"]["guidance"]}}
    grid = prepared(tmp_path, evaluations(), **table, baseline={"a#b": "unguided"})
    text = latex(main_table(collect(grid, tmp_path)), "tiny")
    assert r"\caption{50 \% of\_this \& \{that\} \textasciitilde{} \textbackslash{}x: tiny" in text
    assert r"a\#b & CL & ATT-COS & CAM-COS & specific & own face \\" in text
    assert r"unguided & 50.00 $\pm$ 0.00 & 0.500 $\pm$ 0.071" in text
    assert r"\quad minus unguided & +33.33 [" in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\midrule") == 2
    worse = Grid.from_dict({**TABLE, "baseline": {"guidance": "guided"}})
    assert r"& $-$0.200 [$-$0.200, $-$0.200] &" in latex(main_table(collect(worse, tmp_path)), "tiny")


def test_the_table_fits_a_terminal(tmp_path: Path):
    axes = {"method": {"GradCAM++ with a long name": {"classifier.method": "gradcam++"}, "CAM": {}}}
    grid = Grid.from_dict({**TABLE, "axes": {**axes, **TABLE["axes"]}, "published": []})
    for row in grid.rows:
        for seed in grid.seeds:
            put(grid, tmp_path, row.label, seed, evaluations()[row.place["guidance"], seed])
    console = Console(width=80, record=True, file=(tmp_path / "terminal").open("w"))
    console.print(terminal_table(collect(grid, tmp_path)))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "83.3 ± 23.6" in text
    assert "+0.20*" in text
    assert "GradCAM++ with" in text


def test_json_and_csv_agree_to_the_last_digit(tmp_path: Path):
    grid = prepared(tmp_path, evaluations(gender=True))
    write_tables(collect(grid, tmp_path), tmp_path / "tables")
    figures = json.loads((tmp_path / "tables" / "results.json").read_text(encoding="utf-8"))
    summary = figures["rows"][1]["measures"]["cam_cos"]["true"]
    read = csv.DictReader((tmp_path / "tables" / "results.csv").open(encoding="utf-8"))
    values = {
        row["statistic"]: row["value"]
        for row in read
        if (row["guidance"], row["measure"], row["variant"]) == ("guided", "cam_cos", "true")
    }
    assert float(values["mean"]) == summary["mean"]
    assert float(values["seed 1"]) == summary["values"]["1"]
    assert float(values["difference high"]) == summary["difference"]["high"]
    assert figures["rows"][1]["groups"]["gender"]["male"]["faces"] == 3
    assert set(figures["controls"]["tiny, test split, 6 faces"].values()) == {0.5}


def test_times_are_kept_apart_from_results(tmp_path: Path):
    grid = prepared(tmp_path, evaluations())
    before = collect(grid, tmp_path)
    write_tables(before, tmp_path / "tables")
    assert not (tmp_path / "tables" / "times.csv").exists()
    noted = grid.cells[0].folder(tmp_path) / "seconds.json"
    noted.write_text('{"train": 12.5, "machine": "an abacus"}')
    after = collect(grid, tmp_path)
    write_tables(after, tmp_path / "timed")
    assert before == after
    for name in ("table.md", "table.tex", "results.json", "results.csv"):
        assert (tmp_path / "timed" / name).read_bytes() == (tmp_path / "tables" / name).read_bytes()
    (row,) = csv.DictReader((tmp_path / "timed" / "times.csv").open(encoding="utf-8"))
    assert row == {"cell": grid.cells[0].name, "seconds": "12.5", "machine": "an abacus"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seconds.json", b"", "seconds.json cannot be read"),
        ("seconds.json", b'{"train": "long"}', "seconds.json does not say what a training took"),
        ("per_image.csv", b"key,label\n\xff,\xff\n", "per_image.csv: "),
        ("per_image.csv", b"\xff,label\na,b\n", "per_image.csv: "),
        ("per_image.csv", b"key,label\na,b\n", "per_image.csv: it has 1 rows for 6 faces"),
        ("per_image.csv", b"key,key\na,b\n", "per_image.csv: its columns are not those"),
        ("evaluation.json", b"\xff", "evaluation.json cannot be read"),
        ("evaluation.json", b"[]", "evaluation.json does not hold a JSON object"),
    ],
)
def test_damaged_files_of_a_cell_are_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    grid = Grid.from_dict(TABLE)
    folder = tmp_path
    for row in grid.rows:
        for seed in grid.seeds:
            folder = put(grid, tmp_path, row.label, seed, make_evaluation(LABELS, WRONG, CAM))
    (folder.parent / name if name == "seconds.json" else folder / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        collect(grid, tmp_path)
