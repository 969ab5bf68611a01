"""Guided training for any `nn.Module`: the attention of its layers is aligned with a cue.

The cue says where evidence should lie. Nothing here knows of faces: it may be an action-unit map, a
segmentation mask or anything else in [0, 1].
"""

from aucue.guidance.alignment import (
    LOSSES,
    READS_SIGNED,
    alignment,
    energy,
    resize_map,
    sample_alignment,
    usable_rows,
    valid_mean,
)
from aucue.guidance.attention import AttentionKind, attention, draw_channels, mean_of_channels
from aucue.guidance.contrast import contrast
from aucue.guidance.evidence import evidence_when_hidden, outside_regions, region_alignment
from aucue.guidance.guide import Guidance
from aucue.guidance.layouts import Layout, to_nchw
from aucue.guidance.tap import FeatureTap, default_layer

__all__ = [
    "Guidance",
    "FeatureTap",
    "default_layer",
    "attention",
    "alignment",
    "contrast",
    "region_alignment",
    "outside_regions",
    "evidence_when_hidden",
    "resize_map",
    "LOSSES",
    "READS_SIGNED",
    "energy",
    "sample_alignment",
    "usable_rows",
    "valid_mean",
    "AttentionKind",
    "draw_channels",
    "mean_of_channels",
    "Layout",
    "to_nchw",
]
