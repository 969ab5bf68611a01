"""Region models: the geometry that turns landmarks into the regions where action units show."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class RegionModel(Protocol):
    """Draws action units. A model has a fixed list of shapes; an action unit is one or several of them.

    Attributes:
        name: Its name, kept with every model trained with it.
        action_units: The FACS numbers it can draw, ascending.
    """

    name: str
    action_units: tuple[int, ...]

    def shapes(self, action_units: Sequence[int]) -> tuple[int, ...]:
        """Return the ids of the shapes that together draw these action units, none twice."""
        ...

    def draw(
        self, landmarks: Tensor, shapes: Tensor, size: tuple[int, int], grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Draw the union of some shapes on each face.

        Args:
            landmarks: (B, 68, 2) in pixels of the frame; NaN if missing.
            shapes: (B, E) long, shape ids per face, padded with -1.
            size: (H, W) of the frame.
            grid: (h, w) of the maps; pixel j samples the frame at (j + 0.5) * size / grid - 0.5.

        Returns:
            Maps (B, h, w) float32 in [0, 1], and (B,) bool: whether anything was drawn. Maps of which nothing
            was drawn may hold anything, NaN too.
        """
        ...

    def finish(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Turn drawn unions into cues.

        Args:
            maps: (B, h, w) in [0, 1] as drawn.

        Returns:
            Maps (B, h, w) in [0, 1], perhaps stretched, and (B,) bool: whether each is usable.
        """
        ...
