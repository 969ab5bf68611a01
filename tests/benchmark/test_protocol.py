"""The paper's experiments: how many trainings, which settings, what they are compared with."""

import itertools
from collections import Counter
from functools import cache
from typing import Any

import pytest
import yaml

from aucue.benchmark import PAPER_GRIDS, Grid, Row, paper_grid
from aucue.benchmark.protocol import PUBLISHED_LAYERS
from aucue.classifiers import METHODS, Classifier
from aucue.errors import InputError
from aucue.training import TrainConfig

BOTH = {"raf-db": "sets/raf-db", "affectnet": "sets/affectnet"}
RAF_DB = {"raf-db": "sets/raf-db"}
EVERY = list(itertools.product(PAPER_GRIDS, ("holdout", "fg2024")))


def grid(name: str, protocol: Any = "holdout", data: dict[str, str] = BOTH, **options: Any) -> Grid:
    return Grid.from_dict(paper_grid(name, data, protocol, **options))


@cache
def paper(name: str, protocol: str = "holdout") -> Grid:
    """A grid on both sets."""
    return grid(name, protocol)


@cache
def trainings(name: str, protocol: str = "holdout") -> dict[str, TrainConfig]:
    """Its trainings, see `configs`."""
    return configs(paper(name, protocol))


def configs(of: Grid) -> dict[str, TrainConfig]:
    """Training of each row by its label."""
    cells = {cell.name: cell for cell in of.cells}
    return {row.label: cells[of.evaluation("", row, 0).parent.name].config("out") for row in of.rows}


def differences(one: TrainConfig, other: TrainConfig) -> set[str]:
    def flat(config: TrainConfig) -> dict[str, Any]:
        nested = config.to_dict()
        groups = {key: value for key, value in nested.items() if isinstance(value, dict)}
        plain = {key: value for key, value in nested.items() if key not in groups}
        return plain | {f"{group}.{key}": value for group in groups for key, value in groups[group].items()}

    first, second = flat(one), flat(other)
    return {key for key in first if first[key] != second[key]} - {"out"}


@pytest.mark.parametrize(
    ("name", "rows", "cells", "published"),
    [
        # 8 networks per set: CAM, GradCAM, GradCAM++ and LayerCAM are read-outs of one
        ("table1", 11 * 2 * 2, 8 * 2 * 2, 44),
        ("table2", 11 * 2 * 2, 8 * 2 * 2, 44),
        ("table3", 10 * 2, 10 * 2, 10),
        ("figure5", 17 * 2, 17 * 2, 18),  # unguided: on both sets, lambdas on RAF-DB
    ],
)
@pytest.mark.parametrize("protocol", ["holdout", "fg2024"])
def test_rows_and_trainings(protocol: str, name: str, rows: int, cells: int, published: int) -> None:
    made = paper(name, protocol)
    assert (len(made.rows), len(made.cells)) == (rows, cells)
    assert sum(bool(row.published) for row in made.rows) == published
    assert made.protocol == protocol
    assert made.name == (name if protocol == "holdout" else f"{name}-fg2024")


@pytest.mark.parametrize(("name", "protocol"), EVERY)
def test_a_grid_is_plain_yaml(name: str, protocol: Any) -> None:
    table = paper_grid(name, BOTH, protocol)
    assert yaml.safe_load(yaml.safe_dump(table, sort_keys=False)) == table


