"""Grids whose evaluations are made by hand and lie on disk as after a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aucue.benchmark import Grid
from aucue.evaluation import Evaluation
from aucue.evaluation.files import write_csv

TABLE: Mapping[str, Any] = {
    "name": "tiny",
    "title": "A tiny grid",
    "seeds": [0, 1],
    "settings": {"data.path": "tiny-set", "classifier.backbone": "resnet10t"},
    "axes": {"guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}}},
    "baseline": {"guidance": "unguided"},
}


def put(grid: Grid, out: Path, label: str, seed: int, evaluation: Evaluation) -> Path:
    """Write an evaluation where a row and seed of the grid have theirs, replacing an earlier one.

    `write_evaluation` draws a page of it, too, which takes longer than all the rest and is not read here.
    """
    row = next(row for row in grid.rows if row.label == label)
    folder = grid.evaluation(out, row, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation.to_dict()))
    write_csv(folder / "per_image.csv", evaluation.faces.to_pylist())
    return folder
