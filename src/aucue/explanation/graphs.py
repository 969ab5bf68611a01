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

GRAPH_SUFFIX = ".onnx"

_BATCH = 32  # faces in one pass


@dataclass(frozen=True, eq=False)
class GraphAnswer:
    """What an exported model says of one face.

    Attributes:
        expression: The most probable class.
        probabilities: Per class, in the model's order; they sum to 1.
        attention: Channel mean (h, w) of the layer that is shown.
        class_maps: Class map (h, w) in [0, 1] of each class.
        layer: The layer whose attention it is.
        action_units: Those that the codebook expects for the expression.
        codebook: Its name.
        face: The aligned face.
    """

    expression: str
    probabilities: Mapping[str, float]
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

    Raises:
        InputError: It is no ONNX file that aucue wrote.
    """

    def __init__(self, path: str | Path, reader: FaceReader | None = None) -> None:
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
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path} does not say what its classes are; give a file that 'aucue export' wrote."
            ) from error
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
        expression = self.classes[int(probabilities.argmax())]
        units = self.codebook.entries.get(expression, ())
        return GraphAnswer(
            expression,
            dict(zip(self.classes, probabilities.tolist(), strict=True)),
            attention[0],
            dict(zip(self.classes, maps, strict=True)),
            self.layer,
            tuple(self.codebook.action_units[number] for number in units),
            self.codebook.name,
            face,
        )


def is_graph(path: object) -> bool:
    """Whether this names an exported model."""
    return isinstance(path, str | Path) and Path(path).suffix.lower() == GRAPH_SUFFIX
