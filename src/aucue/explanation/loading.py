"""A file of a model -> what explains photographs with it; torch is imported only where the file needs it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aucue.errors import InputError
from aucue.explanation.graphs import GraphExplainer, is_graph
from aucue.faces import FaceReader
from aucue.models.calibration import Prior

if TYPE_CHECKING:
    import torch


def load(
    path: str | Path | None = None,
    reader: FaceReader | None = None,
    device: "str | torch.device" = "auto",
    readout: str | None = None,
    *,
    prior: Prior | None = None,
) -> Any:
    """Load a model file, ready for photographs: `aucue.load("model.safetensors")("photo.jpg")`.

    Args:
        path: Model file that `aucue train` wrote, or an ONNX file that `aucue export` wrote, which needs no
            torch; by default the model in the box.
        reader: Finds and aligns faces; default the mesh detector with the template of the model.
        device: Where the network runs; "auto" takes a CUDA GPU if there is one.
        readout: Read-out of the class maps; by default the model's own.
        prior: Mix of expressions that answers are given for: `natural`, `even`, a file of shares or shares by
            class; by default the answers are those of the model as it was trained.

    Returns:
        An `Explainer`; a `GraphExplainer` of an ONNX file.

    Raises:
        InputError: The file is no model file of aucue, or an ONNX file is asked for another device or
            read-out.
    """
    if path is not None and is_graph(path):
        if readout is not None or str(device) not in ("auto", "cpu"):
            raise InputError(
                f"{path} has one read-out and runs on the cpu; name the model file it was made of."
            )
        return GraphExplainer(path, reader, prior=prior)
    from aucue.explanation.explainer import Explainer

    return Explainer(path, reader, device, readout, prior=prior)
