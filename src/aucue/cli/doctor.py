"""`aucue doctor`: what is installed, what this machine offers, what is missing and what would bring it."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

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
# extra -> what it is for, and the modules it brings
EXTRAS = {
    "dlib": ("faces and landmarks in photographs", ("dlib", "face_recognition_models")),
    "app": ("web page", ("gradio",)),
    "export": ("other runtimes", ("onnx", "onnxruntime", "onnxscript")),
    "distributed": ("preparing on several machines", ("ray",)),
}
PREDICTOR = "models/shape_predictor_68_face_landmarks.dat"


def command(*, network: bool = False) -> int:
    """Show versions, extras, devices and files, to paste into a bug report.

    Args:
        network: Also ask whether the source of timm's pretrained weights answers (waits 3 seconds at most).
    """
    from rich.console import Console

    sections = {
        "aucue": {
            "aucue": _version("aucue"),
            "Python": f"{platform.python_version()} ({platform.platform(terse=True)})",
        },
        "Libraries": {name: _version(name) for name in LIBRARIES},
        "Extras": {name: _extra(name) for name in EXTRAS},
        "Machine": _machine(),
        "Files": {"dlib's landmark model": _landmark_model(), "pretrained weights": _weights(network)},
    }
    # Without a terminal nothing is wrapped, so that a report can be searched and pasted.
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for title, entries in sections.items():
        console.print(f"[bold]{title}[/bold]")
        for name, text in entries.items():
            console.print(f"  {name:<24}{text}", markup=False)
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _extra(name: str) -> str:
    purpose, modules = EXTRAS[name]
    if missing := [module for module in modules if find_spec(module) is None]:
        return f"no: {', '.join(missing)} not installed ({purpose}); pip install 'aucue[{name}]'"
    return f"yes ({purpose})"


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
