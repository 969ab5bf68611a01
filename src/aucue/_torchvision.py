"""Make torchvision importable when a CPU build of torch meets a CUDA build of torchvision.

Plain package indexes carry one torchvision build per platform; on Linux it links against CUDA. Beside a CPU
build of torch its C++ operators cannot be loaded and `import torchvision` stops at the first of them (nms).
aucue needs none of these operators, so their schemas are declared and the module is executed again.

This happens the moment somebody imports torchvision (aucue, timm, a user's script), not before:
`import aucue` itself loads neither torch nor torchvision. Where the two builds fit, imports are left alone.
"""

import importlib.machinery
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_keep: list[object] = []  # a torch Library that is garbage-collected takes its operators with it


class _Loader(importlib.machinery.SourceFileLoader):
    """Executes torchvision/__init__.py, and again with declared operators if it missed them."""

    def exec_module(self, module: ModuleType) -> None:
        try:
            super().exec_module(module)
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _declare_operators()
            super().exec_module(module)


class _Finder:
    """Hands torchvision, and nothing else, to the loader above."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def ensure_importable() -> None:
    """From now on `import torchvision` succeeds beside a CPU build of torch too."""
    if _Finder not in sys.meta_path and _build("torch") != _build("torchvision"):
        sys.meta_path.insert(0, _Finder)


def _build(package: str) -> str | None:
    """What an installed package was built for, such as "cpu" or "cu128"; nothing is imported."""
    spec = importlib.machinery.PathFinder.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^__version__ = '[^+']*\+?([^']*)'", text, re.MULTILINE)
    return found and found[1]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _keep.append(library)
