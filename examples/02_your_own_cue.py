"""Guide a classifier of your own with a cue of your own: no faces, no action units, any network, any mask.

The task is made up: which shape (disc, square, triangle, cross) does a noisy picture show? Each picture also
has a coloured tag in a corner. In training its colour tells the shape, as a scanner's label may tell the
hospital; in the test it tells a wrong one. Nobody wants a network that reads tags. What is known is a mask of
the shape for the training pictures; guidance asks the attention of one layer to lie there. At test time no
mask is needed.

    python examples/02_your_own_cue.py --out your_own_cue.png
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucue.cams import ClassMap, normalize_cam
from aucue.cues import mask_cue
from aucue.guidance import Guidance, alignment
from aucue.pictures import overlay, panel

SHAPES = ("disc", "square", "triangle", "cross")
COLOURS = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.4, 0.9], [0.9, 0.8, 0.2]])
SIZE, TAG = 44, 7  # sides in pixels


def pictures(count: int, seed: int, tag_lies: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, 3, H, W) in [0, 1], labels (B,), masks of the shapes (B, H, W)."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(SHAPES), (count,), generator=source)
    centres = SIZE - 20 + 10 * torch.rand(count, 2, 1, 1, generator=source)  # (y, x)
    radii = 6 + 3 * torch.rand(count, 1, 1, generator=source)
    line = torch.arange(SIZE) + 0.5
    y = (line[:, None] - centres[:, 0]) / radii  # (B, H, 1), in radii
    x = (line[None, :] - centres[:, 1]) / radii  # (B, 1, W)
    disc = x.square() + y.square() < 1
    square = torch.maximum(x.abs(), y.abs()) < 0.88
    triangle = (y < 0.8) & (x.abs() < 0.62 * (y + 1))
    cross = (torch.minimum(x.abs(), y.abs()) < 0.33) & (torch.maximum(x.abs(), y.abs()) < 1)
    masks = torch.stack([disc, square, triangle, cross])[labels, torch.arange(count)].float()
    noise = 0.06 * torch.randn(count, 3, SIZE, SIZE, generator=source)
    images = 0.4 + 0.45 * masks[:, None] + noise
    wrong = (labels + torch.randint(1, len(SHAPES), (count,), generator=source)) % len(SHAPES)
    images[:, :, :TAG, :TAG] = COLOURS[wrong if tag_lies else labels][:, :, None, None]
    return images.clamp(0, 1), labels, masks


class Network(nn.Module):
    """A stand-in for your classifier. Its layer `features` yields (B, 32, 11, 11)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 32, 5, 1, 2), nn.BatchNorm2d(32), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(32, len(SHAPES))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 4)."""
        return self.head(self.features(images).mean((2, 3)))


def train(weight: float, steps: int) -> tuple[Network, Guidance]:
    torch.manual_seed(0)
    model = Network()
    guidance = Guidance(model, "features", weight=weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    batches = [pictures(32, seed) for seed in range(1, 41)]
    for step in range(steps):
        images, labels, masks = batches[step % len(batches)]
        logits = model(images)
        loss = F.cross_entropy(logits, labels) + guidance(mask_cue(masks))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval(), guidance


@torch.no_grad()
def report(name: str, model: Network, guidance: Guidance) -> None:
    for tag, tag_lies in (("tells", False), ("lies", True)):
        images, labels, masks = pictures(500, seed=0, tag_lies=tag_lies)
        accuracy = (model(images).argmax(1) == labels).float().mean()
        cosine = 1 - alignment(guidance.attention()["features"], masks[:, None])
        print(f"{name:9} tag {tag:6} accuracy {accuracy:.2f}  cosine of attention and mask {cosine:.2f}")


def draw(models: dict[str, Network], out: Path) -> None:
    """One test picture per shape, with the map of the class that each network predicts."""
    images, labels, masks = pictures(60, seed=0, tag_lies=True)
    first = [int((labels == shape).nonzero()[0]) for shape in range(len(SHAPES))]
    shown = list((images[first] * 255).byte().permute(0, 2, 3, 1).numpy())
    maps = {"mask": masks[first].numpy()}
    for name, model in models.items():
        class_map = ClassMap(model, "features", "layercam")
        maps[f"class map, {name}"] = normalize_cam(class_map(images[first]))[:, 0].numpy()
    tiles, columns = [], ["test picture, tag lies", *maps]
    for row, image in enumerate(shown):
        tiles += [image, *(overlay(image, heat[row]) for heat in maps.values())]
    titles = columns + [""] * (len(tiles) - len(columns))
    panel(tiles, titles, columns=len(columns), tile_size=200).save(out)
    print(f"Look at {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200, help="optimisation steps per training")
    parser.add_argument("--out", type=Path, help="picture to write")
    arguments = parser.parse_args()
    networks = {}
    for name, weight in {"unguided": 0.0, "guided": 4.0}.items():
        networks[name], guidance = train(weight, arguments.steps)
        report(name, networks[name], guidance)
    if arguments.out:
        draw(networks, arguments.out)
