"""The training objective, in plain torch: be right, and look where the cue lies (Belharbi et al., eq. 4)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, one_hot

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier, ClassifierOutput
from aucue.classifiers.regularisers import cutmix
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.cues import AUCue, Cue
from aucue.errors import InputError
from aucue.guidance import (
    READS_SIGNED,
    alignment,
    attention,
    contrast,
    evidence_when_hidden,
    outside_regions,
    region_alignment,
)
from aucue.training.config import GuidanceSettings
from aucue.training.drawing import Batch, Drawing, visible
from aucue.training.hiding import Hidden, hide_units

WITHOUT_CLASS_MAP = {
    "cutmix": "mixes faces, so no class map belongs to one face",
    "apvit": "has one map for all classes",
}
"""Methods whose class maps cannot be guided, and why."""


class Term(NamedTuple):
    """One summand of the loss.

    Attributes:
        name: "cross_entropy", "alignment", "class_map", "contrast", "units", "outside" or "hidden".
        weight: Its factor.
        value: A scalar with a graph.
    """

    name: str
    weight: float
    value: Tensor


class Objective:
    """Cross-entropy, plus lambda times the alignment of attention and action-unit map.

    Beyond the paper there may be weighted terms on the class map of the label: its alignment, and its
    contrast; on the maps of action units, where the head has them: that they lie in their regions; and on
    what hiding units may change of the evidence. Faces without a valid cue (neutral, no landmarks) take part
    in the cross-entropy and in what holds for every unit only. Soft labels, where a batch has them, are what
    the cross-entropy aims at; the cue stays that of the label.

    A training loop of one's own needs no more than this:

    ```
    objective = Objective(classifier, guidance_of("aucue"))
    for batch in loader:
        loss = total(objective(batch))
        loss.backward()
    ```

    Args:
        classifier: The network; its method says what the cross-entropy is taken of, and whether faces are
            mixed.
        settings: Weights and kinds of the terms.

    Attributes:
        layers: The aligned layers.
        cue: Draws the action-unit maps of landmarks and expressions.
        draw: Draws those of a batch, as the settings ask for them.
        guiding: Whether the terms of guidance take part: not before `first_epoch` nor after `last_epoch`.
        class_weights: (K,) weights of the classes in the cross-entropy, as in torch's; None weighs all alike.
        label_smoothing: Share of the target that is spread evenly over all classes in the cross-entropy.
        log_prior: (K,) added to the logits in the cross-entropy alone, so that frequent classes get a head
            start that the network need not learn; None adds nothing.

    Raises:
        InputError: The network has no such layer, or its class maps cannot be guided.
    """

    def __init__(self, classifier: Classifier, settings: GuidanceSettings) -> None:
        self.classifier, self.settings = classifier, settings
        self.layers = guided_layers(classifier, settings)
        self.cue = AUCue(settings.codebook, classifier.classes, settings.regions)
        self.draw = Drawing(self.cue, settings, classifier.shapes)
        self.guiding = True
        self.log_prior: Tensor | None = None
        self.class_weights: Tensor | None = None
        self.label_smoothing = 0.0
        method = classifier.method.name
        if (settings.class_map or settings.contrast or settings.hidden) and method in WITHOUT_CLASS_MAP:
            raise InputError(
                f"guidance: {method} {WITHOUT_CLASS_MAP[method]}; set class_map, contrast and hidden to 0."
            )
        self._units = _rows_of_units(classifier, self.cue, settings)

    def __call__(self, batch: Batch) -> Iterator[Term]:
        """The terms of a batch, those without a weight left out."""
        settings = self.settings
        images, target, mixed = batch["image"], batch.get("probabilities", batch["label"]), None
        if self.classifier.method.regulariser == "cutmix":
            cue = self.draw(batch, self.layers[-1]) if self.settings.guided else None
            images, target, mixed = cutmix(images, self.one_hot(target), cue)

        if settings.gradients and self.guiding:
            images = (
                images / 255 if images.dtype == torch.uint8 else images.detach().clone()
            ).requires_grad_()
        out, hidden = self._seen(images, batch)
        yield Term("cross_entropy", 1.0, self._cross_entropy(out, target))
        if not self.guiding:
            return
        if settings.weight:
            aligned = [
                self.misalignment(out.features[layer], mixed or self.draw(batch, layer))
                for layer in self.layers
            ]
            yield Term("alignment", settings.weight, torch.stack(aligned).mean())
        if settings.class_map or settings.contrast:
            yield from self._of_class_map(batch, out)
        if settings.gradients:
            yield Term("gradients", settings.gradients, self._of_gradients(batch, images, out))
        if settings.units or settings.outside:
            yield from self._of_units(batch, out)
        if hidden is not None:
            yield Term("hidden", settings.hidden, self._of_hidden(out, *hidden))

    def misalignment(self, features: Tensor, cue: Cue) -> Tensor:
        """1 - cos(T, A), or another alignment loss, of one layer's features (B, C, h, w)."""
        attended = attention(features, self.settings.attention, self.settings.share)
        return self._aligned(attended, cue)

    def _aligned(self, map: Tensor, cue: Cue) -> Tensor:
        settings = self.settings
        return alignment(
            map,
            cue.map,
            cue.valid,
            settings.loss,
            grid=settings.grid,
            softmax=settings.softmax,
            barrier=settings.barrier,
            across_ranks=True,
        )

    def one_hot(self, target: Tensor) -> Tensor:
        """Labels (B,) as probabilities (B, K); soft labels stay what they are."""
        return target if target.ndim == 2 else one_hot(target, len(self.classifier.classes)).float()

    def evidence(self, features: Tensor) -> Tensor:
        """What last features (B, C, h, w) show of each action unit (B, U, h, w), where the head has maps of
        them; else of each class, beside the mean of all (B, K, h, w).
        """
        head = self.classifier.head
        if isinstance(head, ActionUnitHead):
            return head.unit_maps(features)
        maps = head.class_maps(features)
        return maps - maps.mean(dim=1, keepdim=True)

    def _seen(self, images: Tensor, batch: Batch) -> tuple[ClassifierOutput, tuple[Hidden, Tensor] | None]:
        """What the network says of the faces and, in the same pass, of some with units hidden."""
        if not self.settings.hidden or not self.guiding:
            return self.classifier(images), None
        hidden = hide_units(images, batch["landmarks"], self.cue)
        both = self.classifier(torch.cat([images, hidden.images]))
        features = {name: maps[: len(images)] for name, maps in both.features.items()}
        theirs = both.features[self.classifier.final_layer][len(images) :]
        return ClassifierOutput(both.logits[: len(images)], features), (hidden, theirs)

    def _of_hidden(self, out: ClassifierOutput, hidden: Hidden, features: Tensor) -> Tensor:
        """A cell of which half is hidden shows nothing: units are hardly larger than cells."""
        before = self.evidence(out.features[self.classifier.final_layer][hidden.rows])
        cells = 2 * interpolate(hidden.region.float(), before.shape[-2:], mode="area")
        left, changed = evidence_when_hidden(self.evidence(features), before, cells.clamp(max=1))
        return left + self.settings.beside * changed

    def _of_units(self, batch: Batch, out: ClassifierOutput) -> Iterator[Term]:
        settings, layer = self.settings, self.classifier.final_layer
        maps = self.evidence(out.features[layer])
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        regions, drawn = self.cue.single(batch["landmarks"], size, self.classifier.shapes[layer][1:])
        regions, drawn = regions[:, self._units], drawn[:, self._units]
        regions = regions / regions.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6)
        if settings.visible and "hidden" in batch:
            regions = regions * visible(batch, regions)
        if settings.units:
            head = self.classifier.head
            assert isinstance(head, ActionUnitHead)
            expected = drawn & head.own[batch["label"]] & regions.flatten(2).any(2)
            value = region_alignment(maps, regions, expected, across_ranks=True)
            yield Term("units", settings.units, value)
        if settings.outside:
            value = outside_regions(maps, regions, drawn, across_ranks=True)
            yield Term("outside", settings.outside, value)

    def _cross_entropy(self, out: ClassifierOutput, target: Tensor) -> Tensor:
        if self.log_prior is not None:
            out = out._replace(logits=out.logits + self.log_prior)
        target, weights = self._target(target)
        loss = self.classifier.loss(out, target, weights)
        return loss * _share_of_ranks(len(target), out.logits.device)

    def _target(self, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the cross-entropy aims at, smoothed, and how much classes count, so that its mean is that of
        torch.
        """
        weights = self.class_weights
        if weights is None and not self.label_smoothing:
            return target, None
        target = self.one_hot(target)
        smooth = (1 - self.label_smoothing) * target + self.label_smoothing / target.shape[1]
        if weights is None:
            return smooth, None
        of_faces = _over_ranks((target * weights).sum()) / faces_of_step(len(target), target.device)
        return smooth, weights / of_faces  # torch divides by the weights of the labels

    def _of_class_map(self, batch: Batch, out: ClassifierOutput) -> Iterator[Term]:
        settings, layer = self.settings, self.classifier.final_layer
        signed = self.classifier.class_map(out, batch["label"], "cam")
        map_ = normalize_cam(signed)
        cue = self.draw(batch, layer)
        if settings.class_map:
            read = signed if settings.loss in READS_SIGNED else map_
            yield Term("class_map", settings.class_map, self._aligned(read, cue))
        if settings.contrast:
            cues, target = self.draw.of_all(batch, layer)
            value = contrast(map_, cues, target, cue.valid, across_ranks=True)
            yield Term("contrast", settings.contrast, value)

    def _of_gradients(self, batch: Batch, images: Tensor, out: ClassifierOutput) -> Tensor:
        """Alignment of |d logit / d pixel|, summed over colours, on the grid of the last layer."""
        layer = self.classifier.final_layer
        chosen = out.logits.gather(1, batch["label"][:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, images, create_graph=True)
        cells = adaptive_avg_pool2d(gradient.abs().sum(1, keepdim=True), self.classifier.shapes[layer][1:])
        return self._aligned(cells, self.draw(batch, layer))


def _rows_of_units(classifier: Classifier, cue: AUCue, settings: GuidanceSettings) -> list[int]:
    """Where each unit of the head stands among those that the cue draws."""
    if not (settings.units or settings.outside):
        return []
    if not isinstance(classifier.head, ActionUnitHead):
        raise InputError(
            f"guidance: {classifier.method.name} has no maps of action units; set units and outside to 0, or "
            f"take classifier.method units."
        )
    missing = [unit for unit in classifier.head.units if unit not in cue.action_units]
    if missing:
        raise InputError(
            f"guidance.regions: {cue.regions.name} cannot draw AU{missing[0]}, which the head has."
        )
    return [cue.action_units.index(unit) for unit in classifier.head.units]


def total(terms: Iterable[Term]) -> Tensor:
    """The loss: the sum of the weighted terms."""
    first, *rest = (term.weight * term.value for term in terms)
    return sum(rest, first)


def guided_layers(classifier: Classifier, settings: GuidanceSettings) -> tuple[str, ...]:
    """The aligned layers: those asked for, or the method's.

    Raises:
        InputError: A layer is not one of the classifier's.
    """
    layers = tuple(settings.layers or (classifier.layers[classifier.method.layer],))
    for layer in layers:
        if layer not in classifier.layers:
            raise InputError(
                f"guidance.layers: '{layer}' is no layer of {classifier.config['backbone']}; "
                f"choose from {', '.join(classifier.layers)}."
            )
    return layers


def faces_of_step(faces: int, device: torch.device) -> Tensor:
    """Number of faces in the batches of all ranks."""
    return _over_ranks(torch.tensor(float(faces), device=device))


def _over_ranks(value: Tensor) -> Tensor:
    """The sum over ranks of a scalar without a gradient, in its place."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value)
    return value


def _share_of_ranks(faces: int, device: torch.device) -> Tensor | float:
    """The factor on a mean over the faces of this rank that makes the mean over ranks (which is what
    DistributedDataParallel makes of gradients) the mean over all faces.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1.0
    return faces * dist.get_world_size() / faces_of_step(faces, device)
