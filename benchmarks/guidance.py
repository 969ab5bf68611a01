"""What guidance costs: its share of a training step of ResNet-50, batch 8, 224 x 224, on the CPU.

    python benchmarks/guidance.py --threads 1

A step is forward pass, backward pass and SGD update. The share is measured within it: drawing the cue (action
units, 28 x 28, from landmarks), the guidance term, and the term's backward pass down to the guided features.
Whole steps with and without guidance are timed in turn and printed too; their difference drowns in noise.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.cues import AUCue, Cue
from aucue.data import SyntheticSource
from aucue.guidance import Guidance

SIZE, GRID, LAYER = (224, 224), (28, 28), "layer4"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What guidance costs in a training step.")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="steps of either kind")
    parser.add_argument("--repeats", type=int, default=50, help="runs of the guidance part alone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--large", action="store_true", help="maps of 28 x 28 at the last layer, as in the paper"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    network = resnet50(arguments.large)
    guidance = Guidance(network, LAYER)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, (landmarks, labels) = torch.rand(arguments.batch, 3, *SIZE), faces(arguments.batch)
    cues = AUCue()

    def cue() -> Cue:
        return cues(landmarks, labels, SIZE, GRID)

    def step(guided: bool) -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        if guided:
            loss = loss + guidance(cue())
        loss.backward()
        optimizer.step()

    step(guided=True)  # warm-up
    whole: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(arguments.steps):
        for guided, times in whole.items():
            times.append(seconds(lambda guided=guided: step(guided)))

    network(images)
    features = guidance.tap.features[LAYER]
    parts: list[Callable[[], object]] = [
        cue,
        lambda: guidance(drawn),
        lambda: torch.autograd.grad(guidance(drawn), features),
    ]
    drawn = cue()
    drawing, forward, both = (
        statistics.median(seconds(part) for _ in range(arguments.repeats)) for part in parts
    )
    plain, guided = (statistics.median(times) for times in whole.values())
    print(f"batch {arguments.batch}, {LAYER} {tuple(features.shape[1:])}, {arguments.threads} thread(s)")
    print(f"unguided step             {plain * 1e3:9.2f} ms")
    print(f"guided step               {guided * 1e3:9.2f} ms  ({(guided / plain - 1) * 100:+.2f} %, noisy)")
    print(f"  drawing the cue         {drawing * 1e3:9.2f} ms")
    print(f"  guidance term           {forward * 1e3:9.2f} ms")
    print(f"  its backward pass       {(both - forward) * 1e3:9.2f} ms")
    print(f"share of guidance in a step: {(drawing + both) / plain * 100:.2f} % (target: at most 2 %)")


def faces(count: int) -> tuple[Tensor, Tensor]:
    """Landmarks (B, 68, 2) of synthetic faces, and labels (B,)."""
    source = SyntheticSource(train=count, val=0, test=0, size=SIZE[0])
    samples = [source[i] for i in range(count)]
    landmarks = torch.stack([torch.as_tensor(sample.landmarks, dtype=torch.float32) for sample in samples])
    return landmarks, torch.tensor([source.classes.index(sample.label) for sample in samples])


def resnet50(large: bool) -> torch.nn.Module:
    """The network; `large`: stride 1 in the last two stages."""
    import timm  # after aucue, which mends torchvision

    network = timm.create_model("resnet50", num_classes=7)
    for stage in ("layer3", "layer4") if large else ():
        for module in network.get_submodule(f"{stage}.0").modules():
            if isinstance(module, torch.nn.Conv2d):
                module.stride = (1, 1)
    return network


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
