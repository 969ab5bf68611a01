"""The cue of this package: landmarks and an expression -> where its action units show."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aucue.cues.anatomical import AnatomicalRegions
from aucue.cues.cue import Cue, check_frame
from aucue.cues.fg2024 import PublishedRegions
from aucue.cues.regions import RegionModel
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS, Codebook
from aucue.work.tables import did_you_mean

REGION_MODELS: Mapping[str, Callable[[], RegionModel]] = {
    "anatomical": AnatomicalRegions,
    "fg2024": PublishedRegions,
    "fg2024-224": partial(PublishedRegions, 224),
}
"""Bundled region models by name: `anatomical` (default), `fg2024` (the published code's, with radii in pixels
of the frame) and `fg2024-224` (the same as they look in the 224 pixels of the published crops)."""


def region_model(regions: "str | Path | RegionModel") -> RegionModel:
    """Return a region model.

    Args:
        regions: A name in `REGION_MODELS`, the path of a region table in the format of `anatomical.yaml`, or
            a model (returned as it is).

    Raises:
        InputError: No such model, or the table is wrong.
    """
    if not isinstance(regions, str | Path):
        return regions
    if regions in REGION_MODELS:
        return REGION_MODELS[str(regions)]()
    if Path(regions).suffix or Path(regions).exists():
        return AnatomicalRegions(regions)
    raise InputError(
        f"There is no region model {str(regions)!r}; give one of {', '.join(REGION_MODELS)} or the path of"
        f" a YAML table.{did_you_mean(regions, REGION_MODELS)}"
    )


def region_model_of(content: object, where: str) -> RegionModel:
    """Return the region model that a file names or carries within itself. No other file is ever read.

    Args:
        content: What the file says: one of `REGION_MODELS`, or a region table.
        where: The file, for the error.

    Raises:
        InputError: It is no such name, or the table is wrong.
    """
    if isinstance(content, Mapping):
        return AnatomicalRegions.from_content(content, where)
    if not isinstance(content, str) or content not in REGION_MODELS:
        raise InputError(
            f"{where}: there is no region model {content!r}; a file may name {', '.join(REGION_MODELS)}."
            f"{did_you_mean(content, REGION_MODELS)}"
        )
    return REGION_MODELS[content]()


def region_content(regions: RegionModel) -> str | dict[str, Any]:
    """What a file is to carry of a region model, so that `region_model_of` gives the same again.

    Args:
        regions: The model.

    Returns:
        The name of a bundled one, or a region table.
    """
    if isinstance(regions, AnatomicalRegions) and not regions.bundled:
        return regions.to_dict()
    return regions.name


class AUCue:
    """Draws, for each face, the regions of the action units of its expression.

    Works in float32 on the device of the landmarks, under autocast too; no Python loop over faces.

    Args:
        codebook: Action units per expression: a codebook, a bundled name or a YAML file.
        classes: Expression names in the order of the class ids (a model's classes).
        regions: Where the action units show: a name in `REGION_MODELS`, a YAML table or a model.

    Raises:
        InputError: A class is not in the codebook, or the region model cannot draw one of its action units.
    """

    def __init__(
        self,
        codebook: str | Path | Codebook = "facs",
        classes: Sequence[str] = EXPRESSIONS,
        regions: str | Path | RegionModel = "anatomical",
    ) -> None:
        self.codebook = Codebook.load(codebook)
        self.classes = tuple(classes)
        self.regions = region_model(regions)
        self._shapes = self._class_table()
        self._shapes_on: dict[torch.device, Tensor] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_shapes_on": {}}  # tables belong to a device; they are made anew

    @property
    def action_units(self) -> tuple[int, ...]:
        """FACS numbers of all action units that the region model draws, in the order of `single`'s maps."""
        return self.regions.action_units

    def __call__(
        self,
        landmarks: Tensor,
        expression: Tensor,
        size: tuple[int, int],
        grid: tuple[int, int] | None = None,
    ) -> Cue:
        """Draw the cue of each face's expression.

        Args:
            landmarks: (B, 68, 2), (x, y) in pixels of the frame, (0, 0) the centre of the top-left pixel;
                NaN if missing.
            expression: (B,) long, class ids; an id that is no class (negative: unknown) makes the cue
                invalid, as an expression without action units does.
            size: (H, W) of the frame in pixels.
            grid: (h, w) of the map, default `size`; map pixel j samples the frame at
                (j + 0.5) * size / grid - 0.5.

        Returns:
            The cue, (B, 1, h, w).

        Raises:
            InputError: A shape or size is wrong.
        """
        size, grid = check_frame(landmarks, size, grid)
        if expression.shape != landmarks.shape[:1] or expression.is_floating_point():
            raise InputError(
                f"'expression' must hold one class id per face: {len(landmarks)} whole numbers, not"
                f" {tuple(expression.shape)} of {expression.dtype}."
            )
        none = len(self.classes)  # the table's last row
        expression = torch.where((expression >= 0) & (expression < none), expression, none).long()
        shapes = self._on(landmarks.device)[expression]
        return self._draw(landmarks, shapes, size, grid)

    def single(
        self,
        landmarks: Tensor,
        size: tuple[int, int],
        grid: tuple[int, int] | None = None,
        units: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw every action unit by itself.

        Args:
            landmarks: (B, 68, 2) as above.
            size: (H, W) of the frame in pixels.
            grid: (h, w) of the maps, default `size`.
            units: Which ones, n of them; default `action_units`.

        Returns:
            Maps (B, n, h, w) in [0, 1] in the order of `units`, not stretched to the full range, and (B, n)
            bool whether each is valid.
        """
        size, grid = check_frame(landmarks, size, grid)
        rows = [self.regions.shapes([unit]) for unit in (self.action_units if units is None else units)]
        table = _padded(rows).to(landmarks.device)
        faces, count = len(landmarks), len(table)
        maps, drawn = self.regions.draw(
            landmarks.repeat_interleave(count, 0), table.repeat(faces, 1), size, grid
        )
        cue = Cue.of(maps, drawn)
        return cue.map.view(faces, count, *grid), cue.valid.view(faces, count)

    def generic(self, landmarks: Tensor, size: tuple[int, int], grid: tuple[int, int] | None = None) -> Cue:
        """Draw all action units of the region model on each face, whatever its expression.

        Args:
            landmarks: (B, 68, 2) as above.
            size: (H, W) of the frame in pixels.
            grid: (h, w) of the map, default `size`.

        Returns:
            The cue, (B, 1, h, w).
        """
        size, grid = check_frame(landmarks, size, grid)
        shapes = _padded([self.regions.shapes(self.action_units)]).to(landmarks.device)
        return self._draw(landmarks, shapes.expand(len(landmarks), -1), size, grid)

    def _draw(self, landmarks: Tensor, shapes: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Cue:
        maps, drawn = self.regions.draw(landmarks, shapes, size, grid)
        maps, usable = self.regions.finish(maps)
        return Cue.of(maps, drawn & usable)

    def _class_table(self) -> Tensor:
        rows = []
        for name in self.classes:
            units = self.codebook[name]
            missing = [unit for unit in units if unit not in self.regions.action_units]
            if missing:
                raise InputError(
                    f"Region model {self.regions.name} cannot draw {self.codebook.action_units[missing[0]]},"
                    f" which codebook {self.codebook.name} gives {name}; it draws AU"
                    f" {', '.join(str(unit) for unit in self.regions.action_units)}."
                )
            rows.append(self.regions.shapes(units))
        return _padded([*rows, ()])

    def _on(self, device: torch.device) -> Tensor:
        if device not in self._shapes_on:
            self._shapes_on[device] = self._shapes.to(device)
        return self._shapes_on[device]


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack rows of different lengths, (rows, longest), padded with -1."""
    width = max(1, *(len(row) for row in rows)) if rows else 1
    padded = [[*row] + [-1] * (width - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.long).view(-1, width)
