"""The sources by the names they have on the command line."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aucue.data.sources.affectnet import AffectNetSource
from aucue.data.sources.csv_table import CsvSource
from aucue.data.sources.fer import FER2013Source, FERPlusSource
from aucue.data.sources.folder import FolderSource
from aucue.data.sources.folds import FoldsSource
from aucue.data.sources.hugging_face import HuggingFaceSource
from aucue.data.sources.raf_db import RAFDBSource
from aucue.data.sources.source import Source
from aucue.data.sources.synthetic import SyntheticSource

SOURCES: Mapping[str, Callable[..., Source]] = MappingProxyType(
    {
        "folder": FolderSource,
        "csv": CsvSource,
        "raf-db": RAFDBSource,
        "affectnet": AffectNetSource,
        "fer2013": FER2013Source,
        "ferplus": FERPlusSource,
        "folds": FoldsSource,
        "hf": HuggingFaceSource,
        "synthetic": SyntheticSource,
    }
)
"""The parameters of a constructor are the options of `aucue prepare NAME`, its docstring is the help."""
