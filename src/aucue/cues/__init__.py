"""Cues: landmarks and an expression -> a heatmap that says where the evidence should lie."""

from aucue.cues.anatomical import AnatomicalRegions
from aucue.cues.au_cue import REGION_MODELS, AUCue, region_content, region_model, region_model_of
from aucue.cues.cue import Cue, mask_cue
from aucue.cues.fg2024 import PublishedRegions
from aucue.cues.landmark_cue import LandmarkCue
from aucue.cues.regions import RegionModel

__all__ = [
    "AUCue",
    "AnatomicalRegions",
    "Cue",
    "LandmarkCue",
    "PublishedRegions",
    "REGION_MODELS",
    "RegionModel",
    "mask_cue",
    "region_content",
    "region_model",
    "region_model_of",
]
