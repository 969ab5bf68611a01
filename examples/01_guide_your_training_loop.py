"""Guide any network in a plain PyTorch loop: three lines (marked 1, 2, 3) make it look where a mask says.

The task is made up: is the small patch striped upright or across? It lies anywhere in a noisy picture; its
mask is the cue. With and without guidance the network gets equally good; where it looks differs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucue.guidance import Guidance, alignment  # 1


def pictures(count: int, seed: int, size: int = 48, patch: int = 14) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, 3, size, size), labels (B,), masks of the patch (B, 1, size, size)."""
    source = torch.Generator().manual_seed(seed)
    noise = 0.5 + 0.15 * torch.randn(count, 3, size, size, generator=source)
    labels = torch.randint(2, (count,), generator=source)
    corners = torch.randint(size - patch, (count, 2), generator=source)
    line = torch.arange(size)
    inside = (line >= corners[..., None]) & (line < corners[..., None] + patch)  # (B, 2, size): rows, columns
    masks = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None].float()
    across = (line // 2 % 2).expand(size, size)
    stripes = torch.stack([across.T, across])[labels][:, None]  # (B, 1, size, size)
    return noise + masks * (stripes - 0.5), labels, masks


def network() -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    last = [nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*first, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2))


def train(weight: float, steps: int = 100) -> None:
    model = network()
    guidance = Guidance(model, ["5"], weight=weight)  # 2: name a layer, here the last ReLU
    report(f"lambda {weight:g} before", model.eval(), guidance)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        images, labels, masks = pictures(32, seed=1 + step)
        logits = model.train()(images)
        loss = F.cross_entropy(logits, labels) + guidance(masks)  # 3: add the term
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report(f"lambda {weight:g} after", model.eval(), guidance)


@torch.no_grad()
def report(when: str, model: nn.Module, guidance: Guidance) -> None:
    images, labels, masks = pictures(256, seed=0)
    accuracy = (model(images).argmax(1) == labels).float().mean()
    cosine = 1 - alignment(guidance.attention()["5"], masks)
    print(f"{when:16} accuracy {accuracy:.2f}  cosine of attention and mask {cosine:.2f}")


if __name__ == "__main__":
    train(weight=0.0)
    train(weight=4.0)
