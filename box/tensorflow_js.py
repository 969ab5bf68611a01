"""Weights in the format of tensorflow.js: a table of names and shapes, and a file of all numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def read_tensors(entries: Sequence[Mapping[str, Any]], content: bytes) -> dict[str, Tensor]:
    """The tensors as float32, by name.

    Args:
        entries: `weights` of a group of the manifest; numbers may be quantised to bytes, with a scale and an
            offset for each tensor, or to half precision.
        content: The file of the group.
    """
    at, tensors = 0, {}
    for entry in entries:
        how, size = entry.get("quantization", {}), int(np.prod(entry["shape"]))
        kind = np.dtype(how.get("dtype", entry["dtype"]))
        stored = np.frombuffer(content, kind, size, at).astype(np.float32).reshape(entry["shape"])
        tensors[entry["name"]] = torch.from_numpy(stored) * how.get("scale", 1.0) + how.get("min", 0.0)
        at += size * kind.itemsize
    return tensors
