"""Cues of a batch of faces, as the settings of guidance ask for them."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.cues import AUCue, Cue, LandmarkCue, mask_cue
from aucue.errors import InputError
from aucue.models.card import CueKind
from aucue.training.config import GuidanceSettings
from aucue.training.moving import move_map

Batch = Mapping[str, Tensor]
"""image (B, 3, S, S), label (B,) long, landmarks (B, 68, 2) in pixels of the image, NaN where unknown; and,
where labels are soft, probabilities (B, K); and, where the augmentation hides something, hidden (B, 1, S, S)
bool; and, where the set has them, mask (B, 1, C, C) in [0, 1] of the stored crops and stored (B, 68, 2), the
landmarks of these as shares of the sides."""


class Drawing:
    """Draws what attention and class maps are aligned with, on the device of the faces.

    Args:
        cue: Draws the action-unit maps.
        settings: Which kind of cue, at which size, of which landmarks.
        shapes: Channels, height and width of the features of every layer.
    """

    def __init__(
        self, cue: AUCue, settings: GuidanceSettings, shapes: Mapping[str, tuple[int, int, int]]
    ) -> None:
        self.cue, self.settings, self._shapes = cue, settings, shapes
        self._landmarks = LandmarkCue()
        self._expressions = [i for i, name in enumerate(cue.classes) if cue.codebook[name]]

    def __call__(self, batch: Batch, layer: str, expression: Tensor | None = None) -> Cue:
        """Action-unit maps (B, 1, h, w) of a batch, drawn on its device, for a layer.

        Args:
            batch: The faces.
            layer: On whose grid they are drawn, unless the settings ask for the input's.
            expression: (B,) ids whose action units are drawn, whatever the settings draw.
        """
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        grid = None if self.settings.cue_size == "input" else self._shapes[layer][1:]
        kind = self.settings.cue if expression is None else "expression"
        expression = batch["label"] if expression is None else expression
        if kind == "mask":
            cue = self._moved_mask(batch)
        elif self.settings.drawn == "stored":
            cue = self._moved_cue(kind, batch, expression, size)
        else:
            cue = self._cue_of(kind, batch["landmarks"], expression, size, grid)
        if not self.settings.visible or "hidden" not in batch:
            return cue
        seen = cue.map * visible(batch, cue.map)
        return Cue(seen, cue.valid & seen.flatten(1).any(1))

    def _cue_of(
        self,
        kind: CueKind,
        landmarks: Tensor,
        expression: Tensor,
        size: tuple[int, int],
        grid: tuple[int, int] | None,
    ) -> Cue:
        if kind == "all":
            return self.cue.generic(landmarks, size, grid)
        if kind == "landmarks":  # bumps as wide as published, which is at 224 pixels, whatever the input
            scale = 224 / size[1]
            published = (landmarks + 0.5) * scale - 0.5
            return self._landmarks(published, (round(size[0] * scale), 224), grid or size)
        return self.cue(landmarks, self.other(expression) if kind == "wrong" else expression, size, grid)

    def _moved_cue(self, kind: CueKind, batch: Batch, expression: Tensor, size: tuple[int, int]) -> Cue:
        """The cue of the stored landmarks, moved as the picture was."""
        if "stored" not in batch:
            raise InputError(
                "guidance.drawn: 'stored' needs the landmarks before augmentation in each batch."
            )
        sides = torch.tensor([size[1], size[0]], device=batch["stored"].device)
        cue = self._cue_of(kind, batch["stored"] * sides - 0.5, expression, size, None)
        moved = move_map(cue.map, batch["stored"], _shares(batch, size))
        return Cue(moved, cue.valid & moved.flatten(1).any(1))

    def _moved_mask(self, batch: Batch) -> Cue:
        """The masks of the faces, moved as the pictures were; neutral faces have theirs, too."""
        if "mask" not in batch:
            raise InputError(
                "guidance.cue: 'mask' needs faces with masks; prepare a table that has the column mask."
            )
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        masks = interpolate(batch["mask"], size, mode="bilinear", antialias=True)
        return mask_cue(move_map(masks, batch["stored"], _shares(batch, size)).clamp(0, 1))

    def other(self, expression: Tensor) -> Tensor:
        """For each expression (B,) another one that has action units, always the same: the next one.

        One without action units stays what it is.
        """
        turned = [*self._expressions[1:], *self._expressions[:1]]
        following = dict(zip(self._expressions, turned, strict=True))
        table = [following.get(id, id) for id in range(len(self.cue.classes))]
        return torch.tensor(table, device=expression.device)[expression]

    def of_all(self, batch: Batch, layer: str) -> tuple[Tensor, Tensor]:
        """Maps (B, E, h, w) of all expressions that have one on each face, and which is the label's (B,).

        That of a label without action units is 0.
        """
        labels = batch["label"]
        index = torch.zeros(len(self.cue.classes), dtype=torch.long, device=labels.device)
        index[self._expressions] = torch.arange(len(self._expressions), device=labels.device)
        drawn = [self(batch, layer, torch.full_like(labels, id)).map for id in self._expressions]
        return torch.cat(drawn, dim=1), index[labels]


def visible(batch: Batch, like: Tensor) -> Tensor:
    """Share of each cell that the augmentation left visible (B, 1, h, w)."""
    return 1 - interpolate(batch["hidden"].to(like), like.shape[-2:], mode="area")


def _shares(batch: Batch, size: tuple[int, int]) -> Tensor:
    """The landmarks of a batch as shares of the sides of its pictures."""
    height, width = size
    return (batch["landmarks"] + 0.5) / batch["landmarks"].new_tensor([width, height])
