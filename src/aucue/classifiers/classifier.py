"""The classifier: normalisation, a timm backbone and a head; named feature maps from one forward pass."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from aucue.cams import READOUTS, Rerun
from aucue.cams.contract import class_gradients, graph_start
from aucue.classifiers.backbones import (
    RESERVED_OPTIONS,
    Anatomy,
    check_options,
    create_backbone,
    enlarge_final_maps,
    forward_features,
    load_weights,
    pretrained_cfg,
    set_stride_one,
    shapes_of,
    study,
)
from aucue.classifiers.blurring import blur_strides
from aucue.classifiers.brightness import brightness, exposed
from aucue.classifiers.heads import Head
from aucue.classifiers.locality import narrow, receptive_field
from aucue.classifiers.methods import Method, method_named, readout_for
from aucue.classifiers.parts import HEADS
from aucue.classifiers.regularisers import ADL, adl_blocks, block_before_last
from aucue.classifiers.transformers import CLASS_ATTENTION
from aucue.classifiers.unit_head import units_of_classes
from aucue.classifiers.weights import pretrained_state, read_state
from aucue.errors import InputError, said
from aucue.facs import EXPRESSIONS, Codebook
from aucue.guidance import FeatureTap

MAX_SIDE = 1024
"""Largest side of the input, in pixels."""

MAX_CLASSES = 1000
MAX_NAME = 200  # letters

# Of backbones that were built here, by what they are made of: which layers were set to stride 1, the anatomy.
_KNOWN: dict[str, tuple[tuple[str, ...], Anatomy]] = {}
_MOST_KNOWN = 100


class ClassifierOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        logits: (B, K), one per class.
        features: (B, C, h, w) by layer name, shallow to deep; they carry gradients.
    """

    logits: Tensor
    features: dict[str, Tensor]


