"""Model randomisation (Adebayo et al., NeurIPS 2018, arXiv 1810.03292): is the map about what was learned?

The layers of a network are given random weights, one stage after the other from the head down. Maps that stay
as they were do not depend on what the network has learned.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aucue.errors import InputError

MOST_STAGES = 8


@dataclass(frozen=True)
class Stage:
    """Modules that are randomised together.

    Attributes:
        name: Name of the stage: of the part of the network that it reaches down to.
        modules: Names of its modules that own parameters, as `named_modules` has them.
    """

    name: str
    modules: tuple[str, ...]


def stages(network: nn.Module, most: int = MOST_STAGES) -> tuple[Stage, ...]:
    """The parts of a network from the last to the first, in the order in which it registers them.

    A module that holds more than half of all layers is opened into its children; so a ResNet falls into head,
    layer4, ..., stem, and a transformer into its blocks. Where there are more than `most` parts, neighbours
    are put together, except for the last part of the network (the head), which stays by itself.

    Args:
        network: Any network.
        most: Largest number of stages, at least 2.

    Raises:
        InputError: The network has no parameters, or `most` is less than 2.
    """
    owners = _owners(network, "")
    if not owners or most < 2:
        raise InputError(f"No stages: the network has {len(owners)} layers, and 'most' is {most}.")
    parts = list(_parts(network, "", len(owners)))[::-1]
    if len(parts) > most:
        groups = [part.tolist() for part in np.array_split(np.arange(1, len(parts)), most - 1)]
        merged = [[parts[k] for k in group] for group in groups]
        parts = [
            parts[0],
            *(Stage(g[-1].name, tuple(name for part in g for name in part.modules)) for g in merged),
        ]
    return tuple(parts)


def randomised(network: nn.Module, seed: int = 0, most: int = MOST_STAGES) -> Iterator[tuple[str, nn.Module]]:
    """A copy of a network with ever more random layers.

    Layers are initialised anew by their `reset_parameters`, as PyTorch does for a new network; parameters of
    other modules (tokens, position embeddings) have their entries shuffled. The network itself, and torch's
    random numbers, stay as they are.

    Args:
        network: Any network.
        seed: Of the weights, which depend neither on the device nor on the caller's random numbers.
        most: See `stages`.

    Yields:
        Name of the stage that was randomised last, and the copy, which the next step changes further.
    """
    device = next(network.parameters()).device
    with torch.inference_mode(False):  # a copy made in inference mode could not give gradients
        copy = deepcopy(network)
    for number, stage in enumerate(stages(network, most)):
        with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1000 * seed + number)  # torch.manual_seed would seed GPUs too
            copy.cpu()
            for name in stage.modules:
                _reset(copy.get_submodule(name))
            copy.to(device)
        yield stage.name, copy


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation of two maps, per image; equal pixels share their mean rank.

    Args:
        a: Maps (B, 1, h, w).
        b: Maps (B, 1, h, w).

    Returns:
        (B,) in [-1, 1]; 0 where a map is constant.

    Raises:
        InputError: The shapes differ.
    """
    if a.shape != b.shape:
        raise InputError(f"The maps differ in shape: {tuple(a.shape)} and {tuple(b.shape)}.")
    ranks = [_mean_ranks(map_.flatten(1)) for map_ in (a, b)]
    centred = [rank - rank.mean(dim=1, keepdim=True) for rank in ranks]
    return torch.cosine_similarity(*centred, dim=1).to(a.dtype)


def _mean_ranks(values: Tensor) -> Tensor:
    ordered, values = values.sort(dim=1).values, values.contiguous()
    first = torch.searchsorted(ordered, values)
    last = torch.searchsorted(ordered, values, right=True)
    return (first + last).double() / 2


def _owners(module: nn.Module, name: str) -> list[str]:
    """Names of the modules within (and with) this one that own parameters."""
    return [
        full
        for full, inner in module.named_modules(prefix=name)
        if next(inner.parameters(recurse=False), None) is not None
    ]


def _parts(module: nn.Module, name: str, total: int) -> Iterator[Stage]:
    owners = _owners(module, name)
    if len(owners) > total / 2 and next(module.children(), None) is not None:
        if name in owners:
            yield Stage(name, (name,))
        for child_name, child in module.named_children():
            yield from _parts(child, f"{name}.{child_name}" if name else child_name, total)
    elif owners:
        yield Stage(name, tuple(owners))


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        shuffled = parameter.flatten()[torch.randperm(parameter.numel())]
        parameter.copy_(shuffled.view_as(parameter))
