"""Region model `fg2024`: the regions of the paper's published code, pixel by pixel.

For comparison with published results (FG 2024, arXiv 2402.00281). Its radii are fixed in pixels or taken from
landmarks truncated to whole pixels, and do not turn with the face; `anatomical` mends that.

Every action unit is drawn as one or two filled ellipses at the frame's size, sampled down to 28 x 28, blurred
with a 3 x 3 box and sampled up to the size asked for. The sampler reads two rows and two columns per cell, so
only the rows it reads are ever evaluated, each as runs of pixels. The runs are OpenCV's to the pixel, save
single pixels where it clips an outline at the border of the frame; at 224 x 224 these are hardly ever read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from aucue.cues.grids import min_max
from aucue.cues.opencv_ellipse import LONGEST_AXIS, filled_rows

_CELLS = 28  # side of the grid on which the published code blurs
_FLOOR = 1e-4 / 255  # the published canvas is filled with 1e-4, ellipses with 255
_FARTHEST = 1 << 20  # landmarks are clamped to this, far outside of any frame, lest anything overflow

# Several action units share one shape.
_UNITS = ((1,), (2,), (4,), (5,), (6,), (7,), (9,), (10,), (12, 15), (14,), (16,), (17,), (20,))
_SHAPES = {
    unit: shape for shape, units in enumerate((*_UNITS, (23, 24, 26, 27), (25,), (43,))) for unit in units
}


class _Tables(NamedTuple):
    """What drawing needs on one device.

    Attributes:
        rows: (2 * 28,) long, the frame rows that the sampler reads, two per cell.
        row_share: (28, 1) the weight of the second; the first has the rest.
        columns: (W + 1, 28): entry [x, c] is the weight in cell c of all columns left of x.
        filled: Pixels of OpenCV's ellipses, see `filled_rows`, flattened to (n, 2).
    """

    rows: Tensor
    row_share: Tensor
    columns: Tensor
    filled: Tensor


class PublishedRegions:
    """Action-unit regions as the published code draws them (see the module's text).

    Args:
        side: Shorter side in pixels of the frame that is drawn in, whatever that of the landmarks: the
            published code has crops of 224 pixels, in which a radius of 20 is a tenth of the face; in a crop
            of 64 it would be a third. None draws in the frame of the landmarks.
    """

    action_units = tuple(sorted(_SHAPES))

    def __init__(self, side: int | None = None) -> None:
        self.side = side
        self.name = "fg2024" if side is None else f"fg2024-{side}"
        self._filled = filled_rows().flatten(0, 2)  # here, because torch.compile cannot follow how it is made
        self._tables: dict[tuple[torch.device, tuple[int, int], torch.dtype], _Tables] = {}

    def __reduce__(self) -> tuple:
        return type(self), (self.side,)  # there is no other state but tables, which are made anew

    def shapes(self, action_units: Sequence[int]) -> tuple[int, ...]:
        """Return the ids of the shapes of these action units, shared ones once (see `RegionModel`)."""
        return tuple(sorted({_SHAPES[unit] for unit in action_units}))

    def draw(
        self, landmarks: Tensor, shapes: Tensor, size: tuple[int, int], grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Draw the union of some shapes on each face (see `RegionModel`).

        The maps are the published ones divided by 255, before they are stretched.
        """
        landmarks = landmarks.to(torch.promote_types(landmarks.dtype, torch.float32))
        if self.side is not None:
            scale = self.side / min(size)
            landmarks = (landmarks + 0.5) * scale - 0.5
            size = (round(size[0] * scale), round(size[1] * scale))
        known = landmarks.isfinite().flatten(1).all(1)
        landmarks = torch.where(known[:, None, None], landmarks, 0.0)
        ellipses = self._ellipses(landmarks, shapes, size)
        drawn = self._visible(ellipses, size) & (shapes >= 0)  # (B, E)

        maps = landmarks.new_zeros(len(landmarks), *grid, dtype=torch.float32)
        for slot in range(shapes.shape[1]):  # one shape of all faces at a time stays in cache
            cells = self._cells(ellipses[:, slot], size) * drawn[:, slot, None, None]
            maps = torch.maximum(maps, _finish_shape(cells, grid))
        return maps * (1 - _FLOOR) + _FLOOR, known & drawn.any(1)

    def finish(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch each union to [0, 1]; a constant one, drawn between the rows sampled, is no cue."""
        return min_max(maps)

    def cells(self, landmarks: Tensor, size: tuple[int, int]) -> Tensor:
        """Return how much of each cell of the 28 x 28 grid each action unit covers, before the blur.

        Args:
            landmarks: (B, 68, 2) finite, in pixels of the frame.
            size: (H, W) of the frame.

        Returns:
            (B, n, 28, 28) float64 in [0, 1], in the order of `action_units`.
        """
        shapes = torch.tensor([_SHAPES[unit] for unit in self.action_units], device=landmarks.device)
        ellipses = self._ellipses(landmarks, shapes.expand(len(landmarks), -1), size)
        cells = self._cells(ellipses.flatten(0, 1), size, torch.float64)
        return cells.view(len(landmarks), len(shapes), _CELLS, _CELLS)

    def _ellipses(self, landmarks: Tensor, shapes: Tensor, size: tuple[int, int]) -> Tensor:
        """Chosen ellipses (B, E, 2, 4) int32: centre x, y, semi-axes a, b; padding as any shape."""
        every = _published_geometry(landmarks, size)
        rows = torch.arange(len(landmarks), device=landmarks.device)[:, None]
        return every[rows, shapes.clamp(min=0)]

    def _visible(self, ellipses: Tensor, size: tuple[int, int]) -> Tensor:
        """Whether a pixel of the two ellipses (..., 2, 4) is in the frame: see the row nearest the centre."""
        height, width = size
        row = ellipses[..., 1].clamp(0, height - 1).unsqueeze(-1)
        first, last = self._runs(ellipses, row, size)
        return ((first <= last) & (first < width) & (last >= 0)).flatten(-2).any(-1)

    def _runs(self, ellipses: Tensor, rows: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """First and last filled column (..., R) of the ellipses (..., 4) in frame rows (..., R) or (R,)."""
        x, y, a, b = (part.unsqueeze(-1) for part in ellipses.unbind(-1))
        offset = rows - y
        table = self._on(ellipses.device, size).filled
        limit = LONGEST_AXIS
        side = 2 * limit + 1
        index = (a.clamp(max=limit) * (limit + 1) + b.clamp(max=limit)) * side
        index = index + offset.clamp(-limit, limit) + limit
        first, last = table[index.flatten()].view(*index.shape, 2).int().unbind(-1)
        empty = offset.abs() > b + 1
        # Beyond the table, an exact ellipse: it differs from OpenCV's polygon by less than a pixel there.
        large = torch.maximum(a, b) > limit
        half = (a * (1 - (offset / b.clamp(min=1)).square()).clamp(min=0).sqrt()).round().int()
        first, last = torch.where(large, -half, first), torch.where(large, half, last)
        empty = empty | (large & (offset.abs() > b))
        return torch.where(empty, 1, x + first), torch.where(empty, 0, x + last)

    def _cells(self, ellipses: Tensor, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Coverage (N, 28, 28) of the grid's cells by the union of two ellipses (N, 2, 4)."""
        tables = self._on(ellipses.device, size, dtype)
        first, last = self._runs(ellipses, tables.rows, size)  # (N, 2, 56)
        end = (last + 1).clamp(0, size[1])
        start = torch.minimum(first.clamp(0, size[1]), end)
        # The union of two runs as two runs that do not overlap: the second begins after the first.
        (start_1, start_2), (end_1, end_2) = start.unbind(1), end.unbind(1)
        swap = start_1 > start_2
        start_1, start_2 = torch.where(swap, start_2, start_1), torch.where(swap, start_1, start_2)
        end_1, end_2 = torch.where(swap, end_2, end_1), torch.where(swap, end_1, end_2)
        start_2 = torch.maximum(start_2, end_1)
        end_2 = torch.maximum(end_2, start_2)

        bounds = torch.stack((end_1, start_1, end_2, start_2)).flatten()
        weight = tables.columns.index_select(0, bounds).view(4, len(ellipses), _CELLS, 2, _CELLS)
        covered = (weight[0] - weight[1]) + (weight[2] - weight[3])  # (N, 28, 2, 28)
        return covered[:, :, 0].lerp(covered[:, :, 1], tables.row_share)

    def _on(self, device: torch.device, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> _Tables:
        key = (device, size, dtype)
        if key not in self._tables:
            rows, row_share = _sampler(size[0])
            columns, column_share = _sampler(size[1])
            weights = torch.stack((1 - column_share, column_share), 1).flatten()
            sampling = torch.zeros(size[1] + 1, _CELLS, dtype=torch.float64)
            cells = torch.arange(_CELLS).repeat_interleave(2)
            sampling.index_put_((columns + 1, cells), weights, accumulate=True)
            self._tables[key] = _Tables(
                rows.to(device),
                row_share[:, None].to(device, dtype),
                sampling.cumsum(0).to(device, dtype),
                self._filled.to(device),
            )
        return self._tables[key]


def _sampler(size: int) -> tuple[Tensor, Tensor]:
    """What bilinear resizing without antialiasing reads along one axis.

    Returns:
        (56,) long: two neighbouring pixels per cell; (28,) float64: the weight of the second.
    """
    position = ((torch.arange(_CELLS, dtype=torch.float64) + 0.5) * (size / _CELLS) - 0.5).clamp(min=0)
    lower = position.floor().clamp(max=size - 1)
    upper = (lower + 1).clamp(max=size - 1)
    return torch.stack((lower, upper), 1).flatten().long(), position - lower


def _finish_shape(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Blur cells (B, 28, 28) with a 3 x 3 box, reflected at the border, and sample them to (B, h, w)."""
    padded = functional.pad(cells.unsqueeze(1), (1, 1, 1, 1), mode="reflect").squeeze(1)
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    blurred = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9  # three times faster than avg_pool2d
    if grid == (_CELLS, _CELLS):
        return blurred
    resized = functional.interpolate(blurred.unsqueeze(1), grid, mode="bilinear", align_corners=False)
    return resized.squeeze(1)


def _published_geometry(landmarks: Tensor, size: tuple[int, int]) -> Tensor:
    """All shapes of all faces (B, 16, 2, 4) int32: two ellipses each, as centre x, y and semi-axes a, b.

    Follows the published code; the order is that of `_SHAPES`. A shape that is one ellipse has it twice.
    Landmarks are truncated to whole pixels in the precision they come in.
    """
    height, width = size
    x, y = landmarks.trunc().clamp(-_FARTHEST, _FARTHEST).int().unbind(-1)  # (B, 68) each

    def middle(values: Tensor, first: int, second: int) -> Tensor:
        return torch.div(values[:, first] + values[:, second], 2, rounding_mode="trunc")

    def half(values: Tensor, first: int, second: int, extra: int = 0, instead_of_zero: int = 0) -> Tensor:
        span = values[:, second] - values[:, first] + extra
        axis = torch.div(span, 2, rounding_mode="trunc").clamp(min=0)
        return torch.where(axis == 0, instead_of_zero, axis)

    def ellipse(cx: Tensor, cy: Tensor, a: Tensor | int, b: Tensor | int) -> Tensor:
        axes = (torch.as_tensor(axis, dtype=cx.dtype, device=cx.device).expand_as(cx) for axis in (a, b))
        return torch.stack((cx, cy, *axes), -1)

    def pair(left: Tensor, right: Tensor) -> Tensor:
        return torch.stack((left, right), 1)

    def at(left: tuple[int, int], right: tuple[int, int], a: int = 20, b: int = 20, down: int = 0) -> Tensor:
        # A centre may take its x from one landmark and its y from another.
        return pair(*(ellipse(x[:, i], y[:, j] + down, a, b) for i, j in (left, right)))

    def between(first: int, second: int, instead_of_zero: int) -> Tensor:
        axes = (half(values, first, second, instead_of_zero=instead_of_zero) for values in (x, y))
        one = ellipse(middle(x, first, second), middle(y, first, second), *axes)
        return pair(one, one)

    def eye(left: int, right: int, top: int, bottom: int, taller: int, instead_of_zero: int) -> Tensor:
        a = half(x, left, right, 0, instead_of_zero)
        b = half(y, top, bottom, taller, instead_of_zero)
        return ellipse(middle(x, left, right), middle(y, top, bottom), a, b)

    def eyes(taller: int, instead_of_zero: int) -> Tensor:
        return pair(
            eye(36, 39, 38, 41, taller, instead_of_zero),
            eye(42, 45, 44, 47, taller, instead_of_zero),
        )

    mouth = ellipse(middle(x, 48, 54), middle(y, 51, 57), half(x, 48, 54, 0, 5), half(y, 51, 57, 0, 5))
    dimples = (
        ellipse((x[:, 48] - 20).clamp(min=0), y[:, 48], 20, 20),
        ellipse((x[:, 54] + 20).clamp(max=width), y[:, 54], 20, 20),
    )
    stretched = (ellipse(middle(x, i, j), middle(y, i, j), 20, 20) for i, j in ((48, 6), (50, 10)))
    brow = round(width / 8), round(height / 10)
    cheek = round(width / 10), round(height / 10), round(height / 6)
    return torch.stack(
        (
            at((20, 20), (23, 23), *brow),  # AU1
            at((18, 18), (25, 25), *brow),  # AU2
            between(19, 24, instead_of_zero=10),  # AU4
            eyes(taller=0, instead_of_zero=5),  # AU5
            at((41, 41), (46, 46), *cheek),  # AU6
            eyes(taller=20, instead_of_zero=5),  # AU7
            at((31, 29), (35, 29)),  # AU9
            at((48, 50), (52, 54)),  # AU10
            at((48, 48), (54, 54)),  # AU12, AU15
            pair(*dimples),  # AU14
            at((59, 59), (55, 55)),  # AU16
            between(59, 8, instead_of_zero=5),  # AU17
            pair(*stretched),  # AU20
            pair(mouth, mouth),  # AU23, AU24, AU26, AU27
            at((51, 51), (57, 57), 25, 10),  # AU25
            eyes(taller=20, instead_of_zero=0),  # AU43
        ),
        1,
    )
