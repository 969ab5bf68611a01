"""What class maps cost: our read-outs beside those of the package grad-cam, on the CPU.

    python benchmarks/cams.py --threads 1

ResNet-50 and ViT-S/16 with random weights, batches of 16 at 224 x 224. The gradient methods run from images
to class maps, ours in two ways: by gradients, which works for any network, and in closed form where the
network ends in average pooling and a linear layer. All are timed in turn, so that a change in the machine's
load meets all of them. CAM and attention are given as what they add to a plain forward pass: the time from
features to maps, since the difference of two whole passes drowns in noise.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aucue.cams import READOUTS, ClassMap, PooledLinear, normalize_cam
from aucue.guidance import FeatureTap, attention

CLASSES = 7
METHODS = ("gradcam", "gradcam++", "layercam")


@dataclass(frozen=True)
class Case:
    """A network and its last layer.

    Attributes:
        layer: where the maps are read.
        linear: the linear layer, if the logits are its answer to the average of that layer's maps.
        reshape: what grad-cam needs to read tokens.
    """

    layer: str
    linear: str | None
    reshape: Callable[[Tensor], Tensor] | None


CASES = {
    "resnet50": Case("layer4", "fc", None),
    "vit_small_patch16_224": Case(
        "blocks.11.norm1",
        None,
        lambda tokens: tokens[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2),
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What class maps cost.")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    load = os.getloadavg()[0]
    print(
        f"batch {arguments.batch}, {arguments.threads} thread(s), {arguments.repeats} runs, load {load:.1f}"
    )
    for name, case in CASES.items():
        compare(name, case, torch.rand(arguments.batch, 3, 224, 224), arguments.repeats)


def compare(name: str, case: Case, images: Tensor, repeats: int) -> None:
    """Time one network."""
    import timm  # after aucue, which mends torchvision

    network: Any = timm.create_model(name, num_classes=CLASSES).eval()
    runs: dict[str, Callable[[], object]] = {"forward": lambda: forward(network, images)}
    for method in METHODS:
        runs[f"{method}, grad-cam"] = grad_cam(network, case, method, images)
        runs[f"{method}, ours"] = ours(network, case, method, images, None)
        if case.linear is not None:
            runs[f"{method}, closed"] = ours(network, case, method, images, case.linear)
    times = in_turn(runs, repeats)
    plain = times["forward"]
    print(f"\n{name}, {case.layer}: forward pass {plain:.2f} s")
    print(f"{'':12}{'grad-cam':>12}{'by gradients':>18}{'closed form':>18}")
    for method in METHODS:
        theirs = times[f"{method}, grad-cam"]
        own = [times[key] for key in (f"{method}, ours", f"{method}, closed") if key in times]
        cells = "".join(f"{f'{seconds:.2f} s ({theirs / seconds:.2f} x)':>18}" for seconds in own)
        print(f"{method:12}{theirs:>10.2f} s{cells}")
    for what, added in additions(network, case, images).items():
        print(
            f"{what} adds {added * 1e3:.2f} ms to a forward pass: {added / plain * 100:.2f} % (target: 5 %)"
        )


def grad_cam(network: Any, case: Case, method: str, images: Tensor) -> Callable[[], object]:
    """A run of the package grad-cam; with the hooks that it puts on the network during the run alone."""
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM

    library = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM}[method]
    layer = network.get_submodule(case.layer)

    def run() -> None:
        with library(network, [layer], reshape_transform=case.reshape) as cam:
            cam(images, None)

    return run


def ours(network: Any, case: Case, method: str, images: Tensor, linear: str | None) -> Callable[[], object]:
    """A run of ours."""
    class_map = ClassMap(network, case.layer, method, linear=linear)
    return lambda: normalize_cam(class_map(images))


def additions(network: Any, case: Case, images: Tensor) -> dict[str, float]:
    """Seconds from features to maps."""
    with FeatureTap(network, case.layer) as tap:
        forward(network, images)
        features = tap.features[case.layer]
    classes = torch.zeros(len(images), dtype=torch.long)
    head = PooledLinear(torch.randn(CLASSES, features.shape[1]))  # on tokens too, as our classifiers have it
    parts: dict[str, Callable[[], object]] = {
        "attention": lambda: attention(features),
        "CAM": lambda: normalize_cam(READOUTS["cam"](features, head, classes)),
    }
    return in_turn(parts, 20)


@torch.inference_mode()
def forward(network: Any, images: Tensor) -> Tensor:
    """A plain forward pass."""
    return network(images)


def in_turn(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each run, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


if __name__ == "__main__":
    main()
