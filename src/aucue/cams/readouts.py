"""Read-outs by name: class maps from features and a head, in closed form where there is one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.cams.cam import class_activation_map
from aucue.cams.gradients import gradcam, gradcam_plus_plus, gradcam_plus_plus_fg2024, layercam
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


@dataclass(frozen=True)
class ReadOut(ABC):
    """How a class map is computed from the features that a head reads.

    Attributes:
        name: Its key in `READOUTS`.
        title: Its name in the literature.
        formula: The class map in a line: F_k feature maps, w_ck weights of the linear layer, g_k gradients of
            the logit of the class with respect to F_k; `mean` and `sum` without index are over pixels.
        source: Paper, year and where it is found.
    """

    name: str
    title: str
    formula: str
    source: str

    @abstractmethod
    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
    ) -> Tensor:
        """Class maps of features, without another pass through the network before the head.

        No parameter is touched: neither its `grad` nor its `requires_grad`. It works under `torch.no_grad()`
        and `torch.inference_mode()` as well.

        Args:
            features: What the head reads, (B, C, h, w).
            head: See `LogitHead`; in evaluation mode, if it has one.
            classes: Class per sample, (B,) integers in [0, K); None for all classes.
            differentiable: Keep the graph, down to the features and the parameters of the head, so that the
                maps can be used in a loss.

        Returns:
            (B, 1, h, w), or (B, K, h, w) for all classes; not normalised (see `normalize_cam`), in float32 at
            least.

        Raises:
            InputError: The shapes do not fit, or the head is none that this read-out can read.
        """

    def needs_gradient(self, head: LogitHead) -> bool:
        """Whether the maps of this head take a backward pass rather than a closed form."""
        return False


@dataclass(frozen=True)
class ClassMapReadOut(ReadOut):
    """CAM: the class maps of the head itself, or of its linear layer."""

    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
    ) -> Tensor:
        """See `ReadOut`."""
        weight, own = _gap_weight(head), getattr(head, "class_maps", None)
        with torch.set_grad_enabled(differentiable):
            if weight is not None:
                return class_activation_map(features, weight, classes)
            if own is None:
                raise InputError(
                    "CAM needs a head of average pooling and a linear layer (gap_weight) or one with class "
                    "maps of its own (class_maps): choose a gradient read-out, such as gradcam, for this one."
                )
            maps = own(features)
            return (
                maps if classes is None else maps.take_along_dim(_column(maps, classes)[..., None, None], 1)
            )


@dataclass(frozen=True)
class GradientReadOut(ReadOut):
    """A read-out from gradients with respect to the features.

    All classes at once cost one matrix product if the head has a `gap_weight`, and else one backward pass
    through the head per class.

    Attributes:
        maps: From features (B, C, h, w) and gradients, (B, C, h, w) or (B, K, C, h, w), to class maps.
    """

    maps: Callable[[Tensor, Tensor], Tensor]

    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
    ) -> Tensor:
        """See `ReadOut`."""
        weight = _gap_weight(head)
        if weight is None:
            return self._by_autograd(features, head, classes, differentiable)
        with torch.set_grad_enabled(differentiable):
            return self.maps(features, _pooled_gradients(features, weight, classes))

    def needs_gradient(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return _gap_weight(head) is None

    def _by_autograd(
        self, features: Tensor, head: LogitHead, classes: Tensor | None, differentiable: bool
    ) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            start = features if differentiable and features.requires_grad else graph_start(features)
            logits = head(start.clone())  # the head may begin with an operation in place
            gradients = class_gradients(logits, start, classes, differentiable)
            read = start if differentiable else start.detach()
            return torch.cat([self.maps(read, gradient) for gradient in gradients], 1)


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
        scores = (logits.take_along_dim(_column(logits, classes), 1).sum(),)
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


def _pooled_gradients(features: Tensor, weight: Tensor, classes: Tensor | None) -> Tensor:
    """W / (h w), the gradient at each pixel: (B, 1, C, 1, 1), or (1, K, C, 1, 1) for all classes."""
    if weight.ndim != 2 or features.shape[1:2] != weight.shape[1:]:
        raise InputError(
            f"Features (B, C, h, w) and a gap_weight (K, C) do not fit: {tuple(features.shape)} and "
            f"{tuple(weight.shape)}."
        )
    weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    chosen = weight.unsqueeze(0) if classes is None else weight[_column(features, classes)]
    return chosen[..., None, None] / features.shape[2:].numel()


def _column(rows: Tensor, classes: Tensor) -> Tensor:
    """Classes (B, 1), one per row."""
    if classes.shape != rows.shape[:1]:
        raise InputError(f"Class maps need one class per sample, ({len(rows)},), not {tuple(classes.shape)}.")
    return classes.unsqueeze(1)


def _gap_weight(head: LogitHead) -> Tensor | None:
    return cast(Tensor | None, getattr(head, "gap_weight", None))


READOUTS: Mapping[str, ReadOut] = MappingProxyType(
    {
        readout.name: readout
        for readout in (
            ClassMapReadOut(
                "cam", "CAM", "sum_k w_ck F_k", "Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150"
            ),
            GradientReadOut(
                "gradcam",
                "GradCAM",
                "relu(sum_k mean(g_k) F_k)",
                "Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391",
                gradcam,
            ),
            GradientReadOut(
                "gradcam++",
                "GradCAM++",
                "relu(sum_k sum(alpha_k relu(g_k)) F_k), alpha_k = g_k^2 / (2 g_k^2 + sum(F_k) g_k^3)",
                "Chattopadhay et al., WACV 2018, https://arxiv.org/abs/1710.11063",
                gradcam_plus_plus,
            ),
            GradientReadOut(
                "gradcam++-fg2024",
                "GradCAM++ (published code)",
                "relu(sum_k sum(alpha_k relu(g_k)) F_k), alpha_k = g_k^2: the division is missing",
                "Belharbi et al., FG 2024, https://arxiv.org/abs/2402.00281, its code",
                gradcam_plus_plus_fg2024,
            ),
            GradientReadOut(
                "layercam",
                "LayerCAM",
                "relu(sum_k relu(g_k) F_k)",
                "Jiang et al., IEEE TIP 2021, https://doi.org/10.1109/TIP.2021.3089943",
                layercam,
            ),
        )
    }
)
"""All read-outs by name."""
