"""What a read-out is: from features, and the head that reads them, to class maps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.errors import InputError

LogitHead = Callable[[Tensor], Tensor]
"""From features (B, C, h, w) to logits (B, K), each sample by itself; an `nn.Module` or any callable.

Two attributes are used where a head has them. `gap_weight`, (K, C): the promise that the logits are the mean
of the features over their pixels, times this weight, plus a constant; all read-outs then have closed forms.
`class_maps(features) -> (B, K, h, w)`: the head's own class maps, which the read-out "cam" then gives.
"""


@dataclass(frozen=True, eq=False)
class PooledLinear:
    """A head: global average pooling and a linear layer, logits = mean(F) w^T + b.

    Args:
        weight: w, (K, C), or that of an equivalent 1 x 1 convolution, (K, C, 1, 1).
        bias: b, (K,); None for none.
    """

    weight: Tensor
    bias: Tensor | None = None

    @property
    def gap_weight(self) -> Tensor:
        """w, (K, C): see `LogitHead`."""
        return self.weight.flatten(1)

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, C, h, w)."""
        return F.linear(features.mean((2, 3)), self.gap_weight, self.bias)


@dataclass(frozen=True, eq=False)
class Rerun:
    """What made the features, to be run again on changed images.

    Attributes:
        images: What the network has seen, as its first layer takes it, (B, 3, H, W).
        logits: From images (N, 3, H, W) to logits (N, K).
        gradients: From images, and a class per image or None for all, to the gradients of the logits with
            respect to the features, as `class_gradients` gives them.
        earlier: From images to the features one block before those that the head reads, (N, C, h, w); None
            where the network does not tell its blocks.
    """

    images: Tensor
    logits: Callable[[Tensor], Tensor]
    gradients: Callable[[Tensor, Tensor | None], Iterator[Tensor]]
    earlier: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class ReadOut(ABC):
    """How a class map is computed from the features that a head reads.

    Attributes:
        name: Its key in `READOUTS`.
        title: Its name in the literature.
        formula: The class map in a line: F_k feature maps, w_ck weights of the linear layer, g_k gradients of
            the logit of the class with respect to F_k; `mean` and `sum` without index are over pixels.
        source: Paper, year and where it is found.
        offered: Whether a page offers it: it reads every network, in a time that does not grow with its
            channels.
    """

    name: str
    title: str
    formula: str
    source: str
    offered: ClassVar[bool] = True

    @abstractmethod
    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """Class maps of features.

        No parameter is touched: neither its `grad` nor its `requires_grad`. It works under `torch.no_grad()`
        and `torch.inference_mode()` as well.

        Args:
            features: What the head reads, (B, C, h, w).
            head: See `LogitHead`; in evaluation mode, if it has one.
            classes: Class per sample, (B,) integers in [0, K); None for all classes.
            differentiable: Keep the graph, down to the features and the parameters of the head, so that the
                maps can be used in a loss.
            rerun: The network itself; used by the read-outs that run it again (`reruns`), and by no other.

        Returns:
            (B, 1, h, w), or (B, K, h, w) for all classes; not normalised (see `normalize_cam`), in float32 at
            least.

        Raises:
            InputError: The shapes do not fit, or the head is none that this read-out can read.
        """

    def needs_gradient(self, head: LogitHead) -> bool:
        """Whether the maps of this head take a backward pass rather than a closed form."""
        return False

    def reruns(self, head: LogitHead) -> bool:
        """Whether the maps of this head take further passes through the whole network."""
        return False


def graph_start(features: Tensor) -> Tensor:
    """The same values as a leaf that requires a gradient; not to be called in inference mode."""
    # what was computed in inference mode can get a graph in a copy alone
    values = features.clone() if features.is_inference() else features.detach()
    return values.requires_grad_()


def class_gradients(
    logits: Tensor, inputs: Tensor, classes: Tensor | None, differentiable: bool
) -> Iterator[Tensor]:
    """Gradients of logits with respect to one tensor, and to nothing else.

    Args:
        logits: (B, K), each row computed from its own sample.
        inputs: A tensor in their graph, (B, ...).
        classes: Class per sample, (B,); None for all, one after the other.
        differentiable: Keep the graph of the gradients.

    Yields:
        Gradients of the shape of `inputs`: once, or for each class.

    Raises:
        InputError: The logits are not (B, K), or do not depend on the inputs.
    """
    if logits.ndim != 2 or len(logits) != len(inputs):
        raise InputError(f"Class maps need logits (B, K), not {tuple(logits.shape)}.")
    if classes is None:
        scores = logits.sum(0).unbind()
    else:
        scores = (logits.take_along_dim(column(logits, classes), 1).sum(),)
    for number, score in enumerate(scores, start=1):
        again = differentiable or number < len(scores)
        gradient = None
        if score.requires_grad:
            (gradient,) = torch.autograd.grad(
                score, inputs, retain_graph=again, create_graph=differentiable, allow_unused=True
            )
        if gradient is None:
            raise InputError(
                "The logits do not depend on these features by differentiable operations: choose another "
                "layer, and switch off reentrant checkpointing."
            )
        yield gradient


def column(rows: Tensor, classes: Tensor) -> Tensor:
    """Classes (B, 1), one per row."""
    if classes.shape != rows.shape[:1]:
        raise InputError(f"Class maps need one class per sample, ({len(rows)},), not {tuple(classes.shape)}.")
    return classes.unsqueeze(1)


def gap_weight(head: LogitHead) -> Tensor | None:
    """What a head promises, (K, C): see `LogitHead`; None if it promises nothing."""
    return cast(Tensor | None, getattr(head, "gap_weight", None))


def pooled_gradients(features: Tensor, weight: Tensor, classes: Tensor | None) -> Tensor:
    """W / (h w), the gradient at each pixel: (B, 1, C, 1, 1), or (1, K, C, 1, 1) for all classes."""
    if weight.ndim != 2 or features.shape[1:2] != weight.shape[1:]:
        raise InputError(
            f"Features (B, C, h, w) and a gap_weight (K, C) do not fit: {tuple(features.shape)} and "
            f"{tuple(weight.shape)}."
        )
    weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    chosen = weight.unsqueeze(0) if classes is None else weight[column(features, classes)]
    return chosen[..., None, None] / features.shape[2:].numel()
