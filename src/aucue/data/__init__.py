"""From a data set as distributed to batches: sources, prepared sets, transforms, loaders."""

from aucue.data.cores import available_cores, default_workers
from aucue.data.csv_table import CsvSource
from aucue.data.folder import FolderSource
from aucue.data.holdout import split_holdout
from aucue.data.loading import EpochSampler, make_loader
from aucue.data.prepare import PrepareReport, prepare
from aucue.data.prepared import FaceDataset, FaceSample, PreparedSet, open_prepared
from aucue.data.source import SPLITS, Sample, Source
from aucue.data.synthetic import SyntheticSource
from aucue.data.transforms import FaceTransform, RandomMirror, Transform, eval_transform, train_transform

__all__ = [
    "SPLITS",
    "Sample",
    "Source",
    "FolderSource",
    "CsvSource",
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
    "split_holdout",
    "EpochSampler",
    "make_loader",
    "available_cores",
    "default_workers",
]
