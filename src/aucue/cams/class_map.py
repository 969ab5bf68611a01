"""Class maps of any network, at any of its layers."""

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from aucue.cams.contract import PooledLinear, Rerun, class_gradients
from aucue.cams.readouts import READOUTS, GradientReadOut
from aucue.errors import InputError
from aucue.guidance import FeatureTap, Layout, default_layer, to_nchw
from aucue.guidance.tap import first_tensor, remedy

Classes = Tensor | int | Literal["predicted"] | None


class ClassMaps(NamedTuple):
    """What one pass through a network gives.

    Attributes:
        maps: (B, 1, h, w) of one class per sample, or (B, K, h, w) of all; not normalised.
        logits: (B, K).
    """

    maps: Tensor
    logits: Tensor


class ClassMap:
    """Class maps of any network, read at one of its layers.

    ```
    class_map = ClassMap(model, "layer4", "layercam")
    maps = normalize_cam(class_map(images))  # (B, 1, h, w) in [0, 1], of the predicted classes
    ```

    The layer may yield (B, C, h, w), (B, h, w, C) or tokens, whatever `FeatureTap` can read. Gradients are
    taken with respect to what it yields and to nothing else: the part of the network before it runs without a
    graph, no parameter's `grad` or `requires_grad` is touched, and hooks are on the network during a call
    alone. It works under `torch.no_grad()`, and under `torch.inference_mode()`, which it leaves for the time
    of the call (the model's own parameters must not have been made in inference mode). Whether the network
    trains is left as it is: call `model.eval()` first, since dropout and batch statistics blur the maps.

    Args:
        model: The network; it maps images to logits (B, K), or to an object or a dictionary that has
            `logits`.
        layer: Name of the layer, as `model.named_modules()` has it; None takes the last one with a map that
            the head reads (`aucue.guidance.default_layer`).
        readout: A key of `READOUTS`.
        linear: Name of the linear layer (or 1 x 1 convolution), if the logits are its answer to the average
            of the layer's maps. The read-outs by gradients then have closed forms, without a backward pass;
            that they hold is checked at each call. "cam" needs it; ScoreCAM, SS-CAM and IS-CAM do not use it.
        layout: See `to_nchw`.
        prefix_tokens: See `to_nchw`.

    Raises:
        InputError: A layer or the read-out does not exist.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: str | None = None,
        readout: str = "gradcam",
        *,
        linear: str | None = None,
        layout: Layout = "auto",
        prefix_tokens: int | None = None,
    ) -> None:
        if readout not in READOUTS:
            raise InputError(f"Unknown read-out '{readout}': choose one of {', '.join(READOUTS)}.")
        if readout == "cam" and linear is None:
            raise InputError(
                "CAM needs the name of the linear layer that reads the average of the layer's maps (linear): "
                "give it, or choose a gradient read-out, such as gradcam."
            )
        self.readout = READOUTS[readout]
        self.layer = layer = default_layer(model) if layer is None else layer
        self.linear = linear
        self.layout: Layout = layout
        self.prefix_tokens = prefix_tokens
        with FeatureTap(model, [layer, *([] if linear is None else [linear])]) as tap:  # they exist
            self.model = tap.model

    def __call__(
        self, images: Tensor, classes: Classes = "predicted", *, differentiable: bool = False
    ) -> Tensor:
        """Class maps of images; see `read`, which gives the logits as well.

        Args:
            images: See `read`.
            classes: See `read`.
            differentiable: See `read`.

        Returns:
            (B, 1, h, w), or (B, K, h, w) for all classes; see `normalize_cam` for maps in [0, 1].

        Raises:
            InputError: See `read`.
        """
        return self.read(images, classes, differentiable=differentiable).maps

    def read(
        self, images: Tensor, classes: Classes = "predicted", *, differentiable: bool = False
    ) -> ClassMaps:
        """Run the network once and read the class maps.

        Args:
            images: What the network takes, (B, ...).
            classes: Class per sample, (B,) integers in [0, K); one class for all; "predicted" for the class
                of the highest logit; None for all classes, which takes a backward pass down to the layer for
                each unless `linear` is given.
            differentiable: Keep the graph, so that maps and logits can be used in a loss.

        Returns:
            Maps, at the resolution of the layer, and logits.

        Raises:
            InputError: The layer yields no maps, the network no logits that depend on them, a class does not
                exist, or the linear layer does not make the logits as promised.
        """
        with torch.inference_mode(False), torch.set_grad_enabled(differentiable):
            images = images.clone() if images.is_inference() else images
            if self.linear is None and isinstance(self.readout, GradientReadOut):
                return self._by_autograd(images, classes, differentiable)
            with FeatureTap(self.model, self.layer, self.layout, self.prefix_tokens) as tap:
                logits = _logits(self.model(images))
                features = tap.features[self.layer]
            head: Any = None  # where none is named, the read-out runs the network instead
            if self.linear is not None:
                head = self._head(self.linear, features, logits)
            rerun = Rerun(images, lambda changed: _logits(self.model(changed)), self._gradients)
            ids = _ids(classes, logits)
            maps = self.readout(features, head, ids, differentiable=differentiable, rerun=rerun)
            return ClassMaps(maps, logits)

    def _by_autograd(self, images: Tensor, classes: Classes, differentiable: bool) -> ClassMaps:
        started = self._start(images, differentiable)
        gradients = self._of_patches(started, _ids(classes, started.logits), differentiable)
        # Of a layer that runs several times, the features of the last run come after a start of the graph.
        features = started.features if differentiable else started.features.detach()
        assert isinstance(self.readout, GradientReadOut)
        maps = [self.readout.maps(features, gradient) for gradient in gradients]
        logits = started.logits
        return ClassMaps(torch.cat(maps, 1), logits if differentiable else logits.detach())

    def _gradients(self, images: Tensor, classes: Tensor | None) -> Iterator[Tensor]:
        """Gradients of the logits of other images with respect to the layer's maps, as `Rerun` has them."""
        with torch.inference_mode(False), torch.no_grad():
            images = images.clone() if images.is_inference() else images
            yield from self._of_patches(self._start(images, False), classes, False)

    def _start(self, images: Tensor, differentiable: bool) -> "_Started":
        """Run the network with a graph that starts at the layer."""
        module = self.model.get_submodule(self.layer)
        with (
            FeatureTap(self.model, self.layer, self.layout, self.prefix_tokens) as tap,
            _GraphStart(module, differentiable) as start,
        ):
            logits = _logits(self.model(images))
            cut = not torch.is_grad_enabled()  # the hook has switched them on, and the network off again
            features = tap.features[self.layer]
        if cut and not logits.requires_grad:
            raise InputError(
                f"The network runs '{self.layer}' under torch.no_grad(), which cuts the gradients of what "
                "follows: give the linear layer that makes the logits (linear), which takes none."
            )
        return _Started(features, logits, start)

    def _of_patches(
        self, started: "_Started", classes: Tensor | None, differentiable: bool
    ) -> Iterator[Tensor]:
        """Gradients (B, C, h, w), for each class if None is chosen."""
        features, logits, start = started
        for gradient in class_gradients(logits, start.leaf, classes, differentiable):
            of_patches = start.as_maps(gradient, features)
            if gradient.ndim == 3 and gradient.any() and not of_patches.any():
                raise InputError(
                    f"Layer '{self.layer}': the gradient is zero for every patch, since the network reads "
                    f"the class token alone: {remedy(self.model, self.layer)}."
                )
            yield of_patches

    def _head(self, linear: str, features: Tensor, logits: Tensor) -> PooledLinear:
        module: Any = self.model.get_submodule(linear)
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(weight, Tensor) and weight.shape[1:].numel() == features.shape[1]:
            head = PooledLinear(weight, bias)
            with torch.no_grad():
                expected = head(features.to(weight.dtype))
                if expected.shape == logits.shape and _close(expected, logits):
                    return head
        raise InputError(
            f"The logits are not what '{linear}' makes of the average of the maps of '{self.layer}': leave "
            "out linear, and gradients are computed instead."
        )


