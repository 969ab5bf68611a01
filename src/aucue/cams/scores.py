"""Read-outs that run the network again: on masked images (ScoreCAM and its kin) or on noisy ones.

They take many passes: one per channel of the layer and mask (ScoreCAM), or one per noisy image. Noise is
drawn anew from the same seed at each call and is the same for every image, so that the map of a face depends
neither on chance nor on the faces beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.cams.cam import normalize_cam
from aucue.cams.contract import LogitHead, ReadOut, Rerun, gap_weight, pooled_gradients
from aucue.cams.gradients import gradcam_plus_plus, smooth_gradcam_plus_plus, weighted_maps
from aucue.errors import InputError

AT_ONCE = 64
"""Masked images in one pass."""

Masks = Callable[[Tensor], Iterator[Tensor]]
"""From masks (N, 1, H, W) in [0, 1] to those whose scores are averaged, (N, 1 or 3, H, W) each."""


def as_it_is(masks: Tensor) -> Iterator[Tensor]:
    """The masks themselves (ScoreCAM)."""
    yield masks


def with_noise(masks: Tensor, samples: int = 35, deviation: float = 2.0) -> Iterator[Tensor]:
    """Masks with normal noise, as many and as strong as published (SS-CAM)."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(samples):
        noise = torch.randn((1, 3, *masks.shape[2:]), generator=generator)
        yield masks + deviation * noise.to(masks)


def in_steps(masks: Tensor, steps: int = 10) -> Iterator[Tensor]:
    """Masks times (1 + ... + i) / steps for i from 1 to steps, as published (IS-CAM)."""
    for i in range(1, steps + 1):
        yield masks * (i * (i + 1) / 2 / steps)


@dataclass(frozen=True)
class ScoreReadOut(ReadOut):
    """Feature maps weighted by what the network says of the image that they mask, without any gradient.

    All classes at once cost no more than one. In a graph (`differentiable`) the weights are constants.

    Attributes:
        masks: Which masks are made of a feature map that was brought to [0, 1] and to the image's size.
    """

    masks: Masks
    offered: ClassVar[bool] = False

    def __call__(
        self,
        features: Tensor,
        head: LogitHead | None,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """See `ReadOut`."""
        rerun = _present(rerun, self.title)
        with torch.no_grad():
            weights = self._scores(features, rerun)  # (B, K, C)
            if classes is not None:
                weights = weights.take_along_dim(classes[:, None, None], 1)
        with torch.set_grad_enabled(differentiable):
            return weighted_maps(features, weights)

    def reruns(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return True

    def _scores(self, features: Tensor, rerun: Rerun) -> Tensor:
        """Probability of each class where each channel masks the image, (B, K, C)."""
        batch, channels = features.shape[:2]
        maps, images = normalize_cam(features.float()).flatten(0, 1).unsqueeze(1), rerun.images
        scores = []
        for pairs in torch.arange(batch * channels, device=features.device).split(AT_ONCE):
            masks = F.interpolate(maps[pairs], images.shape[2:], mode="bilinear", align_corners=False)
            seen = images[pairs // channels]
            answers = [rerun.logits(seen * mask.to(seen)).float().softmax(1) for mask in self.masks(masks)]
            scores.append(torch.stack(answers).mean(0))  # (pairs, K)
        return torch.cat(scores).unflatten(0, (batch, channels)).transpose(1, 2)


@dataclass(frozen=True)
class SmoothReadOut(ReadOut):
    """GradCAM++ with the moments of the gradients over noisy copies of the image.

    For average pooling and a linear layer the gradients do not depend on the image: it is GradCAM++ then, in
    closed form. Otherwise the weights are constants in a graph (`differentiable`).

    Attributes:
        samples: Noisy copies.
        deviation: Of the noise, in units of the images as the network's first layer takes them.
    """

    samples: int = 4
    deviation: float = 0.3

    def __call__(
        self,
        features: Tensor,
        head: LogitHead | None,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """See `ReadOut`."""
        if head is not None and (weight := gap_weight(head)) is not None:
            with torch.set_grad_enabled(differentiable):
                return gradcam_plus_plus(features, pooled_gradients(features, weight, classes))
        moments = self._moments(_present(rerun, self.title), classes)
        with torch.set_grad_enabled(differentiable):
            return torch.cat([smooth_gradcam_plus_plus(features, *of_class) for of_class in moments], 1)

    def needs_gradient(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return gap_weight(head) is None

    def reruns(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return gap_weight(head) is None

    def _moments(self, rerun: Rerun, classes: Tensor | None) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Means of g, g^2 and g^3 over the noisy copies, each (B, C, h, w), by class."""
        generator, sums = torch.Generator().manual_seed(0), []
        for _ in range(self.samples):
            noise = torch.randn((1, *rerun.images.shape[1:]), generator=generator).to(rerun.images)
            for number, gradient in enumerate(
                rerun.gradients(rerun.images + self.deviation * noise, classes)
            ):
                powers = torch.stack([gradient, gradient**2, gradient**3]).double() / self.samples
                if number == len(sums):
                    sums.append(powers)
                else:
                    sums[number] = sums[number] + powers
        return [(first, second, third) for first, second, third in sums]


def _present(rerun: Rerun | None, title: str) -> Rerun:
    if rerun is None:
        raise InputError(f"{title} runs the network again: give it as rerun, or read the map by 'ClassMap'.")
    if rerun.images.ndim != 4:
        raise InputError(f"{title} masks images (B, 3, H, W), not {tuple(rerun.images.shape)}.")
    return rerun
