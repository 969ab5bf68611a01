"""Grid files -> rows and cells."""

from pathlib import Path
from typing import Any

import pytest

from aucue.benchmark import GRIDS, Grid
from aucue.errors import InputError
from aucue.training.recipe import RECIPES, changes_of_recipe

FILES = sorted(GRIDS.glob("*.yaml"))


def table(**changes: Any) -> dict[str, Any]:
    """A grid of two read-outs of one network and another method, guided or not."""
    return {
        "name": "small",
        "settings": {"data.path": "set", "classifier.backbone": "test_resnet", "optimizer.lr": 0.01},
        "axes": {
            "method": {
                "CAM": {"classifier.method": "cam"},
                "LayerCAM": {"classifier.method": "layercam"},
                "PRM": {"classifier.method": "prm", "optimizer.lr": 0.02},
            },
            "guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}},
        },
        "seeds": [0, 3],
        "baseline": {"guidance": "unguided"},
        **changes,
    }


def test_rows_are_the_product_of_the_axes_in_order() -> None:
    grid = Grid.from_dict(table())
    assert [row.label for row in grid.rows] == [
        f"{method} / {arm}" for method in ("CAM", "LayerCAM", "PRM") for arm in ("unguided", "guided")
    ]
    assert grid.axes == {"method": ("CAM", "LayerCAM", "PRM"), "guidance": ("unguided", "guided")}


def test_later_axes_win_over_the_common_settings() -> None:
    cam, *_, prm = Grid.from_dict(table()).rows
    assert (cam.settings["optimizer.lr"], prm.settings["optimizer.lr"]) == (0.01, 0.02)


def test_readouts_of_one_network_share_its_training() -> None:
    grid = Grid.from_dict(table())
    assert len(grid.cells) == 2 * 2 * 2  # networks, arms, seeds
    assert [cell.seed for cell in grid.cells] == [0] * 4 + [3] * 4
    assert grid.cells[0].readouts == ("cam", "layercam")
    folders = {grid.evaluation("out", row, 0) for row in grid.rows}
    assert len(folders) == 6
    assert {folder.parent.name for folder in folders} == {cell.name for cell in grid.cells if cell.seed == 0}


def test_a_cell_names_method_backbone_lambda_and_seed() -> None:
    cell = Grid.from_dict(table()).cells[1]
    assert cell.name.startswith("cam-test_resnet-lambda4-")
    assert cell.name.endswith("-seed0")
    config = cell.config("out")
    assert (config.out, config.guidance.weight, config.optimizer.lr) == (f"out/cells/{cell.name}", 4.0, 0.01)
    assert (config.classifier.method, config.seed, config.select_on) == ("cam", 0, "holdout")


def test_the_same_settings_are_the_same_cell_however_they_are_written() -> None:
    plain = Grid.from_dict(table()).cells
    spelt_out = {**table()["settings"], "data.batch_size": 64, "optimizer.lr": 1e-2}  # 64 is the default
    assert [c.name for c in Grid.from_dict(table(settings=spelt_out)).cells] == [c.name for c in plain]
    other = {**table()["settings"], "data.batch_size": 32}
    assert not {c.name for c in Grid.from_dict(table(settings=other)).cells} & {c.name for c in plain}


@pytest.mark.parametrize("path", ["set/", "./set", ".//set/."])
def test_a_set_is_the_same_however_its_folder_is_spelt(path: str) -> None:
    settings = {**table()["settings"], "data.path": path}
    start = {"guidance.weight": 0}
    for changes in ({}, {"start": start}):
        plain = Grid.from_dict(table(**changes))
        spelt = Grid.from_dict(table(settings=settings, **changes))
        assert spelt.cells == plain.cells
        assert [row.settings for row in spelt.rows] == [row.settings for row in plain.rows]


def test_the_name_of_a_cell_is_what_it_always_was() -> None:
    """Cells of earlier versions are found again."""
    assert Grid.from_dict(table()).cells[0].name == "cam-test_resnet-lambda0-57864172-seed0"


def test_protocol_fg2024_selects_on_the_test_set() -> None:
    holdout, published = (Grid.from_dict(table(protocol=name)) for name in ("holdout", "fg2024"))
    assert {cell.config("out").select_on for cell in holdout.cells} == {"holdout"}
    assert {cell.config("out").select_on for cell in published.cells} == {"test"}
    assert not {cell.name for cell in holdout.cells} & {cell.name for cell in published.cells}


