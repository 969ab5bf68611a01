"""What the paper printed (Belharbi et al., FG 2024, arXiv 2402.00281), to stand beside our figures."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aucue.work.tables import read_mapping

Measures = Mapping[str, float]
"""Measure ("CL", "CAM-COS", "ATT-COS") -> published value in [0, 1]; empty where nothing was published."""


def published_method(set_name: str, method: str, guided: bool) -> Measures:
    """Tables 1 and 2: CL, CAM-COS and ATT-COS of a method.

    Args:
        set_name: "raf-db" or "affectnet"; nothing was published on others.
        method: Key of `aucue.classifiers.METHODS`.
        guided: Trained with guidance.
    """
    return _found("methods", set_name, method, "guided" if guided else "unguided")


def published_layers(set_name: str, layers: str) -> Measures:
    """Table 3: CL and CAM-COS of CAM by its guided layers.

    Args:
        set_name: "raf-db"; nothing was published on others.
        layers: "none", a layer from "1" (stem) to "5" (last), or a stack such as "5+4".
    """
    return _found("layers", set_name, layers)


def published_lambda(set_name: str, weight: float) -> Measures:
    """Figure 5: ATT-COS, CAM-COS and CL of CAM, guided at layer 5, by the weight of the guidance.

    Args:
        set_name: "raf-db"; nothing was published on others.
        weight: Lambda.
    """
    return _found("lambdas", set_name, weight)


def layer_stacks() -> tuple[str, ...]:
    """Layers of Table 3 in its order, "none" first."""
    return tuple(_numbers()["layers"]["raf-db"])


def lambdas() -> tuple[float, ...]:
    """Weights of Figure 5, ascending."""
    return tuple(float(weight) for weight in _numbers()["lambdas"]["raf-db"])


def _found(*keys: Any) -> Measures:
    found: Any = _numbers()
    for key in keys:
        found = found.get(key, {})
    return dict(found)


@cache
def _numbers() -> dict[str, Any]:
    return read_mapping(Path(__file__).with_name("published.yaml"))
