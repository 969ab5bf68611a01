"""Heat maps over photographs, panels of pictures, bars and points, drawn with NumPy and Pillow alone.

Everything here takes and gives plain arrays (H, W, 3) uint8 in RGB or Pillow images and knows nothing of
faces, so every other room may use it:

    picture = panel([photo, overlay(photo, heat)], titles=["photo", "attention"])
    picture.save("attention.png")
"""

import base64
import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from aucue.errors import InputError

Picture = NDArray[np.uint8] | Image.Image
Color = tuple[int, int, int]

_SUPERSAMPLING = 4  # Pillow does not antialias its shapes: draw larger, then shrink


@dataclass(frozen=True)
class Theme:
    """The colours of a panel."""

    background: Color
    text: Color
    faint: Color
    bar: Color
    track: Color
    accent: Color


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        background=(255, 255, 255),
        text=(28, 28, 38),
        faint=(112, 112, 124),
        bar=(186, 188, 200),
        track=(239, 239, 243),
        accent=(196, 62, 96),
    ),
    "dark": Theme(
        background=(20, 20, 27),
        text=(240, 240, 245),
        faint=(158, 158, 172),
        bar=(96, 98, 114),
        track=(41, 41, 52),
        accent=(242, 114, 92),
    ),
}

# From dark indigo through magenta and orange to pale yellow. Only the path matters: the table below walks it
# in steps of equal length in a perceptual colour space, with lightness rising all the way.
_RAMP = ("#0d0a2c", "#3b1a78", "#80258a", "#c13a78", "#ec6552", "#fa9f3e", "#f9d75e", "#fdfbc2")

_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(rgb: NDArray) -> NDArray[np.float64]:
    """Oklab coordinates of sRGB colours: Euclidean distances in it approximate perceived differences.

    Source: B. Ottosson, "A perceptual color space for image processing" (2020).

    Args:
        rgb: Colours (..., 3) in [0, 255].

    Returns:
        Lightness in [0, 1] and two opponent coordinates (..., 3).
    """
    srgb = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _RGB_TO_LMS.T) @ _LMS_TO_OKLAB.T


def _from_oklab(lab: NDArray[np.float64]) -> NDArray[np.uint8]:
    linear = (lab @ np.linalg.inv(_LMS_TO_OKLAB).T) ** 3 @ np.linalg.inv(_RGB_TO_LMS).T
    linear = linear.clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(srgb * 255).astype(np.uint8)


@cache
def _table() -> NDArray[np.uint8]:
    """The 256 colours (256, 3) of the map: equal steps in Oklab along a smoothed path through the ramp."""
    corners = oklab(np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in _RAMP]))
    places = np.linspace(0, len(corners) - 1, 2001)
    path = np.stack([np.interp(places, range(len(corners)), column) for column in corners.T], axis=1)
    window = np.hanning(403)[1:-1] / np.hanning(403).sum()  # rounds the corners of the path
    padded = np.concatenate([2 * path[0] - path[200:0:-1], path, 2 * path[-1] - path[-2:-202:-1]])
    path = np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    steps = np.linspace(0, length[-1], 256)
    return _from_oklab(np.stack([np.interp(steps, length, column) for column in path.T], axis=1))


def colormap(heat: NDArray) -> NDArray[np.uint8]:
    """Colours of heat values: dark indigo (0), magenta, orange, pale yellow (1).

    Equal differences of heat look about equally large, and lightness rises with heat, so the order survives a
    black-and-white print and colour blindness.

    Args:
        heat: Values (...) in [0, 1].

    Returns:
        Colours (..., 3).

    Raises:
        InputError: A value is not finite or not in [0, 1].
    """
    return _table()[np.rint(_check_heat(heat) * 255).astype(np.intp)]


