"""Pictures side by side, with words."""

from collections.abc import Sequence
from typing import Literal

from PIL import Image, ImageDraw

from aucue.errors import InputError
from aucue.pictures.images import Picture, to_array
from aucue.pictures.text import font, shorten, wrap
from aucue.pictures.themes import theme_of


def panel(
    tiles: Sequence[Picture | None],
    titles: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    tile_size: int = 320,
    heading: str | None = None,
    footnote: str | None = None,
    theme: Literal["light", "dark"] = "light",
) -> Image.Image:
    """Pictures side by side on a grid, with titles above and captions below them.

    Args:
        tiles: Pictures (H, W, 3), fitted into squares without distortion; None leaves its place empty.
        titles: One line above each tile.
        captions: Small text below each tile, wrapped to the tile's width.
        columns: Tiles per row; default all in one row.
        tile_size: Side of a tile in pixels.
        heading: Large line above everything.
        footnote: Text below everything, wrapped to the panel's width.
        theme: Colours.

    Returns:
        One picture.

    Raises:
        InputError: No tiles, or their number differs from that of titles or captions, or one is no picture.
    """
    if not tiles:
        raise InputError("A panel needs at least one tile.")
    for name, texts in (("titles", titles), ("captions", captions)):
        if texts is not None and len(texts) != len(tiles):
            raise InputError(f"{len(tiles)} tiles need as many {name}, got {len(texts)}.")
    if tile_size < 16 or (columns is not None and columns < 1):
        raise InputError(f"A panel needs tile_size >= 16 and columns >= 1, got {tile_size} and {columns}.")

    colors = theme_of(theme)
    columns = min(columns or len(tiles), len(tiles))
    gap = round(tile_size * 0.075)
    margin = round(tile_size * 0.11)
    title_font, caption_font, heading_font = (font(tile_size * s) for s in (0.062, 0.05, 0.088))
    wrapped = [wrap(text, caption_font, tile_size) for text in captions or [""] * len(tiles)]
    line = round(caption_font.size * 1.4)
    title_height = round(title_font.size * 1.75) if titles else 0

    rows = range(0, len(tiles), columns)
    caption_heights = [max(len(text) for text in wrapped[i : i + columns]) * line for i in rows]
    row_heights = [title_height + tile_size + (h + gap // 3 if h else 0) for h in caption_heights]
    width = 2 * margin + columns * tile_size + (columns - 1) * gap
    heading_lines = wrap(heading, heading_font, width - 2 * margin) if heading else []
    heading_line = round(heading_font.size * 1.3)
    heading_height = len(heading_lines) * heading_line + (gap if heading else 0)
    foot_lines = wrap(footnote, caption_font, width - 2 * margin) if footnote else []
    foot_height = len(foot_lines) * line + (gap if footnote else 0)
    height = 2 * margin + heading_height + sum(row_heights) + (len(rows) - 1) * gap + foot_height

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    y = margin
    for i, text in enumerate(heading_lines):
        draw.text((margin, y + i * heading_line), text, colors.text, heading_font)
    y += heading_height
    for first, row_height in zip(rows, row_heights, strict=True):
        for i in range(first, min(first + columns, len(tiles))):
            x = margin + (i - first) * (tile_size + gap)
            if titles:
                title = shorten(titles[i], title_font, tile_size)
                draw.text((x, y + title_font.size), title, colors.text, title_font, "ls")
            tile = tiles[i]
            if tile is not None:
                _paste_fitted(picture, tile, (x, y + title_height), tile_size)
            for k, text in enumerate(wrapped[i]):
                top = y + title_height + tile_size + gap // 3 + k * line
                draw.text((x, top), text, colors.faint, caption_font)
        y += row_height + gap
    for i, text in enumerate(foot_lines):
        draw.text((margin, y + i * line), text, colors.faint, caption_font)
    return picture


def blank(
    size: tuple[int, int],
    text: str = "",
    theme: Literal["light", "dark"] = "light",
    font_size: float | None = None,
) -> Image.Image:
    """An empty tile with a sentence in its middle, for what cannot be shown.

    Args:
        size: Height and width.
        text: Sentence, wrapped to the tile.
        theme: Colours.
        font_size: In pixels; default a twentieth of the height.

    Returns:
        Picture of the given size.
    """
    colors = theme_of(theme)
    height, width = size
    picture = Image.new("RGB", (width, height), colors.track)
    face = font(font_size or height / 20)
    lines = wrap(text, face, width * 0.8)
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        y = height / 2 + (i - (len(lines) - 1) / 2) * face.size * 1.4
        draw.text((width / 2, y), line, colors.faint, face, "mm")
    return picture


def _paste_fitted(picture: Image.Image, tile: Picture, corner: tuple[int, int], size: int) -> None:
    """Paste a tile into a square at `corner`, scaled to fit and centred."""
    fitted = Image.fromarray(to_array(tile))
    scale = size / max(fitted.size)
    shape = (max(1, round(fitted.width * scale)), max(1, round(fitted.height * scale)))
    if shape != fitted.size:
        fitted = fitted.resize(shape, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    picture.paste(fitted, (corner[0] + (size - shape[0]) // 2, corner[1] + (size - shape[1]) // 2))
