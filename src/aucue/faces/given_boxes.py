"""Faces in boxes that somebody has drawn, where a detector has found none."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError
from aucue.faces.detection import Detection, LandmarkDetector
from aucue.faces.mesh_detector import MeshDetector

Boxes = Sequence[Sequence[float]]


class GivenBoxes:
    """Reads the faces in given boxes with the face mesh, whichever way up; asks a detector elsewhere.

    Args:
        boxes: (left, top, right, bottom) of faces in pixels of the upright photograph, by its path or file
            name; or a list of them, for whatever photograph comes.
        detector: Finds the faces of photographs that are not named.

    Raises:
        InputError: A box is none.
    """

    def __init__(self, boxes: Mapping[str, Boxes] | Boxes, detector: LandmarkDetector | None = None) -> None:
        named = isinstance(boxes, Mapping)
        self._named = {os.fspath(name): _checked(its, name) for name, its in boxes.items()} if named else {}
        self._always = None if named else _checked(boxes, "every photograph")
        self._mesh = MeshDetector()
        self._detector = detector or self._mesh

    def __call__(self, image: NDArray[np.uint8], key: str | None = None) -> list[Detection]:
        """The faces of an image (H, W, 3) uint8 whose name is `key`."""
        boxes = self._always
        if key is not None and boxes is None:
            boxes = self._named.get(key, self._named.get(Path(key).name))
        return self._detector(image, key) if boxes is None else self._mesh.in_boxes(image, boxes)


def _checked(boxes: Boxes, whose: str) -> list[tuple[float, float, float, float]]:
    checked = []
    for box in boxes:
        numbers = np.asarray(box, dtype=object)
        try:
            left, top, right, bottom = (float(value) for value in numbers.ravel())
        except (TypeError, ValueError):
            left = top = right = bottom = np.nan
        if not (np.isfinite([left, top, right, bottom]).all() and left < right and top < bottom):
            raise InputError(
                f"The box {box} of {whose} is none; give left, top, right, bottom in pixels, left less than "
                "right and top less than bottom."
            )
        checked.append((left, top, right, bottom))
    return checked
