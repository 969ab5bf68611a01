"""Judge the maps of any network, on pictures of anything, with masks: deletion, insertion, pointing, hiding.

A network tells stripes that lie from those that stand. Each picture also has a bright tag in a corner, which
in training tells the same. No faces, no action units: a classifier, its pictures, and masks of the stripes.

    python examples/07_judge_any_network.py
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucue.cams import ClassMap, normalize_cam
from aucue.metrics import (
    FILLS,
    area_under_curve,
    deletion_curve,
    energy_inside,
    insertion_curve,
    points_inside,
    probability_losses,
    random_regions,
)

SIDE, PATCH, TAG = 40, 16, 6  # pixels


def pictures(count: int, seed: int, tag: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, 3, H, W) in [0, 1], labels (B,), masks (B, 1, H, W) bool of the stripes."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=source)
    images = 0.4 + 0.1 * torch.randn(count, 3, SIDE, SIDE, generator=source)
    masks = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.bool)
    stripes = 0.5 * (torch.arange(PATCH) // 2 % 2)[:, None].expand(PATCH, PATCH)
    for i, label in enumerate(labels.tolist()):
        y, x = torch.randint(TAG, SIDE - PATCH, (2,), generator=source).tolist()
        images[i, :, y : y + PATCH, x : x + PATCH] += stripes if label else stripes.T
        masks[i, :, y : y + PATCH, x : x + PATCH] = True
        if tag:
            images[i, label, :TAG, :TAG] = 1.0
    return images.clamp(0, 1), labels, masks


def trained(tag: bool, steps: int = 60) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 5, 2, 2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        images, labels, _ = pictures(32, step, tag)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def judged(model: nn.Module, images: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """One figure per picture: the ten lines that work for any network with pictures, labels and masks."""
    predict = lambda x: model(x).softmax(1)  # noqa: E731
    maps = normalize_cam(ClassMap(model, "5", "layercam")(images, labels))  # of the layer named "5"
    maps = F.interpolate(maps, images.shape[-2:], mode="bilinear")
    filled = FILLS["blur"](images)  # what stands where something is hidden
    elsewhere, _ = random_regions(masks.sum((1, 2, 3)), torch.ones_like(masks), range(len(images)))
    return {
        "deletion": area_under_curve(deletion_curve(predict, images, filled, maps, labels)),
        "insertion": area_under_curve(insertion_curve(predict, images, filled, maps, labels)),
        "points at the mask": points_inside(maps, masks),
        "energy in the mask": energy_inside(maps, masks),
        "lost, mask hidden": probability_losses(predict, images, filled, masks, labels)[:, 0],
        "lost, as much hidden anywhere": probability_losses(predict, images, filled, elsewhere, labels).mean(
            1
        ),
    }


def main(count: int) -> None:
    images, labels, masks = pictures(count, 1000, tag=True)
    columns = {
        name: judged(trained(tag), images, labels, masks) for name, tag in (("stripes", False), ("tag", True))
    }
    chance = masks.float().mean()
    print(f"{'':32}{'trained on stripes':>20}{'trained with a tag':>20}")
    for measure in columns["stripes"]:
        values = [columns[name][measure].mean() for name in columns]
        print(f"{measure:32}{values[0]:20.2f}{values[1]:20.2f}")
    print(f"chance for pointing and energy: {chance:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=64, help="pictures that are judged")
    main(parser.parse_args().pictures)