def normalize(heat: NDArray) -> NDArray[np.float32]:
    """Stretch a map linearly to [0, 1]; a constant map becomes zero everywhere.

    Args:
        heat: Finite values (...).

    Returns:
        Values (...) in [0, 1].
    """
    heat = np.asarray(heat, dtype=np.float32)
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def upsample(heat: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a map smoothly (bicubic, clamped to the map's own range).

    Args:
        heat: Values (h, w).
        size: Height and width of the result.

    Returns:
        Values of the given size.
    """
    heat = np.asarray(heat, dtype=np.float32)
    if heat.ndim != 2 or 0 in heat.shape:
        raise InputError(f"a heat map must have shape (h, w), got {heat.shape}")
    resized = Image.fromarray(heat).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized).clip(heat.min(), heat.max())


def overlay(image: Picture, heat: NDArray, opacity: float = 0.5) -> NDArray[np.uint8]:
    """Blend a heat map over an image: (1 - opacity) * image + opacity * colour of the heat.

    Args:
        image: Picture (H, W, 3).
        heat: Map (h, w) in [0, 1] of any resolution; it is enlarged smoothly to the image.
        opacity: Share of the heat colours in [0, 1].

    Returns:
        Picture (H, W, 3).

    Raises:
        InputError: A shape or a value range is wrong.
    """
    pixels = to_array(image)
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must lie in [0, 1], got {opacity}")
    colors = colormap(upsample(_check_heat(heat), pixels.shape[:2]))
    return np.rint((1 - opacity) * pixels + opacity * colors).astype(np.uint8)


def to_array(image: Picture) -> NDArray[np.uint8]:
    """The picture as an array (H, W, 3); grey pictures (H, W) get three equal channels.

    Raises:
        InputError: The array is not uint8 or has another shape.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if image.dtype == np.uint8 and image.ndim == 2 and 0 not in image.shape:
        return np.repeat(image[..., None], 3, axis=-1)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"an image must be uint8 of shape (H, W, 3), got {image.dtype} of shape {image.shape}"
        )
    return image


def draw_landmarks(
    image: Picture,
    landmarks: NDArray,
    color: Color = (60, 230, 190),
    radius: float | None = None,
) -> NDArray[np.uint8]:
    """Draw points as dots with a thin dark rim, visible on light and dark skin alike.

    Args:
        image: Picture (H, W, 3).
        landmarks: Points (n, 2), x then y in pixels, (0, 0) the centre of the top-left pixel; NaN points
            are skipped.
        color: Colour of the dots.
        radius: Radius in pixels; default a 130th of the shorter side, at least 1.

    Returns:
        Picture (H, W, 3).
    """
    pixels = to_array(image)
    points = _check_rows(landmarks, 2, "landmarks")
    radius = max(1.0, min(pixels.shape[:2]) / 130) if radius is None else radius

    def dots(draw: ImageDraw.ImageDraw, scale: int) -> None:
        visible = points[np.isfinite(points).all(axis=1)]
        for grow, fill in ((1.45, (10, 10, 20)), (1.0, color)):
            # Pillow's ellipses fill whole pixels from one corner to the other, both included.
            span = 2 * round(radius * grow * scale) - 1
            for x, y in np.rint((visible + 0.5) * scale - 0.5 - span / 2).tolist():
                draw.ellipse((x, y, x + span, y + span), fill=fill)

    return _draw_smoothly(pixels, dots)


def draw_boxes(
    image: Picture,
    boxes: NDArray,
    labels: Sequence[str] | None = None,
    color: Color = (250, 190, 60),
    colors: Sequence[Color] | None = None,
) -> NDArray[np.uint8]:
    """Draw rectangles with an optional label above their top-left corner, inside the picture.

    Args:
        image: Picture (H, W, 3).
        boxes: Rectangles (n, 4): x0, y0, x1, y1 in pixels.
        labels: One text per box.
        color: Colour of lines and labels.
        colors: One per box instead.

    Returns:
        Picture (H, W, 3).
    """
    picture = Image.fromarray(to_array(image))
    rectangles = _check_rows(boxes, 4, "boxes")
    if labels is not None and len(labels) != len(rectangles):
        raise InputError(f"{len(rectangles)} boxes need as many labels, got {len(labels)}")
    inks = [color] * len(rectangles) if colors is None else colors
    short = min(picture.size)
    width, face = max(2, round(short / 250)), font(max(11.0, short / 32))
    draw = ImageDraw.Draw(picture)
    for i, (x0, y0, x1, y1) in enumerate(np.rint(rectangles).tolist()):
        draw.rounded_rectangle((x0, y0, x1, y1), 2 * width, outline=inks[i], width=width)
        if labels is not None:
            text = drawable(labels[i])
            tag = face.getlength(text) + face.size * 0.8, face.size * 1.5
            x = max(0.0, min(x0, picture.width - tag[0]))
            y = y0 - tag[1] if y0 >= tag[1] else max(0.0, y0)
            draw.rounded_rectangle((x, y, x + tag[0], y + tag[1]), 2 * width, fill=inks[i])
            draw.text((x + face.size * 0.4, y + tag[1] / 2), text, (20, 20, 27), face, "lm")
    return np.asarray(picture)


def probability_bars(
    probabilities: Mapping[str, float],
    size: tuple[int, int],
    highlight: str | None = None,
    theme: Literal["light", "dark"] = "light",
) -> Image.Image:
    """Horizontal bars with name and percentage, one per class, in the order given.

    Args:
        probabilities: Class name to probability in [0, 1].
        size: Height and width of the picture.
        highlight: Class whose bar has the accent colour; default the most probable.
        theme: Colours.

    Returns:
        Picture of the given size.
    """
    if not probabilities:
        raise InputError("probability bars need at least one class")
    if bad := [f"{name}: {p}" for name, p in probabilities.items() if not 0 <= p <= 1.0001]:
        raise InputError(f"probabilities must lie in [0, 1], got {', '.join(bad)}")
    colors = theme_of(theme)
    highlight = highlight or max(probabilities, key=lambda name: probabilities[name])
    height, width = size
    row = height / len(probabilities)
    face = font(min(row * 0.55, width / 17))
    names = max(face.getlength(drawable(name)) for name in probabilities)
    figures = face.getlength("100 %")
    gap = face.size * 0.6
    left, right = names + gap, width - figures - gap
    thickness = min(row * 0.6, face.size * 0.95)

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    for i, (name, probability) in enumerate(probabilities.items()):
        y = (i + 0.5) * row
        ink, fill = (colors.text, colors.accent) if name == highlight else (colors.faint, colors.bar)
        draw.text((0, y), drawable(name), ink, face, "lm")
        draw.text((width, y), f"{100 * probability:.0f} %", ink, face, "rm")
        if right > left:
            radius = thickness / 5
            track = (left, y - thickness / 2, right, y + thickness / 2)
            draw.rounded_rectangle(track, radius, colors.track)
            filled = left + (right - left) * min(probability, 1)
            if filled - left >= 1:
                bar = (left, track[1], filled, track[3])
                draw.rounded_rectangle(bar, min(radius, (filled - left) / 2), fill)
    return picture


def ratio_bars(
    names: Sequence[str],
    figures: Sequence[str],
    ratios: NDArray,
    size: tuple[int, int],
    theme: Literal["light", "dark"] = "light",
) -> Image.Image:
    """Groups of horizontal bars against a line at 1, each under its name and figures.

    Args:
        names: One per group.
        figures: Text at the right of each name.
        ratios: Values (n, m) of n groups, not negative; the first of each has the accent colour and is the
            thickest. All bars have one scale, from 0 to the largest value or 3.
        size: Height and width of the picture.
        theme: Colours.

    Returns:
        Picture of the given size.
    """
    values = _check_rows(ratios, np.shape(ratios)[-1], "ratios")
    if not len(names) == len(figures) == len(values) or not len(names):
        raise InputError(f"{len(names)} names, {len(figures)} figures and {len(values)} ratios; need as many")
    colors = theme_of(theme)
    height, width = size
    row = min(height / len(names), width / 5)
    face = font(min(row * 0.36, width / 17))
    thick, gap = row * 0.2, row * 0.05
    unit = width / max(3.0, values.max())

    picture = Image.new("RGB", (width, height), colors.background)
    draw = ImageDraw.Draw(picture)
    for i, group in enumerate(values):
        middle, y = (i + 0.25) * row, (i + 0.48) * row
        figure = drawable(figures[i])
        draw.text((width, middle), figure, colors.text, face, "rm")
        name = shorten(names[i], face, width - face.getlength(figure) - face.size)
        draw.text((0, middle), name, colors.text, face, "lm")
        draw.rectangle((0, y, width, y + thick + (len(group) - 1) * (thick * 0.55 + gap)), colors.track)
        for k, value in enumerate(group):
            bottom = y + (thick if k == 0 else thick * 0.55)
            if value * unit >= 1:
                draw.rectangle((0, y, value * unit, bottom), colors.accent if k == 0 else colors.bar)
            y = bottom + gap
        draw.line((unit, (i + 0.46) * row, unit, y), colors.text, max(1, round(width / 220)))
    return picture


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
        raise InputError("a panel needs at least one tile")
    for name, texts in (("titles", titles), ("captions", captions)):
        if texts is not None and len(texts) != len(tiles):
            raise InputError(f"{len(tiles)} tiles need as many {name}, got {len(texts)}")
    if tile_size < 16 or (columns is not None and columns < 1):
        raise InputError(f"a panel needs tile_size >= 16 and columns >= 1, got {tile_size} and {columns}")

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


def to_data_uri(image: Picture, format: Literal["png", "jpeg"] = "png", quality: int = 88) -> str:
    """The picture as text that HTML shows without a file: data:image/png;base64,...

    Args:
        image: Picture (H, W, 3).
        format: PNG keeps every pixel; JPEG is several times smaller for photographs.
        quality: JPEG quality, 1 to 95.

    Returns:
        Data URI.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(to_array(image))
    if format == "png":
        picture.save(buffer, "PNG", optimize=True)
    elif format == "jpeg":
        picture.save(buffer, "JPEG", quality=quality)
    else:
        raise InputError(f"unknown picture format {format!r}; choose png or jpeg")
    return f"data:image/{format};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def theme_of(name: str) -> Theme:
    """The theme of that name.

    Raises:
        InputError: No such theme.
    """
    if name not in THEMES:
        raise InputError(f"unknown theme {name!r}; choose {' or '.join(THEMES)}")
    return THEMES[name]


@lru_cache(maxsize=64)
def font(size: float) -> ImageFont.FreeTypeFont:
    """DejaVu, which has Latin, Greek, Cyrillic and more, as matplotlib ships it: pictures look the same on
    every machine. Without it, Pillow's own font.
    """
    size, path = max(size, 6.0), _font_path()
    face = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise InputError(
            "this Pillow was built without FreeType, which text in pictures needs; reinstall pillow"
        )
    return face


@cache
def _font_path() -> str | None:
    spec = find_spec("matplotlib")  # not imported: that takes a while, and may complain of its own settings
    if spec is None or spec.origin is None or not features.check("freetype2"):
        return None
    path = Path(spec.origin).with_name("mpl-data") / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(path) if path.is_file() else None


def drawable(text: str) -> str:
    """The text in letters that the font has: others without their accents, or else as question marks."""
    return "".join(
        letter if letter == "\n" or _has_glyph(letter) else _replacement(letter)
        for letter in unicodedata.normalize("NFC", text)
    )


def _replacement(letter: str) -> str:
    plain = {"–": "-", "×": "x", "\t": " "}.get(letter) or unicodedata.normalize("NFKD", letter)
    return "".join(part if _has_glyph(part) else "?" for part in plain if not unicodedata.combining(part))


@lru_cache(maxsize=4096)
def _has_glyph(letter: str) -> bool:
    if not letter.isprintable():
        return False
    return letter == " " or _mask(letter) != _mask(_NO_LETTER)


def _mask(letter: str) -> bytes:
    mask: Any = font(20).getmask(letter)  # Pillow does not tell type checkers that this has bytes
    return bytes(mask)


_NO_LETTER = "\uffff"  # is drawn as the box that stands for a missing glyph


def wrap(text: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break text at spaces into lines no wider than `width` pixels; a newline always breaks."""
    lines: list[str] = []
    for paragraph in drawable(text).splitlines():
        current = ""
        for word in paragraph.split():
            longer = f"{current} {word}".strip()
            if current and face.getlength(longer) > width:
                lines.append(current)
                longer = word
            current = longer
        lines.append(current)
    return lines


def shorten(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut text that is wider than `width` pixels and end it with three dots."""
    text = drawable(text)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _check_heat(heat: NDArray) -> NDArray[np.float32]:
    heat = np.asarray(heat, dtype=np.float32)
    if heat.size and not (heat.min() >= -1e-6 and heat.max() <= 1 + 1e-6):  # false for NaN as well
        raise InputError(
            f"heat {heat.shape} must lie in [0, 1], got {heat.min():g} to {heat.max():g}; see normalize"
        )
    return heat.clip(0, 1)


def _check_rows(values: NDArray, columns: int, name: str) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != columns:
        raise InputError(f"{name} must have shape (n, {columns}), got {values.shape}")
    return values


def _paste_fitted(picture: Image.Image, tile: Picture, corner: tuple[int, int], size: int) -> None:
    """Paste a tile into a square at `corner`, scaled to fit and centred."""
    fitted = Image.fromarray(to_array(tile))
    scale = size / max(fitted.size)
    shape = (max(1, round(fitted.width * scale)), max(1, round(fitted.height * scale)))
    if shape != fitted.size:
        fitted = fitted.resize(shape, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    picture.paste(fitted, (corner[0] + (size - shape[0]) // 2, corner[1] + (size - shape[1]) // 2))


def _draw_smoothly(pixels: NDArray[np.uint8], draw_shapes) -> NDArray[np.uint8]:
    """Draw shapes on a larger copy of the image and shrink them together with their edges."""
    height, width = pixels.shape[:2]
    scale = _SUPERSAMPLING if max(height, width) <= 1024 else 2
    large = Image.fromarray(pixels).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    draw_shapes(ImageDraw.Draw(large), scale)
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))
