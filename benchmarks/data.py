"""What preparing and reading a set costs: images per second, processes, memory.

    python benchmarks/data.py --out runs/data.json

- read: images per second of a prepared set, by one process, into batches with the published training
  transforms and landmarks, beside torchvision's ImageFolder on the same JPEG files with the same image
  transforms. Batches are read in turn, and the median of the ratios counts: other programs slow both down.
- prepare: photographs per second with 1 and 2 processes, landmarks given and (if dlib is installed)
  searched; without the seconds that the processes need to start.
- memory: the most that preparing many photographs, and an epoch of training a small network on them, take:
  the proportional share (PSS) of the process and its children, sampled ten times a second. Linux only.

The photographs are rendered faces with grain, written to a temporary folder; no data are needed.
"""

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

import aucue
from aucue.data import CsvSource, SyntheticSource, make_loader, open_prepared, prepare, train_transform
from aucue.data.shards import Job
from aucue.faces import TEMPLATES
from aucue.work import available_cores
from aucue.work.engines import LocalEngine

SIDE = 224
DRAWN = 112
GRAIN = 4.0
BATCH = 64
CHUNK = 16
TARGET_RATIO, TARGET_GIGABYTES = 0.9, 1.5


def write_photographs(folder: Path, count: int, faces: int) -> Path:
    """Photographs of 224 x 224 pixels, with landmarks in labels.csv.

    Args:
        folder: Where images/ and labels.csv are written.
        count: Photographs.
        faces: How many different faces are rendered; each photograph has grain of its own.

    Returns:
        The folder.
    """
    source = SyntheticSource(faces, 0, 0, seed=0, size=DRAWN)
    drawn = [source[index] for index in range(min(faces, count))]
    rng = np.random.default_rng(0)
    grains = rng.normal(0, GRAIN, (8, SIDE, SIDE, 3))
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", *(f"{axis}{point}" for point in range(68) for axis in "xy")])
        for number in range(count):
            face = drawn[number % len(drawn)]
            large = Image.fromarray(np.asarray(face.image)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            grain = np.roll(grains[number % len(grains)], rng.integers(SIDE, size=2), (0, 1))
            pixels = (np.asarray(large) + grain).clip(0, 255).astype(np.uint8)
            name = f"{number:06d}.jpg"
            Image.fromarray(pixels).save(folder / "images" / name, quality=95)
            points = (np.asarray(face.landmarks) + 0.5) * SIDE / DRAWN - 0.5
            table.writerow([name, face.label, *points.round(2).ravel()])
    return folder


def measure_reading(folder: Path, images: int, repeats: int) -> list[dict[str, Any]]:
    """Images per second of both readings, in wall time and in time of the processor."""
    from torchvision.datasets import ImageFolder  # after aucue, which mends torchvision
    from torchvision.transforms import v2

    photographs = write_photographs(folder / "photographs", images, faces=min(images, 200))
    prepare(CsvSource(photographs), folder / "set", progress=False)
    files = _as_files(folder / "set", folder / "files")
    transform = train_transform(SIDE)
    steps = (*transform.steps, *transform.colour, v2.PILToTensor(), transform.erasing)
    plain = v2.Compose([step for step in steps if step is not None])
    dataset = open_prepared(folder / "set").dataset("train", transform)
    ours = make_loader(dataset, BATCH, shuffle=True, workers=0, drop_last=True)
    theirs = DataLoader(ImageFolder(str(files), plain), BATCH, shuffle=True, drop_last=True)
    passes = [_read_in_turn(ours, theirs) for _ in range(1 + repeats)][1:]  # the first fills the page cache
    results = []
    for clock in ("wall", "processor"):
        rates = [
            [BATCH / statistics.mean(times) for times in both] for both in (each[clock] for each in passes)
        ]
        ratios = [one / other for one, other in rates]
        results.append(
            {
                "time": clock,
                "prepared set": statistics.median(rate[0] for rate in rates),
                "ImageFolder": statistics.median(rate[1] for rate in rates),
                "ratios": ratios,
                "ratio": statistics.median(ratios),
            }
        )
    return results


def _read_in_turn(*loaders: Iterable[Any]) -> dict[str, list[list[float]]]:
    """Seconds per batch of each loader, a batch of one after a batch of the other; "wall", "processor"."""
    running = [iter(loader) for loader in loaders]
    seconds: dict[str, list[list[float]]] = {clock: [[] for _ in loaders] for clock in ("wall", "processor")}
    while True:
        for place, batches in enumerate(running):
            wall, processor = time.perf_counter(), time.process_time()
            if next(batches, None) is None:
                return seconds
            seconds["wall"][place].append(time.perf_counter() - wall)
            seconds["processor"][place].append(time.process_time() - processor)


def _as_files(prepared: Path, folder: Path) -> Path:
    """The crops of a prepared set as the files that they are stored as, one folder per class."""
    stored: Any = datasets.load_from_disk(str(prepared / "train"))
    for number, row in enumerate(stored.cast_column("image", datasets.Image(decode=False))):
        path = folder / str(row["label"]) / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"]["bytes"])
    return folder


def measure_preparing(folder: Path, images: int, repeats: int) -> list[dict[str, Any]]:
    """Photographs per second with 1 and 2 processes, in turn, once the processes have started."""
    photographs = write_photographs(folder / "photographs", images, faces=min(images, 200))
    bare = folder / "bare.csv"
    with (photographs / "labels.csv").open(newline="") as file:
        rows = [row[:2] for row in csv.reader(file)]
    with bare.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    sources = {"given": CsvSource(photographs)}
    if importlib.util.find_spec("dlib"):
        sources["dlib"] = CsvSource(folder, bare, images=photographs / "images")
    results = []
    for landmarks, source in sources.items():
        job = Job(source, "dlib", SIDE, TEMPLATES["aucue"], keep=True)
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(repeats):
            for workers, found in rates.items():
                found.append(_steady_rate(job, workers))
        ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
        results.append(
            {
                "landmarks": landmarks,
                "1 process": statistics.median(rates[1]),
                "2 processes": statistics.median(rates[2]),
                "ratio": statistics.median(ratios),
            }
        )
    return results


def _steady_rate(job: Job, workers: int) -> float:
    """Photographs per second between the first chunk that is finished and the last."""
    samples = len(job.source)
    chunks = [(start, min(start + CHUNK, samples)) for start in range(0, samples, CHUNK)]
    finished = [time.perf_counter() for _ in LocalEngine(workers).run(job.shard, chunks, most=workers)]
    return (samples - CHUNK) / (finished[-1] - finished[0])


def measure_memory(folder: Path, images: int) -> list[dict[str, Any]]:
    """The most memory that `aucue prepare` and an epoch of `aucue train` take, with all their processes."""
    photographs = write_photographs(folder / "photographs", images, faces=200)
    commands = {
        "prepare": ["prepare", "csv", "--root", photographs, "--out", folder / "set"],
        "train": [
            "train",
            *("--data.path", folder / "set", "--out", folder / "run", "--epochs", "1"),
            *("--classifier.backbone", "test_resnet", "--classifier.input_size", "64"),
            *("--guidance.weight", "4", "--data.batch_size", str(BATCH)),
        ],
    }
    return [{"command": name, **_peak([*map(str, words)])} for name, words in commands.items()]


def _peak(arguments: list[str]) -> dict[str, float]:
    """Seconds and the most memory of a command, in gigabytes (10^9 bytes).

    "own" is what the processes hold for themselves; "with files" adds the pages of files that they have
    mapped, which the system takes back when it needs them.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "aucue", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors: list[bytes] = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read() if process.stderr else b""))
    reader.start()
    own = with_files = 0
    while process.poll() is None:
        shares = [_memory(number) for number in _family(process.pid)]
        own = max(own, sum(share[0] for share in shares))
        with_files = max(with_files, sum(share[1] for share in shares))
        time.sleep(0.1)
    reader.join()
    if process.returncode:
        sys.exit(f"aucue {' '.join(arguments)} failed:\n{errors[0].decode()}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "own GB": own / 1e9, "with files GB": with_files / 1e9}


def _family(process: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:  # ended meanwhile
                continue
    return found


def _memory(process: int) -> tuple[int, int]:
    """Bytes of a process without and with the files that it has mapped; of shared pages, its share."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:  # ended meanwhile
        return 0, 0
    sizes = {name: int(size.split()[0]) * 1024 for name, size in (line.split(":") for line in lines)}
    return sizes["Pss_Anon"] + sizes["Pss_Shmem"], sizes["Pss"]


def _print(title: str, rows: Sequence[dict[str, Any]]) -> None:
    columns = [name for name in rows[0] if name != "ratios"]
    print(f"\n{title}\n" + "".join(f"{name:>16}" for name in columns))
    for row in rows:
        cells = (row[name] for name in columns)
        print("".join(f"{cell:>16.2f}" if isinstance(cell, float) else f"{cell:>16}" for cell in cells))


def main() -> None:
    """Measure and print the sections that are asked for."""
    sections = ("read", "prepare", "memory")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--sections", nargs="+", choices=sections, default=list(sections))
    parser.add_argument("--images", type=int, default=448, help="of the sections read and prepare")
    parser.add_argument("--repeats", type=int, default=7, help="of the section read; prepare has 3")
    parser.add_argument("--many", type=int, default=20_000, help="images of the section memory")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    machine = f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"aucue {aucue.__version__}, torch {torch.__version__}, {machine}")
    figures: dict[str, Any] = {"machine": machine}
    with tempfile.TemporaryDirectory(prefix="aucue-data-") as name:
        folder = Path(name)
        if "read" in arguments.sections:
            figures["read"] = measure_reading(folder / "read", arguments.images, arguments.repeats)
            _print(f"images per second (target: ratio {TARGET_RATIO})", figures["read"])
        if "prepare" in arguments.sections:
            figures["prepare"] = measure_preparing(folder / "prepare", arguments.images, repeats=3)
            _print("photographs prepared per second", figures["prepare"])
        if "memory" in arguments.sections:
            figures["memory"] = measure_memory(folder / "memory", arguments.many)
            _print(
                f"memory with {arguments.many:,} images (target: {TARGET_GIGABYTES} GB)", figures["memory"]
            )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
