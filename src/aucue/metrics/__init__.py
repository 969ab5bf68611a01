"""Measures: ATT-COS, CAM-COS, accuracy, the controls that say how much of a cosine is free, and evidence:
does the decision depend on what a map shows?

Values of an image are plain functions. `ATTCOS`, `CAMCOS`, `ExpressionMean` and `ClassificationReport` are
torchmetrics around them; torchmetrics is imported when one of these is first used.
"""

from typing import TYPE_CHECKING, Any

from aucue.metrics.bootstrap import REPLICATES, percentile_interval, resampled_means, resamples
from aucue.metrics.calibration import BINS, calibration_error, fit_temperature, reliability
from aucue.metrics.causal import (
    FAINT,
    auroc,
    auroc_wins,
    cost_of_first,
    evidence_in,
    evidence_left,
    first_is_dearest,
    is_faint,
    log_odds_map,
    log_odds_of,
    unit_rank_correlation,
)
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.metrics.controls import (
    CONTROLS,
    MeanCues,
    centred_gaussian,
    control_cosines,
    grid_ceiling,
    uniform_map,
    wrong_expressions,
)
from aucue.metrics.cosine import attention_at, attention_cosine, cam_at, cam_cosine, map_cosine
from aucue.metrics.deletion import (
    STEPS,
    Predict,
    area_under_curve,
    deletion_curve,
    insertion_curve,
    pixel_ranks,
)
from aucue.metrics.fills import FILLS, blur_fill, flat_fill, mean_fill
from aucue.metrics.occlusion import (
    blank_pixels,
    face_region,
    points_hull,
    probability_losses,
    random_regions,
    region_of,
    regions_of,
)
from aucue.metrics.per_expression import expression_means, expression_sums
from aucue.metrics.pointing import energy_inside, points_inside
from aucue.metrics.randomisation import Stage, randomised, rank_correlation, stages
from aucue.metrics.regions import RegionEvidence, region_evidence
from aucue.metrics.specificity import is_specific, specificity_margin
from aucue.metrics.stability import CHANGES, Change
from aucue.metrics.within import FEWEST, Resampled, resampled_auroc, resampled_rank_correlation

if TYPE_CHECKING:
    from aucue.metrics.accumulated import ATTCOS, CAMCOS, ClassificationReport, ExpressionMean

__all__ = [
    "BINS",
    "ATTCOS",
    "CAMCOS",
    "CHANGES",
    "CONTROLS",
    "FAINT",
    "FILLS",
    "FEWEST",
    "STEPS",
    "Change",
    "ClassificationReport",
    "ExpressionMean",
    "MeanCues",
    "Predict",
    "REPLICATES",
    "RegionEvidence",
    "Resampled",
    "Stage",
    "area_under_curve",
    "attention_at",
    "attention_cosine",
    "auroc",
    "auroc_wins",
    "blank_pixels",
    "blur_fill",
    "calibration_error",
    "cam_at",
    "cam_cosine",
    "centred_gaussian",
    "classification_report",
    "confusion_counts",
    "control_cosines",
    "cost_of_first",
    "deletion_curve",
    "energy_inside",
    "evidence_in",
    "evidence_left",
    "face_region",
    "expression_means",
    "expression_sums",
    "first_is_dearest",
    "fit_temperature",
    "flat_fill",
    "grid_ceiling",
    "insertion_curve",
    "is_faint",
    "is_specific",
    "log_odds_map",
    "log_odds_of",
    "map_cosine",
    "mean_fill",
    "percentile_interval",
    "pixel_ranks",
    "points_hull",
    "points_inside",
    "probability_losses",
    "random_regions",
    "randomised",
    "rank_correlation",
    "region_evidence",
    "region_of",
    "regions_of",
    "reliability",
    "resampled_auroc",
    "resampled_means",
    "resampled_rank_correlation",
    "resamples",
    "specificity_margin",
    "stages",
    "uniform_map",
    "unit_rank_correlation",
    "wrong_expressions",
]


def __getattr__(name: str) -> Any:
    if name in ("ATTCOS", "CAMCOS", "ClassificationReport", "ExpressionMean"):
        from aucue.metrics import accumulated

        return getattr(accumulated, name)
    raise AttributeError(f"module 'aucue.metrics' has no attribute {name!r}")
