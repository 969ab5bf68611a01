"""How well a map agrees with the cue of its image: the two cosines of the paper, one number per image."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.errors import InputError
from aucue.guidance import resize_map

EPS = 1e-8


def map_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of two maps of equal size, per image: a·b / max(‖a‖ ‖b‖, 1e-8).

    Args:
        a: Maps (B, 1, h, w).
        b: Maps (B, 1, h, w), or (1, 1, h, w) for one map against all.

    Returns:
        Values (B,); 0 where a map is zero everywhere.
    """
    _check_maps(a, "a")
    _check_maps(b, "b")
    if a.shape[-2:] != b.shape[-2:]:
        raise InputError(f"The maps differ in size: {tuple(a.shape[-2:])} and {tuple(b.shape[-2:])}.")
    return torch.cosine_similarity(a.flatten(1), b.flatten(1), dim=1, eps=EPS)


def attention_cosine(attention: Tensor, cue: Tensor) -> Tensor:
    """ATT-COS of one layer (Belharbi et al., FG 2024): attention against cue at the cue's resolution.

    An attention with negative values is shifted to start at 0; it is then resized bilinearly
    (align_corners=True, antialias=True) and clamped to its own range.

    Args:
        attention: Channel means (B, 1, h, w), any range.
        cue: Maps (B, 1, H, W) in [0, 1].

    Returns:
        Values (B,) in [0, 1], meaningful where the cue is valid.

    Raises:
        InputError: A tensor is not (B, 1, h, w), or the batch sizes differ.
    """
    _check_pair(attention, cue, "attention")
    return map_cosine(attention_at(attention, (cue.shape[-2], cue.shape[-1])), cue)


def attention_at(attention: Tensor, size: tuple[int, int]) -> Tensor:
    """The attention as ATT-COS compares it: without negative values, resized, clamped to its own range.

    Args:
        attention: Channel means (B, 1, h, w), any range.
        size: Height and width of the result.

    Returns:
        Maps (B, 1, *size), not negative.
    """
    lowest = attention.amin(dim=(-2, -1), keepdim=True)
    return resize_map(attention - lowest.clamp(max=0), size)


def cam_cosine(cam: Tensor, cue: Tensor) -> Tensor:
    """CAM-COS (Belharbi et al., FG 2024): class map against cue at the cue's resolution.

    Args:
        cam: Class maps (B, 1, h, w) as `aucue.cams.normalize_cam` gives them, in [0, 1].
        cue: Maps (B, 1, H, W) in [0, 1].

    Returns:
        Values (B,) in [0, 1], meaningful where the cue is valid.

    Raises:
        InputError: A tensor is not (B, 1, h, w), or the batch sizes differ.
    """
    _check_pair(cam, cue, "cam")
    return map_cosine(cam_at(cam, (cue.shape[-2], cue.shape[-1])), cue)


def cam_at(cam: Tensor, size: tuple[int, int]) -> Tensor:
    """The class map as CAM-COS compares it: resized bilinearly (align_corners=False), clamped to [0, 1].

    Args:
        cam: Normalised class maps (B, 1, h, w).
        size: Height and width of the result.

    Returns:
        Maps (B, 1, *size) in [0, 1].
    """
    return interpolate(cam, size=size, mode="bilinear", align_corners=False).clamp(0, 1)


def _check_pair(map_: Tensor, cue: Tensor, name: str) -> None:
    _check_maps(map_, name)
    _check_maps(cue, "cue")
    if len(map_) != len(cue):
        raise InputError(f"{name} has {len(map_)} images, cue has {len(cue)}.")


def _check_maps(map_: Tensor, name: str) -> None:
    if map_.ndim != 4 or map_.shape[1] != 1:
        raise InputError(f"{name} must have shape (B, 1, h, w), got {tuple(map_.shape)}.")