class Classifier(nn.Module):
    """A timm backbone under a head, at random; `with_weights` starts from given weights.

    Args:
        backbone: name of a timm model, with or without a weight tag; None takes the method's own network, or
            resnet18.
        classes: names of the classes; their order is that of the logits.
        head: name of a head in `HEADS` to take instead of weighted GAP; None takes the method's.
        input_size: side S of the square input, in pixels.
        final_stride: input pixels per cell of the final feature maps; the strides of the layers beyond are
            set to 1 (finer maps, more time). None keeps the backbone's own.
        backbone_options: further arguments of the timm model, plain values only.
        mean: (3,) mean of red, green and blue in [0, 1]; None takes the backbone's own, which its
            weights expect.
        std: (3,) standard deviations likewise.
        method: name of a method in `METHODS`, which says head, regulariser and read-out.
        head_options: further arguments of the head, plain values only.
        grey: the network sees brightness only (Rec. 601, in three equal channels), as it should where all
            training pictures are grey: colours would be as strange to it as noise.
        mirror: in evaluation mode the features of every layer are the mean of those of the face and of those
            of its mirror image, mirrored back: steadier, exactly symmetric, and twice the time. Training is
            not touched.
        local_from: a layer from which on all kernels are 1 x 1, so that no cell of the last maps sees further
            than what this layer reads (`receptive_field`); None leaves them as they are.
        blur: maps are smoothed before a stride makes them smaller, so that fewer answers change where a face
            is shifted a little; weights stay what they are.
        exposure: mean brightness, of 1, to which faces that are darker are brought before all else, so that
            little light is no change; 0 leaves them as they are.

    Attributes:
        config: dict of plain values with which `Classifier(**config)` builds the same network.
        classes: names of the classes.
        input_size: side of the square input, in pixels.
        method: row of the method in `METHODS`.

    Raises:
        InputError: unknown backbone, method or head, doubtful classes, or a size or stride that the network
            cannot have.

    Example:
        >>> classifier = Classifier("test_resnet", ("neutral", "happiness"), input_size=64)
        >>> output = classifier(torch.zeros(1, 3, 64, 64))
        >>> tuple(output.logits.shape), classifier.final_layer, tuple(output.features["layer4"].shape)
        ((1, 2), 'layer4', (1, 96, 2, 2))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str | None = None,
        classes: Sequence[str] = EXPRESSIONS,
        *,
        head: str | None = None,
        input_size: int = 224,
        final_stride: int | None = None,
        backbone_options: Mapping[str, Any] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        method: str = "cam",
        head_options: Mapping[str, Any] | None = None,
        grey: bool = False,
        mirror: bool = False,
        local_from: str | None = None,
        blur: bool = False,
        exposure: float = 0.0,
    ):
        super().__init__()
        self.method = method_named(method)
        backbone = backbone or self.method.default_backbone
        options = check_options(backbone_options, reserved=RESERVED_OPTIONS)
        cfg = pretrained_cfg(backbone)
        self.classes = _checked_classes(classes)
        self.input_size = _checked_side("input_size", input_size)
        self.backbone = create_backbone(backbone, input_size, options)
        if final_stride is not None:
            _checked_side("final_stride", final_stride)
        self._anatomy = self._shape_backbone(backbone, final_stride, options)
        if local_from is not None:
            self._narrow_backbone(backbone, local_from)
        if blur:
            blur_strides(self.backbone)
        for name, parameter in self.backbone.named_parameters():
            # parts of timm's own head that stay in the backbone: never reached by gradients, they would stop
            # distributed training
            parameter.requires_grad_(name not in self._anatomy.idle)
        head = _checked_head(self.method, head)
        own_options = check_options({**self.method.head_options, **(head_options or {})}, "head_options")
        if head == "units":  # stored with the model, which so stays what it is when a codebook changes
            own_options.setdefault("units", units_of_classes(self.classes, Codebook.load("facs")))
        self.head = _build_head(head, self.shapes, len(self.classes), own_options)
        self.config: dict[str, Any] = {
            "backbone": backbone,
            "classes": list(self.classes),
            "head": head,
            "input_size": input_size,
            "final_stride": final_stride,
            "backbone_options": options,
            "mean": _checked_colour("mean", cfg.mean if mean is None else mean),
            "std": _checked_colour("std", cfg.std if std is None else std),
            "method": method,
            "head_options": own_options,
            "grey": grey,
            "mirror": mirror,
            "local_from": local_from,
            "blur": blur,
            "exposure": _checked_exposure(exposure),
        }
        # not persistent: config is where they are stored
        self.register_buffer("mean", torch.tensor(self.config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.config["std"]).view(3, 1, 1), persistent=False)

    def _shape_backbone(self, name: str, final_stride: int | None, options: Mapping[str, Any]) -> Anatomy:
        """Give the backbone its strides and its regulariser, and find out what its features look like.

        What was found out is remembered: a model file is built twice, and a page or a grid has many alike.
        """
        made_of = json.dumps([name, self.input_size, final_stride, options, self.method.regulariser])
        strided, anatomy = _KNOWN.get(made_of, ((), None))
        if anatomy is not None:
            set_stride_one(self.backbone, strided)
        elif final_stride is not None:
            strided = enlarge_final_maps(self.backbone, name, self.input_size, final_stride)
        if self.method.regulariser == "adl":
            ADL().attach(self.backbone, adl_blocks(self.backbone))
        if anatomy is None:
            anatomy = study(self.backbone, name, self.input_size)
            if len(_KNOWN) == _MOST_KNOWN:
                _KNOWN.clear()
            _KNOWN[made_of] = strided, anatomy
        return anatomy

    def _narrow_backbone(self, name: str, local_from: str) -> None:
        """Make kernels 1 x 1 from a layer on; refused where larger ones changed the sizes of maps."""
        narrow(self.backbone, local_from, self.layers)
        try:
            same = study(self.backbone, name, self.input_size).shapes == self.shapes
        except InputError:  # branches that no longer have one size
            same = False
        if not same:
            raise InputError(
                f"local_from: with kernels of 1 x 1 from '{local_from}' on, maps of {name} would have other "
                f"sizes at input_size={self.input_size}; choose a deeper layer or take another backbone."
            )

    def with_weights(self, weights: str | Path | None = None) -> Self:
        """Start the backbone from given weights; the head stays as it is.

        Args:
            weights: a local file (.safetensors, or a .pth of plain tensors), which must match the backbone
                exactly; its classification head is left out. None takes the weights that timm publishes.

        Returns:
            The classifier itself.

        Raises:
            WeightsError: published weights can neither be reached nor found in the local cache.
            InputError: the weights do not fit.
        """
        name, options = self.config["backbone"], self.config["backbone_options"]
        state = pretrained_state(name) if weights is None else read_state(weights)
        origin = "timm's pretrained weights" if weights is None else str(weights)
        load_weights(self.backbone, name, self.input_size, options, state, origin)
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the feature layers, shallow to deep.

        Modules of timm's `feature_info`, then "final" where the final features are none of theirs (after a
        last norm or convolution).
        """
        return tuple(self._anatomy.shapes)

    @property
    def final_layer(self) -> str:
        """Name of the layer that the head reads."""
        return self.layers[-1]

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """(C, h, w) of each feature layer."""
        return self._anatomy.shapes

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Height and width in pixels of what the middle cell of the last maps sees; takes a pass."""
        return receptive_field(self, self.input_size)

    def forward(self, images: Tensor) -> ClassifierOutput:
        """Classify images and keep the features of every layer.

        Args:
            images: (B, 3, S, S) with S = `input_size`, RGB; float in [0, 1], or uint8 in 0..255. They are
                normalised here. Grey pictures have three equal channels.

        Raises:
            InputError: the images have another shape.
        """
        final, maps = self._see(self._normalize(images))
        features = dict(
            zip(self.layers, maps, strict=False)
        )  # "final", if there is one, is not among the maps
        features[self.final_layer] = final
        return ClassifierOutput(self.head(final), features)

    def loss(self, output: ClassifierOutput, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """The classification term of the training loss: cross-entropy, of each branch where there are two.

        Args:
            output: what a forward pass gave.
            targets: ids (B,), or probabilities (B, K) where labels were mixed.
            weights: how much each class counts (K,); None: all alike.

        Returns:
            A scalar.
        """
        return self.head.loss(output.features[self.final_layer], output.logits, targets, weights)

    def class_map(
        self,
        output: ClassifierOutput,
        classes: Tensor | None = None,
        readout: str | None = None,
        *,
        images: Tensor | None = None,
    ) -> Tensor:
        """Where the evidence for a class was seen, by the method's read-out, without another pass through the
        backbone but for the read-outs that consist of them (ScoreCAM and its kin).

        Args:
            output: what a forward pass gave, in any gradient mode.
            classes: (B,) ids, one class per image; None for all classes.
            readout: key in `aucue.cams.READOUTS`, or the method's name; None takes the method's.
            images: what the output is of, (B, 3, S, S), for read-outs that run the network again.

        Returns:
            (B, 1, h, w), or (B, K, h, w) for all classes; not normalised.

        Raises:
            InputError: no such read-out, or it needs the images.
        """
        features, name = output.features[self.final_layer], readout_for(self.method, readout)
        if name != "cam":
            row = READOUTS[name]
            rerun = self._rerun(images) if row.reruns(self.head) else None
            return row(features, self.head, classes, rerun=rerun)
        maps = self.head.class_maps(features) if classes is None else self.head.class_map(features, classes)
        seen = output.features.get(CLASS_ATTENTION)  # of TS-CAM, which couples both
        return maps if seen is None else maps * seen

    def class_maps(self, final_features: Tensor) -> Tensor:
        """The head's own class maps of features that a forward pass gave, whatever the method's read-out.

        Args:
            final_features: (B, C, h, w), `output.features[classifier.final_layer]`.

        Returns:
            (B, K, h, w), one map per class, not normalised.
        """
        return self.head.class_maps(final_features)

    def _see(self, normal: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features of the final layer and of all that have a name, of images as the backbone takes them."""
        if self._mirrors:
            normal = torch.cat([normal, normal.flip(3)])
        final, maps = forward_features(self.backbone, normal)
        if self._mirrors:
            final, *maps = map(_unmirrored_mean, (final, *maps))
        return final, maps

    @property
    def _mirrors(self) -> bool:
        """Whether a face is seen with its mirror image."""
        return self.config["mirror"] and not self.training

    def _rerun(self, images: Tensor | None) -> Rerun | None:
        """This network, to be run again on changed images, which are changed after their normalisation."""
        if images is None:
            return None

        def gradients(normal: Tensor, classes: Tensor | None) -> Iterator[Tensor]:
            with torch.no_grad():
                final, _ = self._see(normal)
            with torch.inference_mode(False), torch.enable_grad():
                start = graph_start(final)
                yield from class_gradients(self.head(start.clone()), start, classes, differentiable=False)

        return Rerun(
            self._normalize(images), lambda normal: self.head(self._see(normal)[0]), gradients, self._earlier
        )

    def _earlier(self, normal: Tensor) -> Tensor:
        """Features one block before the final ones, of images as the backbone takes them."""
        block = block_before_last(self.backbone)
        with FeatureTap(self.backbone, [block]) as tap:
            self._see(normal)
            features = tap.features[block]
        return _unmirrored_mean(features) if self._mirrors else features

    def _normalize(self, images: Tensor) -> Tensor:
        side = self.input_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, side, side):
            raise InputError(f"images must have the shape (B, 3, {side}, {side}), not {tuple(images.shape)}.")
        unit = self.exposed(images)
        if self.config["grey"]:
            unit = brightness(unit)
        return (unit - self.mean) / self.std

    def exposed(self, images: Tensor) -> Tensor:
        """Images as bright as the network reads them, in [0, 1], see `exposure`.

        Args:
            images: (B, 3, H, W), float in [0, 1], or uint8 in 0..255.
        """
        unit = images.to(self.mean.dtype)
        if images.dtype == torch.uint8:
            unit = unit / 255
        level = self.config["exposure"]
        return exposed(unit, level) if level else unit


