"""Backbones from timm, all alike: spatial feature maps by layer name, in one forward pass.

timm's `forward_intermediates` gives what the modules in a model's `feature_info` put out, and the final
features, for every family. Nothing here asks which family a network belongs to, and no hook is left on the
network, so that classifiers can be copied, pickled, compiled, exported and trained on several devices.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from threading import get_ident
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode

from aucue._quickly import timm
from aucue.classifiers import transformers  # noqa: F401  (registers the paper's two with timm)
from aucue.classifiers.locality import narrowed, widened
from aucue.errors import InputError, said
from aucue.guidance import to_nchw
from aucue.guidance.tap import drops_patches

T = TypeVar("T")

# Set by the classifier itself, or able to fetch and read other files: not for a model file to choose.
RESERVED_OPTIONS = frozenset(
    [
        "model_name",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "pretrained_model_args",
        "checkpoint_path",
        "cache_dir",
        "num_classes",
        "in_chans",
        "global_pool",
        "features_only",
        "out_indices",
        "img_size",
        "pruned",
    ]
)


_PLAIN_WORD = re.compile(r"\w[\w+-]{0,40}", re.ASCII)
_MAX_OPTION, _MAX_OPTIONS = 2**16, 1000
_MAX_TENSOR = 2**30  # bytes of one step for one image


@dataclass(frozen=True)
class Anatomy:
    """What a backbone's features look like for one input size.

    Attributes:
        shapes: (C, h, w) by layer name, shallow to deep; the last layer is what the head reads.
        idle: names of parameters that the final features do not depend on.
    """

    shapes: dict[str, tuple[int, int, int]]
    idle: frozenset[str]


def pretrained_cfg(name: str) -> Any:
    """Timm's record of a model: its normalisation, input size and where its weights lie.

    Args:
        name: timm model name, with or without a weight tag ("resnet50", "resnet50.a1_in1k").

    Raises:
        InputError: timm has no such model or tag.
    """
    bare = name.split(".")[0]
    if not timm.is_model(bare):
        near = get_close_matches(bare, timm.list_models(), n=3)
        names = " or ".join(near) or "one of timm.list_models()"
        raise InputError(f"'{name}' is not a model of timm {timm.__version__}; choose {names}.")
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{bare}.*")) or "none"
        raise InputError(f"'{name}': timm has no weights of that tag for {bare}; it has: {tags}.") from error


def check_options(
    options: Mapping[str, Any] | None, where: str = "backbone_options", reserved: Collection[str] = ()
) -> dict[str, Any]:
    """Further arguments of a part, in the form in which a model file stores them (tuples become lists).

    Args:
        options: the arguments.
        where: name of the setting, for messages.
        reserved: names that may not be there.

    Raises:
        InputError: an option is set by the classifier itself, cannot be stored as JSON, or could name a file,
            an address or code.
    """
    options = dict(options or {})
    if taken := sorted(_names_in(options) & set(reserved)):
        raise InputError(f"{where}: '{taken[0]}' cannot be set there; use the classifier's own arguments.")
    try:
        plain = json.loads(json.dumps(options))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: only plain values can be stored in a model file ({error}).") from error
    for name, value in plain.items():
        _check_option(f"{where}: '{name}'", value)
    return plain


def _names_in(value: Any, depth: int = 8) -> set[str]:
    """All names of options, of those within options too."""
    if not isinstance(value, Mapping) or depth == 0:
        return set()
    return {str(name) for name in value}.union(*(_names_in(entry, depth - 1) for entry in value.values()))


def _check_option(where: str, value: Any, depth: int = 4) -> None:
    """Refuse what could name a file, an address or code, and numbers out of proportion."""
    if isinstance(value, Mapping | list):
        if depth == 0 or len(value) > _MAX_OPTIONS:
            raise InputError(f"{where} is nested too deep or too long.")
        for entry in (*value, *value.values()) if isinstance(value, Mapping) else value:
            _check_option(where, entry, depth - 1)
    elif isinstance(value, str) and not _PLAIN_WORD.fullmatch(value):
        raise InputError(f"{where}: only plain words can be set there, not {value[:60]!r}.")
    elif isinstance(value, int | float) and not abs(value) <= _MAX_OPTION:
        raise InputError(f"{where}: a number up to {_MAX_OPTION} is needed.")


def create_backbone(name: str, input_size: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a timm model without its classifier, randomly initialised.

    Args:
        name: timm model name.
        input_size: side of the square input, in pixels; passed on where the network is built for one size.
        options: further arguments of the timm model.

    Raises:
        InputError: timm knows no such model or refuses the options.
    """
    try:
        backbone = timm.create_model(name, **_arguments(name, input_size, options))
    except InputError:
        raise
    except Exception as error:  # each network has its own way to refuse options
        raise InputError(
            f"timm cannot build {name} for input_size={input_size} and options {dict(options)}: "
            f"{said(error)}."
        ) from error
    if drops_patches(backbone):
        raise InputError(f"{name}: patch_drop_rate drops patches in training, and what is left is no map.")
    return backbone


