"""aucue: guided, interpretable facial-expression recognition.

The names below are imported when they are first used, so that `import aucue` (and with it `aucue --help`)
takes milliseconds: torch is loaded by the rooms that need it.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aucue._torchvision import ensure_importable

if TYPE_CHECKING:
    from aucue.classifiers import Classifier
    from aucue.cues import AUCue
    from aucue.explanation import Explainer, Explanation, load
    from aucue.faces import Face, FaceReader
    from aucue.facs import Codebook
    from aucue.guidance import Guidance
    from aucue.models import Model

    __version__: str

ensure_importable()
# onnxruntime would tell its makers of every run; it reads this when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOME = {
    "load": "explanation",
    "Explainer": "explanation",
    "Explanation": "explanation",
    "Classifier": "classifiers",
    "Guidance": "guidance",
    "Model": "models",
    "AUCue": "cues",
    "Codebook": "facs",
    "FaceReader": "faces",
    "Face": "faces",
}
_ROOMS = (
    "work",
    "facs",
    "faces",
    "cues",
    "guidance",
    "cams",
    "classifiers",
    "models",
    "data",
    "metrics",
    "rendering",
    "training",
    "evaluation",
    "explanation",
    "export",
    "errors",
    "pages",
    "pictures",
)

__all__ = [
    "load",
    "Explainer",
    "Explanation",
    "Classifier",
    "Guidance",
    "Model",
    "AUCue",
    "Codebook",
    "FaceReader",
    "Face",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"aucue.{_HOME[name]}"), name)
    if name in _ROOMS:
        return import_module(f"aucue.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("aucue")
    raise AttributeError(f"module 'aucue' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