def test_further_rows_and_their_baseline() -> None:
    more = [{"method": "CAM", "guidance": "lambda 9", "settings": {"guidance.weight": 9}}]
    grid = Grid.from_dict(table(more=more))
    row = grid.rows[-1]
    assert row.label == "CAM / lambda 9"
    baseline = grid.baseline_of(row)
    assert baseline is not None
    assert baseline.label == "CAM / unguided"
    assert grid.baseline_of(baseline) is None


def test_names_may_be_what_yaml_takes_for_numbers_and_truths(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(
        "settings: {data.path: set}\n"
        "axes:\n"
        "  lambda: {0: {guidance.weight: 0}, 0.5: {guidance.weight: 0.5}}\n"
        "  2: {no: {}, yes: {optimizer.lr: 0.02}}\n"
        "more: [{lambda: 4, 2: no, settings: {guidance.weight: 4}}]\n"
        "published: [{lambda: 0.5, 2: yes, CL: 0.9}]\n"
        "baseline: {lambda: 0}\n"
        "figure: {x: guidance.weight, over: {2: no}}\n"
    )
    grid = Grid.load(file)
    labels = ["0 / False", "0 / True", "0.5 / False", "0.5 / True", "4 / False"]
    assert [row.label for row in grid.rows] == labels
    assert grid.baseline_of(grid.rows[-1]) == grid.rows[0]
    assert grid.figure == {"x": "guidance.weight", "over": {"2": "False"}}
    assert grid.rows[3].published == {"CL": 0.9}
    assert Grid.load(grid.write(tmp_path / "again.yaml")) == grid
    on_truths = Grid.from_dict({**grid.table, "baseline": {2: False}})
    assert Grid.load(on_truths.write(tmp_path / "again.yaml")) == on_truths


def test_published_values_go_to_their_row() -> None:
    published = [{"method": "PRM", "guidance": "guided", "CL": 0.8888, "CAM-COS": 0.59}]
    grid = Grid.from_dict(table(published=published))
    assert [dict(row.published) for row in grid.rows][-1] == {"CL": 0.8888, "CAM-COS": 0.59}
    assert not any(row.published for row in grid.rows[:-1])


def test_all_rows_of_a_seed_go_on_from_one_start() -> None:
    plain, grid = Grid.from_dict(table()), Grid.from_dict(table(start={"guidance.weight": 0, "epochs": 9}))
    starts = [cell for cell in grid.cells if cell.start is None]
    assert [(cell.seed, cell.readouts) for cell in starts] == [(0, ()), (3, ())]
    assert [grid.cells.index(cell) for cell in starts] == [0, 5]  # before those that go on from them
    config = starts[0].config("out")
    assert (config.epochs, config.guidance.weight, config.optimizer.lr) == (9, 0.0, 0.01)
    for start in starts:
        of_seed = [cell for cell in grid.cells if cell.seed == start.seed and cell != start]
        assert all(cell.start == start for cell in of_seed)
        model = str(start.folder("out") / "model.safetensors")
        assert {cell.config("out").classifier.weights for cell in of_seed} == {model}
    assert not {cell.name for cell in grid.cells} & {cell.name for cell in plain.cells}
    longer = Grid.from_dict(
        table(start={"guidance.weight": 0, "epochs": 10})
    )  # other starts, other trainings
    assert not {cell.name for cell in grid.cells} & {cell.name for cell in longer.cells}


def test_arms_of_the_evidence_page_are_the_recipes() -> None:
    grid = Grid.load(GRIDS / "evidence.yaml")
    configs = {
        row.place["recipe"]: cell.config("out")
        for row, cell in zip(grid.rows, [c for c in grid.cells if c.seed == 0 and c.start], strict=True)
    }
    assert configs.keys() == set(RECIPES)
    for name, config in configs.items():
        assert changes_of_recipe(config, name).keys() == {"balance"}  # 1, in all arms alike
        assert (config.balance, config.epochs) == (1.0, 4)


def test_another_way_to_evaluate_has_folders_of_its_own(tmp_path: Path) -> None:
    plain, asked = Grid.from_dict(table()), Grid.from_dict(table(evidence=3, judge={"codebook": "facs"}))
    assert (asked.assessment.evidence, asked.assessment.codebook) == (3, "facs")
    assert Grid.from_dict(table(evidence=True)).assessment.evidence == 25
    assert Grid.from_dict(table(evidence=False)) != asked
    folders = [grid.evaluation(tmp_path, grid.rows[0], 0) for grid in (plain, asked)]
    assert folders[0].name == "cam"
    assert folders[1].name.startswith("cam-")
    assert folders[0].parent == folders[1].parent


def test_a_written_grid_reads_back(tmp_path: Path) -> None:
    grid = Grid.from_dict(table(figure={"x": "guidance.weight", "over": {"method": "CAM"}}, notes=["Note."]))
    again = Grid.load(grid.write(tmp_path / "grid.yaml"))
    assert again == grid


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_grids_are_understood(file: Path) -> None:
    assert Grid.load(file).cells


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axis": {}}, "unknown entry 'axis'.*Did you mean 'axes'"),
        ({"axes": {}}, "axes are missing"),
        ({"axes": {"method": {}}}, "axes, method: no names"),
        ({"axes": ["cam"]}, "axes must be a mapping"),
        ({"settings": {"data.path": "set", "guidance.wieght": 2}}, "Did you mean 'guidance.weight'"),
        ({"settings": {"data.path": "set", "epochs": "many"}}, r"CAM / unguided: .*epochs.*many"),
        ({"settings": {"data.path": "set", "seed": 2}}, "unknown setting 'seed'"),
        ({"settings": {}}, "data.path is missing"),
        ({"settings": {"data.path": "set", "readout": "camm"}}, "cannot be read out as 'camm'"),
        ({"seeds": [1, 1]}, "seeds must be different whole numbers"),
        ({"seeds": 3}, "seeds must be a list"),
        ({"protocol": "test"}, "protocol must be holdout or fg2024"),
        ({"baseline": {"guidance": "none"}}, "guidance: none is no name"),
        ({"baseline": {"guidance": "guided", "method": "CAM"}}, "give one axis"),
        ({"more": [{"method": "CAM"}]}, "entry 1: guidance is missing"),
        ({"published": [{"method": "CAM", "CL": 1}]}, "published, entry 1: guidance is missing"),
        ({"figure": {"over": {}}}, "figure: x is missing"),
        ({"published": [{"method": "CAM", "guidance": "guided", "CL": "x"}]}, "CL must be a number"),
        ({"notes": 5}, "notes must be a list"),
        ({"evidence": "much"}, "evidence must be true, false or a number of faces"),
        ({"evidence": -1}, "evidence must be true, false or a number of faces"),
        ({"start": ["box"]}, "start must be a mapping"),
        ({"start": {"epoch": 2}}, "start: unknown setting 'epoch'.*Did you mean 'epochs'"),
        (
            {"start": {"classifier.weights": "box", "readout": "cam"}},
            "neither start nor rows can have readout",
        ),
        (
            {"start": {}, "settings": {"data.path": "set", "classifier.weights": "box"}},
            "neither start nor rows can have classifier.weights",
        ),
        ({"judge": {"codebok": "facs"}}, "Did you mean 'codebook'"),
        ({"judge": {"codebook": "fax"}}, "fax"),
        ({"judge": {"regions": "anatomy"}}, "Did you mean 'anatomical'"),
        ({"protocol": ["test"]}, "protocol must be holdout or fg2024"),
        ({"settings": {"data.path": 5}}, "data.path is missing"),
        ({"name": "../elsewhere"}, "is no name of a file"),
        ({"name": "cells"}, "name cannot be 'cells'"),
        ({"figure": {"x": "epochs", "over": {"method": "ADL"}}}, "method: ADL is no name"),
        (
            {"more": [{"method": "CAM", "guidance": "9"}, {"method": "CAM", "guidance": "guided"}]},
            "^grid.yaml, more, entry 2: there is a row 'CAM / guided' already; give this one another name",
        ),
        (
            {"more": [{"method": "CAM", "guidance": 9}, {"method": "CAM", "guidance": "9"}]},
            "more, entry 2: there is a row 'CAM / 9' already",
        ),
        (
            {"axes": {"one": {"a / b": {}, "a": {}}, "two": {"c": {}, "b / c": {}}}, "baseline": {}},
            "^grid.yaml, axes: there is a row 'a / b / c' already",
        ),
        ({"axes": {"weight": {1: {}, "1": {}}}}, "axes, weight: two entries are named '1'"),
        ({"axes": {1: {"a": {}}, "1": {"b": {}}}}, "axes: two entries are named '1'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid.from_dict(table(**changes), "grid.yaml")


def test_a_cell_is_named_by_letters_that_stay_inside() -> None:
    changes = {"data.path": "set", "classifier.backbone": "../../resnet"}
    names = [cell.name for cell in Grid.from_dict(table(settings=changes)).cells]
    assert names
    assert all("-.._.._resnet-lambda" in name and "/" not in name for name in names)
