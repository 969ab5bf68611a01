"""Faces and 68 landmarks with dlib: HOG detector, regression-tree predictor (Kazemi & Sullivan 2014)."""

import importlib
import importlib.util
import logging
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from aucue.errors import MissingExtraError
from aucue.faces.detection import Detection

logger = logging.getLogger(__name__)

_MODEL = "models/shape_predictor_68_face_landmarks.dat"
_INSTALL = "install it with: pip install 'aucue[dlib]'"

# The HOG detector looks for faces of _LEAST pixels and more. Pictures are enlarged until the shorter side has
# _SHORT pixels and shrunk until the longer one has _LONG; the second, finer look ends at _FINEST, which
# bounds the time.
_LEAST, _SHORT, _LONG, _FINEST = 80, 240, 1600, 2400
# A face at least this share of the shorter side is a portrait: nobody smaller is searched for beside it, but
# see _portrait.
_PORTRAIT = 0.25
# Scores below 0 are accepted only where a face is known to be in the picture (full_frame).
_WEAK = -0.5

# dlib's detector keeps its scratch memory on the object, which all threads share.
_dlib_lock = threading.Lock()
_notice_given = threading.Event()


class _Dlib(NamedTuple):
    """The module, its detector and its predictor."""

    dlib: Any
    detector: Any
    predictor: Any


class DlibDetector:
    """dlib's frontal-face detector and its 68-point predictor; needs the extra `aucue[dlib]`.

    The picture is searched as it is; if nothing is found, or only faces that are small in it, at a finer
    scale; and if still nothing is found, with a black border, which helps where a face fills the picture.
    Heads tilted by more than about 20 degrees or turned to profile are mostly missed.

    Nothing of dlib is imported before the first call. May be shared by threads (one picture at a time) and
    sent to worker processes.

    Args:
        full_frame: Every picture is the crop of one face (FER-2013, RAF-DB). Then a weak detection (score
            down to -0.5) is better than none, only the surest face is returned, and where there is none the
            whole picture is taken as the box (`how` = "full-frame", no score). Leave this off for
            photographs: it finds a face in anything, and even on crops such landmarks are poor where the head
            is tilted or covered.

    Raises:
        MissingExtraError: dlib or its model package is not installed.
    """

    sees_pixels_alone = True

    def __init__(self, *, full_frame: bool = False) -> None:
        if importlib.util.find_spec("dlib") is None:
            raise MissingExtraError(f"The face detector dlib is not installed; {_INSTALL}.")
        self.full_frame = full_frame
        self._model = _model_path()
        _give_notice()

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        """Detect all faces of an image (H, W, 3) uint8; `key` is not used."""
        with _dlib_lock:
            if self.full_frame:
                return [self._surest(image)]
            return self._plain(image) or self._padded(image)

    def _plain(self, image: np.ndarray) -> list[Detection]:
        """Search the picture as it is, at one scale or two."""
        coarse, fine = _scales(image)
        found = self._detect(image, coarse)
        large = _portrait(image, coarse)
        if any(face.box[3] - face.box[1] >= large for face in found) or fine == coarse:
            return found
        finer = self._detect(image, fine)
        return finer if len(finer) > len(found) else found

    def _padded(self, image: np.ndarray, threshold: float = 0) -> list[Detection]:
        """Search with a border; two scales, because the detector's own steps between scales are coarse."""
        coarse, _ = _scales(image)
        found = self._detect(image, coarse, 0.2, threshold)
        return found or self._detect(image, coarse * 4 / 3, 0.3, threshold)

    def _surest(self, image: np.ndarray) -> Detection:
        """The one face of a crop, however it can be had."""
        found = self._plain(image) or self._padded(image) or self._padded(image, _WEAK)
        return max(found, key=lambda face: face.score) if found else self._whole(image)

    def _detect(
        self, image: np.ndarray, scale: float, margin: float = 0, threshold: float = 0
    ) -> list[Detection]:
        """Search the picture at a scale, extended on each side by `margin` (a share of its sides)."""
        seen, factors = _scaled(image, scale)
        pad_x, pad_y = (round(side * margin) for side in seen.shape[1::-1])
        seen = np.pad(seen, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)))
        shift = (pad_x, pad_y) / factors
        how = "padded" if margin else "plain"
        detector = _load(self._model).detector
        rectangles, scores, _ = detector.run(seen, 0, threshold)
        found = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            corners = (rectangle.left(), rectangle.top()), (rectangle.right() + 1, rectangle.bottom() + 1)
            left, top, right, bottom = (np.array(corners) / factors - shift).ravel().tolist()
            landmarks = (self._predict(seen, rectangle, factors) - shift).astype(np.float32)
            found.append(Detection((left, top, right, bottom), score, landmarks, how))
        return found

    def _whole(self, image: np.ndarray) -> Detection:
        height, width = image.shape[:2]
        dlib = _load(self._model).dlib
        seen, factors = _scaled(image, _scales(image)[0])
        rectangle = dlib.rectangle(0, 0, seen.shape[1] - 1, seen.shape[0] - 1)
        landmarks = self._predict(seen, rectangle, factors).astype(np.float32)
        return Detection((0.0, 0.0, float(width), float(height)), float("nan"), landmarks, "full-frame")

    def _predict(self, seen: np.ndarray, rectangle: Any, factors: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) for a box of the scaled picture, in pixels of the picture before scaling."""
        predictor = _load(self._model).predictor
        points = np.array([(point.x, point.y) for point in predictor(seen, rectangle).parts()])
        return (points + 0.5) / factors - 0.5


@cache
def _load(model: Path) -> _Dlib:
    """Once per process, so that readers sent to worker processes with every job stay cheap."""
    try:
        dlib: Any = importlib.import_module("dlib")
    except ImportError as error:
        raise MissingExtraError(f"dlib is installed but cannot be loaded ({error}); {_INSTALL}.") from error
    return _Dlib(dlib, dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model)))


def _scales(image: np.ndarray) -> tuple[float, float]:
    """Coarse and fine scale at which a picture (H, W, 3) is searched."""
    short, long = sorted(image.shape[:2])
    coarse = min(max(1.0, _SHORT / short), _LONG / long)
    # Where the picture was enlarged already, there is no finer detail to see.
    fine = coarse if coarse > 1 else min(2 * coarse, _FINEST / long)
    return coarse, fine


def _portrait(image: np.ndarray, scale: float) -> float:
    """Height in pixels of a face beside which nobody smaller is searched for, after a look at a scale."""
    short, long = sorted(image.shape[:2])
    # A long picture was shrunk: of faces that are barely seen in it, others of the same height are missed.
    return max(_PORTRAIT * short, min(_PORTRAIT * long, 2 * _LEAST / scale))


def _scaled(image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another scale, and the factors (x, y) that rounding its size has made of it."""
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    seen = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(seen), np.array(size) / (width, height)


def _model_path() -> Path:
    # The package's own __init__ imports pkg_resources, which setuptools no longer has: only its file is used.
    spec = importlib.util.find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _MODEL
        if path.is_file():
            return path
    raise MissingExtraError(
        f"The 68-point model of dlib (package face-recognition-models) is not installed; {_INSTALL}."
    )


def _give_notice() -> None:
    if not _notice_given.is_set():
        _notice_given.set()
        logger.warning(
            "dlib's 68-point landmark model was trained on iBUG 300-W, whose licence allows research but not "
            "commercial use; for other uses bring your own landmarks (PrecomputedDetector)"
        )
