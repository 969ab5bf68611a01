"""Detectors by name: the one place that says which there are, and which is used where nobody chooses."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from aucue.errors import InputError
from aucue.faces.detection import Detection, LandmarkDetector
from aucue.faces.dlib_detector import DlibDetector
from aucue.faces.mesh_detector import MeshDetector

DEFAULT_DETECTOR = "mesh"

TABLE_SUFFIXES = (".csv", ".parquet")
"""Endings of tables of known landmarks, which may stand where a detector is named."""


def no_detector(image: np.ndarray, key: str | None = None) -> list[Detection]:
    """A landmark detector that finds nothing."""
    return []


DETECTORS: Mapping[str, Callable[[], LandmarkDetector]] = MappingProxyType(
    {
        "mesh": MeshDetector,
        "mesh-full-frame": partial(MeshDetector, full_frame=True),
        "dlib": DlibDetector,
        "dlib-full-frame": partial(DlibDetector, full_frame=True),
        "none": lambda: no_detector,
    }
)
"""What makes each; full-frame ones take the whole picture as the face where they find none."""


def check_detector(detector: str | LandmarkDetector) -> None:
    """Refuse a name that is none; nothing is opened.

    Raises:
        InputError: There is no such detector.
    """
    if isinstance(detector, str) and detector not in DETECTORS and not is_table(detector):
        raise InputError(
            f"Unknown detector '{detector}'; use {', '.join(DETECTORS)}, or a table of landmarks (.csv or "
            ".parquet)."
        )


def open_detector(detector: str | os.PathLike[str] | LandmarkDetector | None = None) -> LandmarkDetector:
    """A detector by its name, a table of known landmarks, or one that is made already.

    Args:
        detector: A name in `DETECTORS`, a .csv or .parquet table, or a detector; None takes the default.

    Raises:
        InputError: There is no such detector, or the table cannot be used.
        MissingExtraError: The detector is dlib, and it is not installed.
    """
    if detector is None:
        detector = DEFAULT_DETECTOR
    if not isinstance(detector, str | os.PathLike):
        return detector
    name = os.fspath(detector)
    check_detector(name)
    if not is_table(name):
        return DETECTORS[name]()
    from aucue.faces.precomputed import PrecomputedDetector  # reads tables with pyarrow, .2 s

    return PrecomputedDetector(name)


def told_apart(detector: str | LandmarkDetector) -> str | Mapping[str, str]:
    """What tells a detector from others in settings: its name; of a table of landmarks name and content.

    Args:
        detector: A name that is no table's, or a detector. What a subclass does, the table does not say: it
            goes by its own name, as all detectors that are made elsewhere do.
    """
    if isinstance(detector, str):
        return detector
    if detector is no_detector:
        return "none"
    if "provenance" in vars(type(detector)):
        return detector.provenance  # pyright: ignore[reportAttributeAccessIssue]
    return getattr(detector, "__qualname__", type(detector).__qualname__)


def is_table(name: str) -> bool:
    """Whether a name stands for a table of landmarks."""
    return Path(name).suffix.lower() in TABLE_SUFFIXES
