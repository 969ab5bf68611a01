"""Stability: does the map stay with the face when the picture changes in a way that does not matter?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import pad

from aucue.metrics.cosine import map_cosine

SHIFT = 0.04  # of each side
NOISE = 0.02  # standard deviation, images in [0, 1]


@dataclass(frozen=True)
class Change:
    """A change of a picture that leaves the expression as it is.

    Attributes:
        words: What is done.
        apply: From images (B, C, H, W) in [0, 1] and one seed per image to changed images.
        pair: From maps (B, 1, H, W) of the images and of the changed ones to both in one frame, over the
            pixels that both show.
    """

    words: str
    apply: Callable[[Tensor, Sequence[int]], Tensor]
    pair: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    def stability(self, before: Tensor, after: Tensor) -> Tensor:
        """Cosine of the map of each face with the map of the changed face, brought back.

        Args:
            before: Maps of the images (B, 1, H, W), not negative.
            after: Maps of the changed images (B, 1, H, W).

        Returns:
            (B,) in [0, 1]; 1 where the map went with the face.
        """
        return map_cosine(*self.pair(before, after))


def _mirror(images: Tensor, seeds: Sequence[int]) -> Tensor:
    return images.flip(-1)


def _mirror_back(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    return before, after.flip(-1)


def _steps(images: Tensor) -> tuple[int, int]:
    """Pixels down and right that an image is shifted by."""
    return max(1, round(SHIFT * images.shape[-2])), max(1, round(SHIFT * images.shape[-1]))


def _shift(images: Tensor, seeds: Sequence[int]) -> Tensor:
    down, right = _steps(images)
    return pad(images, (right, 0, down, 0), mode="replicate")[..., :-down, :-right]


def _shift_back(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    down, right = _steps(before)
    return before[..., :-down, :-right], after[..., down:, right:]


def _noise(images: Tensor, seeds: Sequence[int]) -> Tensor:
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    noise = torch.stack([torch.randn(images.shape[1:], generator=generator) for generator in generators])
    return (images + NOISE * noise.to(images)).clamp(0, 1)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "mirrored": Change("left and right exchanged", _mirror, _mirror_back),
        "shifted": Change("4 % of the side down and to the right, borders repeated", _shift, _shift_back),
        "noisy": Change("Gaussian noise of 2 % of the range", _noise, lambda before, after: (before, after)),
    }
)
"""Changes by name."""
