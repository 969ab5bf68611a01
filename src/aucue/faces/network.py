"""The converted networks that find faces, run by onnxruntime."""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aucue.errors import InputError

WEIGHTS = Path(__file__).with_name("weights")
"""Where the files lie, with their licence."""

_BATCH = 32  # pictures in one pass, which bounds the memory

NetworkName = Literal["near", "far", "mesh"]


class Network:
    """One of the networks; opened when it is first used, once per process.

    May be shared by threads and sent to worker processes.

    Args:
        name: `near` (faces that fill their picture), `far` (smaller ones) or `mesh` (468 points of one face).
        device: `cpu`, or `cuda` where onnxruntime-gpu is installed.

    Raises:
        InputError: onnxruntime, as it is installed, cannot use the device.
    """

    def __init__(self, name: NetworkName, device: str = "cpu") -> None:
        self.name, self.device = name, device
        self.side = 128 if name == "near" else 192
        if device != "cpu":
            _provider(device)

    def __call__(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network.

        Args:
            pictures: (N, side, side, 3), RGB.

        Returns:
            Boxes (N, A, 16) and scores (N, A) of a detector; points (N, 1404) and presence (N, 1) of the
            mesh.
        """
        session = _open(self.name, self.device)
        parts = [
            session.run(None, {"pictures": pictures[start : start + _BATCH]})
            for start in range(0, len(pictures), _BATCH)
        ]
        first, second = (np.concatenate(part) for part in zip(*parts, strict=True))
        return first, second


@cache
def _open(name: str, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A pass takes some milliseconds: more threads than one gain little, and would be missing after a fork.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"] if device == "cpu" else [_provider(device), "CPUExecutionProvider"]
    return onnxruntime.InferenceSession(os.fspath(WEIGHTS / f"{name}.onnx"), options, providers=providers)


def _provider(device: str) -> Any:
    """What onnxruntime calls a device."""
    import onnxruntime

    kind, _, index = device.partition(":")
    provider = f"{kind.upper()}ExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise InputError(
            f"The face detector cannot use the device '{device}': onnxruntime has no {provider} here; "
            "install onnxruntime-gpu, or search faces on the cpu."
        )
    return (provider, {"device_id": int(index or 0)})
