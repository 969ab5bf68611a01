"""`from aucue._quickly import timm, torchmetrics`: without the large packages that they name and aucue lacks.

timm, and torchvision that it needs, each name torch's compiler while they are imported: torchvision for an
operator on boxes of objects that is compiled when it is first used, timm for functions that are never to be
compiled. timm also imports the client of a model hub, for weights that are downloaded. torchmetrics imports
all of matplotlib and scipy.signal: for the types of what its measures can draw, and for a name that a package
on speech misses in scipy. Most of these take longer than all the rest. Here something stands in for them,
which asks the package itself as soon as somebody needs more of it. Where the package is imported already,
nothing is done.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module, reload
from types import ModuleType, SimpleNamespace
from typing import Any

_COMPILER = "torch._dynamo"


def __getattr__(name: str) -> ModuleType:
    if name == "timm":
        with _without_compiler(), _without(_HUB):
            return import_module(name)
    if name == "torchmetrics":
        with _without_compiler(), _without(_SPEECH), _without(_FIGURES):
            return import_module(name)
    raise AttributeError(name)


class _NotYet(ModuleType):
    """Stands for a module until somebody needs more of it than is known."""

    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _without(stand_ins: tuple[_NotYet, ...]) -> Iterator[None]:
    """Let modules stand for others, unless the first of those is imported already."""
    if stand_ins[0].__name__ in sys.modules:
        yield
        return
    sys.modules.update({module.__name__: module for module in stand_ins})
    try:
        yield
    finally:
        for module in stand_ins:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


def _is_compile_supported(device_type: str) -> bool:
    """What the compiler itself says of a device."""
    return import_module("torch._dynamo.utils").is_compile_supported(device_type)


def _of_the_hub(name: str) -> Callable[..., Any]:
    """A function of the hub's client: called by timm, which then gets the client itself, with its errors."""

    def called(*args: Any, **named: Any) -> Any:
        reload(sys.modules["timm.models._hub"])  # in place: whoever imported from it sees the client too
        return getattr(import_module("huggingface_hub"), name)(*args, **named)

    return called


@contextmanager
def _style(*styles: Any) -> Iterator[None]:
    """Draw in a style of matplotlib's, which is imported when somebody draws."""
    with import_module("matplotlib.pyplot").style.context(*styles):
        yield


class _IsAxes(type):
    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, import_module("matplotlib.axes").Axes)


class _Axes(metaclass=_IsAxes):
    """Stands for matplotlib's class."""


# Of the compiler what torchvision names, of the hub what timm does, of the others what torchmetrics does.
_COMPILING = (_NotYet("torch._dynamo.utils", is_compile_supported=_is_compile_supported),)
_HUB = (
    _NotYet(
        "huggingface_hub",
        **{name: _of_the_hub(name) for name in ("HfApi", "hf_hub_download", "model_info")},
    ),
    _NotYet("huggingface_hub.utils", EntryNotFoundError=OSError, RepositoryNotFoundError=OSError),
)
_SPEECH = (_NotYet("scipy.signal", hamming=None),)
_AXES = _NotYet("matplotlib.axes", Axes=_Axes)
_PYPLOT = _NotYet("matplotlib.pyplot", Figure=object, style=SimpleNamespace(context=_style))
_FIGURES = (
    _NotYet("matplotlib", axes=_AXES, pyplot=_PYPLOT, colors=SimpleNamespace(Colormap=object)),
    _AXES,
    _PYPLOT,
)


@contextmanager
def _without_compiler() -> Iterator[None]:
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    torch.compiler.disable, disable = _disabled_later, torch.compiler.disable
    try:
        with _without(_COMPILING):
            yield
    finally:
        torch.compiler.disable = disable


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
