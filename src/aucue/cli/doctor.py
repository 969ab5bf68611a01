"""`aucue doctor`: what is installed, what this machine offers, what is missing and what would bring it."""

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "datasets",
    "safetensors",
    "numpy",
    "pillow",
)
PURPOSES = {
    "train": "prepared sets, training, evaluation",
    "report": "figures of benchmarks",
    "dlib": "another face detector, for comparison",
    "app": "web page",
    "video": "films",
    "export": "other runtimes",
    "distributed": "preparing on several machines",
    "all": "all of these",
}
_OF_DEVELOPERS = ("dev", "docs")
_SAME = {"dlib-bin": "dlib"}  # another package that brings the same
PREDICTOR = "models/shape_predictor_68_face_landmarks.dat"


def command(*, network: bool = False) -> int:
    """Show versions, extras, devices and files, to paste into a bug report.

    Args:
        network: Also ask whether the source of timm's pretrained weights answers (waits 3 seconds at most).
    """
    from aucue.work.terminal import Terminal

    sections = {
        "aucue": {
            "aucue": _version("aucue"),
            "Python": f"{platform.python_version()} ({platform.platform(terse=True)})",
        },
        "Libraries": {name: _version(name) for name in LIBRARIES} | {"torch, torchvision": _fit()},
        "Extras": _extras(),
        "Machine": _machine(),
        "Files": {
            "model in the box": _boxed_model(),
            "dlib's landmark model": _landmark_model(),
            "pretrained weights": _weights(network),
        },
    }
    # Without a terminal nothing is wrapped, so that a report can be searched and pasted.
    terminal = Terminal()
    show = terminal.print if sys.stdout.isatty() else terminal.say
    for title, entries in sections.items():
        show(title, style="bold")
        for name, text in entries.items():
            show(f"  {name:<24}{text}")
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _fit() -> str:
    """Whether torchvision was made for the torch that is installed."""
    try:
        needed = [entry for entry in map(Requirement, requires("torchvision") or ()) if entry.name == "torch"]
        torch = version("torch")
    except PackageNotFoundError as error:
        return f"{error.name} is not installed"
    for entry in needed:
        if not entry.specifier.contains(torch, prereleases=True):
            return (
                f"do not fit: torchvision {version('torchvision')} is made for torch{entry.specifier}, not "
                f"for {torch}; pip install --upgrade torch torchvision"
            )
    return "fit each other"


def _extras() -> dict[str, str]:
    """What the package's own metadata says that it can be extended by."""
    try:
        extras = metadata("aucue").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return {"problem": "aucue is not installed (its source is), so its extras are not known"}
    return {name: _extra(name) for name in sorted(extras) if name not in _OF_DEVELOPERS}


def _extra(extra: str) -> str:
    purpose = f" ({PURPOSES[extra]})" if extra in PURPOSES else ""
    needed = [
        entry
        for entry in map(Requirement, requires("aucue") or ())
        if entry.marker is not None
        and entry.marker.evaluate({"extra": extra})
        and not entry.marker.evaluate({"extra": ""})
    ]
    problems = [problem for entry in needed if (problem := _problem_with(entry))]
    if problems:
        return f"no: {', '.join(problems)}{purpose}; pip install 'aucue[{extra}]'"
    return f"yes{purpose}"


def _problem_with(entry: Requirement) -> str | None:
    for name in (entry.name, _SAME.get(entry.name, entry.name)):
        with suppress(PackageNotFoundError):
            found = version(name)
            fits = entry.specifier.contains(found, prereleases=True)
            return None if fits else f"{name} {found} where {entry.specifier} is needed"
    return f"{entry.name} not installed"


def _machine() -> dict[str, str]:
    try:
        import torch

        from aucue.work import available_cores
    except (
        Exception
    ) as error:  # whatever a broken installation raises: finding it is what this command is for
        return {"problem": f"aucue cannot be loaded: {type(error).__name__}: {error}"}
    cores = available_cores()
    entries = {
        "cores": f"{cores} of {os.cpu_count()} usable",
        "threads": f"torch uses {torch.get_num_threads()}; {cores} recommended (OMP_NUM_THREADS)",
        "loader processes": f"{max(1, min(cores - 1, 16))} recommended (--data.workers)",
    }
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        entries[f"cuda:{i}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        entries["mps"] = "Apple GPU"
    if not torch.accelerator.is_available():
        entries["accelerator"] = "none; everything runs on the processor"
    return entries


def _boxed_model() -> str:
    try:
        from aucue.models import boxed_model

        path = boxed_model()
    except Exception as error:  # as above
        return f"cannot be used: {error}"
    return f"{path} ({path.stat().st_size / 2**20:.1f} MiB)"


def _landmark_model() -> str:
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        return "not found; pip install 'aucue[dlib]'"
    path = Path(spec.origin).parent / PREDICTOR
    return f"{path} ({path.stat().st_size / 2**20:.0f} MiB)" if path.is_file() else f"missing: {path}"


def _weights(network: bool) -> str:
    from huggingface_hub.constants import ENDPOINT as source  # HF_ENDPOINT, or the hub's own address

    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return "offline (HF_HUB_OFFLINE is set): only cached or local files (--classifier.weights FILE)"
    if not network:
        return f"{source} (not asked; --network asks)"
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(source, method="HEAD"), timeout=3):
            return f"{source} answers"
    except urllib.error.HTTPError as error:  # the server is there, whatever it thinks of the request
        return f"{source} answers (status {error.code})"
    except OSError as error:
        return f"{source} does not answer ({getattr(error, 'reason', error)}); use --classifier.weights FILE"
