"""Each list of names has one home; whatever offers, checks or describes the names agrees with it."""

import inspect
import re
from typing import Any, get_args, get_type_hints

import pytest

from aucue.benchmark.grid import Protocol
from aucue.cams import READOUTS
from aucue.cams.names import READOUT_NAMES
from aucue.classifiers import METHODS
from aucue.cli import benchmark, evaluate, explain, export, prepare
from aucue.cli.arguments import describe
from aucue.cues import REGION_MODELS
from aucue.data.description import WithoutLandmarks
from aucue.data.sources.source import SPLITS
from aucue.evaluation.settings import EvaluationSettings
from aucue.explanation.settings import ExplainSettings, MapFormat
from aucue.faces import DETECTORS, TEMPLATES
from aucue.guidance import LOSSES
from aucue.guidance.names import AttentionKind, Loss
from aucue.models import GuidanceRecord, fg2024
from aucue.training.config import ClassifierSettings, DataSettings, GuidanceSettings
from aucue.training.module import BATCHED
from aucue.training.recipe import _FOLDER, RECIPES
from aucue.work.engines import ENGINES, EngineName


def hint(owner: Any, name: str) -> tuple[Any, ...]:
    """The choices of a parameter or field, in their order."""
    wanted = get_type_hints(owner)[name]
    return tuple(choice for choice in get_args(wanted) if choice is not type(None))


@pytest.mark.parametrize(
    ("owner", "name", "table"),
    [
        (ClassifierSettings, "method", METHODS),
        (GuidanceSettings, "loss", LOSSES),
        (GuidanceRecord, "loss", LOSSES),
        (GuidanceRecord, "attention", get_args(AttentionKind)),
        (GuidanceSettings, "attention", get_args(AttentionKind)),
        (ExplainSettings, "maps", get_args(MapFormat)),
        (ExplainSettings, "engine", get_args(EngineName)),
        (prepare._prepare, "engine", get_args(EngineName)),
        (prepare._prepare, "without_landmarks", get_args(WithoutLandmarks)),
        (EvaluationSettings, "split", SPLITS),
    ],
)
def test_choices_are_those_of_the_table(owner: Any, name: str, table: Any) -> None:
    assert len(table) > 1
    assert hint(owner, name) == tuple(table)


def test_an_option_offers_what_its_room_knows() -> None:
    offered = get_type_hints(benchmark.command)["protocol"]
    assert get_args(get_args(offered)[0]) == get_args(Protocol)


def test_tables_beside_one_another() -> None:
    assert get_args(Loss) == tuple(LOSSES)
    assert tuple(READOUTS) == READOUT_NAMES
    assert set(hint(DataSettings, "augment")) == {"published", "none", *BATCHED}
    assert get_args(EngineName) == tuple(ENGINES)
    assert set(RECIPES) == {path.stem for path in _FOLDER.glob("*.yaml")}
    assert {ours for ours, _ in fg2024._METHODS.values()} <= METHODS.keys()
    assert set(fg2024._LOSSES.values()) < set(LOSSES)
    assert {row.readout for row in METHODS.values()} <= READOUTS.keys()


@pytest.mark.parametrize(
    ("owner", "parameter", "names"),
    [
        (ExplainSettings, "readout", READOUTS),
        (export.command, "readout", READOUTS),
        (EvaluationSettings, "readout", READOUTS),
        (EvaluationSettings, "regions", REGION_MODELS),
        (GuidanceSettings, "regions", REGION_MODELS),
        (prepare._prepare, "detector", DETECTORS),
        (prepare._prepare, "template", TEMPLATES),
    ],
)
def test_helps_name_all_of_a_table(owner: Any, parameter: str, names: Any) -> None:
    text = describe(owner)[1][parameter]
    words = re.findall(r"[\w+-]+", text)
    assert len(names) > 1
    assert [name for name in names if name not in words] == []


def test_nobody_writes_the_read_outs_out_in_a_signature() -> None:
    for command in (explain.command, export.command, evaluate.command):
        assert "gradcam" not in str(inspect.signature(command))
