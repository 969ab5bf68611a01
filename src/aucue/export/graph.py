"""A model as one function of pixels: face crops in, what an `Explanation` shows out."""

import warnings
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from aucue.cams import READOUTS, normalize_cam
from aucue.errors import InputError, said
from aucue.guidance import attention
from aucue.models import Model
from aucue.models.looking import calibrated


class CropOutput(NamedTuple):
    """What a `CropClassifier` gives; the names are those of the outputs of an ONNX file.

    Attributes:
        probabilities: (B, K), each row sums to 1; calibrated where the model is.
        attention: (B, 1, h, w), mean over the channels of the guided layer, any range.
        class_maps: (B, K, h, w) in [0, 1], where the evidence for each class was seen.
    """

    probabilities: Tensor
    attention: Tensor
    class_maps: Tensor


class CropClassifier(nn.Module):
    """Normalisation, network, read-out and softmax in one module that can be compiled and exported.

    It holds a copy of the network, on the CPU and in float32, whatever the model's own is in.

    Args:
        model: says which network, read-out and attention layer.

    Attributes:
        size: side S of the crops, in pixels. There is no resizing inside.

    Raises:
        InputError: the read-out takes a gradient, or runs the network again, at each prediction, which no
            exported graph does.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.classifier = deepcopy(model.network).cpu().float()
        self.layer, self.readout = model.layer, model.readout
        self.size, self.scale = self.classifier.input_size, model.scale
        if READOUTS[self.readout].reruns(self.classifier.head):
            raise InputError(
                f"'{self.readout}' runs the network anew, which an exported graph cannot do; export the "
                "head's own class maps instead (read-out cam)."
            )
        if READOUTS[self.readout].needs_gradient(self.classifier.head):
            raise InputError(
                f"'{self.readout}' of a network with the head '{self.classifier.config['head']}' takes a "
                "gradient at each prediction, which an exported graph cannot compute; export the head's own "
                "class maps instead (read-out cam)."
            )
        self.eval()

    def forward(self, crops: Tensor) -> CropOutput:
        """Classify crops.

        Args:
            crops: (B, S, S, 3) uint8, RGB: aligned faces as Pillow and numpy hold them.
        """
        out = self.classifier(crops.permute(0, 3, 1, 2))
        return CropOutput(
            calibrated(out.logits, self.scale).softmax(dim=1),
            attention(out.features[self.layer]),
            normalize_cam(self.classifier.class_map(out, readout=self.readout)),
        )


def export_program(graph: CropClassifier) -> ExportedProgram:
    """What `torch.export` makes of a model, for any batch size.

    Args:
        graph: the model.

    Raises:
        InputError: the backbone does something that torch.export cannot follow.
    """
    crops = torch.zeros(2, graph.size, graph.size, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # of torch, about torch
            return torch.export.export(graph, (crops,), dynamic_shapes=({0: Dim("batch")},))
    except Exception as error:  # each network fails in its own way
        raise InputError(
            f"torch.export cannot follow {graph.classifier.config['backbone']}: "
            f"{said(error, first_line=True)}."
        ) from error
