"""Two processes that torchrun has started measure what one process measures."""

import csv
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.evaluation.conftest import SIDE, NoiseSource
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from aucue.cli.main import main
from aucue.data import Sample, open_prepared, prepare
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.facs import EXPRESSIONS

FACES, BATCH = 23, 4  # six batches, the last one with three faces
ABSENT = "fear"


class SparseSource(NoiseSource):
    """Noise without a face of one class, every fifth face without landmarks."""

    def __getitem__(self, index: int) -> Sample:
        present = [name for name in EXPRESSIONS if name != ABSENT]
        sample = replace(super().__getitem__(index), label=present[index % len(present)])
        return replace(sample, landmarks=None) if index % 5 == 0 else sample


def evaluate_as_rank(arguments: list[str], printed: Path) -> None:
    """The command in a process of torchrun's; what it prints goes into a file of its own."""
    torch.set_num_threads(1)  # threads of the process that this one was forked from are not there
    with (printed / os.environ["RANK"]).open("w") as file, redirect_stdout(file):
        assert main(arguments) == 0


@pytest.fixture(scope="module")
def sharded(models: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Folders of an evaluation by one process and by two, and what the two have printed."""
    folder = tmp_path_factory.mktemp("sharded")
    source = SparseSource(FACES)
    prepare(source, folder / "set", detector="none", size=SIDE, workers=1, progress=False)
    options: dict[str, Any] = {"batch_size": BATCH, "workers": 0, "device": "cpu"}
    prepared, settings = open_prepared(folder / "set"), EvaluationSettings(**options)
    evaluate(models["guided"], prepared, settings, out=folder / "one", progress=False)
    command = ["evaluate", str(models["guided"]), "--data", str(folder / "set"), "--out", str(folder / "two")]
    command += [
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        "--device",
        "2xcpu",
    ]
    printed = tmp_path_factory.mktemp("printed")
    logs = DefaultLogsSpecs(log_dir=str(tmp_path_factory.mktemp("logs")))
    # What torchrun does, but that its processes are forked: they need not import torch, which takes seconds.
    job = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork",
        monitor_interval=0.1,
        logs_specs=logs,
    )
    elastic_launch(job, evaluate_as_rank)(command, printed)
    assert sorted(path.name for path in printed.iterdir()) == ["0", "1"]
    said = "".join(path.read_text() for path in printed.iterdir())
    return {"one": folder / "one", "two": folder / "two", "printed": said}


def numbers(figures: Any, path: str = "") -> dict[str, float]:
    """Every number in nested figures, by its path."""
    if isinstance(figures, Mapping):
        return {k: v for name, part in figures.items() for k, v in numbers(part, f"{path}/{name}").items()}
    if isinstance(figures, list | tuple):
        return {k: v for i, part in enumerate(figures) for k, v in numbers(part, f"{path}/{i}").items()}
    is_number = isinstance(figures, int | float) and not isinstance(figures, bool)
    return {path: figures} if is_number else {}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "per_image.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_agrees(sharded: Mapping[str, Any]) -> None:
    one, two = (Evaluation.load(sharded[name] / "evaluation.json") for name in ("one", "two"))
    assert one.classification.support[ABSENT] == 0
    assert one.estimate("cam_cos").faces[ABSENT] == 0
    assert one.without_cue["no landmarks"] == 5  # 5, 10, 15, 20, 22; face 0 is neutral
    assert sum(one.classification.support.values()) == FACES
    expected, found = (numbers(evaluation.to_dict()) for evaluation in (one, two))
    assert len(expected) > 100
    assert found == pytest.approx(expected, rel=0, abs=1e-6)
    assert two.notes == one.notes
    assert two.data == one.data


def test_every_row_agrees(sharded: Mapping[str, Any]) -> None:
    one, two = rows(sharded["one"]), rows(sharded["two"])
    assert [row["key"] for row in two] == [f"<face> {number}.png" for number in range(FACES)]
    for expected, found in zip(one, two, strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            try:
                assert float(found[name]) == pytest.approx(float(value), rel=0, abs=1e-6), name
            except ValueError:
                assert found[name] == value


def test_the_first_process_alone_writes_and_speaks(sharded: Mapping[str, Any]) -> None:
    assert sharded["printed"].count("Report:") == 1
    one, two = (sorted(path.name for path in sharded[name].iterdir()) for name in ("one", "two"))
    assert one == two
