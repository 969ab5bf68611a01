"""What a layer yields, as feature maps (B, C, h, w): channels first, channels last, or tokens."""

from typing import Literal, get_args

from torch import Tensor

from aucue.errors import InputError

Layout = Literal["auto", "nchw", "nhwc", "tokens"]

MAX_PREFIX_TOKENS = 16
"""More class and register tokens than this are never inferred; name them by `prefix_tokens`."""


def to_nchw(
    output: Tensor,
    input_size: tuple[int, int] | None = None,
    layout: Layout = "auto",
    prefix_tokens: int | None = None,
    *,
    hint: str | None = None,
    declared_tokens: int | None = None,
    where: str = "The layer",
) -> Tensor:
    """Bring what a layer yields into (B, C, h, w); a view wherever one will do.

    With `layout="auto"`, three dimensions are tokens (B, N, C) and four are (B, C, h, w) or (B, h, w, C):
    the one whose grid has the aspect ratio of the input. If both have it, the hint decides, and else it is
    (B, C, h, w); if neither comes near it, the layer is refused. The grid of tokens is recovered from the
    aspect ratio of the input too.

    Args:
        output: What the layer yields.
        input_size: Height and width of the network's input; None if unknown; tokens are then refused
            unless their number has a square alone as its grid.
        layout: Layout of the output, if you know better than `auto`.
        prefix_tokens: Number of class and register tokens that precede the grid. None: the declared number,
            or, where none is declared, the fewest (up to `MAX_PREFIX_TOKENS`) after which a grid fits.
        hint: "NCHW" or "NHWC", as the network declares it.
        declared_tokens: Number of prefix tokens as the network declares it.
        where: Name of the layer in error messages.

    Returns:
        (B, C, h, w).

    Raises:
        InputError: The output has no spatial grid, or none that fits.
    """
    if layout not in get_args(Layout):
        raise InputError(f"Unknown layout '{layout}': choose one of {', '.join(get_args(Layout))}.")
    if output.ndim == 3 and layout in ("auto", "tokens"):
        return _fold_tokens(output, input_size, prefix_tokens, declared_tokens, where)
    if output.ndim != 4 or layout == "tokens":
        raise InputError(
            f"{where} yields shape {tuple(output.shape)}, which is no grid of features in layout '{layout}': "
            "choose a layer that yields (B, C, h, w), (B, h, w, C) or tokens (B, N, C)."
        )
    if layout == "nhwc" or (layout == "auto" and _channels_last(output, input_size, hint, where)):
        return output.permute(0, 3, 1, 2)
    return output


def _channels_last(output: Tensor, size: tuple[int, int] | None, hint: str | None, where: str) -> bool:
    if size is None:
        return hint == "NHWC"
    grid = output.shape[2], output.shape[3]  # read as (B, C, h, w)
    first, last = _same_aspect(grid, size), _same_aspect((output.shape[1], output.shape[2]), size)
    if first != last:
        return last
    if not first and not _similar_aspect(grid, size):
        raise InputError(
            f"{where} yields shape {tuple(output.shape)}, in which there is no grid with the aspect ratio of "
            f"the input ({size[0]} x {size[1]}): choose another layer, or say the layout, such as 'nchw'."
        )
    return hint == "NHWC"


def _same_aspect(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether one reduction takes the size to the grid, up to the rounding of each side to whole cells."""
    return abs(grid[0] * size[1] - grid[1] * size[0]) < max(size)


def _similar_aspect(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether the grid may be what convolutions without padding, which take more of short sides, leave."""
    ratio = grid[0] * size[1] / (grid[1] * size[0])
    return 1 / 1.5 < ratio < 1.5


def _fold_tokens(
    tokens: Tensor, size: tuple[int, int] | None, prefix: int | None, declared: int | None, where: str
) -> Tensor:
    number = tokens.shape[1]
    known = declared if prefix is None else prefix
    for count in range(MAX_PREFIX_TOKENS + 1) if known is None else (known,):
        if grid := _grid(number - count, size):
            return tokens[:, count:].unflatten(1, grid).permute(0, 3, 1, 2)  # (B, h, w, C) -> (B, C, h, w)
    if size is None:
        raise InputError(
            f"{where} yields {number} tokens, and the size of the input is not known: call the network "
            "itself with images (B, C, H, W), not a part of it such as forward_features."
        )
    after = f"after {known} prefix tokens " if known is not None else ""
    told = " (so many the network declares)" if prefix is None and declared is not None else ""
    raise InputError(
        f"{where} yields {number} tokens, and no grid {after}has the aspect ratio of the input "
        f"({size[0]} x {size[1]}){told}: give the number of class and register tokens as prefix_tokens, or "
        "name a layer that keeps all patches."
    )


def _grid(number: int, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The grid of so many tokens that has the aspect ratio of the size, at most one; None if none has it.

    Where the size is not known, a square is the grid only if there is no other but a single row.
    """
    grids = [(h, number // h) for h in range(1, number + 1) if number % h == 0]
    if size is not None:
        return next((grid for grid in grids if _same_aspect(grid, size)), None)
    proper = [grid for grid in grids if min(grid) > 1]
    return proper[0] if len(proper) == 1 and proper[0][0] == proper[0][1] else None
