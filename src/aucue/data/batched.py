"""Augmentation of whole batches, on their device: one resampling for all changes of geometry.

The transforms of `aucue.data.transforms` follow the published ones picture by picture; a small network waits
a fifth of its time for them. Here a batch costs what a few pictures cost there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.classifiers.brightness import brightness
from aucue.data.transforms import PARTNER, source_size


@dataclass(frozen=True)
class BatchAugmentation:
    """Random changes of a batch of faces, drawn for each face from torch's random numbers.

    In this order: rotation about the centre, crop of a part of the area, mirror (with p .5; left and right
    landmarks swap); then of the picture alone brightness, contrast and saturation, blur or sharpening,
    erasing of a rectangle. What comes from outside the picture repeats its border.

    Attributes:
        degrees: Largest rotation.
        rotate_p: Share of faces that are rotated.
        area: Smallest and largest part of the area that is kept.
        ratio: Smallest and largest width / height of that part.
        jitter: Largest relative change of brightness, contrast and saturation.
        jitter_p: Share of faces of which these are changed.
        blur_p: Share that are blurred, up to a binomial filter of 3 x 3.
        sharpen_p: Share that are sharpened, by up to 1.5 times what this filter takes away.
        erase_area: Smallest and largest part of the area that is erased.
        erase_p: Share of faces of which a rectangle is erased.
    """

    degrees: float = 6.0
    rotate_p: float = 0.5
    area: tuple[float, float] = (0.8, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)
    jitter_p: float = 0.0
    blur_p: float = 0.0
    sharpen_p: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.2)
    erase_p: float = 0.0

    def __call__(self, batch: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """Change the pictures and landmarks of a batch.

        Args:
            batch: `image` (B, 3, S, S) uint8 and `landmarks` (B, 68, 2) in its pixels, (0, 0) the centre of
                the first one, NaN where missing; whatever else it holds stays.
            size: Side of the result in pixels.

        Returns:
            The batch with `image` (B, 3, size, size) uint8, `landmarks` in its pixels, and `hidden` (B, 1,
            size, size) bool: what was erased, or lay outside the picture.
        """
        images = batch["image"]
        change, mirrored = self.geometry(len(images), images.device)
        moved = moved_landmarks(batch["landmarks"], change, mirrored, images.shape[-1], size)
        pictures = self.colour(resampled(shrunk(images.float(), source_size(size)), change, size))
        hidden = outside(change, size)
        if self.erase_p:
            erased = self.erased(len(images), size, images.device)
            pictures, hidden = pictures * ~erased, hidden | erased
        pictures = pictures.round().clamp(0, 255).to(images.dtype)
        return {**batch, "image": pictures, "landmarks": moved, "hidden": hidden}

    def geometry(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Draw what happens to the geometry of faces.

        Returns:
            Affine maps (B, 2, 3) from positions of the result to those of the picture, both from -1 to 1, and
            which faces are mirrored (B,).
        """
        turned = torch.rand(count, device=device) < self.rotate_p
        angle = _uniform(count, device, -self.degrees, self.degrees) * turned * (math.pi / 180)
        area = _uniform(count, device, *self.area)
        ratio = _uniform(count, device, math.log(self.ratio[0]), math.log(self.ratio[1])).exp()
        scale = torch.stack([area * ratio, area / ratio], 1).sqrt().clamp(max=1)  # (B, 2): width, height
        centre = (2 * torch.rand(count, 2, device=device) - 1) * (1 - scale)
        mirrored = torch.rand(count, device=device) < 0.5
        sine, cosine = angle.sin(), angle.cos()
        rotation = torch.stack([cosine, -sine, sine, cosine], 1).view(count, 2, 2)
        signed = torch.stack([scale[:, 0] * torch.where(mirrored, -1.0, 1.0), scale[:, 1]], 1)
        return torch.cat([rotation * signed[:, None], rotation @ centre[..., None]], 2), mirrored

    def colour(self, pictures: Tensor) -> Tensor:
        """Jitter, then blur or sharpen pictures (B, 3, H, W), 0 to 255."""
        count, device = len(pictures), pictures.device
        if self.jitter_p:
            changed = (torch.rand(count, device=device) < self.jitter_p).float()
            bright, contrast, saturation = (
                (1 + changed * _uniform(count, device, -largest, largest))[:, None, None, None]
                for largest in self.jitter
            )
            pictures = (pictures * bright).clamp(0, 255)
            level = brightness(pictures).mean((2, 3), keepdim=True)
            pictures = level + contrast * (pictures - level)
            grey = brightness(pictures)
            pictures = (grey + saturation * (pictures - grey)).clamp(0, 255)
        if self.blur_p or self.sharpen_p:
            drawn, strength = torch.rand(2, count, device=device)
            amount = torch.where(drawn < self.blur_p, -strength, 0.0)
            amount = torch.where(drawn > 1 - self.sharpen_p, 1.5 * strength, amount)[:, None, None, None]
            pictures = pictures + amount * (pictures - _smooth(pictures))
        return pictures

    def erased(self, count: int, size: int, device: torch.device) -> Tensor:
        """Draw which pixels of faces are erased: (B, 1, size, size) bool, a rectangle or nothing."""
        chosen = torch.rand(count, device=device) < self.erase_p
        area = _uniform(count, device, *self.erase_area)
        ratio = _uniform(count, device, math.log(0.3), math.log(3.3)).exp()
        sides = torch.stack([area * ratio, area / ratio], 1).sqrt().clamp(max=1)
        start = torch.rand(count, 2, device=device) * (1 - sides)
        positions = (torch.arange(size, device=device) + 0.5) / size
        inside = (positions >= start[..., None]) & (positions < (start + sides)[..., None])  # (B, 2, size)
        return (inside[:, 1, :, None] & inside[:, 0, None, :] & chosen[:, None, None])[:, None]


