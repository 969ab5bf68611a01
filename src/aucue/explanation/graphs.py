"""An exported model (ONNX) on photographs, without torch: faces are found, aligned and named."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.errors import InputError, said
from aucue.faces import Face, FaceReader
from aucue.faces.photographs import Photograph
from aucue.facs import ActionUnit, Codebook
from aucue.models.calibration import CalibrationRecord, Prior, PriorRecord, Scale, scale_of, shifts_for

GRAPH_SUFFIX = ".onnx"

_BATCH = 32  # faces in one pass


@dataclass(frozen=True, eq=False)
class GraphAnswer:
    """What an exported model says of one face.

    Attributes:
        expression: The most probable class.
        probabilities: Per class, in the model's order; they sum to 1.
        votes: Share of voters that the model expects to name each class, of a model that was trained on votes
            and calibrated; else the probabilities.
        calibrated: Whether probabilities were made chances of being right on held-out faces.
        attention: Channel mean (h, w) of the layer that is shown.
        class_maps: Class map (h, w) in [0, 1] of each class.
        layer: The layer whose attention it is.
        action_units: Those that the codebook expects for the expression.
        codebook: Its name.
        face: The aligned face.
    """

    expression: str
    probabilities: Mapping[str, float]
    votes: Mapping[str, float]
    calibrated: bool
    attention: NDArray[np.float32]
    class_maps: Mapping[str, NDArray[np.float32]]
    layer: str
    action_units: tuple[ActionUnit, ...]
    codebook: str
    face: Face

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, named as `Explanation.to_dict` does; without what is measured on maps."""
        return {
            "expression": self.expression,
            "answer": self.expression,
            "probabilities": dict(self.probabilities),
            "votes": dict(self.votes),
            "calibrated": self.calibrated,
            "action_units": [{"number": unit.number, "name": unit.name} for unit in self.action_units],
            "codebook": self.codebook,
            "layer": self.layer,
            "face": self.face.to_dict(),
        }


class GraphExplainer:
    """Names the expressions of faces in photographs with a file that `aucue export` wrote.

    Needs onnxruntime alone; an `Explainer` of the model file gives the same probabilities and maps, and
    measures them.

    Args:
        path: The ONNX file.
        reader: Finds and aligns faces; default the mesh detector with the template of the model.
        prior: Mix of expressions that answers are given for: `natural`, `even`, a file of shares or shares by
            class; by default the answers are those of the file.

    Raises:
        InputError: It is no ONNX file that aucue wrote, or the prior cannot be used.
    """

    def __init__(
        self, path: str | Path, reader: FaceReader | None = None, *, prior: Prior | None = None
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            about = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime has no common error
            raise InputError(
                f"{path} is no ONNX file that can be used: {said(error, first_line=True)}."
            ) from error
        try:
            self.classes = tuple(json.loads(about["classes"]))
            self.input_size, self.layer = int(about["input_size"]), about["layer"]
            codebook = json.loads(about["codebook"])
            known = {name: json.loads(about.get(name, "null")) for name in ("calibration", "prior")}
            calibration = CalibrationRecord(**known["calibration"]) if known["calibration"] else None
            mix = PriorRecord(**known["prior"]) if known["prior"] else None
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path} does not say what its classes are; give a file that 'aucue export' wrote."
            ) from error
        self.calibrated = calibration is not None
        self.scale = scale_of(calibration, shifts_for(mix, self.classes, prior))
        self.codebook = Codebook.from_content(codebook, str(path))
        template = about.get("template", "aucue")
        self.reader = reader or FaceReader(size=max(224, self.input_size), template=template)

    def __call__(self, photo: Photograph | Face, key: str | None = None) -> list[GraphAnswer]:
        """Name the expression of every face of a photograph, or of one face.

        Args:
            photo: Anything a `FaceReader` takes, or an aligned face.
            key: Name of the photograph for detectors that look it up.

        Returns:
            One answer per face, largest face first.
        """
        return self.faces([photo] if isinstance(photo, Face) else self.reader(photo, key))

    def faces(self, faces: Sequence[Face]) -> list[GraphAnswer]:
        """Name the expressions of aligned faces."""
        answers = []
        for start in range(0, len(faces), _BATCH):
            batch = faces[start : start + _BATCH]
            crops = np.stack([self._crop(face) for face in batch])
            answers += map(self._answer, batch, *self._session.run(None, {"crops": crops}))
        return answers

    def _crop(self, face: Face) -> NDArray[np.uint8]:
        side = (self.input_size, self.input_size)
        return np.asarray(Image.fromarray(face.crop).resize(side, Image.Resampling.BILINEAR))

    def _answer(self, face: Face, probabilities: NDArray, attention: NDArray, maps: NDArray) -> GraphAnswer:
        probabilities, votes = _rescaled(probabilities, self.scale)
        expression = self.classes[int(probabilities.argmax())]
        units = self.codebook.entries.get(expression, ())
        return GraphAnswer(
            expression,
            dict(zip(self.classes, probabilities.tolist(), strict=True)),
            dict(zip(self.classes, votes.tolist(), strict=True)),
            self.calibrated,
            attention[0],
            dict(zip(self.classes, maps, strict=True)),
            self.layer,
            tuple(self.codebook.action_units[number] for number in units),
            self.codebook.name,
            face,
        )


def _rescaled(probabilities: NDArray, scale: Scale) -> tuple[NDArray, NDArray]:
    """Calibrated probabilities (K,) brought to a mix of expressions, and the shares of voters behind them."""
    with np.errstate(divide="ignore"):  # log 0 is -inf, of which the softmax is 0 again
        logits = scale.temperature * np.log(probabilities.astype(np.float64))
    if scale.shifts:
        logits = logits + np.array(scale.shifts)
        probabilities = _softmax(logits / scale.temperature)
    return probabilities, _softmax(logits) if scale.voters else probabilities


def _softmax(logits: NDArray) -> NDArray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def is_graph(path: object) -> bool:
    """Whether this names an exported model."""
    return isinstance(path, str | Path) and Path(path).suffix.lower() == GRAPH_SUFFIX
