"""Deletion and insertion (Petsiuk et al., BMVC 2018, arXiv 1806.07421): does the decision follow the map?

Pixels are taken away, or given back, in the order of a map. If the network decided by what the map shows, its
probability falls at once (deletion), or rises at once (insertion).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from aucue.errors import InputError

Predict = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) to probabilities (B, K)."""

STEPS = 16


def deletion_curve(
    predict: Predict,
    images: Tensor,
    filled: Tensor,
    maps: Tensor,
    classes: Tensor,
    steps: int = STEPS,
    batch_size: int = 64,
) -> Tensor:
    """Probability of a class while pixels are hidden, the most important first.

    At step k of n the round(k H W / n) highest pixels of the map are those of `filled`. Equal pixels follow
    each other in one random order, the same for all images: a constant map hides pixels at random.

    Args:
        predict: The network.
        images: (B, C, H, W).
        filled: What stands in hidden pixels, (B, C, H, W), see `aucue.metrics.FILLS`.
        maps: Importance of each pixel, (B, 1, H, W).
        classes: Whose probability, one id per image (B,).
        steps: n.
        batch_size: Images per call of `predict`.

    Returns:
        Probabilities (B, n + 1), from the image itself to the fill alone.

    Raises:
        InputError: The shapes do not fit, or there is no step.
    """
    _check(images, filled, maps, classes, steps)
    pixels = maps[0].numel()
    counts = torch.linspace(0, pixels, steps + 1, dtype=torch.float64).round().long().to(maps.device)
    ranks = pixel_ranks(maps)
    found = []
    for chunk in torch.arange(len(images) * (steps + 1), device=maps.device).split(batch_size):
        image, count = chunk // (steps + 1), counts[chunk % (steps + 1)]
        hidden = ranks[image] < count[:, None, None, None]
        probabilities = predict(torch.where(hidden, filled[image], images[image]))
        found.append(probabilities.gather(1, classes[image, None])[:, 0])
    return torch.cat(found).view(len(images), steps + 1)


def insertion_curve(
    predict: Predict,
    images: Tensor,
    filled: Tensor,
    maps: Tensor,
    classes: Tensor,
    steps: int = STEPS,
    batch_size: int = 64,
) -> Tensor:
    """Probability of a class while pixels are uncovered, the most important first.

    Args:
        predict: The network.
        images: (B, C, H, W).
        filled: What stands in covered pixels.
        maps: Importance of each pixel, (B, 1, H, W).
        classes: Whose probability (B,).
        steps: n.
        batch_size: Images per call of `predict`.

    Returns:
        Probabilities (B, n + 1), from the fill alone to the image itself; see `deletion_curve`.

    Raises:
        InputError: The shapes do not fit, or there is no step.
    """
    return deletion_curve(predict, filled, images, maps, classes, steps, batch_size)


def area_under_curve(curve: Tensor) -> Tensor:
    """Area under each curve over [0, 1], by trapezoids.

    Args:
        curve: Values at equal distances (B, n + 1).

    Returns:
        (B,); of probabilities in [0, 1]. Deletion: lower is better; insertion: higher is better.
    """
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1), dim=1)


def pixel_ranks(maps: Tensor) -> Tensor:
    """Place of each pixel in the order of its map, 0 for the highest.

    Args:
        maps: (B, 1, H, W).

    Returns:
        (B, 1, H, W) int64, every rank once per map; equal pixels in one fixed random order.
    """
    flat = maps.flatten(1)
    anyhow = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0)).to(maps.device)
    order = anyhow[flat[:, anyhow].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(dim=1).view_as(maps)


def _check(images: Tensor, filled: Tensor, maps: Tensor, classes: Tensor, steps: int) -> None:
    one_channel, batch = (len(images), 1, *images.shape[2:]), (len(images),)
    if filled.shape != images.shape or maps.shape != one_channel or classes.shape != batch:
        raise InputError(
            f"images {tuple(images.shape)} need a fill of the same shape, maps {one_channel} and classes "
            f"{batch}, not {tuple(filled.shape)}, {tuple(maps.shape)} and {tuple(classes.shape)}."
        )
    if steps < 1:
        raise InputError(f"A curve needs at least one step, not {steps}.")
