"""What a set knows of the action units of its faces, beside their labels."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aucue.data import FaceDataset
from aucue.faces import unit_distances
from aucue.rendering.showing import NOISE_INTENSITY


def active_units(dataset: FaceDataset, units: Sequence[int]) -> NDArray[np.float64]:
    """Which action units are active on each face: those stronger than `NOISE_INTENSITY`.

    A set knows that where its faces have the attribute "action_units", intensities in [0, 1] by unit:
    `{"AU6": 0.4, "AU12": 0.8}`, as rendered faces do.

    Args:
        dataset: Faces.
        units: FACS numbers.

    Returns:
        (N, units): 0 or 1, NaN where nothing is known of a unit.
    """
    known = [_intensities(text) for text in dataset.column("attributes")]
    names = [f"AU{unit}" for unit in units]
    found = np.array([[face.get(name, np.nan) for name in names] for face in known], dtype=np.float64)
    found = found.reshape(len(known), len(names))
    return np.where(np.isnan(found), np.nan, found > NOISE_INTENSITY)


def seen_by_landmarks(dataset: FaceDataset, units: Sequence[int]) -> NDArray[np.float64]:
    """How much landmarks show of each action unit, see `aucue.faces.unit_distances`.

    Args:
        dataset: Faces.
        units: FACS numbers.

    Returns:
        (N, units), NaN for units that landmarks do not tell, and for faces whose landmarks are unknown.
    """
    distances = unit_distances(dataset.landmarks)
    unknown = np.full(len(dataset.landmarks), np.nan)
    columns = np.stack([distances.get(unit, unknown) for unit in units], axis=1)
    return np.where(dataset.landmarks_valid[:, None], columns, np.nan)


def _intensities(attributes: str | None) -> Mapping[str, float]:
    """Those of one face by unit; nothing where its attribute of that name is something else."""
    found = json.loads(attributes).get("action_units") if attributes else None
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if type(value) in (int, float)}
