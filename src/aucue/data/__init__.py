"""From a data set as distributed to batches: sources, prepared sets, transforms, loaders."""

from aucue.data.source import SPLITS, Sample, Source

__all__ = ["SPLITS", "Sample", "Source"]
