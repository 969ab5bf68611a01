"""`from aucue._quickly import timm`: without torch's compiler, which takes longer than all the rest.

timm, and torchvision that it needs, each name the compiler while they are imported: torchvision for an
operator on boxes of objects that is compiled when it is first used, timm for functions that are never to be
compiled. Here something stands in for these two names, which asks the compiler itself as soon as somebody
compiles. Where the compiler is imported already, nothing is done.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_NAMED = "torch._dynamo.utils"  # by torchvision


def __getattr__(name: str) -> ModuleType:
    if name != "timm":
        raise AttributeError(name)
    with _without_compiler():
        return import_module(name)


@contextmanager
def _without_compiler() -> Iterator[None]:
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    sys.modules[_NAMED] = stand_in = _NotYet(_NAMED)
    torch.compiler.disable, disable = _disabled_later, torch.compiler.disable
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_NAMED) is stand_in:
            del sys.modules[_NAMED]


class _NotYet(ModuleType):
    """Stands for a module of the compiler until somebody needs more of it than torchvision."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        """What the compiler itself says of a device."""
        return import_module(_NAMED).is_compile_supported(device_type)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(_NAMED) is self:
            del sys.modules[_NAMED]
        return getattr(import_module(_NAMED), name)


def _disabled_later(fn: Callable[..., Any] | None = None, *options: Any, **named: Any) -> Callable[..., Any]:
    """`torch.compiler.disable`, which loads the compiler to be told what it must not compile."""
    if fn is None:
        return partial(_disabled_later, **named)
    function = fn

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if _COMPILER not in sys.modules:  # then nothing is compiled
            return function(*args, **kwargs)
        import torch

        return torch.compiler.disable(function, *options, **named)(*args, **kwargs)

    called._torchdynamo_disable = True  # pyright: ignore[reportAttributeAccessIssue]  # what the compiler looks for
    return called
