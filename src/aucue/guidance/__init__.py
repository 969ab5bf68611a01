"""Guided training for any `nn.Module`: the attention of its layers is aligned with a cue.

The cue says where evidence should lie. Nothing here knows of faces: it may be an action-unit map, a
segmentation mask or anything else in [0, 1].
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.guidance.channels import attention, draw_channels, mean_of_channels
    from aucue.guidance.contrasting import contrast
    from aucue.guidance.evidence import evidence_when_hidden, outside_regions, region_alignment
    from aucue.guidance.guide import Guidance
    from aucue.guidance.layouts import Layout, to_nchw
    from aucue.guidance.losses import (
        LOSSES,
        READS_SIGNED,
        alignment,
        energy,
        resize_map,
        sample_alignment,
        usable_rows,
        valid_mean,
    )
    from aucue.guidance.names import AttentionKind
    from aucue.guidance.tap import FeatureTap, default_layer

_HOME = {
    "losses": (
        "LOSSES",
        "READS_SIGNED",
        "alignment",
        "energy",
        "resize_map",
        "sample_alignment",
        "usable_rows",
        "valid_mean",
    ),
    "channels": ("attention", "draw_channels", "mean_of_channels"),
    "contrasting": ("contrast",),
    "evidence": ("evidence_when_hidden", "outside_regions", "region_alignment"),
    "guide": ("Guidance",),
    "layouts": ("Layout", "to_nchw"),
    "names": ("AttentionKind",),
    "tap": ("FeatureTap", "default_layer"),
}

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

__getattr__ = on_first_use(__name__, _HOME)
