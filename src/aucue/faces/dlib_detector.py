"""Faces and 68 landmarks with dlib: HOG detector, regression-tree predictor (Kazemi & Sullivan 2014)."""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aucue.errors import MissingExtraError
from aucue.faces.detection import Detection

logger = logging.getLogger(__name__)

_MODEL = "models/shape_predictor_68_face_landmarks.dat"
_INSTALL = "install it with: pip install 'aucue[dlib]'"
_notice_given = threading.Event()


class DlibDetector:
    """dlib's frontal-face detector and its 68-point predictor.

    Needs the extra `aucue[dlib]`. Nothing of it is imported before the first call, and copies in worker processes
    load their own.

    Args:
        full_frame: Take the whole picture as the box where no face is found. Only for data sets whose pictures are
            face crops (FER-2013, RAF-DB): on any other photograph it "finds" a face in everything, and even on
            crops its points are poor on tilted or covered faces. Such faces say `how` = "full-frame".

    Raises:
        MissingExtraError: dlib or the model package is not installed.
    """

    def __init__(self, *, full_frame: bool = False) -> None:
        if importlib.util.find_spec("dlib") is None:
            raise MissingExtraError(f"the face detector dlib is not installed; {_INSTALL}")
        self.full_frame = full_frame
        self._model = _model_path()
        self._loaded: tuple[Any, Any, Any] | None = None
        self._lock = threading.Lock()
        _give_notice()

    def __getstate__(self) -> dict[str, Any]:
        return {"full_frame": self.full_frame, "_model": self._model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._loaded = None
        self._lock = threading.Lock()

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        """Detect all faces of an image (H, W, 3) uint8; `key` is not used."""
        with self._lock:  # dlib's detector keeps its scratch memory on the object
            for how, margin, scale in _attempts(image.shape[0], image.shape[1]):
                found = self._detect(image, how, margin, scale)
                if found:
                    return found
            return [self._whole(image)] if self.full_frame else []

    def _load(self) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            try:
                dlib = importlib.import_module("dlib")
            except ImportError as error:
                raise MissingExtraError(
                    f"the face detector dlib cannot be loaded ({error}); {_INSTALL}"
                ) from error
            self._loaded = dlib, dlib.get_frontal_face_detector(), dlib.shape_predictor(str(self._model))
        return self._loaded

    def _detect(self, image: np.ndarray, how: str, margin: float, scale: float) -> list[Detection]:
        """Run the detector on the picture, extended by `margin` (a share of its sides) and scaled."""
        pad_y, pad_x = round(image.shape[0] * margin), round(image.shape[1] * margin)
        canvas = np.pad(image, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="edge")
        view, factors = _scaled(canvas, scale)
        _, detector, _ = self._load()
        boxes, scores, _ = detector.run(view, 0, 0.0)
        found = []
        for rectangle, score in zip(boxes, scores, strict=True):
            corners = (rectangle.left(), rectangle.top()), (rectangle.right() + 1, rectangle.bottom() + 1)
            (left, top), (right, bottom) = np.array(corners) / factors - (pad_x, pad_y)
            landmarks = self._predict(view, rectangle, factors) - (pad_x, pad_y)
            box = (float(left), float(top), float(right), float(bottom))
            found.append(Detection(box, float(score), landmarks.astype(np.float32), how))
        return found

    def _whole(self, image: np.ndarray) -> Detection:
        height, width = image.shape[:2]
        dlib, _, _ = self._load()
        view, factors = _scaled(image, _working_scale(height, width))
        landmarks = self._predict(view, dlib.rectangle(0, 0, view.shape[1] - 1, view.shape[0] - 1), factors)
        return Detection(
            (0.0, 0.0, float(width), float(height)), float("nan"), landmarks.astype(np.float32), "full-frame"
        )

    def _predict(self, view: np.ndarray, rectangle: Any, factors: np.ndarray) -> np.ndarray:
        """68 points (68, 2) for a box of the scaled picture, in pixels of the picture before scaling."""
        _, _, predictor = self._load()
        shape = predictor(view, rectangle)
        points = np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)
        return (points + 0.5) / factors - 0.5


def _working_scale(height: int, width: int) -> float:
    longest = max(height, width)
    return min(max(longest, 320), 1200) / longest


def _attempts(height: int, width: int) -> Iterator[tuple[str, float, float]]:
    """Ways to look at a picture, each (how, margin, scale), cheapest and most trustworthy first."""
    scale = _working_scale(height, width)
    yield "plain", 0.0, scale
    yield "plain", 0.0, 2 * scale
    yield "padded", 0.3, scale


def _scaled(image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another scale, and the factors (x, y) that were really applied."""
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    view = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(view), np.array(size) / (width, height)


def _model_path() -> Path:
    # The package's own __init__ imports pkg_resources, which setuptools no longer has: only its file is used.
    spec = importlib.util.find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _MODEL
        if path.is_file():
            return path
    raise MissingExtraError(
        f"dlib's 68-point model (package face-recognition-models) is not installed; {_INSTALL}"
    )


def _give_notice() -> None:
    if not _notice_given.is_set():
        _notice_given.set()
        logger.warning(
            "dlib's 68-point landmark model was trained on iBUG 300-W, whose licence allows research but not "
            "commercial use; for other uses bring your own landmarks (PrecomputedDetector)"
        )
