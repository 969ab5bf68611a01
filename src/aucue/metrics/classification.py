"""CL: how often the expression is recognised, with everything the confusion matrix says."""

import torch
from torch import Tensor

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
            f"{tuple(predictions.shape)} and {tuple(labels.shape)}."
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
