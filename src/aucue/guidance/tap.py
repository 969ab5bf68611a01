"""Tapping a network: the features of named layers, captured by forward hooks while it runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self

import torch
from torch import Tensor, nn

from aucue.errors import InputError
from aucue.guidance.layouts import Layout, to_nchw


class FeatureTap:
    """The features of named layers of any network, noted at each of its forward passes.

    The network itself stays as it is: same state dict, same output. Copies of it (`copy.deepcopy`, pickle)
    carry no active hooks, and a copied tap follows the copied network.

    - A layer that runs several times in one forward pass (a shared ReLU) is captured at its last run.
    - `torch.compile`: tap before the first forward pass of the compiled network; later hooks are not seen.
    - Gradient checkpointing: use the non-reentrant kind (`use_reentrant=False`). What is recomputed during
      the backward pass is not captured. The reentrant kind cuts the graph, and `Guidance` says so.
    - Data parallel: tap the network before or after `DistributedDataParallel` wraps it; names are the
      network's own either way. The replicas of `nn.DataParallel` (more than one GPU) cannot be followed and
      raise an error.
    - The features stay alive, with their graph, until the next forward pass or `close()`.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        >>> with FeatureTap(net, ["0"]) as tap:
        ...     out = net(torch.zeros(2, 3, 32, 32))
        ...     tap.features["0"].shape
        torch.Size([2, 8, 16, 16])

    Args:
        model: The network. A wrapper (`torch.compile`, `DistributedDataParallel`) is looked through.
        layers: Names of submodules, as `model.named_modules()` has them.
        layout: See `to_nchw`; one for all layers.
        prefix_tokens: See `to_nchw`. None: what the network declares as `num_prefix_tokens`, else inferred.

    Raises:
        InputError: A layer does not exist, or none is named.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str],
        layout: Layout = "auto",
        prefix_tokens: int | None = None,
    ) -> None:
        self.model = _unwrap(model)
        self.layers = (layers,) if isinstance(layers, str) else tuple(layers)
        self.layout: Layout = layout
        self.prefix_tokens = prefix_tokens
        self._record = _Record()
        modules = _find(self.model, self.layers)
        self._handles = [self.model.register_forward_pre_hook(_Opening(self._record), with_kwargs=True)]
        for name, module in modules.items():
            self._handles.append(module.register_forward_hook(_Capture(self._record, name)))

    @property
    def features(self) -> dict[str, Tensor]:
        """Features of the last forward pass by layer, each (B, C, h, w).

        Raises:
            InputError: A layer has not run, or what it yields is no grid of features.
        """
        return {layer: self._features(layer) for layer in self.layers}

    def close(self) -> None:
        """Remove the hooks and let go of the features."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._record.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:  # copies and pickles: tap the copied network anew
        return type(self), (self.model, self.layers, self.layout, self.prefix_tokens)

    def _features(self, layer: str) -> Tensor:
        where, record = f"Layer '{layer}'", self._record
        if layer not in record.outputs:
            raise InputError(
                f"{where} has not run: call the tapped network first (and tap before torch.compile runs it)."
            )
        output = _first_tensor(record.outputs[layer], where)
        version = record.versions[layer]
        if version is not None and version != output._version:
            raise InputError(
                f"{where} was overwritten by a later in-place operation, such as ReLU(inplace=True): "
                "name the module that overwrites it instead."
            )
        if record.batch not in (None, len(output)):
            raise InputError(
                f"{where} yields shape {tuple(output.shape)}, which does not begin with the batch size "
                f"{record.batch}: choose a layer that keeps the batch."
            )
        return to_nchw(
            output,
            record.input_size,
            self.layout,
            self.prefix_tokens,
            hint=_declared(self.model, layer, "output_fmt", str),
            declared_tokens=_declared(self.model, layer, "num_prefix_tokens", int),
            where=where,
        )


@dataclass
class _Record:
    """What the hooks of a tap have noted."""

    outputs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int | None] = field(default_factory=dict)
    batch: int | None = None
    input_size: tuple[int, int] | None = None

    def clear(self) -> None:
        self.outputs.clear()
        self.versions.clear()
        self.batch = self.input_size = None


class _Hook:
    """A hook that copies and pickles of the network carry as one that does nothing."""

    def __init__(self, record: _Record | None = None) -> None:
        self.record = record

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class _Opening(_Hook):
    """Before the network runs: forget the last run, note the shape of the input."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.record is None or _in_backward():
            return
        self.record.clear()
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.ndim == 4:
                self.record.batch, _, *size = value.shape  # images (B, C, H, W)
                self.record.input_size = (size[0], size[1])
                break


class _Capture(_Hook):
    """After a layer has run: note what it yields."""

    def __init__(self, record: _Record | None = None, layer: str = "") -> None:
        super().__init__(record)
        self.layer = layer

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self.record is None or _in_backward():
            return
        if getattr(module, "_is_replica", False):
            raise InputError("The replicas of nn.DataParallel cannot be tapped: use DistributedDataParallel.")
        self.record.outputs[self.layer] = output
        self.record.versions[self.layer] = _version(output)


def _in_backward() -> bool:
    """Whether a backward pass runs: checkpointed layers are then run again, to the same result."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._current_graph_task_id() != -1  # as torch.utils.module_tracker has it


def _version(output: Any) -> int | None:
    """In-place counter of what a layer yields; None where torch keeps none."""
    if torch.compiler.is_compiling():  # functionalised: in-place operations are followed
        return None
    tensor = next(_tensors(output), None)
    return None if tensor is None or tensor.is_inference() else tensor._version


def _first_tensor(output: Any, where: str) -> Tensor:
    tensor = next(_tensors(output), None)
    if tensor is None:
        raise InputError(
            f"{where} yields {type(output).__name__} without a tensor in it: choose another layer."
        )
    return tensor


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors(value)


def _unwrap(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile` and data-parallel wrappers."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _find(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    modules = dict(model.named_modules())
    if not layers:
        raise InputError("Name at least one layer to tap.")
    for layer in layers:
        if not layer or layer not in modules:
            near = get_close_matches(layer, modules, n=3, cutoff=0.5)
            near = near or [child for child, _ in model.named_children()]
            raise InputError(f"The network has no layer '{layer}'; there is {', '.join(near)}.")
    return {layer: modules[layer] for layer in layers}


def _declared(model: nn.Module, layer: str, attribute: str, kind: type) -> Any:
    """What the layer, or else the nearest module around it, declares about outputs; None if nobody does."""
    parts = layer.split(".")
    for end in range(len(parts), -1, -1):
        value = getattr(model.get_submodule(".".join(parts[:end])), attribute, None)
        if isinstance(value, kind):  # timm's Format is a str Enum
            return getattr(value, "value", value)
    return None
