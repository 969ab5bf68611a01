"""From the evaluations of a grid's cells to one line per row: means over seeds, differences, controls."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError
from aucue.evaluation.benchmark.bootstrap import Difference, paired_bootstrap
from aucue.evaluation.benchmark.grid import Grid, Row
from aucue.evaluation.benchmark.run import EVALUATED_FILE
from aucue.evaluation.results import Evaluation

MEASURES = ("CL", "balanced", "ATT-COS", "CAM-COS", "CAM-COS predicted", "specific", "own face")
"""CL is accuracy, "balanced" mean recall; the others are means per expression, see `Evaluation`."""

_COLUMNS = {
    "CL": "correct",
    "balanced": "correct",
    "CAM-COS": "cam_cos",
    "CAM-COS predicted": "cam_cos predicted class",
    "specific": "specificity class map",
    "own face": "own face class map",
}


@dataclass(frozen=True)
class RowResult:
    """What a row's evaluations say together.

    Attributes:
        row: The row.
        values: Measure -> value of each seed whose evaluation is there, by seed.
        att_cos: Layer -> ATT-COS, mean over seeds.
        differences: Measure -> row minus its baseline over the seeds that both have; empty without one.
        set: Which test faces, as a title.
    """

    row: Row
    values: Mapping[str, Mapping[int, float | None]]
    att_cos: Mapping[str, float | None]
    differences: Mapping[str, Difference | None]
    set: str

    def mean(self, measure: str) -> float | None:
        """Mean over seeds, None if no seed has a value."""
        return _mean(self.values.get(measure, {}).values())

    def deviation(self, measure: str) -> float | None:
        """Standard deviation over seeds (n - 1), None with fewer than two."""
        known = [value for value in self.values.get(measure, {}).values() if value is not None]
        return stdev(known) if len(known) > 1 else None


@dataclass(frozen=True)
class BenchmarkResults:
    """Everything a grid's tables are made of.

    Attributes:
        grid: The grid.
        rows: One result per row that has an evaluation, in the grid's order.
        controls: Set -> control -> cosine of a map that never looked at the image.
        missing: Rows and seeds without an evaluation, as "label, seed n".
    """

    grid: Grid
    rows: tuple[RowResult, ...]
    controls: Mapping[str, Mapping[str, float | None]]
    missing: tuple[str, ...]


def collect(grid: Grid, out: str | os.PathLike[str]) -> BenchmarkResults:
    """Gather the evaluations of a grid; those that are not there yet are listed.

    Args:
        grid: Which rows and seeds.
        out: The benchmark's folder.

    Raises:
        InputError: A row and its baseline were evaluated on different faces.
    """
    folders = {(row.label, seed): grid.evaluation(out, row, seed) for row in grid.rows for seed in grid.seeds}
    found = {key: path for key, path in folders.items() if (path / EVALUATED_FILE).is_file()}
    evaluations = {key: Evaluation.load(path / EVALUATED_FILE) for key, path in found.items()}
    results, controls = [], {}
    for row in grid.rows:
        seeds = {seed: evaluations[row.label, seed] for seed in grid.seeds if (row.label, seed) in found}
        if seeds:
            first = next(iter(seeds.values()))
            title = f"{first.data['name']}, {first.data['split']} split, {first.data['faces']} faces"
            controls.setdefault(title, {name: value.macro for name, value in first.controls.items()})
            results.append(
                RowResult(row, _values(seeds), _att_cos(seeds), _differences(grid, row, found), title)
            )
    missing = tuple(f"{label}, seed {seed}" for label, seed in folders if (label, seed) not in found)
    return BenchmarkResults(grid, tuple(results), controls, missing)


def _values(seeds: Mapping[int, Evaluation]) -> dict[str, dict[int, float | None]]:
    figures = {
        seed: (
            evaluation.classification.accuracy,
            evaluation.classification.balanced_accuracy,
            evaluation.guided_att_cos.macro,
            evaluation.cam_cos.macro,
            evaluation.cam_cos_predicted.macro,
            evaluation.specificity["class map"].macro,
            evaluation.own_face["class map"].macro,
        )
        for seed, evaluation in seeds.items()
    }
    return {name: {seed: row[k] for seed, row in figures.items()} for k, name in enumerate(MEASURES)}


def _att_cos(seeds: Mapping[int, Evaluation]) -> dict[str, float | None]:
    layers = next(iter(seeds.values())).att_cos
    return {
        layer: _mean([evaluation.att_cos[layer].macro for evaluation in seeds.values()]) for layer in layers
    }


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _differences(grid: Grid, row: Row, found: Mapping[tuple[str, int], Path]) -> dict[str, Difference | None]:
    """The row minus its baseline, on the same test images and for the seeds that both have."""
    baseline = grid.baseline_of(row)
    if baseline is None:
        return {}
    seeds = [seed for seed in grid.seeds if {(row.label, seed), (baseline.label, seed)} <= set(found)]
    if not seeds:
        return {}
    ours, theirs = (
        [_read_faces(found[label, seed]) for seed in seeds] for label in (row.label, baseline.label)
    )
    keys = [(face["key"], face["label"]) for face in ours[0]]
    for (label, seed), faces in zip(
        [(name, seed) for name in (row.label, baseline.label) for seed in seeds],
        [*ours, *theirs],
        strict=True,
    ):
        if [(face["key"], face["label"]) for face in faces] != keys:
            raise InputError(
                f"{found[label, seed]} and {found[row.label, seeds[0]]} were made on different faces, which "
                "cannot be paired; evaluate both on the same prepared set."
            )
    return paired_bootstrap(
        _paired_values(ours, found[row.label, seeds[0]]),
        _paired_values(theirs, found[baseline.label, seeds[0]]),
        np.unique([label for _, label in keys], return_inverse=True)[1],
        micro=("CL",),
    )


def _read_faces(folder: Path) -> list[dict[str, str]]:
    with (folder / "per_image.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _paired_values(seeds: list[list[dict[str, str]]], folder: Path) -> dict[str, NDArray]:
    """Measure -> value per seed and face (seeds, N), NaN where a face takes no part."""
    layer = Evaluation.load(folder / EVALUATED_FILE).attention_layer
    columns = {**_COLUMNS, "ATT-COS": f"att_cos {layer}"}
    return {
        measure: np.array([[float(face[column] or "nan") for face in faces] for faces in seeds])
        for measure, column in columns.items()
    }