class _GraphStart:
    """A hook that makes what a layer yields the start of the graph; what comes before gets none.

    Args:
        module: The layer.
        attached: Leave it within the graph that leads to it, if there is one.
    """

    leaf: Tensor
    output: Tensor

    def __init__(self, module: nn.Module, attached: bool) -> None:
        self.attached = attached
        self.handle = module.register_forward_hook(self)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        first = first_tensor(output)
        if first is None:
            return output  # the tap will say so
        torch.set_grad_enabled(True)  # until the network has run: the caller restores it
        self.output = first
        self.leaf = first if self.attached and first.requires_grad else first.detach().requires_grad_()
        return _replace(output, first, self.leaf.clone())  # what follows may overwrite it in place

    def as_maps(self, gradient: Tensor, features: Tensor) -> Tensor:
        """A gradient with respect to what the layer yields, in the order of the features: (B, C, h, w)."""
        if gradient.ndim == 3:
            height, width = features.shape[2:]
            prefix = gradient.shape[1] - height * width
            return to_nchw(gradient, (height, width), "tokens", prefix)
        return to_nchw(gradient, layout="nchw" if features is self.output else "nhwc")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.handle.remove()


class _Started(NamedTuple):
    """A network that has run, with a graph that starts at a layer."""

    features: Tensor  # (B, C, h, w)
    logits: Tensor
    start: _GraphStart


def _replace(output: Any, old: Tensor, new: Tensor) -> Any:
    """What a layer yields, with one tensor in it replaced."""
    if output is old:
        return new
    if isinstance(output, Mapping):
        replaced: Any = copy(output)
        for key, value in output.items():
            replaced[key] = _replace(value, old, new)
        return replaced
    if isinstance(output, tuple | list):
        values = [_replace(value, old, new) for value in output]
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
    return output


def _logits(output: Any) -> Tensor:
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    logits = output.get("logits") if isinstance(output, Mapping) else logits
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = f" of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else ""
        raise InputError(
            f"The network yields {type(output).__name__}{shape}, in which there are no logits (B, K): wrap "
            "it in a module that returns them."
        )
    return logits


def _ids(classes: Classes, logits: Tensor) -> Tensor | None:
    """Class per sample (B,); None for all classes."""
    if classes is None:
        return None
    if isinstance(classes, str):
        if classes != "predicted":
            raise InputError(f"Classes are ids, None (all) or 'predicted', not '{classes}'.")
        return logits.argmax(1)
    batch, number = logits.shape
    ids = torch.as_tensor(classes, device=logits.device)
    ids = ids.expand(batch) if ids.ndim == 0 else ids
    if ids.shape != (batch,) or ids.is_floating_point() or ids.dtype == torch.bool:
        raise InputError(f"Class maps need one class id per sample, ({batch},), not {tuple(ids.shape)}.")
    if bool(((ids < 0) | (ids >= number)).any()):
        raise InputError(f"The network has the classes 0 to {number - 1}; there is no {ids.tolist()}.")
    return ids.long()


def _close(expected: Tensor, logits: Tensor) -> bool:
    """Equal up to half precision, in which the network may have run; nothing is equal to nothing."""
    return not logits.numel() or bool((expected - logits).abs().amax() <= 0.02 * logits.abs().amax())
