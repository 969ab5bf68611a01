"""Time to draw the cues of a batch of faces on one CPU core.

Run `python benchmarks/cues.py`. Landmarks are synthetic: 68 points around a mean face, no data needed.
"""

import argparse
import math
import statistics
import time

import torch

import aucue
from aucue.cues import REGION_MODELS, AUCue


def synthetic_faces(count: int, size: int) -> torch.Tensor:
    """Landmarks (count, 68, 2) of upright faces that fill most of a square frame."""
    generator = torch.Generator().manual_seed(0)

    def arc(n: int, cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> torch.Tensor:
        angle = torch.linspace(math.radians(start), math.radians(end), n)
        return torch.stack((cx + rx * angle.cos(), cy + ry * angle.sin()), -1)

    parts = [
        arc(17, 0.5, 0.42, 0.28, 0.5, 180, 0),  # jaw
        arc(5, 0.34, 0.38, 0.09, 0.05, 180, 360),  # brows
        arc(5, 0.66, 0.38, 0.09, 0.05, 180, 360),
        torch.stack((torch.full((4,), 0.5), torch.linspace(0.42, 0.57, 4)), -1),  # nose
        arc(5, 0.5, 0.6, 0.06, 0.02, 180, 0),
        arc(7, 0.35, 0.42, 0.05, 0.02, 180, 540)[:6],  # eyes
        arc(7, 0.65, 0.42, 0.05, 0.02, 180, 540)[:6],
        arc(13, 0.5, 0.74, 0.13, 0.05, 180, 540)[:12],  # lips
        arc(9, 0.5, 0.74, 0.1, 0.02, 180, 540)[:8],
    ]
    mean = torch.cat(parts) * size
    return mean + 0.01 * size * torch.randn(count, 68, 2, generator=generator)


def main() -> None:
    """Print the median time per batch for both region models."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    landmarks = synthetic_faces(arguments.faces, arguments.size)
    frame = (arguments.size, arguments.size)
    print(f"aucue {aucue.__version__}, torch {torch.__version__}, one thread, {arguments.faces} faces")
    print(f"{'regions':<12}{'map':>10}{'median ms':>12}{'fastest ms':>12}")
    for regions in REGION_MODELS:
        cue = AUCue(regions=regions)
        expression = torch.arange(arguments.faces) % (len(cue.classes) - 1) + 1
        for grid in ((28, 28), (14, 14)):
            cue(landmarks, expression, frame, grid)  # tables are made once
            times = []
            for _ in range(arguments.repeats):
                start = time.perf_counter()
                cue(landmarks, expression, frame, grid)
                times.append(1000 * (time.perf_counter() - start))
            shape = f"{grid[0]} x {grid[1]}"
            print(f"{regions:<12}{shape:>10}{statistics.median(times):>12.1f}{min(times):>12.1f}")


if __name__ == "__main__":
    main()
