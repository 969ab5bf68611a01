"""What aucue costs on a GPU, in one run; figures as a table for docs/results.md.

    python benchmarks/gpu.py                     # minutes on one GPU
    python benchmarks/gpu.py --tiny --device cpu # a smoke test: does it run?

Measured are action-unit maps per second; the share of guidance in a training step of ResNet-50 at 224 pixels
with maps of 28 x 28, mixed precision and channels-last; gradient class maps beside the package grad-cam;
training images per second beside the same loop without guidance; and one epoch of the cell CAM of Table 1 on
rendered faces, by `aucue.training.fit`. Clocks are read after the device has finished its work.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aucue.benchmark import Grid, paper_grid
from aucue.cams import ClassMap, normalize_cam
from aucue.classifiers import Classifier
from aucue.cues import AUCue
from aucue.data import SyntheticSource, prepare
from aucue.training import Objective, fit, guidance_of, total

READOUTS = ("gradcam", "gradcam++", "layercam", "xgradcam")


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        backbone: Of the network.
        side: Of the pictures.
        batch: Pictures per step.
        faces: Faces of which maps are drawn at once.
        repeats: Runs, of which the median counts.
        drawn: Rendered faces of the epoch.
    """

    backbone: str = "resnet50"
    side: int = 224
    batch: int = 64
    faces: int = 1024
    repeats: int = 20
    drawn: int = 4096


TINY = Size("test_resnet", 32, 4, 8, 2, 28)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a smoke test of seconds")
    parser.add_argument("--no-epoch", action="store_true", help="leave out the epoch, most of the time")
    parser.add_argument("--workers", type=int, help="loader processes of the epoch")
    arguments = parser.parse_args()
    size, device = TINY if arguments.tiny else Size(), torch.device(arguments.device)
    torch.manual_seed(0)
    print(
        f"{name_of(device)}, torch {torch.__version__}, batch {size.batch}, {size.backbone} at {size.side}\n"
    )
    print("| what | figure |\n|---|---:|")
    for measured in (cues, steps, class_maps):
        for what, figure in measured(size, device).items():
            print(f"| {what} | {figure} |", flush=True)
    if not arguments.no_epoch:
        for what, figure in epoch(size, device, arguments.workers).items():
            print(f"| {what} | {figure} |", flush=True)


def cues(size: Size, device: torch.device) -> dict[str, str]:
    """Action-unit maps per second, on the grid of the attention and at the size of the input."""
    landmarks, labels = faces(size.faces, size.side)
    landmarks, labels, draw = landmarks.to(device), labels.to(device), AUCue()
    frame, found = (size.side, size.side), {}
    for grid in ((28, 28), frame):
        seconds = timed(lambda grid=grid: draw(landmarks, labels, frame, grid), size.repeats, device)
        found[f"action-unit maps of {grid[0]} x {grid[1]} per second"] = f"{size.faces / seconds:,.0f}"
    return found


def steps(size: Size, device: torch.device) -> dict[str, str]:
    """Training images per second of the same loop, with guidance and without."""
    classifier: Any = Classifier(size.backbone, input_size=size.side, final_stride=8).to(device)
    classifier.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=1e-3, momentum=0.9)
    landmarks, labels = faces(size.batch, size.side)
    images = torch.randint(0, 256, (size.batch, 3, size.side, size.side), dtype=torch.uint8)
    batch = {"image": images.to(device), "landmarks": landmarks.to(device), "label": labels.to(device)}
    precision = torch.float16 if device.type == "cuda" else torch.bfloat16
    scaler: Any = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")  # pyright: ignore

    def step(objective: Objective) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, precision):
            loss = total(objective(batch))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    arms = {name: Objective(classifier, guidance_of(name)) for name in ("unguided", "fg2024", "aucue")}
    times = in_turn({name: lambda its=its: step(its) for name, its in arms.items()}, size.repeats, device)
    found = {f"training images per second, {name}": f"{size.batch / t:,.0f}" for name, t in times.items()}
    for name in ("fg2024", "aucue"):
        found[f"share of guidance in a step, {name}"] = f"{(1 - times['unguided'] / times[name]) * 100:.1f} %"
    return found


