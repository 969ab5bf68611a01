"""Names that a package imports when they are first used."""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from aucue.errors import missing_extra


def on_first_use(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are imported when somebody asks for them.

    Args:
        package: Its `__name__`.
        homes: Module, below the package -> the names that come from it.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(_imported(f"{package}.{home[name]}"), name)
        except ImportError as error:
            raise missing_extra(error) or error from error
        setattr(sys.modules[package], name, value)  # a module of that name would hide it once it is imported
        return value

    return __getattr__


def _imported(name: str) -> ModuleType:
    """Import a module while nobody looks for garbage: modules make none, and among the many objects of torch
    it would be looked for again and again.
    """
    looked_for = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if looked_for:
            gc.enable()
