"""Evidence: maps of what was seen, held inside their regions, and gone where nothing can be seen."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from aucue.errors import InputError
from aucue.guidance.losses import EPS, energy, valid_mean

_LEAST = 1e-3  # evidence below which a share says nothing


def region_alignment(
    maps: Tensor, regions: Tensor, expected: Tensor, *, across_ranks: bool = False
) -> Tensor:
    """1 - cos(E_u, A_u), averaged over the maps that are expected on a picture.

    Args:
        maps: E, (B, U, h, w), not negative.
        regions: A, (B, U, h, w) in [0, 1], where each of them should lie.
        expected: Which of them should be seen (B, U) bool.
        across_ranks: See `alignment`.

    Returns:
        A scalar that carries a graph; 0 if none is expected.

    Raises:
        InputError: The shapes do not fit.
    """
    maps, regions = _checked(maps, regions, expected)
    losses = 1 - cosine_similarity(maps, regions, dim=1, eps=EPS)
    return valid_mean(losses, expected.flatten(), across_ranks)


def outside_regions(maps: Tensor, regions: Tensor, drawn: Tensor, *, across_ranks: bool = False) -> Tensor:
    """Share of the evidence of each map that lies outside its region, whether or not it is expected.

    The energy loss (Rao et al., ICCV 2023, arXiv 2303.11932), of maps that are not negative. A region counts
    in full from half its maximum on, so that nothing is gained by crowding evidence into its middle.

    Args:
        maps: E, (B, U, h, w), not negative.
        regions: A, (B, U, h, w) in [0, 1].
        drawn: Which regions are known (B, U) bool.
        across_ranks: See `alignment`.

    Returns:
        A scalar in [0, 1] that carries a graph; 0 if no region is known.

    Raises:
        InputError: The shapes do not fit.
    """
    maps, regions = _checked(maps, regions, drawn)
    return valid_mean(energy(maps, (2 * regions).clamp(max=1)), drawn.flatten(), across_ranks)


def evidence_when_hidden(after: Tensor, before: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What hiding a part of each picture leaves of the evidence there, and what it changes elsewhere.

    With E before and E' after, and H the share of each cell that is hidden, per map and over all pictures:
    sum(H E') / sum(H E), the share that is left of what cannot be seen any more, and
    sum((1 - H) |E' - E|) / sum((1 - H) E), the share that changed although it can be seen as before. E
    carries no gradient: what is seen of the whole picture is the measure, and what is seen of a part has to
    follow it.

    Args:
        after: E', of the pictures with something hidden (B, U, h, w).
        before: E, of the same pictures as they are (B, U, h, w). Signed maps count by their size.
        hidden: H, (B, 1, h, w) in [0, 1].

    Returns:
        Two scalars that carry a graph, each a mean over maps; 0 without pictures.

    Raises:
        InputError: The shapes do not fit.
    """
    if after.shape != before.shape or hidden.shape != (len(after), 1, *after.shape[2:]):
        raise InputError(
            f"Evidence before and after needs one shape (B, U, h, w) and the hidden cells (B, 1, h, w), not "
            f"{tuple(before.shape)}, {tuple(after.shape)} and {tuple(hidden.shape)}."
        )
    precise = torch.promote_types(after.dtype, torch.float32)
    after, before, hidden = after.to(precise), before.detach().to(precise), hidden.to(precise)

    def share(part: Tensor, of: Tensor) -> Tensor:
        return (part.sum(dim=(0, 2, 3)) / of.sum(dim=(0, 2, 3)).clamp(min=_LEAST)).mean()

    left = share(hidden * after.abs(), hidden * before.abs())
    return left, share((1 - hidden) * (after - before).abs(), (1 - hidden) * before.abs())


def _checked(maps: Tensor, regions: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and regions as rows (B U, h w), in float32 at least."""
    if maps.ndim != 4 or regions.shape != maps.shape or rows.shape != maps.shape[:2]:
        raise InputError(
            f"Maps and regions need one shape (B, U, h, w), and (B, U) which of them count, not "
            f"{tuple(maps.shape)}, {tuple(regions.shape)} and {tuple(rows.shape)}."
        )
    precise = torch.promote_types(maps.dtype, torch.float32)
    flat = maps.to(precise).flatten(2).flatten(0, 1), regions.to(precise).flatten(2).flatten(0, 1)
    return flat[0], torch.where(rows.flatten()[:, None], flat[1], 0.0)
