"""AU occlusion: what hiding the regions of a class costs it, against hiding any part of the face as large.

Occlusion as in Zeiler & Fergus (ECCV 2014, arXiv 1311.2901), of whole regions and with a random reference.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from aucue.errors import InputError
from aucue.metrics.deletion import Predict

_DIRECTIONS = 128
_SAME_COLOUR = 2  # levels of 255: what JPEG leaves of an area of one colour
_LONGEST = 2.0  # long over short axis of a random ellipse


def region_of(cue: Tensor, threshold: float = 0.5) -> Tensor:
    """Where a map is higher than a threshold.

    Args:
        cue: Maps (B, 1, H, W) in [0, 1].
        threshold: In [0, 1).

    Returns:
        (B, 1, H, W) bool.
    """
    return cue > threshold


def regions_of(maps: Tensor) -> Tensor:
    """Where each of several maps shows: above half of its own maximum.

    Args:
        maps: (B, R, H, W), not negative.

    Returns:
        (B, R, H, W) bool; nowhere true for a map that is zero everywhere, or NaN.
    """
    return maps > maps.amax(dim=(2, 3), keepdim=True) / 2


def points_hull(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The pixels inside the convex hull of points, such as those of a face.

    The hull is cut by half-planes in 128 directions: beyond an edge, at most 1.3 % of its length is added.

    Args:
        points: (B, P, 2), (x, y) in pixels, (0, 0) the centre of the first pixel.
        size: (H, W).

    Returns:
        (B, 1, H, W) bool; nowhere true for a face with a NaN.
    """
    rows, columns = (torch.arange(n, device=points.device, dtype=points.dtype) for n in size)
    inside = torch.ones(len(points), *size, dtype=torch.bool, device=points.device)
    for k in range(_DIRECTIONS):
        angle = 2 * math.pi * k / _DIRECTIONS
        x, y = math.cos(angle), math.sin(angle)
        farthest = (points[..., 0] * x + points[..., 1] * y).amax(dim=1)
        inside &= columns[None, :] * x + rows[:, None] * y <= farthest[:, None, None] + 1e-4
    return inside[:, None]


def face_region(landmarks: Tensor, every_unit: Tensor) -> Tensor:
    """The pixels of a face: the hull of its landmarks, and wherever an action unit may show.

    Args:
        landmarks: (B, P, 2), as for `points_hull`.
        every_unit: Map of all action units together (B, 1, H, W) in [0, 1].

    Returns:
        (B, 1, H, W) bool.
    """
    return points_hull(landmarks, (every_unit.shape[-2], every_unit.shape[-1])) | region_of(every_unit)


def blank_pixels(images: Tensor) -> Tensor:
    """The pixels of areas of one colour, such as paper or paint, where nothing can be seen.

    An area counts from 3 x 3 pixels on, within which no channel varies by more than two levels, and with the
    pixel around it, which resizing has mixed with what lies outside.

    Args:
        images: (B, C, H, W), in levels from 0 to 255.

    Returns:
        (B, 1, H, W) bool.
    """
    values = images.float()
    varies = max_pool2d(values, 3, 1, 1) + max_pool2d(-values, 3, 1, 1)
    inner = (varies.amax(dim=1, keepdim=True) <= _SAME_COLOUR).float()
    return max_pool2d(inner, 5, 1, 2) > 0


def random_regions(
    areas: Tensor, inside: Tensor, seeds: Sequence[int], count: int = 8, blobs: int = 2
) -> tuple[Tensor, Tensor]:
    """Random regions of given areas inside a face.

    A region is made of ellipses of equal size with centres, directions and axes (ratio 1 to 2) drawn at
    random, grown inside the face until together they have exactly the number of pixels asked for. They may
    overlap each other and the regions that they are compared with.

    Args:
        areas: Number of pixels of each face's regions (B,).
        inside: Which pixels belong to the face (B, 1, H, W) bool; all true if that is not known.
        seeds: One per face, not negative: a face gets the same regions in any batch, on any device.
        count: Number of regions R per face.
        blobs: Ellipses per region; most action units show left and right.

    Returns:
        (B, R, H, W) bool; and (B,) bool, false where there is no area, or none so large in the face: no
        regions.
    """
    possible = (areas > 0) & (areas <= inside.flatten(1).sum(dim=1))
    regions = torch.zeros(len(areas), count, *inside.shape[-2:], dtype=torch.bool)
    for i in possible.nonzero()[:, 0].tolist():
        regions[i] = _regions(int(areas[i]), inside[i, 0].cpu(), seeds[i], count, blobs)
    return regions.to(inside.device), possible


def probability_losses(
    predict: Predict,
    images: Tensor,
    filled: Tensor,
    regions: Tensor,
    classes: Tensor,
    batch_size: int = 64,
) -> Tensor:
    """How much probability a class loses when regions are hidden: p(image) - p(image with the region filled).

    Args:
        predict: The network.
        images: (B, C, H, W).
        filled: What stands in hidden pixels (B, C, H, W).
        regions: R regions per image (B, R, H, W) bool.
        classes: Whose probability (B,).
        batch_size: Images per call of `predict`.

    Returns:
        (B, R), in [-1, 1]; positive where hiding the region speaks against the class.

    Raises:
        InputError: The shapes do not fit.
    """
    if filled.shape != images.shape or regions.shape[::2] != images.shape[::2] or regions.ndim != 4:
        raise InputError(
            f"images {tuple(images.shape)} need a fill of the same shape and regions (B, R, H, W), not "
            f"{tuple(filled.shape)} and {tuple(regions.shape)}."
        )
    count = regions.shape[1] + 1
    shown = torch.cat([torch.zeros_like(regions[:, :1]), regions], dim=1)  # nothing is hidden in the first
    found = []
    for chunk in torch.arange(len(images) * count, device=images.device).split(batch_size):
        image, region = chunk // count, chunk % count
        probabilities = predict(torch.where(shown[image, region][:, None], filled[image], images[image]))
        found.append(probabilities.gather(1, classes[image, None])[:, 0])
    probability = torch.cat(found).view(len(images), count)
    return probability[:, :1] - probability[:, 1:]


def _regions(area: int, inside: Tensor, seed: int, count: int, blobs: int) -> Tensor:
    """Regions (R, H, W) of one face."""
    generator = torch.Generator().manual_seed(seed)
    pixels = inside.nonzero()  # (N, 2)
    drawn = torch.randint(len(pixels), (count, blobs), generator=generator)
    centre = pixels[drawn].double()[..., None, None]  # (R, M, 2, 1, 1)
    angle = math.pi * torch.rand(count, blobs, 1, 1, generator=generator, dtype=torch.float64)
    ratio = _LONGEST ** torch.rand(count, blobs, 1, 1, generator=generator, dtype=torch.float64)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in inside.shape)
    down, right = rows[:, None] - centre[:, :, 0], columns[None, :] - centre[:, :, 1]  # (R, M, H, W)
    along = right * angle.cos() + down * angle.sin()
    across = down * angle.cos() - right * angle.sin()
    distance = (along**2 / ratio + across**2 * ratio).amin(dim=1).masked_fill(~inside, torch.inf)
    nearest = distance.flatten(1).argsort(dim=1, stable=True)[:, :area]
    return torch.zeros(count, inside.numel(), dtype=torch.bool).scatter(1, nearest, True).view_as(distance)
