"""Means per expression with O(1) state: the shell around ATT-COS, CAM-COS and every other per-image value."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from aucue.errors import InputError
from aucue.facs import NEUTRAL
from aucue.metrics.cosine import attention_cosine, cam_cosine

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
            f"{tuple(values.shape)}, {tuple(labels.shape)} and {tuple(valid.shape)}"
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


class _PerExpression(Metric):
    """Sums and counts per class; subclasses say which value of an image is added."""

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    total: Tensor
    count: Tensor

    def __init__(self, classes: Sequence[str], absent: Absent = "skip"):
        super().__init__()
        if absent not in ("skip", "fg2024"):
            raise InputError(f"absent must be 'skip' or 'fg2024', got {absent!r}")
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