@contextmanager
def bounded_modules(most: int) -> Iterator[None]:
    """Stop the building of a network that has more parts than its weights can account for.

    Args:
        most: number of modules that this thread may build.

    Raises:
        InputError: it is exceeded.
    """
    thread, count = get_ident(), 0

    def counted(*_: Any) -> None:
        nonlocal count
        count += get_ident() == thread
        if count > most:
            raise InputError(f"it has more than {most} parts, far more than the weights are for.")

    handle = register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def sketched() -> Iterator[None]:
    """Networks built herein have shapes and no values, and so take no memory: on torch's meta device."""
    with torch.device("meta"), _Unfilled():
        yield


@contextmanager
def unfilled() -> Iterator[None]:
    """Networks built herein have whatever weights the memory holds: those of a file are to replace them."""
    with _Unfilled():
        yield


class _Uncompiled(TorchDispatchMode):
    """A mode under which nothing is compiled, so that torch need not load its compiler to exempt it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


class _Unfilled(_Uncompiled):
    """Draws no initial weights, which on the meta device loads torch's compiler for nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _DRAWN else func(*args, **(kwargs or {}))


_DRAWN = (torch.ops.aten.normal_.default, torch.ops.aten.uniform_.default)


class _Bounded(_Uncompiled):
    """Refuses a forward pass that would take unreasonable memory; on the meta device, where it takes none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors_in(out):
            if tensor.nbytes > _MAX_TENSOR:
                raise InputError(f"it has a step that takes {tensor.nbytes / 2**30:.1f} GiB for one image.")
        return out


class _NoImages(_Uncompiled):
    """Gives up a forward pass of no images at all as soon as it cannot be told what one image would take."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors_in(out):
            empty = tensor.ndim in (1, 2, 4, 5) and tensor.shape[0] == 0
            if (tensor.shape[1:].numel() if empty else tensor.numel()) * tensor.itemsize > _MAX_TENSOR or (
                tensor.numel() == 0 and not empty
            ):
                raise _Unclear
        return out


class _Unclear(Exception):
    pass


def _tensors_in(out: Any) -> Iterator[Tensor]:
    return (
        value for value in (out if isinstance(out, tuple | list) else (out,)) if isinstance(value, Tensor)
    )


def load_weights(
    backbone: nn.Module,
    name: str,
    input_size: int,
    options: Mapping[str, Any],
    state: Mapping[str, Tensor],
    origin: str,
) -> None:
    """Load weights into a backbone that was made with the same arguments.

    Args:
        backbone: network to load into, in place; kernels that were made 1 x 1 take the sum of larger ones.
        name: timm model name.
        input_size: side of the square input, in pixels; position embeddings are resampled to it.
        options: further arguments of the timm model.
        state: weights in timm's naming or one that timm converts. Those of a classifier are left out.
        origin: where they come from, for messages.

    Raises:
        InputError: the weights do not match the network exactly.
    """
    # timm's converters are reached only by building a model; with num_classes 0 in its record timm then loads
    # strictly, where it would otherwise pass over missing weights and leave them random.
    own = widened(backbone, _without_classifier(state, backbone, name))
    overlay = {"state_dict": own, "num_classes": 0, "label_offset": 0}
    arguments = _arguments(name, input_size, options)
    try:
        twin = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    except Exception as error:  # converters meet foreign keys with errors of any kind
        raise InputError(f"{origin}: these weights do not fit {name}: {said(error)}.") from error
    backbone.load_state_dict(narrowed(backbone, twin.state_dict()))


