"""All eleven methods, guided and not, on rendered faces: 22 rows from 16 trainings.

    python -m experiments.methods --out runs/methods

CAM, GradCAM, GradCAM++ and LayerCAM are read-outs of the same network, so one training serves four rows. The
networks are small and trained briefly: the table shows that every method works and what guidance does to it,
not how good it can get. Everything resumes; results.md and results.json land in the folder.
"""

import argparse
import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import torch

from aucue.classifiers import METHODS
from aucue.cli.demo import ARMS, FACES, NETWORK, SIDE
from aucue.data import SyntheticSource, prepare
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.training import (
    ClassifierSettings,
    DataSettings,
    GuidanceSettings,
    OptimizerSettings,
    TrainConfig,
    fit,
)

SHARED = ("cam", "gradcam", "gradcam++", "layercam")  # read-outs of the network trained as "cam"
TRANSFORMERS: Mapping[str, Mapping[str, Any]] = {
    "ts-cam": {
        "backbone": "ts_cam_deit_tiny_patch16_224",
        "options": {"patch_size": 4, "embed_dim": 96, "depth": 4, "num_heads": 3},
    },
    "apvit": {
        "options": {"widths": [16, 16, 24, 32], "depths": [1, 1, 1]},
        "head_options": {"dim": 96, "depth": 4, "heads": 4, "kept": 48, "pooling": 1},
    },
}


def main() -> None:
    """Draw, train, evaluate, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, one thread each")
    arguments = parser.parse_args()
    faces = arguments.out / "faces"
    prepare(SyntheticSource(*FACES, seed=arguments.seed, size=96), faces, size=72)
    networks = [name for name in METHODS if name not in SHARED[1:]]
    cells = [(name, arm) for name in networks for arm in ARMS]
    os.environ["OMP_NUM_THREADS"] = "1"
    run = partial(train_and_evaluate, faces, arguments.out, arguments.epochs, arguments.seed)
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        rows = [row for rows in pool.map(run, *zip(*cells, strict=True)) for row in rows]
    write_table(rows, arguments.out)


def train_and_evaluate(
    faces: Path, out: Path, epochs: int, seed: int, name: str, arm: str
) -> list[tuple[str, str, dict[str, Any]]]:
    """Train one network and evaluate it under every method that reads it: (method, arm, figures)."""
    torch.set_num_threads(1)
    folder = out / (name if arm == "guided" else f"{name}_{arm}")
    config = TrainConfig(
        out=str(folder),
        data=DataSettings(str(faces), augment="geometric", batch_size=16, workers=0),
        classifier=ClassifierSettings(cast(Any, name), input_size=SIDE, **TRANSFORMERS.get(name, NETWORK)),
        guidance=GuidanceSettings(weight=ARMS[arm]),
        optimizer=OptimizerSettings(lr=3e-3 if name not in TRANSFORMERS else 1e-3),
        epochs=epochs,
        seed=seed,
    )
    model = fit(config, progress=False)
    rows = []
    for method in SHARED if name == "cam" else (name,):
        evaluation = evaluate(
            model, faces, EvaluationSettings(readout=METHODS[method].readout, workers=0), progress=False
        )
        rows.append((method, arm, figures(evaluation)))
    print(f"{name}, {arm}: done", flush=True)
    return rows


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What the table shows of an evaluation."""
    return {
        "CL": evaluation.estimate("accuracy").value,
        "ATT-COS": evaluation.estimate("att_cos").value,
        "CAM-COS": evaluation.estimate("cam_cos").value,
        "specific": evaluation.estimate("specificity").value,
    }


def write_table(rows: list[tuple[str, str, dict[str, Any]]], out: Path) -> None:
    """One line per method, unguided -> guided."""
    found = {(method, arm): values for method, arm, values in rows}
    measures = ("CL", "ATT-COS", "CAM-COS", "specific")
    lines = ["| method | " + " | ".join(measures) + " |", "|---|" + "---:|" * len(measures)]
    for name, method in METHODS.items():
        without, with_ = found[name, "unguided"], found[name, "guided"]
        cells = [f"{without[m]:.2f} -> {with_[m]:.2f}" for m in measures]
        lines.append(f"| {method.title} | " + " | ".join(cells) + " |")
    table = "\n".join(lines)
    (out / "results.md").write_text(table + "\n")
    (out / "results.json").write_text(json.dumps([[*row] for row in rows], indent=1))
    print(table)


if __name__ == "__main__":
    main()
