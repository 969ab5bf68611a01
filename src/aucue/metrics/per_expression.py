"""Means per expression, of ATT-COS, CAM-COS and every other value of an image."""

from typing import Literal

import torch
from torch import Tensor

from aucue.errors import InputError

Absent = Literal["skip", "fg2024"]


def expression_sums(
    values: Tensor, labels: Tensor, valid: Tensor | None, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Sum and number of the valid values of each class.

    Args:
        values: One value per image (B,).
        labels: Class ids (B,); a negative id (unknown expression) leaves the image out.
        valid: Which images take part (B,) bool; default all.
        num_classes: Number of classes K.

    Returns:
        Sums (K,) float64 and counts (K,) int64.

    Raises:
        InputError: The shapes differ.
    """
    valid = torch.ones_like(labels, dtype=torch.bool) if valid is None else valid
    if values.ndim != 1 or values.shape != labels.shape or values.shape != valid.shape:
        raise InputError(
            "values, labels and valid must have shape (B,), got "
            f"{tuple(values.shape)}, {tuple(labels.shape)} and {tuple(valid.shape)}."
        )
    kept = valid.bool() & (labels >= 0)
    sums = torch.zeros(num_classes, dtype=torch.float64, device=values.device)
    counts = torch.zeros(num_classes, dtype=torch.int64, device=values.device)
    # Multiplying by `kept` instead of torch.where would let the NaN of an excluded image through.
    contributions = torch.where(kept, values.detach().double(), 0.0)
    index = labels.clamp(min=0)
    return sums.index_add(0, index, contributions), counts.index_add(0, index, kept.long())


def expression_means(
    sums: Tensor, counts: Tensor, absent: Absent = "skip", neutral: int | None = None
) -> dict[str, Tensor]:
    """Macro average, micro average and means per class.

    Args:
        sums: Sums per class (K,).
        counts: Counts per class (K,).
        absent: What an expression without any valid image counts in the macro average: nothing ("skip"), or
            -1 as in the published code ("fg2024").
        neutral: Index of the neutral class, which is never "absent": it has no cue.

    Returns:
        `macro` (mean of the class means) and `micro` (mean over images), NaN if no image took part;
        `per_class` (K,), NaN where a class has no valid image; `count` (K,) int64.
    """
    per_class = sums / counts  # 0 / 0 = NaN
    present = counts > 0
    if absent == "fg2024":
        expressions = [k for k in range(len(counts)) if k != neutral]
        macro = torch.where(present, per_class, -1.0)[expressions].mean()
    else:
        macro = per_class[present].mean()
    return {"macro": macro, "micro": sums.sum() / counts.sum(), "per_class": per_class, "count": counts}
