"""onnxruntime beside torch on the CPU: the same graph, from uint8 crops to probabilities and maps.

    python benchmarks/export.py --threads 1

Two networks with random weights: the small ResNet-10 of the settings ferplus at 64 x 64, and ResNet-18 at
112 x 112; batches of 1 and 32. torch runs in inference mode, with its weights laid out as they are and
channels last; the faster of the two is what onnxruntime is compared with. All are timed in turn, so that a
change in the machine's load meets all of them; the ratio is the median of the ratios of the turns.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from aucue.classifiers import Classifier
from aucue.export import CropClassifier, export_onnx
from aucue.models import Card, Model

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet10t, 64 x 64": {
        "backbone": "resnet10t",
        "input_size": 64,
        "final_stride": 4,
        "backbone_options": {"channels": [32, 64, 96, 128]},
    },
    "resnet18, 112 x 112": {"backbone": "resnet18", "input_size": 112},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="onnxruntime beside torch.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each pair is timed")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(
        f"{arguments.threads} thread(s), load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}"
    )
    print(f"{'':22}{'batch':>6}{'torch':>12}{'channels last':>16}{'onnxruntime':>14}{'ratio':>8}{'turns':>7}")
    for name, settings in NETWORKS.items():
        runs = runtimes(Classifier(**settings).eval(), arguments.threads)
        size = settings["input_size"]
        for batch in arguments.batches:
            crops = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
            turns = in_turn(runs, crops, arguments.seconds)
            medians = {run: statistics.median(turn[run] for turn in turns) for run in runs}
            fastest = min(("torch", "channels last"), key=lambda run: medians[run])
            ratio = statistics.median(turn[fastest] / turn["onnxruntime"] for turn in turns)
            cells = [f"{seconds * 1e3:.2f} ms" for seconds in medians.values()]
            print(
                f"{name:22}{batch:>6}{cells[0]:>12}{cells[1]:>16}{cells[2]:>14}{ratio:>8.2f}{len(turns):>7}"
            )


def runtimes(classifier: Classifier, threads: int) -> dict[str, Callable[[np.ndarray], object]]:
    """Three ways to run one model, each from crops (B, S, S, 3) uint8."""
    model = Model(classifier, Card(classifier.classes))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with TemporaryDirectory() as folder:
        path = export_onnx(model, Path(folder) / "model.onnx").path
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    plain = CropClassifier(model)
    last = CropClassifier(model).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def torch_run(graph: CropClassifier) -> Callable[[np.ndarray], object]:
        @torch.inference_mode()
        def run(crops: np.ndarray) -> object:
            return graph(torch.from_numpy(crops))

        return run

    return {
        "torch": torch_run(plain),
        "channels last": torch_run(last),
        "onnxruntime": lambda crops: session.run(None, {"crops": crops}),
    }


def in_turn(
    runs: dict[str, Callable[[np.ndarray], object]], crops: np.ndarray, seconds: float
) -> list[dict[str, float]]:
    """CPU seconds of each run in every turn, after one to warm up; at least five turns.

    CPU time of this process, not time on the clock: on a shared machine that is what a run costs.
    """
    turns: list[dict[str, float]] = []
    end = time.monotonic() + seconds
    while len(turns) < 6 or time.monotonic() < end:
        turn = {}
        for name, run in runs.items():
            start = time.process_time()
            run(crops)
            turn[name] = time.process_time() - start
        turns.append(turn)
    return turns[1:]


if __name__ == "__main__":
    main()
