"""Region model `anatomical`: soft ellipses that move, scale and turn with the face."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aucue.cues.grids import pixels
from aucue.errors import InputError
from aucue.faces import LEFT_EYE, LEFT_HALF, MIRROR, NUM_LANDMARKS, RIGHT_EYE
from aucue.work.tables import check_keys, kind, read_mapping

_TABLE = Path(__file__).with_name("anatomical.yaml")

_FARTHEST = 1e4  # a number of a table beyond this, or below its inverse, is a slip, and soon no float32
_MOST = 1000  # rows of a table
_SMALLEST_FACE = 1.0  # inter-ocular distance in pixels below which there is nothing to draw


@dataclass(frozen=True)
class Region:
    """One row of the region table; lengths in inter-ocular distances.

    Attributes:
        bilateral: Whether it is drawn on both halves of the face.
        centre: Weight per landmark (they sum to 1), for a bilateral region on the picture's left.
        out: Shift of the centre away from the midline.
        up: Shift of the centre towards the forehead.
        axes: Half-width and half-height.
        angle: Degrees by which the outer end is raised.
    """

    bilateral: bool
    centre: Mapping[int, float]
    out: float
    up: float
    axes: tuple[float, float]
    angle: float


class Ellipses(NamedTuple):
    """All ellipses of a table as tensors, in units of the face's own frame (right, down; N ellipses).

    Attributes:
        points: (N, P) long, landmarks of the centre.
        weights: (N, P) their weights, zero where padded.
        shift: (N, 2) of the centre, (right, down).
        form: (N, 3) the quadratic form xx, xy, yy with x' F x = 1 on the outline.
        softness: (N,) half the range of the quadratic form over which the edge falls from 1 to 0.
    """

    points: Tensor
    weights: Tensor
    shift: Tensor
    form: Tensor
    softness: Tensor


class AnatomicalRegions:
    """Soft-edged ellipses after the FACS manual, equivariant under similarity transforms and mirroring.

    The geometry is a table (YAML, see `anatomical.yaml` beside this file for the format). Centres follow the
    landmarks; axes scale with the distance between the eye centres and turn with the line through them.

    Args:
        table: Path of a region table; default the bundled one.

    Attributes:
        name: What the table calls itself.
        bundled: Whether it is the table of this package.

    Raises:
        InputError: The table is wrong; the message names the entry.
    """

    def __init__(self, table: str | Path = _TABLE) -> None:
        self._fill(*(_bundled() if table == _TABLE else _read(table)), bundled=table == _TABLE)

    @classmethod
    def from_content(cls, data: Mapping, where: str) -> "AnatomicalRegions":
        """Build the model of a table that a file carries within itself (a model file). No other file is read.

        Args:
            data: The table, as `to_dict` gives it.
            where: The file, for errors.

        Raises:
            InputError: The table is wrong, or larger than any that is meant.
        """
        model = cls.__new__(cls)
        content = _numbered(data)
        model._fill(content, _parse(content, f"{where}, regions"))
        return model

    def to_dict(self) -> dict[str, Any]:
        """Return plain values (for YAML or JSON) from which `from_content` rebuilds this model."""
        return deepcopy(self._content)

    def _fill(self, data: Mapping, parsed: "_Parsed", bundled: bool = False) -> None:
        self.name, self.edge, regions = parsed
        self.regions = dict(regions)
        self.action_units = tuple(sorted(self.regions))
        self.bundled = bundled
        self._content = {str(key): value for key, value in data.items()}
        self._tables: dict[torch.device, Ellipses] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_tables": {}}  # tables belong to a device; they are made anew

    def shapes(self, action_units: Sequence[int]) -> tuple[int, ...]:
        """Return the ids of the ellipses of these action units (see `RegionModel`)."""
        return tuple(shape for unit in sorted(set(action_units)) for shape in self._shapes_of[unit])

    def draw(
        self, landmarks: Tensor, shapes: Tensor, size: tuple[int, int], grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Draw the union of some ellipses on each face (see `RegionModel`).

        The level of an ellipse is linear in its quadratic form q, 1 inside and 0 outside of an edge around
        q = 1. Completing the square in x leaves one multiplication per pixel:
        level = top(row) - (scale * x - middle(row))^2.
        """
        landmarks = landmarks.float()
        centre, form, softness = self._place(landmarks, shapes)  # (B, E, 2), (B, E, 3), (B, E)
        x, y = (pixels(g, s, landmarks.device) for g, s in zip(reversed(grid), reversed(size), strict=True))
        dy = y - centre[..., 1:]  # (B, E, h)
        xx, xy, yy = form.unsqueeze(-1).unbind(-2)  # (B, E, 1)
        sharpness = 0.5 / softness.unsqueeze(-1)
        scale = (xx * sharpness).sqrt()
        middle = scale * (centre[..., :1] - xy / xx * dy)
        top = 0.5 + sharpness * (1 - (yy - xy * xy / xx) * dy * dy)
        top = torch.where(shapes.unsqueeze(-1) < 0, -1.0, top)

        level = landmarks.new_zeros(len(landmarks), *grid)
        for slot in range(shapes.shape[1]):  # one ellipse of all faces at a time stays in cache
            across = (scale[:, slot] * x).unsqueeze(1) - middle[:, slot].unsqueeze(2)  # (B, h, w)
            level = torch.maximum(level, torch.addcmul(top[:, slot].unsqueeze(2), across, across, value=-1))
        level = level.clamp(max=1)
        maps = level * level * (3 - 2 * level)  # smoothstep
        known = landmarks.isfinite().flatten(1).all(1)  # also of landmarks that no region needs
        return maps, known & (maps.flatten(1).amax(1) > 0)  # NaN compares false

    def finish(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps as they are: what of a face is in the frame must not change them."""
        return maps, maps.new_ones(len(maps), dtype=torch.bool)

    def _place(self, landmarks: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centres in pixels, quadratic forms per square pixel, softness of the chosen ellipses."""
        table = self._on(landmarks.device)
        left, right = landmarks[:, LEFT_EYE].mean(1), landmarks[:, RIGHT_EYE].mean(1)
        axis = right - left  # (B, 2); its length is the unit of the table
        unit = axis.square().sum(-1, keepdim=True)
        axis = torch.where(unit >= _SMALLEST_FACE**2, axis, torch.nan)
        cos, sin = axis.unbind(-1)

        rows = torch.arange(len(landmarks), device=landmarks.device)[:, None, None]
        chosen = shapes.clamp(min=0)
        weights = table.weights[chosen].unsqueeze(-1)  # (B, E, P, 1)
        centre = (landmarks[rows, table.points[chosen]] * weights).sum(2)
        right, down = table.shift[chosen].unbind(-1)
        cos, sin = cos[:, None], sin[:, None]
        centre = centre + torch.stack((right * cos - down * sin, right * sin + down * cos), -1)

        xx, xy, yy = table.form[chosen].unbind(-1)
        turned = (
            xx * cos * cos - 2 * xy * cos * sin + yy * sin * sin,
            (xx - yy) * cos * sin + xy * (cos * cos - sin * sin),
            xx * sin * sin + 2 * xy * cos * sin + yy * cos * cos,
        )
        return centre, torch.stack(turned, -1) / unit[:, None].square(), table.softness[chosen]

    @cached_property
    def _shapes_of(self) -> dict[int, tuple[int, ...]]:
        shapes, first = {}, 0
        for unit in self.action_units:
            count = 2 if self.regions[unit].bilateral else 1
            shapes[unit] = tuple(range(first, first + count))
            first += count
        return shapes

    def _on(self, device: torch.device) -> Ellipses:
        if device not in self._tables:
            ellipses = _ellipses([self.regions[unit] for unit in self.action_units], self.edge)
            self._tables[device] = Ellipses(*(tensor.to(device) for tensor in ellipses))
        return self._tables[device]


def _ellipses(regions: Sequence[Region], edge: float) -> Ellipses:
    """Lay out a table as tensors; the right one of a pair mirrors the left one."""
    width = max(len(region.centre) for region in regions)
    points, weights, shift, form, softness = [], [], [], [], []
    for region in regions:
        for side in (-1, 1) if region.bilateral else (1,):  # -1: the picture's left
            landmarks = [int(MIRROR[p]) if region.bilateral and side > 0 else p for p in region.centre]
            points.append(landmarks + [0] * (width - len(landmarks)))
            weights.append([*region.centre.values()] + [0.0] * (width - len(landmarks)))
            shift.append((side * region.out, -region.up))
            # Raising the outer end turns the right ellipse counter-clockwise as seen, the left one clockwise.
            cos, sin = math.cos(math.radians(region.angle)), -side * math.sin(math.radians(region.angle))
            a, b = (1 / axis**2 for axis in region.axes)
            form.append((a * cos * cos + b * sin * sin, (a - b) * cos * sin, a * sin * sin + b * cos * cos))
            # At the outline, q rises by 2 / sqrt(ab) per unit of length along the mean axis. At most 1, so
            # that even a narrow ellipse reaches 1 in its centre.
            softness.append(min(edge / math.sqrt(math.prod(region.axes)), 1.0))
    floats = (torch.tensor(value, dtype=torch.float32) for value in (weights, shift, form, softness))
    return Ellipses(torch.tensor(points), *floats)


_Parsed = tuple[str, float, dict[int, Region]]


def _read(table: str | Path) -> tuple[Mapping, _Parsed]:
    content = read_mapping(table)
    parsed = _parse(content, str(table))
    for number, region in parsed[2].items():  # not of model files: older ones may have been trained so
        if region.bilateral:
            _check_left(region, f"{table}, AU{number}")
    return content, parsed


@cache
def _bundled() -> tuple[Mapping, _Parsed]:
    """Every model has its regions, and reading the table takes a while."""
    return _read(_TABLE)


def _numbered(data: Mapping) -> dict:
    """A table of JSON, which has only text as keys, with numbers where a table of YAML has them."""
    units = data.get("action_units")
    if not isinstance(units, Mapping):
        return dict(data)
    rows = {}
    for number, row in units.items():
        centre = row.get("centre") if isinstance(row, Mapping) else None
        rows[_number_of(number)] = (
            {**row, "centre": {_number_of(point): weight for point, weight in centre.items()}}
            if isinstance(centre, Mapping)
            else row
        )
    return {**data, "action_units": rows}


def _number_of(key: object) -> object:
    return int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 10 else key


def _parse(data: Mapping, where: str) -> tuple[str, float, dict[int, Region]]:
    check_keys(data, ("name", "edge", "action_units"), where)
    name, units = data.get("name"), data.get("action_units")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: 'name' must be a text, not {kind(name)}.")
    edge = _number(data.get("edge", 0.1), f"{where}: 'edge'", positive=True)
    if not isinstance(units, Mapping) or not units:
        raise InputError(f"{where}: 'action_units' must be a mapping (number: region), not {kind(units)}.")
    if len(units) > _MOST:
        raise InputError(f"{where}: more than {_MOST} action units; no face has as many.")
    for number in units:
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"{where}: {number!r} is not an action-unit number such as 12.")
    return name, edge, {number: _region(row, f"{where}, AU{number}") for number, row in units.items()}


