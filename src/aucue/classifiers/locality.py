"""Locality: networks whose last layers see no further than the cell they write to.

A map can only show what decides if each of its cells speaks of its own part of the face. With kernels of
1 x 1 from some layer on (as in BagNets: Brendel and Bethge, ICLR 2019, arXiv 1904.00760), the receptive field
of the last maps is that of the layer before.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from aucue.classifiers.replacing import check_plain
from aucue.errors import InputError


class PointwiseConv2d(nn.Conv2d):
    """A convolution of 1 x 1 in the place of a larger one.

    Attributes:
        was: Kernel of the one it replaces.
    """

    was: tuple[int, int]

    @classmethod
    def instead_of(cls, conv: nn.Conv2d) -> "PointwiseConv2d":
        """One that does to flat pictures what another one does."""
        made = cls(
            conv.in_channels,
            conv.out_channels,
            kernel_size=1,
            stride=cast(Any, conv.stride),
            groups=conv.groups,
            bias=conv.bias is not None,
        )
        made.was = cast(Any, conv.kernel_size)
        with torch.no_grad():
            made.weight.copy_(conv.weight.sum(dim=(2, 3), keepdim=True))
            if conv.bias is not None and made.bias is not None:
                made.bias.copy_(conv.bias)
        return made


def narrow(backbone: nn.Module, first: str, layers: tuple[str, ...]) -> None:
    """Make all kernels 1 x 1 from a layer on, those of blocks between the named layers, too; strides stay.

    Args:
        backbone: A convolutional timm model; it is changed.
        first: The first layer that is changed.
        layers: Names of its layers, shallow to deep.

    Raises:
        InputError: There is no such layer, nothing in it that could be made narrower, or a convolution that
            does more than torch's own.
    """
    modules = dict(backbone.named_modules(remove_duplicate=False))
    known = tuple(name for name in layers if name in modules)  # "final" stands for what the last ones give
    if first not in known:
        choices = ", ".join(known)
        raise InputError(f"local_from: '{first}' is no layer of this network; choose from {choices}.")
    behind = list(modules.items())[list(modules).index(first) :]
    convs = [(path, part) for path, part in behind if isinstance(part, nn.Conv2d)]
    wide = [(path, conv) for path, conv in convs if conv.kernel_size != (1, 1)]
    if not wide:
        raise InputError(f"local_from: there is no kernel larger than 1 x 1 from '{first}' on.")
    for path, conv in wide:
        check_plain(conv, path, "local_from", "choose a deeper layer or take another backbone")
        backbone.set_submodule(path, PointwiseConv2d.instead_of(conv))


def widened(backbone: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a narrowed network as those of the network it was made of: around each value zeros."""
    wide = dict(state)
    for path, conv in _narrowed(backbone).items():
        key = f"{path}.weight"
        if key in wide and wide[key].ndim == 4 and wide[key].shape[2:] == (1, 1):
            height, width = conv.was
            value = wide[key]
            wide[key] = value.new_zeros(*value.shape[:2], height, width)
            wide[key][..., height // 2, width // 2] = value[..., 0, 0]
    return wide


def narrowed(backbone: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the network that a narrowed one was made of, for the narrowed one."""
    keys = {f"{path}.weight" for path in _narrowed(backbone)}
    return {
        key: value.sum(dim=(2, 3), keepdim=True) if key in keys else value for key, value in state.items()
    }


def _narrowed(backbone: nn.Module) -> dict[str, PointwiseConv2d]:
    return {path: part for path, part in backbone.named_modules() if isinstance(part, PointwiseConv2d)}


def receptive_field(network: nn.Module, size: int) -> tuple[int, int]:
    """How far the middle cell of a network's last features sees.

    Found by the gradient of a copy with positive weights, in which nothing cancels and nothing is cut off;
    cells that attend to all others see everything.

    Args:
        network: Gives, of pictures (B, 3, S, S), an output with `features`, a mapping whose last entry is the
            deepest, as `Classifier` does.
        size: S, in pixels.

    Returns:
        Height and width in pixels, at most S.
    """
    copy = deepcopy(network).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pictures = torch.rand(8, 3, size, size)
        with torch.no_grad():
            for parameter in copy.parameters():
                parameter.uniform_(0.5, 1.5).div_(parameter[0].numel() if parameter.ndim > 1 else 1)
    pictures.requires_grad_()
    *_, features = copy(pictures).features.values()
    middle = features[..., features.shape[-2] // 2, features.shape[-1] // 2]
    (gradient,) = torch.autograd.grad(middle.sum(), pictures)
    seen = gradient.abs().sum(dim=(0, 1)) > 0
    rows, columns = seen.any(dim=1).nonzero().flatten(), seen.any(dim=0).nonzero().flatten()
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
