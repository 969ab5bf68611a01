"""Maps that follow a picture through its augmentation, which is found from the landmarks of both."""

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.data.transforms import PARTNER


def move_map(maps: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Move maps as landmarks have moved: the affine change that fits them best, mirrored or not.

    Rotation, crop and mirror are affine, so that the fit is exact. What comes from outside is 0.

    Args:
        maps: (B, C, H, W).
        before: Landmarks (B, 68, 2) on the maps, as shares of their sides.
        after: The same landmarks on the result; left and right are swapped in a mirrored face.

    Returns:
        (B, C, H, W); zero where a landmark is not finite.
    """
    known = (before.isfinite() & after.isfinite()).flatten(1).all(1)
    to, start = (torch.nan_to_num(points.double()) * 2 - 1 for points in (after, before))
    plain, mirrored = _fit(to, start), _fit(to, start[:, PARTNER.to(start.device)])
    swapped = mirrored[1] < plain[1]
    change = torch.where(swapped[:, None, None], mirrored[0], plain[0]).to(maps)
    grid = F.affine_grid(change, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False) * known[:, None, None, None]


def _fit(to: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Affine maps (B, 2, 3) from points (B, n, 2) to others, by least squares, and what is left over (B,)."""
    known = torch.cat([to, torch.ones_like(to[..., :1])], 2)  # (B, n, 3)
    squares = known.mT @ known + 1e-9 * torch.eye(3, dtype=to.dtype, device=to.device)
    solved = torch.linalg.solve(squares, known.mT @ start)  # (B, 3, 2)
    return solved.mT, (known @ solved - start).square().sum((1, 2))
