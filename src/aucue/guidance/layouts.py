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
    the one whose grid has the aspect ratio of the input. If both or neither has it, the hint decides, and
    else it is (B, C, h, w). The grid of tokens is recovered from the aspect ratio of the input too.

    Args:
        output: What the layer yields.
        input_size: Height and width of the network's input; None if unknown, which is read as square.
        layout: Layout of the output, if you know better than `auto`.
        prefix_tokens: Number of class and register tokens that precede the grid. None: the declared number
            if a grid fits to the rest, else the fewest (up to `MAX_PREFIX_TOKENS`) after which one does.
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
        return _fold_tokens(output, input_size or (1, 1), prefix_tokens, declared_tokens, where)
    if output.ndim != 4 or layout == "tokens":
        raise InputError(
            f"{where} yields shape {tuple(output.shape)}, which is no grid of features in layout '{layout}': "
            "choose a layer that yields (B, C, h, w), (B, h, w, C) or tokens (B, N, C)."
        )
    if layout == "nhwc" or (layout == "auto" and _channels_last(output, input_size, hint)):
        return output.permute(0, 3, 1, 2)
    return output


def _channels_last(output: Tensor, input_size: tuple[int, int] | None, hint: str | None) -> bool:
    size = input_size or (1, 1)
    first = _same_aspect((output.shape[2], output.shape[3]), size)  # read as (B, C, h, w)
    last = _same_aspect((output.shape[1], output.shape[2]), size)  # read as (B, h, w, C)
    return hint == "NHWC" if first == last else last


def _same_aspect(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether one reduction takes the size to the grid, up to the rounding of each side to whole cells."""
    return abs(grid[0] * size[1] - grid[1] * size[0]) < max(size)


def _fold_tokens(
    tokens: Tensor, size: tuple[int, int], prefix: int | None, declared: int | None, where: str
) -> Tensor:
    number = tokens.shape[1]
    if prefix is not None:
        candidates = [prefix]
    else:
        candidates = [*([] if declared is None else [declared]), *range(MAX_PREFIX_TOKENS + 1)]
    for count in candidates:
        grid = _grid(number - count, size)
        if grid is not None:
            return tokens[:, count:].unflatten(1, grid).permute(0, 3, 1, 2)  # (B, h, w, C) -> (B, C, h, w)
    after = f"after {prefix} prefix tokens " if prefix is not None else ""
    raise InputError(
        f"{where} yields {number} tokens, and no grid {after}has the aspect ratio of the input "
        f"({size[0]} x {size[1]}): give the number of class and register tokens as prefix_tokens."
    )


def _grid(number: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """The grid of so many tokens that has the aspect ratio of the size, at most one; None if none has it."""
    grids = ((h, number // h) for h in range(1, number + 1) if number % h == 0)
    return next((grid for grid in grids if _same_aspect(grid, size)), None)