def _region(row: object, where: str) -> Region:
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: must be a mapping with where, centre and axes, not {kind(row)}.")
    check_keys(row, ("where", "centre", "out", "up", "axes", "angle"), where)
    if row.get("where") not in ("bilateral", "midline"):
        raise InputError(f"{where}: 'where' must be bilateral or midline, not {row.get('where')!r}.")
    axes = row.get("axes")
    if not isinstance(axes, list | tuple) or len(axes) != 2:
        raise InputError(f"{where}: 'axes' must be [half-width, half-height], not {axes!r}.")
    region = Region(
        bilateral=row["where"] == "bilateral",
        centre=_centre(row.get("centre"), where),
        out=_number(row.get("out", 0), f"{where}: 'out'"),
        up=_number(row.get("up", 0), f"{where}: 'up'"),
        axes=(
            _number(axes[0], f"{where}: half-width", positive=True),
            _number(axes[1], f"{where}: half-height", positive=True),
        ),
        angle=_number(row.get("angle", 0), f"{where}: 'angle'"),
    )
    if not region.bilateral:
        _check_symmetric(region, where)
    return region


def _centre(centre: object, where: str) -> dict[int, float]:
    if not isinstance(centre, Mapping) or not centre:
        raise InputError(f"{where}: 'centre' must be a mapping (landmark: weight), not {kind(centre)}.")
    for point in centre:
        if not isinstance(point, int) or isinstance(point, bool) or not 0 <= point < NUM_LANDMARKS:
            raise InputError(f"{where}, centre: {point!r} is not a landmark; they are numbered 0 to 67.")
    weights = {p: _number(weight, f"{where}, centre, landmark {p}") for p, weight in centre.items()}
    total = sum(weights.values())
    if total <= 0:
        raise InputError(f"{where}, centre: the weights must sum to more than zero, not {total:g}.")
    return {point: weight / total for point, weight in weights.items()}


