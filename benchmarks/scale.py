"""What several processes change: the time, and nothing else.

    python benchmarks/scale.py --out runs/scale.json

Each job is done small and large. "per second" is the work that the large one has more, by the time that it
takes longer, so that the start of the processes does not count; "start" is the rest of the small one's time.

- train: one process, and two with half of the batch each. Differences: the largest of the loss curves and of
  the held-out figures. The network has no batch normalisation, which on a CPU takes the statistics of a
  process's own batch.
- evaluate: one process and two. Differences: the largest of any figure, and of any number of any face.
- prepare: the local engine and Ray, two workers each, a Ray of its own each time. Differences: rows of which
  any stored byte differs. Left out if Ray is not installed.

The faces are rendered, every process computes with one thread; no data are needed.
"""

import argparse
import csv
import importlib.util
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import datasets
import torch

import aucue
from aucue.data import SyntheticSource, open_prepared, prepare
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.training import (
    ClassifierSettings,
    DataSettings,
    OptimizerSettings,
    TrainConfig,
    TrainerSettings,
    fit,
)
from aucue.work import available_cores

SIDE = 64
BATCH = 64
EPOCHS = (1, 4)


def timed(job: Callable[[int], int], small: int, large: int) -> dict[str, float | None]:
    """Rate and start of a job, which is given its size and returns how much work that was.

    None if the large one was not slower: the machine is too busy, or the jobs are too small.
    """
    start = time.perf_counter()
    little = job(small)
    middle = time.perf_counter()
    much = job(large)
    first, second = middle - start, time.perf_counter() - middle
    if second <= first:
        return {"per second": None, "start": None}
    rate = (much - little) / (second - first)
    return {"per second": rate, "start": max(first - little / rate, 0.0)}


def measure_training(folder: Path, faces: Path) -> dict[str, Any]:
    """One process and two with the same global batch."""
    images = len(open_prepared(faces).dataset("train"))

    def train(devices: int, epochs: int) -> int:
        config = TrainConfig(
            out=str(folder / f"train-{devices}-{epochs}"),
            data=DataSettings(path=str(faces), batch_size=BATCH // devices, workers=0),
            classifier=ClassifierSettings(backbone="test_convnext", input_size=SIDE),
            optimizer=OptimizerSettings(name="sgd", lr=0.02),
            trainer=TrainerSettings(device=f"{devices}xcpu"),
            epochs=epochs,
        )
        fit(config, progress=False)
        return epochs * images

    rows = [
        {"processes": devices, **timed(lambda epochs, devices=devices: train(devices, epochs), *EPOCHS)}
        for devices in (1, 2)
    ]
    one, two = (_curves(folder / f"train-{devices}-{EPOCHS[1]}") for devices in (1, 2))
    differences = {
        title: difference(
            *({name: values for name, values in run.items() if name.startswith(kind)} for run in (one, two))
        )
        for kind, title in (("train/", "losses"), ("val/", "held-out figures"))
    }
    return {"rows": rows, "differences": differences}


def measure_evaluating(folder: Path, faces: Path) -> dict[str, Any]:
    """One process and two."""
    model = folder / f"train-1-{EPOCHS[1]}" / "model.safetensors"
    found: dict[int, Evaluation] = {}

    def look(devices: int, large: int) -> int:
        split = "test" if large else "val"
        found[devices] = evaluate(
            model,
            faces,
            EvaluationSettings(split=split, batch_size=32, workers=0, device=f"{devices}xcpu"),
            progress=False,
        )
        return len(found[devices].faces)

    rows = [
        {"processes": devices, **timed(lambda large, devices=devices: look(devices, large), 0, 1)}
        for devices in (1, 2)
    ]
    one, two = found[1], found[2]
    differences = {
        "figures": difference(one.to_dict(), two.to_dict()),
        "faces": difference(one.faces.to_pylist(), two.faces.to_pylist()),
    }
    return {"rows": rows, "differences": differences}


def measure_preparing(folder: Path, faces: int) -> dict[str, Any]:
    """The local engine and Ray."""

    def run(engine: Literal["local", "ray"], count: int) -> int:
        source = SyntheticSource(train=count, val=0, test=0, seed=1, size=SIDE)
        prepare(source, folder / f"{engine}-{count}", size=SIDE, workers=2, engine=engine, progress=False)
        if engine == "ray":
            import ray

            ray.shutdown()
        return count

    installed = importlib.util.find_spec("ray") is not None
    names: Sequence[Literal["local", "ray"]] = ("local", "ray") if installed else ("local",)
    rows = [
        {"engine": name, **timed(lambda count, name=name: run(name, count), faces // 4, faces)}
        for name in names
    ]
    one, two = (_stored_rows(folder / f"{name}-{faces}") for name in (names[0], names[-1]))
    return {
        "rows": rows,
        "differences": {"rows that differ": sum(a != b for a, b in zip(one, two, strict=True))},
    }


def difference(one: Any, other: Any) -> float:
    """The largest difference of numbers at the same place of nested values; infinite if a text differs."""
    if isinstance(one, Mapping):
        return max((difference(one[name], other[name]) for name in one), default=0.0)
    if isinstance(one, list | tuple):
        return max((difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other)
    return 0.0 if one == other else float("inf")


def _stored_rows(path: Path) -> list[str]:
    """Every stored byte of a set, row by row; as text, in which NaN equals NaN."""
    stored = cast("datasets.DatasetDict", datasets.load_from_disk(path))
    return [repr(row) for row in stored["train"].data.to_pylist()]


def _curves(run: Path) -> dict[str, list[float]]:
    """Every logged figure, epoch by epoch."""
    with (run / "logs" / "start_1" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def _print(title: str, figures: Mapping[str, Any]) -> None:
    rows = figures["rows"]
    print(f"\n{title}\n" + "".join(f"{name:>14}" for name in rows[0]))
    for row in rows:
        cells = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row.values())
        print("".join(f"{cell:>14}" for cell in cells))
    print(
        "differences: " + ", ".join(f"{name} {value:.1e}" for name, value in figures["differences"].items())
    )


def main() -> None:
    """Measure and print the sections that are asked for."""
    sections = ("train", "evaluate", "prepare")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument(
        "--sections", nargs="+", choices=sections, default=list(sections), help="evaluate needs train"
    )
    parser.add_argument("--faces", type=int, default=1500, help="to train on, to test on, to prepare")
    arguments = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:torch.nn.modules.conv"  # of even kernels
    warnings.filterwarnings("ignore", module="torch.nn.modules.conv")
    torch.set_num_threads(1)
    machine = f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"aucue {aucue.__version__}, torch {torch.__version__}, {machine}")
    figures: dict[str, Any] = {"machine": machine, "faces": arguments.faces}
    with tempfile.TemporaryDirectory(prefix="aucue-scale-") as name:
        folder, count = Path(name), arguments.faces
        source = SyntheticSource(train=count, val=count // 10, test=count, seed=0, size=SIDE)
        prepare(source, folder / "set", size=SIDE, progress=False)
        if "train" in arguments.sections:
            figures["train"] = measure_training(folder, folder / "set")
            _print("training: images", figures["train"])
        if "evaluate" in arguments.sections:
            figures["evaluate"] = measure_evaluating(folder, folder / "set")
            _print("evaluation: images", figures["evaluate"])
        if "prepare" in arguments.sections:
            figures["prepare"] = measure_preparing(folder, count)
            _print("preparation: faces", figures["prepare"])
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
