"""From a data set as distributed to batches: sources, prepared sets, transforms, loaders.

The names below are imported when they are first used: a process that aligns faces is one of as many as the
machine has cores, and needs neither torch nor `datasets` (80 instead of 420 MB).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aucue.data.affectnet import AffectNetSource
    from aucue.data.batched import GEOMETRIC, STRONG, BatchAugmentation
    from aucue.data.cores import available_cores, default_workers
    from aucue.data.csv_table import CsvSource
    from aucue.data.expected import Finding, count_findings
    from aucue.data.fer import FER2013Source, FERPlusSource
    from aucue.data.folder import FolderSource
    from aucue.data.folds import FoldsSource
    from aucue.data.holdout import split_holdout
    from aucue.data.hugging_face import HuggingFaceSource
    from aucue.data.loading import EpochSampler, make_loader
    from aucue.data.preparation import PrepareReport, prepare
    from aucue.data.prepared import FaceDataset, FaceSample, PreparedSet, open_prepared
    from aucue.data.raf_db import RAFDBSource
    from aucue.data.ranks import ALONE, Rank, is_first_rank, on_ranks
    from aucue.data.source import SPLITS, Sample, Source
    from aucue.data.synthetic import SyntheticSource
    from aucue.data.transforms import (
        FaceTransform,
        RandomMirror,
        Transform,
        eval_transform,
        train_transform,
    )

_HOME = {
    "source": ("SPLITS", "Sample", "Source"),
    "expected": ("Finding", "count_findings"),
    "folder": ("FolderSource",),
    "csv_table": ("CsvSource",),
    "folds": ("FoldsSource",),
    "raf_db": ("RAFDBSource",),
    "affectnet": ("AffectNetSource",),
    "fer": ("FER2013Source", "FERPlusSource"),
    "hugging_face": ("HuggingFaceSource",),
    "synthetic": ("SyntheticSource",),
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
    "ranks": ("Rank", "ALONE", "on_ranks", "is_first_rank"),
    "cores": ("available_cores", "default_workers"),
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
    "Rank",
    "ALONE",
    "on_ranks",
    "is_first_rank",
    "available_cores",
    "default_workers",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"aucue.data.{module}"), name)
    raise AttributeError(f"module 'aucue.data' has no attribute {name!r}")
