"""Average maps per expression: where a network looks in all faces that show one, and how they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aucue.cams import normalize_cam
from aucue.metrics import attention_at, cam_at, map_cosine
from aucue.pictures import normalize

CUE, CLASS_MAP, FACE = "cue", "class_map", "face"
"""Names of maps beside those of the layers; `FACE` is the picture itself."""


@dataclass
class MapSums:
    """Sums over faces by class, from which averages and spread follow: K maps, however many faces.

    Attributes:
        total: Sum of the maps (K, C, h, w).
        directions: Sum of the maps brought to length 1 (K, C, h, w).
        of_drawn: Sum of the maps of faces whose action units are drawn, too (K, C, h, w).
        count: Faces (K,).
        shown: Those of them whose map is not zero everywhere (K,).
    """

    total: Tensor
    directions: Tensor
    of_drawn: Tensor
    count: Tensor
    shown: Tensor

    @classmethod
    def of(cls, maps: Tensor, labels: Tensor, classes: int, drawn: Tensor) -> Self:
        """Of a batch.

        Args:
            maps: (B, C, h, w).
            labels: Class ids (B,).
            classes: K.
            drawn: Which faces have an action-unit map (B,).
        """
        maps = maps.double()
        lengths = torch.linalg.vector_norm(maps, dim=(1, 2, 3), keepdim=True)
        shown = lengths.flatten() > 0
        empty = maps.new_zeros(classes, *maps.shape[1:])
        return cls(
            empty.index_add(0, labels, maps).cpu(),
            empty.index_add(0, labels, maps / lengths.clamp(min=1e-12)).cpu(),
            empty.index_add(0, labels[drawn], maps[drawn]).cpu(),
            torch.bincount(labels, minlength=classes).cpu(),
            torch.bincount(labels[shown], minlength=classes).cpu(),
        )

    def __add__(self, other: "MapSums") -> "MapSums":
        """Over the faces of both."""
        return MapSums(
            self.total + other.total,
            self.directions + other.directions,
            self.of_drawn + other.of_drawn,
            self.count + other.count,
            self.shown + other.shown,
        )

    def means(self) -> Tensor:
        """Average maps (K, C, h, w); zero for a class without faces."""
        return self.total / self.count.clamp(min=1)[:, None, None, None]

    def spread(self) -> Tensor:
        """1 - the mean cosine of the maps of two different faces (K,): 0 if all are alike; NaN below two."""
        n = self.count.double()
        pairs = self.directions.flatten(1).square().sum(1) - self.shown  # cosines of all pairs, twice
        return torch.where(n > 1, 1 - pairs / (n * (n - 1)).clamp(min=1), torch.nan).clamp(min=0)


@dataclass(frozen=True)
class AverageMap:
    """The average of one kind of map over the faces of one expression.

    Attributes:
        map: (h, w), or (S, S, 3) for the average face.
        faces: Over how many.
        cosine: Of the average over those of them that have an action-unit map with the average of these maps;
            None without one.
        spread: 1 - the mean cosine of the maps of two different faces; None below two faces.
    """

    map: NDArray[np.float32]
    faces: int
    cosine: float | None
    spread: float | None

    @property
    def shown(self) -> NDArray[np.float32]:
        """Stretched to [0, 1]."""
        return normalize(self.map)


Averages = Mapping[str, Mapping[str, AverageMap]]
"""Expression -> `CUE`, `CLASS_MAP`, `FACE` or a layer (its attention) -> its average; shallow to deep."""


def sums_of(maps: Mapping[str, Tensor], labels: Tensor, valid: Tensor, classes: int) -> dict[str, MapSums]:
    """What a batch adds to the averages.

    Args:
        maps: By name, (B, C, h, w): action-unit maps, class maps in [0, 1], pictures, attention of layers,
            which is brought to [0, 1] face by face, so that no face outshines the others.
        labels: Class ids (B,).
        valid: Which faces have an action-unit map (B,).
        classes: How many.
    """
    found = {}
    for name, its in maps.items():
        rows = valid if name == CUE else torch.ones_like(valid)
        scaled = its if name in (CUE, CLASS_MAP, FACE) else normalize_cam(its)
        found[name] = MapSums.of(scaled[rows], labels[rows], classes, valid[rows])
    return found


def averages_of(sums: Mapping[str, MapSums], classes: Sequence[str], size: tuple[int, int]) -> Averages:
    """Averages of every expression that a face shows.

    Args:
        sums: By name of the map.
        classes: Names of the classes.
        size: Of the input: averages are compared at its resolution, as ATT-COS and CAM-COS are.
    """
    cues, drawn = sums[CUE].means(), sums[CUE].count
    columns = {}
    for name, its in sums.items():
        means, spread = its.means(), its.spread()
        cosine = torch.full((len(classes),), torch.nan)
        if name not in (CUE, FACE):
            resize = cam_at if name == CLASS_MAP else attention_at
            own = its.of_drawn / drawn.clamp(min=1)[:, None, None, None]  # of the very faces of the cue
            cosine = torch.where(drawn > 0, map_cosine(resize(own, size), cues), torch.nan)
        columns[name] = means, its.count, cosine, spread
    return {
        label: {
            name: AverageMap(_picture(means[k]), int(count[k]), _number(cosine[k]), _number(spread[k]))
            for name, (means, count, cosine, spread) in columns.items()
            if count[k]
        }
        for k, label in enumerate(classes)
        if sums[FACE].count[k]
    }


def average_rows(averages: Averages) -> list[dict[str, Any]]:
    """One row per expression and map: what the pictures show, in numbers."""
    return [
        {"expression": label, "map": name, "faces": its.faces, "cosine": its.cosine, "spread": its.spread}
        for label, maps in averages.items()
        for name, its in maps.items()
        if name != FACE
    ]


def _picture(mean: Tensor) -> NDArray[np.float32]:
    channels = mean.permute(1, 2, 0).float().numpy()
    return channels[..., 0] if channels.shape[2] == 1 else channels


def _number(value: Tensor) -> float | None:
    return None if value.isnan() else float(value)