def _arguments(name: str, input_size: int, options: Mapping[str, Any]) -> dict[str, Any]:
    fixed = {"img_size": input_size} if getattr(pretrained_cfg(name), "fixed_input_size", False) else {}
    return {"num_classes": 0, **fixed, **options}


def _without_classifier(state: Mapping[str, Tensor], backbone: nn.Module, name: str) -> dict[str, Tensor]:
    """Leave out entries of the classification head that the bare backbone does not have."""
    names = pretrained_cfg(name).classifier or ()
    heads = {head.split(".")[0] for head in ((names,) if isinstance(names, str) else names)}
    own = backbone.state_dict().keys()
    return {key: value for key, value in state.items() if key in own or key.split(".")[0] not in heads}


def forward_features(backbone: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One forward pass: final features and those of each module in `feature_info`, all (B, C, h, w).

    Raises:
        InputError: the final features are no spatial map.
    """
    final, maps = cast(Any, backbone).forward_intermediates(images, output_fmt="NCHW")
    if not isinstance(final, Tensor):
        raise InputError("The backbone puts out several final feature maps instead of one.")
    size = images.shape[-2], images.shape[-1]
    declared = getattr(backbone, "num_prefix_tokens", None)
    hint = getattr(backbone, "output_fmt", None)
    return to_nchw(final, size, hint=hint, declared_tokens=declared, where="The backbone"), maps


def study(backbone: nn.Module, name: str, input_size: int) -> Anatomy:
    """Find out layers and shapes by a dummy pass, which costs no arithmetic.

    Args:
        backbone: timm model without classifier.
        name: its name, for messages.
        input_size: side of the square input, in pixels.

    Raises:
        InputError: the network does not accept this size, or its final features are no spatial map.
    """
    copy = _shape_copy(backbone)
    final, maps = _dummy_pass(copy, name, input_size)
    if final.shape[2:].numel() == 1 < maps[-1].shape[2:].numel():
        raise InputError(f"{name} cannot be used: all that leaves it is a class token.")
    used = _ancestors(final)
    idle = frozenset(path for path, parameter in copy.named_parameters() if id(parameter) not in used)
    modules = [info["module"] for info in cast(Any, backbone).feature_info]
    shapes = {module: _shape(features) for module, features in zip(modules, maps, strict=True)}
    if maps[-1] is not final:
        shapes["final"] = _shape(final)
    return Anatomy(shapes, idle)


def _shape_copy(network: nn.Module) -> nn.Module:
    """Copy of a network that is asked for shapes alone, in evaluation mode."""
    return deepcopy(network).eval()


def shapes_of(copy: nn.Module, features: tuple[int, ...], run: Callable[[nn.Module, Tensor], T]) -> T:
    """What a network makes of one image, in shapes alone.

    A batch of no images takes neither arithmetic nor memory. Where the first dimension of what it becomes is
    no longer the batch (tokens in windows, heads), an image on torch's meta device tells the shapes; that
    loads torch's compiler, which takes seconds.

    Args:
        copy: the network, which may be changed.
        features: (C, h, w) of what it takes.
        run: what is done with it.
    """
    try:
        if any(tensor.is_meta for tensor in (*copy.parameters(), *copy.buffers())):
            copy._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu"))
        with torch.enable_grad(), _NoImages():
            return run(copy, torch.empty(0, *features, device="cpu"))
    except Exception:  # whatever a network cannot do without an image
        copy.to("meta")
        with torch.enable_grad(), _Bounded():
            return run(copy, torch.empty(1, *features, device="meta"))


def _dummy_pass(copy: nn.Module, name: str, input_size: int) -> tuple[Tensor, list[Tensor]]:
    try:
        return shapes_of(copy, (3, input_size, input_size), forward_features)
    except Exception as error:  # each family has its own way to refuse
        raise InputError(
            f"{name} does not work on {input_size} x {input_size} images: {said(error)}."
        ) from error


def _ancestors(output: Tensor) -> set[int]:
    """Ids of the parameters on which a tensor depends."""
    found, seen, stack = set(), set(), [output.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(cast(Any, node).variable))
        stack.extend(following for following, _ in node.next_functions)
    return found


def _shape(features: Tensor) -> tuple[int, int, int]:
    channels, height, width = features.shape[1:]
    return channels, height, width


def enlarge_final_maps(backbone: nn.Module, name: str, input_size: int, final_stride: int) -> tuple[str, ...]:
    """Set every downsampling layer beyond a reduction to stride 1, in place and without dilation.

    ResNet-50 at `final_stride=8` becomes the network of the paper (Belharbi et al., FG 2024): the first
    blocks of layer3 and layer4 keep the 28 x 28 grid of layer2. Parameters keep their names and shapes, so
    pretrained weights still fit. Convolutions are padded to keep the size; poolings that only halve it are
    taken out, as timm itself does in blocks of stride 1.

    Args:
        backbone: timm model without classifier.
        name: its name, for messages.
        input_size: side of the square input, in pixels.
        final_stride: wanted input pixels per cell of the final features.

    Returns:
        Names of the layers that were set.

    Raises:
        InputError: the network has no layers whose stride gives this grid.
    """
    downsampling: dict[str, tuple[int, int]] = {}
    copy = _shape_copy(backbone)
    for path, module in copy.named_modules():
        if _is_downsampling(path, module):
            module.register_forward_hook(_size_recorder(path, downsampling))
    _dummy_pass(copy, name, input_size)
    finest = -(-input_size // final_stride)  # networks that pad round up, others down
    coarsest = input_size // final_stride
    beyond = [path for path, (before, after) in downsampling.items() if before <= finest and after < coarsest]
    set_stride_one(backbone, beyond)
    try:
        final, _ = _dummy_pass(_shape_copy(backbone), name, input_size)
    except InputError as error:
        raise _no_such_stride(name, input_size, final_stride) from error
    if final.shape[-1] not in (finest, coarsest):
        raise _no_such_stride(name, input_size, final_stride)
    return tuple(beyond)


def _no_such_stride(name: str, input_size: int, final_stride: int) -> InputError:
    return InputError(
        f"{name} cannot have final_stride={final_stride} at input_size={input_size}: the strides of its "
        "layers do not allow it; leave final_stride out and take smaller patches or a larger input_size."
    )


def _is_downsampling(path: str, module: nn.Module) -> bool:
    # "attn": strides inside attention thin out its keys, not the map
    if "attn" in path.split(".") or not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return False
    return module.stride not in (1, (1, 1), [1, 1])


def _size_recorder(path: str, record: dict[str, tuple[int, int]]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        record[path] = inputs[0].shape[-1], output.shape[-1]

    return hook


def set_stride_one(backbone: nn.Module, paths: Iterable[str]) -> None:
    """Set layers to stride 1, in place; see `enlarge_final_maps`.

    Args:
        backbone: timm model without classifier.
        paths: names of convolutions and poolings.
    """
    for path in paths:
        _set_stride_one(backbone, path)


def _set_stride_one(backbone: nn.Module, path: str) -> None:
    module = backbone.get_submodule(path)
    if isinstance(module, nn.Conv2d):
        module.stride = (1, 1)
        if not _keeps_size(module.kernel_size[0], module.padding):
            module.padding = "same"
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d) and _keeps_size(module.kernel_size, module.padding):
        module.stride = 1
    else:
        backbone.set_submodule(path, nn.Identity())


def _keeps_size(kernel: Any, padding: Any) -> bool:
    kernel, padding = (side[0] if isinstance(side, tuple) else side for side in (kernel, padding))
    return padding == "same" or 2 * padding == kernel - 1
