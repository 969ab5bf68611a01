"""ONNX: one file from uint8 crops to probabilities, attention and class maps, checked against torch."""

import json
import warnings
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aucue.classifiers.methods import name_of_readout
from aucue.errors import AucueError, InputError, MissingExtraError, said
from aucue.export.description import WARNINGS, licence_of_data, without_folders
from aucue.export.graph import CropClassifier, CropOutput, export_program
from aucue.faces.alignment import TEMPLATES
from aucue.models import Model
from aucue.models.files import write_whole
from aucue.work.files import refuse_existing

OPSET = 18
INPUT = "crops"
TOLERANCE = 1e-4
"""Largest difference from torch with which a file is written."""

_BATCHES = (1, 3)  # none is the batch of two with which the graph was traced


@dataclass(frozen=True)
class OnnxExport:
    """What was written.

    Attributes:
        path: the file.
        differences: largest difference between onnxruntime and torch, by output.
        faces: on how many random crops.
    """

    path: Path
    differences: dict[str, float]
    faces: int


def export_onnx(
    model: str | Path | Model | None,
    out: str | Path,
    readout: str | None = None,
    overwrite: bool = False,
) -> OnnxExport:
    """Write a model as an ONNX file for onnxruntime and others.

    The graph takes `crops` (B, S, S, 3) uint8, RGB, of any batch size, and gives what `CropOutput` says.
    Its metadata hold, as text or JSON, `input_size`, `classes`, `template`, `template_points`, `method`,
    `layer`, `codebook`, `regions`, `guidance`, `metrics`, `calibration`, `prior`, `provenance`,
    `licence_of_data`, `warnings` and `aucue`, the version. It is written only if onnxruntime agrees with
    torch on random crops.

    Args:
        model: model file, `hf:OWNER/NAME`, or a model; None takes the one in the box.
        out: file to write, ending in .onnx.
        readout: read-out of the class maps; by default the model's own.
        overwrite: replace an existing file.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        InputError: the ending is another, or the model cannot be read or exported.
        OutputExistsError: the file exists and `overwrite` is not set.
        AucueError: onnxruntime does not agree with torch; nothing is written.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise InputError(f"{out}: an ONNX file must end in .onnx.")
    refuse_existing(out, overwrite)
    _require_extra()
    opened = Model.load(model, readout, "auto" if isinstance(model, Model) else "cpu")
    graph = CropClassifier(opened)
    content = _translate(graph, _metadata(opened))
    differences = _differences(content, graph)
    if not max(differences.values()) <= TOLERANCE:  # NaN is no agreement
        told = ", ".join(f"{name} by {value:.2g}" for name, value in differences.items())
        raise AucueError(
            f"{out} was not written: onnxruntime and torch differ by more than {TOLERANCE:g} ({told})."
        )
    write_whole(out, content, overwrite)
    return OnnxExport(out, differences, sum(_BATCHES))


def _require_extra() -> None:
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise MissingExtraError(
            f"ONNX needs {' and '.join(missing)}, not installed here; pip install 'aucue[export]'."
        )


def _translate(graph: CropClassifier, metadata: dict[str, str]) -> bytes:
    """The file's content."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    program = export_program(graph)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # of torch, about torch
            onnx: Any = torch.onnx.export(
                program,
                (),
                input_names=[INPUT],
                output_names=list(CropOutput._fields),
                dynamic_shapes=({0: "batch"},),  # gives the dimension its name alone
                opset_version=OPSET,
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        backbone = graph.classifier.config["backbone"]
        raise InputError(f"ONNX has no form for what {backbone} computes: {said(error)}.") from error
    ClearMetadataAndDocStringPass()(onnx.model)  # the exporter notes lines and paths of our source code
    onnx.model.metadata_props.update(metadata)
    return onnx.model_proto.SerializeToString()


def _metadata(model: Model) -> dict[str, str]:
    from aucue import __version__

    card = without_folders(model.card)
    template = TEMPLATES.get(model.template)
    entries = {
        "aucue": __version__,
        "input_size": model.input_size,
        "classes": model.classes,
        "method": name_of_readout(model.network.method, model.readout),
        "layer": model.layer,
        "template": card.template,
        "template_points": template and asdict(template),
        "codebook": model.codebook.to_dict(),
        "regions": card.regions,
        "guidance": card.to_dict()["guidance"],
        "metrics": card.to_dict()["metrics"],
        "calibration": card.to_dict()["calibration"],
        "prior": model.mix and asdict(model.mix),
        "provenance": card.to_dict()["provenance"],
        "licence_of_data": licence_of_data(card),
        "warnings": WARNINGS,
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in entries.items()
        if value is not None
    }


def _differences(content: bytes, graph: CropClassifier) -> dict[str, float]:
    """Largest difference of each output between onnxruntime and torch, on random crops."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    source = np.random.default_rng(0)
    largest = dict.fromkeys(CropOutput._fields, 0.0)
    for batch in _BATCHES:
        crops = source.integers(0, 256, (batch, graph.size, graph.size, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(crops))
        for name, ours, theirs in zip(largest, expected, session.run(None, {INPUT: crops}), strict=True):
            difference = np.abs(ours.numpy() - theirs).max().item()
            largest[name] = float(np.maximum(largest[name], difference))  # keeps NaN
    return largest