def _check_left(region: Region, where: str) -> None:
    """What is out and which end is the outer one depends on the half that the centre lies in."""
    left = sum(weight for point, weight in region.centre.items() if point in LEFT_HALF)
    right = {point: weight for point, weight in region.centre.items() if int(MIRROR[point]) in LEFT_HALF}
    if sum(right.values()) > left and (region.out or region.angle):
        point = next(iter(right))
        raise InputError(
            f"{where}: the centre of a bilateral region is given in the picture's left half, the right one "
            f"mirrors it: name landmark {int(MIRROR[point])} instead of {point}."
        )


def _check_symmetric(region: Region, where: str) -> None:
    mirrored = {int(MIRROR[point]): weight for point, weight in region.centre.items()}
    if mirrored != dict(region.centre):
        raise InputError(
            f"{where}: the centre of a midline region must be symmetric: each landmark with its partner."
        )
    if region.out or region.angle:
        raise InputError(f"{where}: a midline region can have neither 'out' nor 'angle'.")


def _number(value: object, what: str, positive: bool = False) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{what} must be a number, not {kind(value)}.")
    if positive and value <= 0:
        raise InputError(f"{what} must be greater than zero, not {value:g}.")
    if abs(value) > _FARTHEST or (positive and value < 1 / _FARTHEST):
        raise InputError(f"{what} is out of proportion to a face: {value:g}.")
    return float(value)
