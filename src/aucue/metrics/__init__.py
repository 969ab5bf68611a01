"""Measures: ATT-COS, CAM-COS, accuracy, and the controls that say how much of a cosine is free.

Per-image values are plain functions; the classes around them are torchmetrics with sums and counts as state.
"""

from aucue.metrics.classification import ClassificationReport, classification_report, confusion_counts
from aucue.metrics.controls import (
    CONTROLS,
    MeanCues,
    centred_gaussian,
    control_cosines,
    uniform_map,
)
from aucue.metrics.cosine import attention_at, attention_cosine, cam_at, cam_cosine, map_cosine
from aucue.metrics.per_expression import ATTCOS, CAMCOS, ExpressionMean, expression_means, expression_sums
from aucue.metrics.specificity import is_specific

__all__ = [
    "ATTCOS",
    "CAMCOS",
    "CONTROLS",
    "ClassificationReport",
    "ExpressionMean",
    "MeanCues",
    "attention_at",
    "attention_cosine",
    "cam_at",
    "cam_cosine",
    "centred_gaussian",
    "classification_report",
    "confusion_counts",
    "control_cosines",
    "expression_means",
    "expression_sums",
    "is_specific",
    "map_cosine",
    "uniform_map",
]