def _unmirrored_mean(features: Tensor) -> Tensor:
    """Mean (B, C, h, w) of the features (2B, C, h, w) of faces and, mirrored back, of their mirror images."""
    count = features.shape[0] // 2  # not len(), which torch.export takes for a constant
    return (features[:count] + features[count:].flip(3)) / 2


def _checked_exposure(level: float) -> float:
    if not 0 <= level <= 1:
        raise InputError(f"exposure is a mean brightness from 0 to 1, not {level!r}.")
    return level


def _checked_head(method: Method, head: str | None) -> str:
    if head is None:
        return method.head
    if head not in HEADS:
        raise InputError(f"'{head}' is no head; choose from {', '.join(HEADS)}.")
    if head != method.head != "wgap":
        raise InputError(f"Method '{method.name}' is its head '{method.head}'; leave head={head!r} out.")
    return head


def _build_head(
    name: str, shapes: Mapping[str, tuple[int, int, int]], classes: int, options: Mapping[str, Any]
) -> Head:
    if name == "ts-cam" and CLASS_ATTENTION not in shapes:
        raise InputError(
            "ts-cam: needs a backbone that tells what its class token attends to (ts_cam_deit_*)."
        )
    *_, final = shapes.values()
    kinds = get_type_hints(HEADS[name].__init__)
    for option, value in options.items():
        if option in kinds and not _is_of(value, kinds[option]):
            raise InputError(f"head_options: '{option}' of {name} cannot be {value!r:.60}.")
    try:
        head = HEADS[name].for_features(final, classes, **options)
        shapes_of(deepcopy(head).eval(), final, lambda copy, features: copy(features))
    except InputError:
        raise
    except Exception as error:  # a number out of its range shows in any way
        raise InputError(f"head_options: {name} does not take {dict(options)} ({said(error)}).") from error
    return head


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    kinds = get_args(kind) or (kind,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)


def _checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = () if isinstance(classes, str) else tuple(classes)
    if not 2 <= len(names) <= MAX_CLASSES:
        raise InputError(f"classes: 2 to {MAX_CLASSES} names are needed, not {len(names)}.")
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise InputError(
                f"classes: a name has 1 to {MAX_NAME} printable letters, which {name!r:.60} has not."
            )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"classes: '{twice[0]}' is there twice.")
    return names


def _checked_side(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        raise InputError(f"{name}: a whole number from 1 to {MAX_SIDE} is needed, not {value!r}.")
    return value


def _checked_colour(name: str, values: Sequence[float]) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    lowest = 0 if name == "std" else -math.inf
    if len(numbers) != 3 or not all(lowest < number < math.inf for number in numbers):
        raise InputError(
            f"{name}: three{' positive' if name == 'std' else ''} numbers are needed, not {values!r:.60}."
        )
    return numbers