def class_maps(size: Size, device: torch.device) -> dict[str, str]:
    """Class maps per second by gradients, ours beside those of grad-cam where it is installed."""
    import timm  # after aucue, which mends torchvision

    network: Any = timm.create_model(size.backbone, num_classes=7).to(device).eval()
    images = torch.rand(size.batch, 3, size.side, size.side, device=device)
    runs: dict[str, Callable[[], object]] = {}
    for name in READOUTS:
        ours = ClassMap(network, "layer4", name)
        runs[f"{name}, ours"] = lambda ours=ours: normalize_cam(ours(images))
        if (theirs := grad_cam(name)) is not None:
            runs[f"{name}, grad-cam"] = lambda theirs=theirs: theirs(network, images)
    times = in_turn(runs, max(2, size.repeats // 4), device)
    return {f"class maps per second, {what}": f"{size.batch / t:,.0f}" for what, t in times.items()}


def grad_cam(name: str) -> Callable[[Any, Tensor], object] | None:
    """A run of the package grad-cam; None where it is not installed."""
    try:
        import pytorch_grad_cam as library
    except ImportError:
        return None
    kinds = {
        "gradcam": "GradCAM",
        "gradcam++": "GradCAMPlusPlus",
        "layercam": "LayerCAM",
        "xgradcam": "XGradCAM",
    }

    def run(network: Any, images: Tensor) -> object:
        with getattr(library, kinds[name])(network, [network.layer4]) as cam:
            return cam(images, None)

    return run


def epoch(size: Size, device: torch.device, workers: int | None) -> dict[str, str]:
    """One epoch of the cell CAM of Table 1, unguided and guided, on rendered faces."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        held_out = max(7, size.drawn // 10)
        source = SyntheticSource(train=size.drawn, val=held_out, test=0, size=size.side)
        prepare(source, Path(folder, "faces"), detector="none", size=size.side, progress=False)
        grid = paper_grid("table1", {"rendered": Path(folder, "faces")})
        grid["settings"] |= {
            "classifier.pretrained": False,
            "classifier.input_size": size.side,
            "classifier.backbone": size.backbone,
            "data.batch_size": min(224, size.batch * 2),
            "data.workers": workers,
            "trainer.accelerator": "gpu" if device.type == "cuda" else "cpu",
            "epochs": 1,
        }
        if device.type != "cuda":
            grid["settings"]["trainer.precision"] = "bf16-mixed"
        grid["axes"]["method"] = {"CAM": grid["axes"]["method"]["CAM"]}
        grid["published"] = []
        for cell, row in zip(Grid.from_dict(grid).cells, ("unguided", "guided"), strict=True):
            start = time.perf_counter()
            fit(cell.config(folder), progress=False)
            seconds = time.perf_counter() - start
            found[f"epoch of {size.drawn} rendered faces, CAM {row}"] = f"{seconds:.1f} s"
    return found


def faces(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Landmarks (B, 68, 2) of rendered faces, a few of them repeated, and labels (B,)."""
    source = SyntheticSource(train=min(count, 28), val=0, test=0, size=side)
    samples = [source[i % len(source)] for i in range(min(count, 28))]
    landmarks = torch.stack([torch.as_tensor(s.landmarks, dtype=torch.float32) for s in samples])
    labels = torch.tensor([source.classes.index(s.label) for s in samples])
    order = torch.arange(count) % len(samples)
    return landmarks[order], labels[order]


def in_turn(runs: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each run; one after the other, so that the machine's state meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats + 2):
        for name, run in runs.items():
            seconds = once(run, device)
            if number >= 2:  # two to warm up
                times[name].append(seconds)
    return {name: statistics.median(taken) for name, taken in times.items()}


def timed(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median seconds of a run."""
    return in_turn({"": run}, repeats, device)[""]


def once(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one run, until the device has finished."""
    finish = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    finish()
    start = time.perf_counter()
    run()
    finish()
    return time.perf_counter() - start


def name_of(device: torch.device) -> str:
    """The card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device} (no GPU)"


if __name__ == "__main__":
    main()