@pytest.mark.parametrize(("name", "protocol"), EVERY)
def test_every_training_has_the_published_hyper_parameters(name: str, protocol: str) -> None:
    for label, config in trainings(name, protocol).items():
        assert (config.epochs, config.select, config.data.batch_size, config.data.augment) == (
            20,
            "accuracy",
            224,
            "published",
        )
        optimizer = config.optimizer
        assert (optimizer.name, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (
            "sgd",
            0.002,
            0.9,
            5e-4,
        )
        assert (optimizer.schedule, optimizer.step_epochs, optimizer.step_factor) == ("step", 4, 0.9)
        assert config.trainer.precision == "16-mixed"
        assert (config.guidance.loss, config.guidance.attention) == ("cosine", "mean")
        if "TS-CAM" in label:
            assert (config.classifier.backbone, config.classifier.input_size) == (
                "ts_cam_deit_small_patch16_224",
                224,
            )
        elif "APViT" in label:
            assert (config.classifier.backbone, config.classifier.input_size) == ("ir50", 112)
        else:
            assert (config.classifier.backbone, config.classifier.input_size) == ("resnet50.tv_in1k", 224)
            assert config.classifier.final_stride == 8
        assert config.classifier.pretrained == ("APViT" not in label)  # timm has no weights of IR-50


@pytest.mark.parametrize(("name", "protocol"), EVERY)
def test_a_row_differs_from_its_baseline_in_the_guidance_alone(name: str, protocol: str) -> None:
    made = paper(name, protocol)
    trained = trainings(name, protocol)
    allowed = {"guidance.weight", "guidance.layers"} if name == "table3" else {"guidance.weight"}
    compared = Counter()
    for row in made.rows:
        baseline = made.baseline_of(row)
        if baseline is None:
            assert trained[row.label].guidance.weight == 0
            continue
        found = differences(trained[row.label], trained[baseline.label])
        assert {"guidance.weight"} <= found <= allowed
        assert row.readout == baseline.readout
        compared[baseline.label] += 1
    assert sum(compared.values()) + len(compared) == len(made.rows)


def test_lambda_is_that_of_the_set() -> None:
    weights = {label: config.guidance.weight for label, config in trainings("table1").items()}
    assert {weight for label, weight in weights.items() if label.endswith("unguided")} == {0.0}
    assert {weight for label, weight in weights.items() if label.endswith(" guided")} == {4.0, 9.0}
    assert weights["raf-db / PRM / guided"] == 4
    assert weights["affectnet / PRM / guided"] == 9


def test_holdout_uses_what_is_right() -> None:
    for row in paper("table1", "holdout").rows:
        assert row.settings["select_on"] == "holdout"
        assert "classifier.head_options" not in row.settings
        method = METHODS[row.settings["classifier.method"]]
        assert row.readout == method.readout
    for config in trainings("table3", "holdout").values():
        guidance = config.guidance
        assert (guidance.codebook, guidance.regions, guidance.cue_size) == ("facs", "anatomical", "attention")


def test_fg2024_uses_what_was_published() -> None:
    made = paper("table1", "fg2024")
    for config in trainings("table1", "fg2024").values():
        guidance = config.guidance
        assert config.select_on == "test"
        assert (guidance.codebook, guidance.regions, guidance.cue_size) == ("fg2024", "fg2024-224", "input")
    options = {row.place["method"]: row.settings.get("classifier.head_options") for row in made.rows}
    assert {title for title, found in options.items() if found == {"variant": "fg2024"}} == {
        "WILDCAT",
        "ACoL",
    }
    readouts = {row.place["method"]: row.readout for row in made.rows}
    assert (readouts["GradCAM++"], readouts["ADL"]) == ("gradcam++-fg2024", "adl-fg2024")
    assert (readouts["GradCAM"], readouts["LayerCAM"], readouts["PRM"]) == ("gradcam", "layercam", "cam")


def test_grids_share_their_trainings() -> None:
    table1, table2, table3, figure5 = ({cell.name for cell in paper(name).cells} for name in PAPER_GRIDS)
    assert table1 == table2
    assert len(table1 & table3) == len(table1 & figure5) == 4  # unguided and guided CAM, on both sets
    assert not table1 & {cell.name for cell in paper("table1", "fg2024").cells}


def test_the_layers_are_the_published_ones() -> None:
    # DESIGN, section 7: the five layers of the ResNet-50 with large maps
    network = Classifier("resnet50.tv_in1k", input_size=224, final_stride=8)
    shapes = {number: network.shapes[layer] for number, layer in PUBLISHED_LAYERS.items()}
    assert shapes == {
        "1": (64, 112, 112),
        "2": (256, 56, 56),
        "3": (512, 28, 28),
        "4": (1024, 28, 28),
        "5": (2048, 28, 28),
    }
    assert network.layers[METHODS["cam"].layer] == PUBLISHED_LAYERS["5"]
    assert network.layers[METHODS["cutmix"].layer] == PUBLISHED_LAYERS["4"]


def test_table_3_guides_layers_and_stacks() -> None:
    layers = {label: config.guidance.layers for label, config in configs(grid("table3", data=RAF_DB)).items()}
    assert layers == {
        "raf-db / none": None,
        "raf-db / layer 1": ["act1"],
        "raf-db / layer 2": ["layer1"],
        "raf-db / layer 3": ["layer2"],
        "raf-db / layer 4": ["layer3"],
        "raf-db / layer 5": None,  # the last one
        "raf-db / layers 5+4": ["layer3", "layer4"],
        "raf-db / layers 5+4+3": ["layer2", "layer3", "layer4"],
        "raf-db / layers 5+4+3+2": ["layer1", "layer2", "layer3", "layer4"],
        "raf-db / layers 5+4+3+2+1": ["act1", "layer1", "layer2", "layer3", "layer4"],
    }


def test_figure_5_goes_from_no_guidance_to_20() -> None:
    made = grid("figure5", data=RAF_DB)
    weights = [config.guidance.weight for config in configs(made).values()]
    assert weights == [0, 0.01, 0.1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 20]
    assert made.figure == {"x": "guidance.weight", "over": {"set": "raf-db"}}
    assert paper("table1").figure is None


def published(made: Grid) -> dict[str, dict[str, float]]:
    return {row.label: dict(row.published) for row in made.rows if row.published}


def test_published_numbers_stand_beside_their_row() -> None:
    table1, table3 = published(paper("table1")), published(paper("table3"))
    assert table1["raf-db / GradCAM++ / guided"] == {"CL": 0.8914, "CAM-COS": 0.82, "ATT-COS": 0.87}
    assert table1["affectnet / TS-CAM / unguided"] == {"CL": 0.5899, "CAM-COS": 0.57, "ATT-COS": 0.48}
    assert table1["affectnet / APViT / guided"] == {"CL": 0.6228, "ATT-COS": 0.84}
    assert table3["raf-db / layers 5+4+3+2+1"] == {"CL": 0.8846, "CAM-COS": 0.67}
    figure = published(paper("figure5"))
    assert figure["raf-db / lambda 0.1"] == {"CL": 0.8833, "CAM-COS": 0.63, "ATT-COS": 0.75}
    assert figure["raf-db / unguided"] == table1["raf-db / CAM / unguided"]


def test_a_set_of_ones_own_has_no_published_numbers() -> None:
    made = grid("table1", data={"mine": "sets/mine", **RAF_DB})
    assert {label.split(" / ")[0] for label in published(made)} == {"raf-db"}
    assert configs(made)["mine / CAM / guided"].guidance.weight == 4
    assert any("mine" in note for note in made.notes)
    assert not any("Nothing was published" in note for note in paper("table1").notes)


def test_a_backbone_makes_an_axis() -> None:
    made = grid("table1", data=RAF_DB, backbones=["resnet50.tv_in1k", "convnext_tiny"])
    assert made.axes["backbone"] == ("resnet50.tv_in1k", "convnext_tiny")
    assert set(made.axes["method"]) == {
        m.title for m in METHODS.values() if m.in_paper and not m.has_own_backbone
    }
    rows: list[Row] = [row for row in made.rows if row.published]
    assert {row.place["backbone"] for row in rows} == {"resnet50.tv_in1k"}
    assert len(rows) == 9 * 2
    trained = configs(made)["raf-db / convnext_tiny / ADL / guided"].classifier
    assert (trained.backbone, trained.method, trained.final_stride) == ("convnext_tiny", "adl", 8)
    shared = {cell.name for cell in made.cells} & {cell.name for cell in paper("table1").cells}
    assert len(shared) == 6 * 2  # networks of the ResNet-50 on RAF-DB
    assert not any("APViT" in note for note in made.notes)


def test_a_codebook_makes_an_axis() -> None:
    made = grid("figure5", data=RAF_DB, codebooks=["fg2024", "mine.yaml"])
    assert list(made.axes) == ["set", "codebook", "guidance"]
    assert {row.place["codebook"] for row in made.rows if row.published} == {"fg2024"}
    found = configs(made)
    assert found["raf-db / mine.yaml / lambda 2"].guidance.codebook == "mine.yaml"
    assert made.figure == {"x": "guidance.weight", "over": {"set": "raf-db", "codebook": "fg2024"}}
    # the unguided twin is measured with the codebook of its partner
    baselines = [made.baseline_of(row) for row in made.rows]
    for row, baseline in zip(made.rows, baselines, strict=True):
        if baseline is not None:
            assert row.settings["guidance.codebook"] == baseline.settings["guidance.codebook"]


def test_extra_axes_are_absent_unless_asked_for() -> None:
    assert [list(paper(name).axes) for name in PAPER_GRIDS] == [
        ["set", "method", "guidance"],
        ["set", "method", "guidance"],
        ["set", "layers"],
        ["set", "guidance"],
    ]


def test_seeds() -> None:
    made = grid("table3", data=RAF_DB, seeds=[3, 5])
    assert made.seeds == (3, 5)
    assert Counter(cell.seed for cell in made.cells) == {3: 10, 5: 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table4", RAF_DB), "'table4' is no experiment of the paper; choose from table1"),
        (("table1", RAF_DB, "test"), "'test' is none; choose from holdout, fg2024"),
        (("table1", {}), "table1: no prepared set is given"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        paper_grid(*arguments)
