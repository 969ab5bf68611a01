"""CL: how often the expression is recognised, with everything the confusion matrix says."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from aucue.errors import InputError


def confusion_counts(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """How often class i (row) was called class j (column).

    Args:
        predictions: Class ids (B,).
        labels: True class ids (B,); images with a negative id are left out.
        num_classes: Number of classes K.

    Returns:
        Counts (K, K) int64.

    Raises:
        InputError: The shapes differ.
    """
    if predictions.shape != labels.shape or labels.ndim != 1:
        raise InputError(
            "predictions and labels must have shape (B,), got "
            f"{tuple(predictions.shape)} and {tuple(labels.shape)}"
        )
    counts = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=labels.device)
    cell = labels.clamp(min=0) * num_classes + predictions
    return counts.index_add(0, cell, (labels >= 0).long()).reshape(num_classes, num_classes)


def classification_report(confusion: Tensor) -> dict[str, Tensor]:
    """Figures of a confusion matrix.

    Args:
        confusion: Counts (K, K), rows true, columns predicted.

    Returns:
        `accuracy` = correct / all; `balanced_accuracy` = mean recall and `macro_f1` = mean of
        2 TP / (2 TP + FP + FN), both over the classes that occur (macro F1: as label or as prediction, like
        scikit-learn); `recall`, `precision`, `f1` (K,), `support` (K,) int64; `confusion` (K, K) with rows
        divided by their sum, `counts` (K, K) int64. NaN where a figure has no image to speak of.
    """
    counts = confusion.double()
    hits, true, called = counts.diagonal(), counts.sum(1), counts.sum(0)
    recall = hits / true  # 0 / 0 = NaN
    f1 = 2 * hits / (true + called)
    return {
        "accuracy": hits.sum() / counts.sum(),
        "balanced_accuracy": recall.nanmean(),
        "macro_f1": f1.nanmean(),
        "recall": recall,
        "precision": hits / called,
        "f1": f1,
        "support": confusion.sum(1),
        "confusion": counts / true.unsqueeze(1),
        "counts": confusion,
    }


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
