"""Controls: how large a cosine is for a map that never looked at the image.

In an aligned frame the cues of different faces resemble each other, so a fixed picture reaches much of every
cosine. A figure of a network speaks only as far as it exceeds these.
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from aucue.errors import InputError
from aucue.metrics.cosine import EPS, cam_at, map_cosine

GAUSSIAN_SIGMA = 0.25  # of each side; within a percent of the width that agrees best with AU maps


def uniform_map(size: tuple[int, int]) -> Tensor:
    """A map that is 1 everywhere (1, 1, *size)."""
    return torch.ones(1, 1, *size)


def centred_gaussian(size: tuple[int, int], sigma: float = GAUSSIAN_SIGMA) -> Tensor:
    """A blob at the image's centre: exp(-(x² / W² + y² / H²) / (2 sigma²)), x and y from the centre.

    Args:
        size: Height and width of the map.
        sigma: Standard deviation as a share of each side.

    Returns:
        Map (1, 1, *size) in [0, 1].
    """
    rows, columns = ((torch.arange(n) - (n - 1) / 2) / (n * sigma) for n in size)
    return torch.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) / 2)[None, None]


class MeanCues:
    """Sums of cues per class, from which the mean cue of the *other* faces follows by taking one's own away.

    The state is one sum map (float64) and one count per class: K x H x W numbers, however many faces.

    Args:
        classes: Names of the classes, in the order of their ids.
        size: Height and width of the cues.
        device: Where the sums are kept.
    """

    def __init__(
        self, classes: Sequence[str], size: tuple[int, int], device: torch.device | str = "cpu"
    ) -> None:
        self.classes = tuple(classes)
        self.total = torch.zeros(len(self.classes), *size, dtype=torch.float64, device=device)
        self.count = torch.zeros(len(self.classes), dtype=torch.int64, device=device)

    def update(self, cue: Tensor, labels: Tensor, valid: Tensor) -> None:
        """Add a batch.

        Args:
            cue: AU maps (B, 1, H, W).
            labels: Class ids (B,).
            valid: Which maps count (B,) bool.
        """
        if cue.ndim != 4 or cue.shape[1:] != (1, *self.total.shape[1:]):
            height, width = self.total.shape[1:]
            raise InputError(f"cue must have shape (B, 1, {height}, {width}), got {tuple(cue.shape)}.")
        kept = valid & (labels >= 0)
        self.total.index_add_(0, labels[kept], cue[kept, 0].double())
        self.count.index_add_(0, labels[kept], torch.ones_like(labels[kept]))

    def add_up(self) -> None:
        """Add what the other processes of this job have seen; every one of them has to call it."""
        dist.all_reduce(self.total)
        dist.all_reduce(self.count)

    def compute(self) -> Tensor:
        """Mean cue of every class (K, H, W), NaN for a class without faces."""
        return self.total / self.count[:, None, None]

    def same_class(self, cue: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cue of the other faces with the same expression.

        Args:
            cue: AU maps (B, 1, H, W), each one already added by `update`.
            labels: Their class ids (B,).

        Returns:
            Maps (B, 1, H, W) and whether there is another face (B,); zero maps where there is none.
        """
        others = self.count[labels] - 1
        mean = (self.total[labels] - cue[:, 0].double()) / others.clamp(min=1)[:, None, None]
        exists = others > 0
        return (mean * exists[:, None, None]).to(cue.dtype).unsqueeze(1), exists

    def any_class(self, cue: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over the expressions of the mean cue of the other faces: one map that knows no expression.

        Every expression weighs alike, however frequent it is in the set.

        Args:
            cue: AU maps (B, 1, H, W), each one already added by `update`.
            labels: Their class ids (B,).

        Returns:
            Maps (B, 1, H, W) and whether there is another face (B,).
        """
        counted = self.count > 0
        means = torch.where(counted[:, None, None], self.compute(), 0.0)
        own, own_exists = self.same_class(cue, labels)
        classes = counted.sum() - 1 + own_exists.long()
        total = means.sum(0) - means[labels] + own[:, 0].double()
        return (total / classes.clamp(min=1)[:, None, None]).to(cue.dtype).unsqueeze(1), classes > 0


CONTROLS = {
    "uniform": "the same value everywhere",
    "centre": "a blob at the image's centre",
    "mean_face": "mean action-unit map of other faces, all expressions alike",
    "wrong_expression": "action-unit map of another expression on the same face, each in turn",
    "mean_of_the_class": "mean action-unit map of other faces with the same expression",
}


def control_cosines(cue: Tensor, labels: Tensor, means: MeanCues) -> dict[str, tuple[Tensor, Tensor]]:
    """Cosine of every control with each cue.

    Args:
        cue: AU maps (B, 1, H, W), each one already added to `means`.
        labels: Their class ids (B,).
        means: Sums over all faces.

    Returns:
        Name to values (B,) and their validity (B,), false where there is no other face; of all `CONTROLS` but
        "wrong_expression", which takes the landmarks of each face, see `wrong_expressions`.
    """
    size = (cue.shape[-2], cue.shape[-1])
    everywhere = torch.ones(len(cue), dtype=torch.bool, device=cue.device)
    maps = {
        "uniform": (uniform_map(size).to(cue), everywhere),
        "centre": (centred_gaussian(size).to(cue), everywhere),
        "mean_face": means.any_class(cue, labels),
        "mean_of_the_class": means.same_class(cue, labels),
    }
    return {name: (map_cosine(cue, control), valid) for name, (control, valid) in maps.items()}


def wrong_expressions(ids: Tensor, numbers: Tensor, with_cue: Tensor) -> Tensor:
    """Another expression for each face, every one in turn.

    Args:
        ids: Class ids (B,).
        numbers: Numbers of the faces (B,), which say whose turn it is.
        with_cue: Ids of the E classes that have action units (E,).

    Returns:
        Ids (B,); the face's own where there is no other.
    """
    own = ids[:, None] == with_cue
    has_cue, at, number_ = own.any(dim=1), own.int().argmax(dim=1), len(with_cue)
    step = torch.where(has_cue, 1 + numbers % max(number_ - 1, 1), numbers)
    return with_cue[(at + step) % number_]


def grid_ceiling(
    cue: Tensor, grid: tuple[int, int], resize: Callable[[Tensor, tuple[int, int]], Tensor] = cam_at
) -> Tensor:
    """The largest cosine with each cue that any map of a grid can reach: what its resolution alone allows.

    Resizing is linear in the map, so the nearest one to a cue is the cue's orthogonal projection P onto what
    maps of that grid become: cos = ‖P cue‖ / ‖cue‖. Maps that may not be negative reach slightly less at
    most.

    Args:
        cue: AU maps (B, 1, H, W).
        grid: Height and width of the maps, at most H and W.
        resize: How they are resized: `cam_at` (CAM-COS) or `attention_at` (ATT-COS).

    Returns:
        Values (B,) in [0, 1], 0 for an empty cue.
    """
    rows, columns = (
        torch.linalg.qr(_resizing(cells, pixels, resize).to(cue.device)).Q
        for cells, pixels in zip(grid, cue.shape[-2:], strict=True)
    )
    maps = cue[:, 0].double()
    projected = rows.T @ maps @ columns  # in an orthonormal basis, so its norm is the projection's
    return (projected.norm(dim=(1, 2)) / maps.norm(dim=(1, 2)).clamp(min=EPS)).to(cue.dtype)


def _resizing(cells: int, pixels: int, resize: Callable[[Tensor, tuple[int, int]], Tensor]) -> Tensor:
    """What each cell gives each pixel along one side, (pixels, cells)."""
    return resize(torch.eye(cells, dtype=torch.float64)[None, None], (pixels, cells))[0, 0]
