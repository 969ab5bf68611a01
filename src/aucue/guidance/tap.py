"""Tapping a network: the features of named layers, captured by forward hooks while it runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self, cast

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
        layers: Names of submodules, as `model.named_modules()` has them; None takes `default_layer`.
        layout: See `to_nchw`; one for all layers.
        prefix_tokens: See `to_nchw`. None: what the network declares as `num_prefix_tokens`, else inferred.

    Raises:
        InputError: A layer does not exist, or none is named.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str] | None = None,
        layout: Layout = "auto",
        prefix_tokens: int | None = None,
    ) -> None:
        self.model = _unwrap(model)
        layers = default_layer(self.model) if layers is None else layers
        self.layers = (layers,) if isinstance(layers, str) else tuple(layers)
        self.layout: Layout = layout
        self.prefix_tokens = prefix_tokens
        self._record = _Record()
        modules = _find(self.model, self.layers)
        self._handles = [
            self.model.register_forward_pre_hook(_Opening(self._record), with_kwargs=True),
            self.model.register_forward_hook(_Closing(self._record)),
        ]
        for name, module in modules.items():
            self._handles.append(module.register_forward_hook(_Capture(self._record, name)))

    @property
    def features(self) -> dict[str, Tensor]:
        """Features of the last forward pass by layer, each (B, C, h, w).

        Raises:
            InputError: A layer has not run, or what it yields is no grid of features.
        """
        return {layer: self._features(layer) for layer in self.layers}

    @property
    def result(self) -> Any:
        """What the network itself yielded in the last forward pass; None if it has not run as a whole."""
        return self._record.result

    def tokens(self, layer: str) -> Tensor | None:
        """What a layer yielded, if that are tokens (B, N, C) with more of them than the grid has."""
        output = _first_tensor(self._record.outputs[layer], f"Layer '{layer}'")
        more = output.ndim == 3 and output.shape[1] > self._features(layer).shape[2:].numel()
        return output if more else None

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
            if _is_traced(self.model):
                raise InputError(
                    f"{where} was not called: the network is traced (torch.jit or torch.fx), and hooks "
                    "cannot see into it; tap the network from which it was traced."
                )
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
        _check_order(self.model, layer, where)
        if output.ndim == 3 and self.model.training and drops_patches(self.model):
            raise InputError(
                f"{where} yields tokens of which some are dropped in training (patch_drop_rate), so that "
                "they lie on no grid: set patch_drop_rate to 0."
            )
        return to_nchw(
            output,
            record.input_size,
            self.layout,
            self.prefix_tokens,
            hint=_declared(self.model, layer, "output_fmt", str),
            declared_tokens=_prefix_tokens(self.model, layer),
            where=where,
        )


@dataclass
class _Record:
    """What the hooks of a tap have noted."""

    outputs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int | None] = field(default_factory=dict)
    batch: int | None = None
    input_size: tuple[int, int] | None = None
    running: bool = False
    result: Any = None  # what the network itself yields

    def clear(self) -> None:
        self.outputs.clear()
        self.versions.clear()
        self.batch = self.input_size = self.result = None


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
        self.record.running = True
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.ndim == 4:
                self.record.batch, _, *size = value.shape  # images (B, C, H, W)
                self.record.input_size = (size[0], size[1])
                break


class _Closing(_Hook):
    """After the network has run: what layers yield from now on is of an input that nobody has seen."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self.record is None or _in_backward():
            return
        self.record.running = False
        self.record.result = output


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
        if not self.record.running:  # a part of the network was called, such as forward_features
            self.record.batch = self.record.input_size = self.record.result = None
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


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that is read of what a module yields; None if there is none in it."""
    return next(_tensors(output), None)


def _first_tensor(output: Any, where: str) -> Tensor:
    tensor = first_tensor(output)
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


def _prefix_tokens(model: nn.Module, layer: str) -> int | None:
    """Number of class and register tokens as the network declares it: none before they are added."""
    declared = _declared(model, layer, "num_prefix_tokens", int)
    return 0 if declared is not None and "patch_embed" in layer.split(".") else declared


def _is_traced(model: nn.Module) -> bool:
    kinds = torch.jit.ScriptModule, torch.fx.GraphModule
    return any(isinstance(module, kinds) for module in model.modules())


def drops_patches(model: nn.Module) -> bool:
    """Whether some patches are taken away when the network trains (timm's PatchDropout)."""
    drops = (module for module in model.modules() if type(module).__name__.startswith("PatchDropout"))
    return any(getattr(module, "prob", 0) > 0 for module in drops)


# Modules of timm of which one part works on patches in another order than that of the picture.
_UNFOLDED = {
    "MobileVitV2Block": "transformer",
    "MobileVitBlock": "transformer",
    "NestLevel": "transformer_encoder",
}


def _check_order(model: nn.Module, layer: str, where: str) -> None:
    """Refuse layers whose patches are not in the order of the picture, though they may fill a grid.

    Raises:
        InputError: naming a layer that works.
    """
    parts = layer.split(".")
    for end in range(len(parts)):
        around, name = model.get_submodule(".".join(parts[:end])), ".".join(parts[:end])
        works = None
        if _UNFOLDED.get(type(around).__name__) == parts[end]:
            works = name
        elif type(around).__name__ == "Hiera" and parts[end] == "blocks" and end + 1 < len(parts):
            schedule: Any = cast(Any, around).reroll.schedule  # by block: what is still to be put in order
            if schedule[int(parts[end + 1])][0]:
                works = ".".join([*parts[: end + 1], str(len(cast(Any, around).blocks) - 1)])
        if works is not None:
            raise InputError(
                f"{where} yields patches in an order of its own, no map: name '{works}' instead."
            )


def _layer_before(model: nn.Module, layer: str) -> str | None:
    """The layer before one in a numbered sequence ("blocks.10" of "blocks.11"), or the default one."""
    head, _, last = layer.rpartition(".")
    if last.isdecimal() and int(last) > 0:
        return f"{head}.{int(last) - 1}" if head else f"{int(last) - 1}"
    default = default_layer(model)
    return default if default != layer else None


def remedy(model: nn.Module, layer: str) -> str:
    """The end of a sentence on a layer whose patches nobody reads."""
    before = _layer_before(model, layer)
    return f"name the layer before, '{before}'" if before else "name an earlier layer"


def default_layer(model: nn.Module) -> str:
    """The layer that is guided or read where none is named: the last with a map that the head reads.

    Args:
        model: A network of timm, or one around it; or a convolutional one.

    Raises:
        InputError: It cannot be told.
    """
    model = _unwrap(model)
    for name, module in model.named_modules():
        info = getattr(module, "feature_info", None)
        if isinstance(info, list) and info and isinstance(info[-1], Mapping) and "module" in info[-1]:
            tokens = getattr(module, "num_prefix_tokens", 0)
            by_token = isinstance(tokens, int) and tokens and getattr(module, "global_pool", "") == "token"
            index = (
                -2 if by_token and len(info) > 1 else -1
            )  # after the last block only its class token is read
            return ".".join(filter(None, (name, str(info[index]["module"]))))
    convolutional = [
        name
        for name, child in model.named_children()
        if any(isinstance(module, nn.Conv2d) for module in child.modules())
    ]
    if not convolutional or any(isinstance(module, nn.MultiheadAttention) for module in model.modules()):
        raise InputError(
            "Which layer to read cannot be told for this network: name one, by its layers' names."
        )
    return convolutional[-1]


def _declared(model: nn.Module, layer: str, attribute: str, kind: type) -> Any:
    """What the layer, or else the nearest module around it, declares about outputs; None if nobody does."""
    parts = layer.split(".")
    for end in range(len(parts), -1, -1):
        value = getattr(model.get_submodule(".".join(parts[:end])), attribute, None)
        if isinstance(value, kind):  # timm's Format is a str Enum
            return getattr(value, "value", value)
    return None
