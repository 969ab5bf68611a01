"""Measures over a set as torchmetrics, for a training of one's own: sums and counts as state.

Importing torchmetrics takes longer than importing torch, which is why nothing else here does.
"""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from aucue._quickly import torchmetrics  # noqa: F401  (first: whoever imports it after this finds it)

# isort: split
from torchmetrics import Metric

from aucue.facs import NEUTRAL
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.metrics.cosine import attention_cosine, cam_cosine
from aucue.metrics.per_expression import Absent, expression_means, expression_sums
from aucue.work.tables import check_among


class ClassificationReport(Metric):
    """Accuracy, balanced accuracy, macro F1 and confusion matrix; the state is the matrix of counts.

    Args:
        classes: Names of the classes, in the order of their ids.

    Example:
        >>> import torch
        >>> report = ClassificationReport(("neutral", "happiness"))
        >>> report.update(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 0, 1]))
        >>> {name: round(report.compute()[name].item(), 3) for name in ("accuracy", "balanced_accuracy")}
        {'accuracy': 0.5, 'balanced_accuracy': 0.667}
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    counts: Tensor

    def __init__(self, classes: Sequence[str]):
        super().__init__()
        self.classes = tuple(classes)
        size = len(self.classes)
        self.add_state("counts", torch.zeros(size, size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            predictions: Class ids (B,), or logits or probabilities (B, K), of which the largest counts.
            labels: True class ids (B,); images with a negative id are left out.
        """
        if predictions.ndim == 2:
            predictions = predictions.argmax(dim=1)
        self.counts += confusion_counts(predictions, labels, len(self.classes))

    def compute(self) -> dict[str, Tensor]:
        """See `classification_report`."""
        return classification_report(self.counts)


class _PerExpression(Metric):
    """Sums and counts per class; subclasses say which value of an image is added."""

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    total: Tensor
    count: Tensor

    def __init__(self, classes: Sequence[str], absent: Absent = "skip"):
        super().__init__()
        check_among(absent, get_args(Absent), "absent")
        self.classes = tuple(classes)
        self.absent: Absent = absent
        self.neutral = self.classes.index(NEUTRAL) if NEUTRAL in self.classes else None
        self.add_state("total", torch.zeros(len(self.classes), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(len(self.classes), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: Tensor, labels: Tensor, valid: Tensor | None) -> None:
        sums, counts = expression_sums(values, labels, valid, len(self.classes))
        self.total += sums
        self.count += counts

    def compute(self) -> dict[str, Tensor]:
        """`macro`, `micro`, `per_class` (K,) and `count` (K,), see `expression_means`."""
        return expression_means(self.total, self.count, self.absent, self.neutral)


class ExpressionMean(_PerExpression):
    """Mean of a per-image value: macro = mean over expressions of the mean over their images.

    State: one sum (float64) and one count per class, so memory does not grow with the number of images, the
    result does not depend on batches, and data-parallel runs are merged exactly.

    Args:
        classes: Names of the classes, in the order of their ids.
        absent: "skip" leaves expressions without a valid image out of the macro average; "fg2024" counts them
            as -1 as the published code does (parity only).

    Example:
        >>> import torch
        >>> mean = ExpressionMean(("neutral", "happiness", "fear"))
        >>> mean.update(torch.tensor([0.5, 0.7, 0.2]), torch.tensor([1, 1, 2]))
        >>> round(mean.compute()["macro"].item(), 3)
        0.4
    """

    def update(self, values: Tensor, labels: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            values: One value per image (B,).
            labels: Class ids (B,); negative ids are left out.
            valid: Which images take part (B,); default all.
        """
        self._add(values, labels, valid)


class ATTCOS(_PerExpression):
    """ATT-COS of one layer over a set: mean per expression of cos(attention, cue).

    See `attention_cosine` for the value of one image and `ExpressionMean` for state and arguments.
    """

    def update(self, attention: Tensor, cue: Tensor, labels: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            attention: Channel means of the layer (B, 1, h, w).
            cue: AU maps (B, 1, H, W) in [0, 1].
            labels: Class ids (B,).
            valid: Which images have a cue (B,).
        """
        self._add(attention_cosine(attention, cue), labels, valid)


class CAMCOS(_PerExpression):
    """CAM-COS over a set: mean per expression of cos(class map, cue).

    See `cam_cosine` for the value of one image and `ExpressionMean` for state and arguments.
    """

    def update(self, cam: Tensor, cue: Tensor, labels: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            cam: Normalised class maps (B, 1, h, w) in [0, 1], of the true or of the predicted class.
            cue: AU maps (B, 1, H, W) in [0, 1] of the true expression.
            labels: Class ids (B,) of the true expression.
            valid: Which images have a cue (B,).
        """
        self._add(cam_cosine(cam, cue), labels, valid)
