"""Photograph -> Face: detection, 68 landmarks (iBUG), alignment to a square crop."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use
from aucue.faces.alignment import (
    TEMPLATES,
    Template,
    invert,
    rescaled,
    similarity,
    transform_points,
    warp,
)
from aucue.faces.detection import Detection, LandmarkDetector, overlap
from aucue.faces.detectors import (
    DEFAULT_DETECTOR,
    DETECTORS,
    check_detector,
    is_table,
    no_detector,
    open_detector,
)
from aucue.faces.distances import unit_distances
from aucue.faces.dlib_detector import DlibDetector
from aucue.faces.given_boxes import GivenBoxes
from aucue.faces.landmarks import (
    BROWS,
    CHIN,
    EYES,
    INNER_LIP,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_HALF,
    LEFT_MOUTH_CORNER,
    MIRROR,
    MOUTH,
    NOSE,
    NOSE_BRIDGE,
    NOSE_TIP,
    NOSTRILS,
    NUM_LANDMARKS,
    OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_MOUTH_CORNER,
    check_landmarks,
    eye_centres,
    inter_ocular_distance,
)
from aucue.faces.mesh_detector import MeshDetector
from aucue.faces.photographs import (
    PHOTO_SUFFIXES,
    UNREADABLE_SUFFIXES,
    Photograph,
    open_picture,
    read_image,
    read_reduced,
)
from aucue.faces.pose import Pose
from aucue.faces.reader import Face, FaceReader

if TYPE_CHECKING:
    from aucue.faces.precomputed import PrecomputedDetector

__all__ = [
    "Face",
    "FaceReader",
    "Detection",
    "Pose",
    "LandmarkDetector",
    "overlap",
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "check_detector",
    "is_table",
    "no_detector",
    "open_detector",
    "MeshDetector",
    "GivenBoxes",
    "DlibDetector",
    "PrecomputedDetector",
    "Photograph",
    "open_picture",
    "read_image",
    "read_reduced",
    "PHOTO_SUFFIXES",
    "UNREADABLE_SUFFIXES",
    "Template",
    "TEMPLATES",
    "similarity",
    "transform_points",
    "invert",
    "rescaled",
    "warp",
    "NUM_LANDMARKS",
    "MIRROR",
    "JAW",
    "BROWS",
    "LEFT_BROW",
    "RIGHT_BROW",
    "NOSE",
    "NOSE_BRIDGE",
    "NOSTRILS",
    "EYES",
    "LEFT_EYE",
    "LEFT_HALF",
    "RIGHT_EYE",
    "MOUTH",
    "OUTER_LIP",
    "INNER_LIP",
    "CHIN",
    "NOSE_TIP",
    "LEFT_MOUTH_CORNER",
    "RIGHT_MOUTH_CORNER",
    "check_landmarks",
    "eye_centres",
    "inter_ocular_distance",
    "unit_distances",
]

__getattr__ = on_first_use(__name__, {"precomputed": ("PrecomputedDetector",)})  # pyarrow takes .2 s
