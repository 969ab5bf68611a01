"""Regularisers: what changes in training alone, so that a network does not rest on one spot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from aucue.cues import Cue
from aucue.errors import InputError


@dataclass(frozen=True)
class ADL:
    """Attention-based dropout layer (Choe & Shim, CVPR 2019, arXiv 1908.10028).

    With T the channel mean of a block's features F (B, C, h, w), F becomes, in training,
    `F * (T < threshold * max T)` with probability `drop_rate`, which hides what the block attends to most,
    and else `F * sigmoid(T)`. One draw per block and batch. In evaluation F stays as it is. It has no
    parameters and is attached as a forward hook, so that the names of weights do not change.

    Attributes:
        drop_rate: probability of hiding.
        threshold: share of a sample's highest attention from which on cells are hidden.
    """

    drop_rate: float = 0.4
    threshold: float = 0.1

    def attach(self, backbone: nn.Module, blocks: Sequence[str]) -> None:
        """Regularise what some blocks put out, for good.

        Args:
            backbone: timm model.
            blocks: names of modules whose output is (B, C, h, w), see `adl_blocks`.

        Raises:
            InputError: the features have their channels last.
        """
        if str(getattr(backbone, "output_fmt", "NCHW")) == "NHWC":
            raise _not_convolutional()
        for block in blocks:
            backbone.get_submodule(block).register_forward_hook(self)

    def __call__(self, block: nn.Module, inputs: tuple[Any, ...], features: Tensor) -> Tensor:
        """Forward hook: what goes on instead of the block's features (B, C, h, w).

        Raises:
            InputError: the block's output is no feature map.
        """
        if not isinstance(features, Tensor) or features.ndim != 4:
            raise _not_convolutional()
        if not block.training:
            return features
        hide = torch.rand((), device=features.device) < self.drop_rate
        return features * self.mask(features, hide)

    def mask(self, features: Tensor, hide: Tensor) -> Tensor:
        """What features are multiplied by.

        Args:
            features: (B, C, h, w).
            hide: scalar bool, whether to hide what is attended to rather than to stress it.

        Returns:
            (B, 1, h, w) in [0, 1].
        """
        attention = features.mean(dim=1, keepdim=True)
        ceiling = self.threshold * attention.amax(dim=(2, 3), keepdim=True)
        return torch.where(hide, (attention < ceiling).to(features.dtype), attention.sigmoid())


def adl_blocks(backbone: nn.Module) -> tuple[str, ...]:
    """Where ADL sits: after the first block of the last stage but one, the first and the last of the last.

    In a ResNet-50 these are layer3.0, layer4.0 and layer4.2, as published. A stage is a module of timm's
    `feature_info`; its blocks are its children, or those of its `blocks`. A module that is no sequence counts
    as one block.

    Args:
        backbone: timm model.
    """
    stages = [info["module"] for info in cast(Any, backbone).feature_info][-2:]
    before, last = _blocks(backbone, stages[0]), _blocks(backbone, stages[-1])
    return tuple(dict.fromkeys((before[0], last[0], last[-1])))


def block_before_last(backbone: nn.Module) -> str:
    """Name of the block whose output the last one takes; in a ResNet-50 it is layer4.1.

    Args:
        backbone: timm model.

    Raises:
        InputError: the last stage has one block alone, so that the one before is of another stage.
    """
    stage = cast(Any, backbone).feature_info[-1]["module"]
    *_, before, _last = ["", *_blocks(backbone, stage)]
    if not before:
        raise InputError(
            f"adl-fg2024: reads one block before the last one, and the last stage, {stage}, has no two; "
            "choose a network with more blocks, or the read-out cam."
        )
    return before


def _blocks(backbone: nn.Module, stage: str) -> list[str]:
    """Names of a stage's blocks, in order."""
    module, name = backbone.get_submodule(stage), stage
    if isinstance(getattr(module, "blocks", None), nn.Module):
        module, name = module.get_submodule("blocks"), f"{stage}.blocks"
    if not isinstance(module, nn.Sequential | nn.ModuleList):
        return [stage]
    return [f"{name}.{child}" for child, _ in module.named_children()]


def _not_convolutional() -> InputError:
    return InputError("adl: needs a convolutional backbone, with features (B, C, h, w) in its last blocks.")


class Mixed(NamedTuple):
    """A batch with pieces of other samples in it.

    Attributes:
        images: (B, 3, H, W), in the number type they had.
        targets: (B, K) probabilities, mixed by area.
        cue: the cue with the same pieces pasted in, or None as given; valid where both parts are.
    """

    images: Tensor
    targets: Tensor
    cue: Cue | None


def cutmix(
    images: Tensor, targets: Tensor, cue: Cue | None = None, generator: torch.Generator | None = None
) -> Mixed:
    """Paste a box of another sample of the batch into each (Yun et al., ICCV 2019, arXiv 1905.04899).

    The share of what stays is uniform in [0, 1] (their Beta(1, 1)), the box has the images' aspect and its
    centre lies anywhere; what sticks out is cut off, and labels are mixed by the area in fact pasted. One box
    and one order of the samples per batch. Cue and image are pasted together: a cell of a coarse cue that the
    box covers in part takes that share of the other's value. A mixed cue is valid only if both of its parts
    are, since half a cue would say that the other half shows nothing.

    Args:
        images: (B, 3, H, W) of any number type.
        targets: (B, K) probabilities; of plain labels, one-hot.
        cue: maps (B, 1, h, w) and validity, of any resolution.
        generator: source of the draws, on the CPU; None takes torch's own.
    """
    height, width = images.shape[-2:]
    top, bottom, left, right = _box(height, width, torch.rand(3, generator=generator))
    order = torch.randperm(len(images), generator=generator).to(images.device)
    images, others = images.clone(), images[order]
    images[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    pasted = (bottom - top) * (right - left) / (height * width)
    targets = (1 - pasted) * targets + pasted * targets[order]
    if cue is None:
        return Mixed(images, targets, None)
    inside = torch.zeros(1, 1, height, width, device=cue.map.device)
    inside[..., top:bottom, left:right] = 1
    share = adaptive_avg_pool2d(inside, (cue.map.shape[-2], cue.map.shape[-1]))  # (1, 1, h, w)
    maps = torch.lerp(cue.map, cue.map[order], share.to(cue.map.dtype))
    return Mixed(images, targets, Cue(maps, cue.valid & cue.valid[order]))


def _box(height: int, width: int, draw: Tensor) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right) of the box, from three uniform numbers."""
    kept, across, down = draw.tolist()
    side = (1 - kept) ** 0.5
    top, bottom = _span(height, int(side * height), int(down * height))
    left, right = _span(width, int(side * width), int(across * width))
    return top, bottom, left, right


def _span(size: int, length: int, centre: int) -> tuple[int, int]:
    start = centre - length // 2
    return max(0, start), min(size, start + length)
