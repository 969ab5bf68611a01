"""How many of the training faces a guidance can guide, which is said before the first epoch."""

import logging
from typing import NamedTuple

import torch

from aucue.data import FaceDataset
from aucue.errors import InputError
from aucue.training.objective import Objective

logger = logging.getLogger(__name__)

FEW = 0.1
"""Share of the faces whose expression has action units below which a training is warned of."""

_AT_ONCE, _GRID = 1024, (32, 32)  # faces; cells where cues are drawn at the input's size, to save time


class GuidedShare(NamedTuple):
    """Faces of the training.

    Attributes:
        faces: all of them.
        with_action_units: those whose expression has action units.
        guided: those of these that can be guided: landmarks are known, and regions lie inside the picture.
    """

    faces: int
    with_action_units: int
    guided: int

    def warn(self) -> None:
        """Say so where few faces can be guided."""
        if self.guided < FEW * self.with_action_units:
            logger.warning(
                "guidance: of %d training faces whose expression has action units only %d (%.1f %%) can be "
                "guided; the others have no usable landmarks",
                self.with_action_units,
                self.guided,
                100 * self.guided / self.with_action_units,
            )


def guided_share(objective: Objective, training: FaceDataset, size: int) -> GuidedShare:
    """Count the faces that can be guided.

    Args:
        objective: What guides.
        training: The faces.
        size: Side of the stored crops.

    Raises:
        InputError: There is none.
    """
    labels, landmarks = torch.from_numpy(training.labels), torch.from_numpy(training.landmarks)
    cue = objective.cue
    expressions = [i for i, name in enumerate(cue.classes) if cue.codebook[name]]
    has_units = torch.isin(labels, torch.tensor(expressions, dtype=labels.dtype))
    rows = (has_units & torch.from_numpy(training.landmarks_valid)).nonzero().flatten()
    _, height, width = objective.classifier.shapes[objective.layers[-1]]
    grid = _GRID if objective.settings.cue_size == "input" else (height, width)
    guided = sum(
        int(cue(landmarks[part], labels[part], (size, size), grid).valid.sum())
        for part in rows.split(_AT_ONCE)
    )
    share = GuidedShare(len(labels), int(has_units.sum()), guided)
    if not guided:
        raise InputError(
            f"guidance: none of {len(labels)} training faces can be guided: {_why(share, rows)}."
        )
    return share


def _why(share: GuidedShare, rows: torch.Tensor) -> str:
    off = "or set guidance.weight, class_map and contrast to 0"
    if not share.with_action_units:
        return (
            f"the codebook gives none of their expressions action units; take other faces or codebook, {off}"
        )
    if not len(rows):
        return f"their landmarks are not known; prepare the set with a detector, {off}"
    return f"all regions lie outside of the pictures; see aucue cue, {off}"
