"""From a data set as distributed to batches: sources, prepared sets, transforms, loaders.

The names below are imported when they are first used: a process that aligns faces is one of as many as the
machine has cores, and needs neither torch nor `datasets` (80 instead of 420 MB).
"""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.data.batched import GEOMETRIC, STRONG, BatchAugmentation
    from aucue.data.holdout import split_holdout
    from aucue.data.loading import EpochSampler, make_loader
    from aucue.data.preparation import PrepareReport, prepare
    from aucue.data.prepared import FaceDataset, FaceSample, PreparedSet, open_prepared
    from aucue.data.sources.affectnet import AffectNetSource
    from aucue.data.sources.csv_table import CsvSource
    from aucue.data.sources.expected import Finding, count_findings
    from aucue.data.sources.fer import FER2013Source, FERPlusSource
    from aucue.data.sources.folder import FolderSource
    from aucue.data.sources.folds import FoldsSource
    from aucue.data.sources.hugging_face import HuggingFaceSource
    from aucue.data.sources.raf_db import RAFDBSource
    from aucue.data.sources.source import SPLITS, Sample, Source
    from aucue.data.sources.synthetic import SyntheticSource
    from aucue.data.transforms import (
        FaceTransform,
        RandomMirror,
        Transform,
        eval_transform,
        train_transform,
    )

_HOME = {
    "sources.source": ("SPLITS", "Sample", "Source"),
    "sources.expected": ("Finding", "count_findings"),
    "sources.folder": ("FolderSource",),
    "sources.csv_table": ("CsvSource",),
    "sources.folds": ("FoldsSource",),
    "sources.raf_db": ("RAFDBSource",),
    "sources.affectnet": ("AffectNetSource",),
    "sources.fer": ("FER2013Source", "FERPlusSource"),
    "sources.hugging_face": ("HuggingFaceSource",),
    "sources.synthetic": ("SyntheticSource",),
    "preparation": ("prepare", "PrepareReport"),
    "prepared": ("open_prepared", "PreparedSet", "FaceDataset", "FaceSample"),
    "transforms": (
        "Transform",
        "FaceTransform",
        "RandomMirror",
        "train_transform",
        "eval_transform",
    ),
    "batched": ("BatchAugmentation", "GEOMETRIC", "STRONG"),
    "holdout": ("split_holdout",),
    "loading": ("EpochSampler", "make_loader"),
}

__all__ = [
    "SPLITS",
    "Sample",
    "Source",
    "Finding",
    "count_findings",
    "FolderSource",
    "CsvSource",
    "FoldsSource",
    "RAFDBSource",
    "AffectNetSource",
    "FER2013Source",
    "FERPlusSource",
    "HuggingFaceSource",
    "SyntheticSource",
    "prepare",
    "PrepareReport",
    "open_prepared",
    "PreparedSet",
    "FaceDataset",
    "FaceSample",
    "Transform",
    "FaceTransform",
    "RandomMirror",
    "train_transform",
    "eval_transform",
    "BatchAugmentation",
    "GEOMETRIC",
    "STRONG",
    "split_holdout",
    "EpochSampler",
    "make_loader",
]

__getattr__ = on_first_use(__name__, _HOME)