GEOMETRIC = BatchAugmentation()
"""The geometric half of the published training transforms."""

STRONG = BatchAugmentation(
    degrees=15,
    rotate_p=0.7,
    area=(0.65, 1.0),
    ratio=(0.9, 1.1),
    jitter=(0.4, 0.4, 0.3),
    jitter_p=0.8,
    blur_p=0.2,
    sharpen_p=0.3,  # pictures of larger cameras are sharper than small crops that were enlarged
    erase_p=0.4,
)
"""For long trainings that have to hold on other cameras."""


def shrunk(pictures: Tensor, size: int) -> Tensor:
    """Pictures (B, C, S, S) of at most `size` pixels a side: larger ones are averaged, not sampled."""
    if pictures.shape[-1] <= size:
        return pictures
    return F.interpolate(pictures, (size, size), mode="bilinear", antialias=True)


def resampled(pictures: Tensor, change: Tensor, size: int) -> Tensor:
    """Pictures (B, C, H, W) seen through affine maps (B, 2, 3), bilinear: (B, C, size, size)."""
    shape = [len(pictures), pictures.shape[1], size, size]
    grid = F.affine_grid(change, shape, align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def outside(change: Tensor, size: int) -> Tensor:
    """Which pixels (B, 1, size, size) affine maps (B, 2, 3) take from beyond the picture: bool."""
    grid = F.affine_grid(change, [len(change), 1, size, size], align_corners=False)
    return (grid.abs() > 1).any(dim=-1)[:, None]


def moved_landmarks(landmarks: Tensor, change: Tensor, mirrored: Tensor, before: int, after: int) -> Tensor:
    """Where landmarks are after a change of geometry.

    Args:
        landmarks: (B, 68, 2) in pixels.
        change: Affine maps (B, 2, 3) from the result to the picture.
        mirrored: Faces of which left and right landmarks swap (B,).
        before: Side of the pictures in pixels.
        after: Side of the results in pixels.

    Returns:
        (B, 68, 2) in pixels of the results; may lie outside.
    """
    positions = (2 * landmarks + 1) / before - 1
    linear, shift = change[..., :2], change[..., 2]
    positions = (positions - shift[:, None]) @ torch.linalg.inv(linear).mT
    swapped = positions[:, PARTNER.to(positions.device)]
    positions = torch.where(mirrored[:, None, None], swapped, positions)
    return ((positions + 1) * after - 1) / 2


def _uniform(count: int, device: torch.device, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count, device=device)


def _smooth(pictures: Tensor) -> Tensor:
    """Binomial filter of 3 x 3."""
    line = torch.tensor([0.25, 0.5, 0.25], device=pictures.device)
    kernel = torch.outer(line, line).expand(pictures.shape[1], 1, 3, 3)
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel, groups=pictures.shape[1])
