"""One look at faces: what a network says of them, and where it saw the evidence."""

from dataclasses import replace
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier, ClassifierOutput
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.cues import Cue
from aucue.guidance import attention
from aucue.metrics import attention_cosine, cam_cosine, log_odds_map
from aucue.models.calibration import Scale


class Look:
    """What one forward pass says of a batch of faces. Maps are computed when they are first asked for.

    Everything is on the network's device, in float32 at least, and carries no gradients.

    Args:
        network: The classifier.
        output: What it gave for the batch.
        readout: Read-out of the class maps, a key of `aucue.cams.READOUTS`; None takes the method's own.
        layer: Whose attention is shown; None takes the last one.
        images: The faces (B, 3, S, S), for read-outs that run the network again.
        scale: How logits become probabilities.

    Attributes:
        logits: (B, K), calibrated: their softmax are the probabilities. Maps are in those of the network.
    """

    def __init__(
        self,
        network: Classifier,
        output: ClassifierOutput,
        readout: str | None = None,
        layer: str | None = None,
        *,
        images: Tensor | None = None,
        scale: Scale = Scale(),  # noqa: B008 (frozen)
    ) -> None:
        self._network, self._output, self._readout, self._images = network, output, readout, images
        self._scale = scale
        self.layer = layer or network.final_layer
        self.logits = calibrated(output.logits, scale)

    @cached_property
    def probabilities(self) -> Tensor:
        """(B, K), each row sums to 1."""
        return self.logits.float().softmax(dim=1)

    @cached_property
    def uncalibrated(self) -> Tensor:
        """What the network says before the temperature (B, K), each row sums to 1: for measures that compare
        networks, of which each has a temperature of its own.
        """
        return calibrated(self._output.logits.float(), replace(self._scale, temperature=1.0)).softmax(dim=1)

    @property
    def votes(self) -> Tensor:
        """Share of voters that is expected to name each class (B, K), each row sums to 1: of a network that
        was trained on votes; of others the probabilities.
        """
        return self.uncalibrated if self._scale.voters else self.probabilities

    @cached_property
    def predicted(self) -> Tensor:
        """Id of the most probable class (B,)."""
        return self.probabilities.argmax(dim=1)

    @cached_property
    def attention(self) -> dict[str, Tensor]:
        """Channel mean of every layer's features (B, 1, h, w), any range; shallow to deep."""
        return {layer: attention(features).float() for layer, features in self._output.features.items()}

    @property
    def attention_shown(self) -> Tensor:
        """That of the layer that is shown (B, 1, h, w)."""
        return self.attention[self.layer]

    @cached_property
    def class_maps(self) -> Tensor:
        """Where the evidence for each class was seen (B, K, h, w) in [0, 1]."""
        return self._map(None)

    def class_map(self, classes: Tensor) -> Tensor:
        """Where the evidence for one class per face was seen (B, 1, h, w) in [0, 1].

        Args:
            classes: Class ids (B,).
        """
        return self._map(classes)

    @cached_property
    def logit_maps(self) -> Tensor:
        """The head's own class maps (B, K, h, w), signed, in logits: means are the logits, but for a bias."""
        with torch.inference_mode():
            return self._network.class_maps(self._output.features[self._network.final_layer]).float()

    def log_odds_map(self, classes: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """What each cell adds to one class per face against the others, in logits, signed (B, 1, h, w).

        From `logit_maps`, whatever the read-out, see `aucue.metrics.log_odds_map`. All zero for a method
        whose map knows no class.

        Args:
            classes: Class ids (B,).
            probabilities: Weights of the classes that it is held against (B, K); by default those of this
                look. A face and the same face with something hidden are compared by the same weights.
        """
        return log_odds_map(
            self.logit_maps, self.probabilities if probabilities is None else probabilities, classes
        )

    @cached_property
    def unit_maps(self) -> Tensor | None:
        """What is seen of each action unit (B, U, h, w), not negative, in the order of `head.units`; None for
        a head without maps of units.
        """
        head = self._network.head
        if not isinstance(head, ActionUnitHead):
            return None
        with torch.inference_mode():
            return head.unit_maps(self._output.features[self._network.final_layer]).float()

    def unit_contributions(self, classes: Tensor) -> Tensor | None:
        """What each action unit adds to the logit of one class per face (B, U), not negative.

        Their sum is the logit but for the bias of the class: an identity, not an estimate. None for a head
        without maps of units.

        Args:
            classes: Class ids (B,).
        """
        if self.unit_maps is None:
            return None
        head = cast(ActionUnitHead, self._network.head)
        return (head.weight.detach()[classes] * self.unit_maps.mean(dim=(2, 3))).float()

    def agreement(self, cue: Cue, classes: Tensor) -> tuple[Tensor, Tensor]:
        """ATT-COS of the layer that is shown and CAM-COS of one class per face, (B,) each.

        Args:
            cue: What an expert expects, for the same faces; the values of faces without one mean nothing.
            classes: Class ids (B,) whose class maps are compared.
        """
        return attention_cosine(self.attention_shown, cue.map), cam_cosine(self.class_map(classes), cue.map)

    @torch.inference_mode()
    def _map(self, classes: Tensor | None) -> Tensor:
        map_ = self._network.class_map(self._output, classes, self._readout, images=self._images)
        return normalize_cam(map_).float()


def calibrated(logits: Tensor, scale: Scale) -> Tensor:
    """What a network says (B, K), brought to a mix of expressions and divided by the temperature."""
    if scale.shifts:
        logits = logits + torch.tensor(scale.shifts, dtype=logits.dtype, device=logits.device)
    return logits if scale.temperature == 1 else logits / scale.temperature
