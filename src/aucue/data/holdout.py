"""Part of a data set held out: every class in its share, no person on both sides."""

import numpy as np

from aucue.data.prepared import FaceDataset
from aucue.data.sources.splitting import draw, group_members
from aucue.errors import InputError


def split_holdout(dataset: FaceDataset, fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Choose samples to hold out.

    Persons (a sample without one counts as a person of its own) are drawn in random order; one is held out
    if that brings the class counts nearer to the wanted ones.

    Args:
        dataset: Any split; labels and persons are looked at, images are not.
        fraction: Share of every class to hold out, between 0 and 1 (exclusive); at least one sample of a
            class that has two or more, if persons allow.
        seed: Of the draw; the same one gives the same samples.

    Returns:
        Indices in the data set that are kept, and those held out, each ascending.

    Raises:
        InputError: The fraction is not between 0 and 1, or one side would be empty.
    """
    if not 0 < fraction < 1:
        raise InputError(f"The share to hold out must lie between 0 and 1, got {fraction}.")
    labels = dataset.labels
    held = draw(labels, group_members(dataset.column("person")), fraction, seed)
    if held.all() or not held.any():
        raise InputError(
            f"{fraction} of {len(labels)} samples cannot be held out: one side would be empty; add samples "
            "or name a validation split."
        )
    return np.flatnonzero(~held), np.flatnonzero(held)
