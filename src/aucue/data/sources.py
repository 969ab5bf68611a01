"""The sources by the names they have on the command line."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aucue.data.affectnet import AffectNetSource
from aucue.data.csv_table import CsvSource
from aucue.data.fer import FER2013Source, FERPlusSource
from aucue.data.folder import FolderSource
from aucue.data.folds import FoldsSource
from aucue.data.hugging_face import HuggingFaceSource
from aucue.data.raf_db import RAFDBSource
from aucue.data.source import Source
from aucue.data.synthetic import SyntheticSource

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
