"""Real photographs: one backbone with and without guidance on FER+, same budget, several seeds.

    python -m experiments.ferplus --out runs/ferplus --seeds 0 1

Prepares the set with the landmarks that come with it (faces its detector missed keep their whole picture and
take no part in the alignment), trains a guided classifier and its unguided twin for every seed, evaluates
each once on the test part, and writes results.md and results.json. The epoch is selected on a held-out tenth
of the training part. Everything resumes. The photographs are found through AUCUE_DATA (default
../shared/data); none of them leaves the output folder.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aucue.evaluation import Evaluation, compare
from aucue.evaluation.report.comparison import COMPARED
from aucue.evaluation.report.tables import markdown
from aucue.models.naming import MODEL_FILE
from aucue.training.config import CONFIGS

DATA = Path(os.environ.get("AUCUE_DATA", Path(__file__).parents[2] / "shared" / "data"))
CONFIG = CONFIGS / "ferplus.yaml"
ARMS = {"unguided": 0.0, "guided": 4.0}  # lambda


def main() -> None:
    """Prepare, train, evaluate, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/ferplus"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, one thread each")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    prepared = prepare(DATA / "ferplus", arguments.out)
    cells = [(arm, seed) for seed in arguments.seeds for arm in ARMS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        folders = list(
            pool.map(lambda cell: train_and_evaluate(cell[0], cell[1], prepared, arguments.out), cells)
        )
    write_results(dict(zip(cells, folders, strict=True)), arguments.out)


def prepare(root: Path, out: Path) -> Path:
    """Prepared set of the photographs, with the landmarks of those faces that were really detected."""
    landmarks = out / "landmarks.csv"
    with (root / "landmarks.csv").open(newline="") as source, landmarks.open("w", newline="") as target:
        rows = csv.DictReader(source)
        writer = csv.DictWriter(target, rows.fieldnames or ())
        writer.writeheader()
        writer.writerows(row for row in rows if row["detector_ok"] == "1")
    prepared = out / "prepared"
    options = ("--landmarks", landmarks.resolve(), "--detector", "none", "--size", 72, "--out", prepared)
    aucue("prepare", "csv", "--root", root, *options, log=out / "prepare.log")
    return prepared


def train_and_evaluate(arm: str, seed: int, prepared: Path, out: Path) -> Path:
    """Train one cell and evaluate it on the test part; returns its folder."""
    folder = out / f"{arm}_{seed}"
    folder.mkdir(exist_ok=True)
    weight = ("--guidance.weight", ARMS[arm], "--seed", seed)
    paths = ("--data.path", prepared, "--data.workers", 0, "--out", folder)
    started = time.perf_counter()
    aucue("train", "--config", CONFIG, *weight, *paths, log=folder / "train.log")
    if not (folder / "evaluation" / "evaluation.json").exists():
        (folder / "seconds.txt").write_text(f"{time.perf_counter() - started:.0f}")
        options = ("--data", prepared, "--split", "test", "--out", folder / "evaluation")
        aucue("evaluate", folder / MODEL_FILE, *options, log=folder / "evaluate.log")
    print(f"{arm}, seed {seed}: done", flush=True)
    return folder


def aucue(*arguments: object, log: Path) -> None:
    """Run one command with one thread, so that two side by side do not stall each other; keep its output."""
    command = [sys.executable, "-m", "aucue", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("a") as file:
        status = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode
    if status not in (0, 1):  # 1: done, some pictures could not be used
        raise SystemExit(f"{' '.join(command)} ended with status {status}; see {log}")


def write_results(folders: dict[tuple[str, int], Path], out: Path) -> None:
    """The table of every run, then mean and standard deviation over seeds per arm."""
    evaluations, seconds = {}, {}
    for (arm, seed), folder in folders.items():
        name = f"{arm}, seed {seed}"
        evaluations[name] = Evaluation.load(folder / "evaluation" / "evaluation.json")
        seconds[name] = int((folder / "seconds.txt").read_text())
    (comparison,) = compare(evaluations)
    lines = [markdown(comparison), "", "| mean ± sd over seeds | " + " | ".join(comparison.heads) + " |"]
    lines += ["|---|" + "---:|" * len(comparison.heads)]
    for arm in ARMS:
        members = [evaluation for name, evaluation in evaluations.items() if name.startswith(f"{arm},")]
        rows = [[evaluation.estimate(key).value for key in COMPARED] for evaluation in members]
        cells = [_mean_and_deviation(column) for column in zip(*rows, strict=True)]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    lines += ["", "Training time on one thread, in seconds: " + json.dumps(seconds)]
    table = "\n".join(lines)
    (out / "results.md").write_text(table + "\n")
    figures = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    (out / "results.json").write_text(json.dumps({"evaluations": figures, "seconds": seconds}, indent=1))
    print(table)


def _mean_and_deviation(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    spread = f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.3f}{spread}" if known else ""


if __name__ == "__main__":
    main()
