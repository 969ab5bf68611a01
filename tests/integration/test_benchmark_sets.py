"""RAF-DB and AffectNet as they are distributed: prepared, compared guided with unguided, tabulated."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from aucue.benchmark import Grid
from aucue.cli.main import main
from aucue.data import open_prepared
from aucue.facs import EXPRESSIONS

from ..builders import NARROW
from ..data.layouts import Picture, write_affectnet_csv, write_raf_db

SIDE = 48
TRAIN, TEST = 56, 56  # of which each kind of face has as many
# Classes take turns, of which the photographs of AffectNet have eight: contempt is left out.
FACES = {
    name: {split: dict.fromkeys(EXPRESSIONS, count // kinds) for split, count in counts.items()}
    for name, kinds in (("raf-db", 7), ("affectnet", 8))
    for counts in ({"train": TRAIN, "test": TEST},)
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both sets, prepared by the command line; they are smaller than published, which gives status 1."""
    root = tmp_path_factory.mktemp("sets")
    pictures = write_raf_db(root / "RAF-DB", TRAIN, TEST, size=64)
    landmarks = write_landmarks(root / "landmarks.csv", pictures)
    write_affectnet_csv(root / "AffectNet", TRAIN, TEST, size=64)
    assert prepare("raf-db", root / "RAF-DB", root / "raf-db", "--detector", str(landmarks)) == 1
    assert prepare("affectnet", root / "AffectNet", root / "affectnet") == 1
    return {name: root / name for name in ("raf-db", "affectnet")}


def write_landmarks(path: Path, pictures: Sequence[Picture]) -> Path:
    """A table for `--detector`, as another program's landmarks are brought along."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", *(f"{axis}{point}" for point in range(68) for axis in "xy")])
        table.writerows([picture.name, *picture.landmarks.ravel()] for picture in pictures)
    return path


def prepare(name: str, root: Path, out: Path, *more: str) -> int:
    common = ["--root", str(root), "--out", str(out), "--size", str(SIDE), "--workers", "1"]
    return main(["prepare", name, *common, *more])


def grid_file(path: Path, data: Path) -> Path:
    """A grid of a guided and an unguided training, of one epoch on a tiny network."""
    table = {
        "title": "Two cells",
        "settings": {
            "data.path": str(data),
            "data.workers": 0,
            "classifier.backbone": "test_resnet",
            "classifier.options": NARROW,
            "classifier.input_size": SIDE,
            "classifier.final_stride": 8,
            "epochs": 1,
        },
        "axes": {"guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}}},
        "baseline": {"guidance": "unguided"},
    }
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def tables(sets: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each set, the folder of tables that the benchmark of two cells wrote."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for name, data in sets.items():
        grid = grid_file(folder / f"{name}.yaml", data)
        assert main(["benchmark", str(grid), "--out", str(folder / "out"), "--jobs", "1"]) == 0
    return {name: folder / "out" / name for name in sets}


@pytest.mark.parametrize("name", FACES)
def test_every_class_is_prepared_with_landmarks(sets: dict[str, Path], name: str) -> None:
    prepared = open_prepared(sets[name])
    for split, faces in FACES[name].items():
        dataset = prepared.dataset(split)
        assert {
            prepared.classes[label]: count for label, count in Counter(dataset.labels.tolist()).items()
        } == faces
        assert dataset.landmarks_valid.all()
    assert prepared.classes == EXPRESSIONS


@pytest.mark.parametrize("name", FACES)
def test_two_cells_and_their_tables(tables: dict[str, Path], name: str) -> None:
    results = json.loads((tables[name] / "results.json").read_text())
    assert [row["place"] for row in results["rows"]] == [{"guidance": "unguided"}, {"guidance": "guided"}]
    assert results["missing"] == []
    unguided, guided = (row["measures"] for row in results["rows"])
    layer = results["rows"][1]["headlines"]["att_cos"]
    figures = {("accuracy", ""), ("att_cos", layer), ("cam_cos", "true"), ("specificity", "class_map")}
    for measure, variant in figures | {("own_face", "attention")}:
        means = [measures[measure][variant]["mean"] for measures in (unguided, guided)]
        assert all(0 <= mean <= 1 for mean in means)
        difference = guided[measure][variant]["difference"]["value"]
        assert difference == pytest.approx(means[1] - means[0], abs=1e-6)

    table = (tables[name] / "table.md").read_text()
    assert f"**Two cells: {name}, test split, {sum(FACES[name]['test'].values())} faces**" in table
    assert "- Protocol holdout: what is selected is selected on a held-out part of the training" in table
    for line in ("| unguided |", "| guided |", "| *minus unguided* |", "| *control: "):
        assert line in table
    assert (tables[name] / "table.tex").read_text().count(r"\midrule") >= 2
    with (tables[name] / "results.csv").open(newline="") as file:
        numbers = [row for row in csv.DictReader(file) if row["measure"] == "accuracy"]
    assert {row["value"] for row in numbers if row["statistic"] == "mean"} == {
        str(unguided["accuracy"][""]["mean"]),
        str(guided["accuracy"][""]["mean"]),
    }


def test_groups_are_those_of_the_annotations(tables: dict[str, Path]) -> None:
    """RAF-DB's gender, race and age: faces as the layout numbers them, accuracies that add up."""
    with (tables["raf-db"] / "per_group.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["guidance"] == "guided"]
    numbers = range(1, TEST + 1)
    expected = {
        "gender": Counter(("male", "female", "unsure")[number % 3] for number in numbers),
        "race": Counter(("Caucasian", "African-American", "Asian")[number // 3 % 3] for number in numbers),
        "age": Counter(("0-3", "4-19", "20-39", "40-69", "70+")[number % 5] for number in numbers),
    }
    results = json.loads((tables["raf-db"] / "results.json").read_text())
    accuracy = results["rows"][1]["measures"]["accuracy"][""]["mean"]
    for attribute, faces in expected.items():
        members = [row for row in rows if row["attribute"] == attribute]
        assert {row["value"]: int(row["faces"]) for row in members} == faces
        correct = sum(int(row["faces"]) * float(row["accuracy"]) for row in members)
        assert correct / TEST == pytest.approx(accuracy)
    assert not (tables["affectnet"] / "per_group.csv").exists()


def test_the_papers_experiments_on_both_sets(
    sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table 1: eleven methods on two sets, each without and with guidance; four methods share trainings."""
    data = ["--data", *(f"{name}={path}" for name, path in sets.items()), "--out", str(tmp_path / "out")]
    file = tmp_path / "table1.yaml"
    assert main(["benchmark", "table1", *data, "--write-grid", str(file)]) == 0
    grid = Grid.load(file)
    assert (len(grid.rows), len(grid.cells)) == (2 * 11 * 2, 2 * 8 * 2)

    capsys.readouterr()
    assert main(["benchmark", "table3", *data, "--backbones", "test_resnet", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("to do") == 20
    assert "20 rows of the table from 20 trainings" in " ".join(printed.split())
    assert not (tmp_path / "out").exists()
