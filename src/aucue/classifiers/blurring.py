"""Blurred strides: maps are smoothed before they get smaller, so that a shifted face is seen as it was.

A stride keeps every second cell of a map that may change from cell to cell, and which cells these are depends
on a shift of a pixel (Zhang, ICML 2019, arXiv 1904.11486). Weights and shapes stay as they are, so any
network's weights are a start.
"""

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

from aucue.classifiers.replacing import check_plain
from aucue.errors import InputError

_COLOURS = 3
"""Channels of a picture: what reads it is left alone, at full size it would cost most of the time."""
_REMEDY = "leave blur out or take another backbone"


class Blur(nn.Module):
    """A binomial filter of 3 x 3 with a stride, the same for every channel; the border goes on outside.

    Args:
        stride: Down and across.
    """

    kernel: Tensor

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, h, w) at every stride-th cell."""
        channels = maps.shape[1]
        kernel = self.kernel.to(maps.dtype).expand(channels, 1, 3, 3)
        return conv2d(pad(maps, (1, 1, 1, 1), mode="replicate"), kernel, stride=self.stride, groups=channels)


class BlurredConv2d(nn.Conv2d):
    """A convolution whose stride is that of a blur behind it; same weights, same shapes."""

    blur: Blur

    @classmethod
    def instead_of(cls, conv: nn.Conv2d) -> "BlurredConv2d":
        """One with the weights of another one."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.__dict__.update(conv.__dict__)
        made.blur, made.stride = Blur((conv.stride[0], conv.stride[1])), (1, 1)
        return made

    def forward(self, input: Tensor) -> Tensor:
        """Maps (B, C, h, w) of others."""
        return self.blur(super().forward(input))


class BlurredMaxPool2d(nn.Module):
    """Maxima of windows whose stride is that of a blur behind them.

    Args:
        pool: What it is in the place of.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation = pool.kernel_size, pool.padding, pool.dilation
        self.blur = Blur(_pair(pool.stride))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, h, w) of others."""
        return self.blur(max_pool2d(maps, self.kernel_size, 1, self.padding, self.dilation))


def blur_strides(backbone: nn.Module) -> None:
    """Blur where kernels that overlap have a stride, beyond the convolution that reads the picture.

    Args:
        backbone: It is changed.

    Raises:
        InputError: Nothing in it has such a stride, or what has it does more than torch's own layer.
    """
    strided = [
        (path, part) for path, part in backbone.named_modules(remove_duplicate=False) if _is_strided(part)
    ]
    if not strided:
        raise InputError("blur: no kernel of this network has a stride that could be blurred.")
    for path, part in strided:
        check_plain(part, path, "blur", _REMEDY)
        if isinstance(part, nn.Conv2d):
            backbone.set_submodule(path, BlurredConv2d.instead_of(part))
        elif part.ceil_mode:
            raise InputError(
                f"blur: '{path}' is a MaxPool2d that rounds sizes up (ceil_mode), which a blurred one does "
                f"not; {_REMEDY}."
            )
        else:
            backbone.set_submodule(path, BlurredMaxPool2d(part))


def _is_strided(part: nn.Module) -> TypeGuard[nn.Conv2d | nn.MaxPool2d]:
    """Whether it has a stride, and windows larger than that; not what reads the picture."""
    if isinstance(part, nn.Conv2d):
        return part.in_channels != _COLOURS and _overlaps(part)
    return isinstance(part, nn.MaxPool2d) and _overlaps(part)


def _overlaps(part: nn.Conv2d | nn.MaxPool2d) -> bool:
    """Whether it has a stride, and windows larger than that."""
    pairs = zip(_pair(part.kernel_size), _pair(part.stride), strict=True)
    return max(_pair(part.stride)) > 1 and all(kernel > stride for kernel, stride in pairs)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
