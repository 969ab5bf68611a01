"""Pictures of docs/evidence.md by a fixed rule: the k-th test image of each expression, arms side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.cams import normalize_cam
from aucue.classifiers import load_model
from aucue.cues import AUCue
from aucue.data import PreparedSet, eval_transform, open_prepared
from aucue.faces import landmarks as scheme
from aucue.guidance import attention
from aucue.pictures import colormap, normalize, overlay, panel, upsample

TILE = 200
SMOOTH = 3  # drawn larger, then shrunk
OPEN_LINES = (scheme.JAW, scheme.LEFT_BROW, scheme.RIGHT_BROW, scheme.NOSE_BRIDGE, scheme.NOSTRILS)
CLOSED_LINES = (scheme.LEFT_EYE, scheme.RIGHT_EYE, scheme.OUTER_LIP, scheme.INNER_LIP)


@dataclass(frozen=True)
class Shown:
    """One face and what is drawn over it.

    Attributes:
        label: Its expression.
        photograph: Stored crop (S, S, 3).
        landmarks: (68, 2) in pixels of the crop.
        maps: The expected map, then the attention of every arm, then the class map of its expression by every
            arm, each (h, w) in [0, 1].
        named: What every arm calls it, and how surely.
    """

    label: str
    photograph: NDArray
    landmarks: NDArray
    maps: tuple[NDArray, ...]
    named: tuple[str, ...]


def write_pictures(models: Mapping[str, Path], path: Path, out: Path, k: int) -> tuple[Path, Path]:
    """Draw both pages.

    Args:
        models: Model file of each arm.
        path: Prepared set.
        out: Where they are written.
        k: Which image of each expression, counted from 1 among those of the test part with landmarks.

    Returns:
        `photographs.png`, which shows faces and is not to be published, and `evidence.png`, which has the
        outlines of their landmarks instead and no pixel of a photograph.
    """
    prepared = open_prepared(path)
    codebook = AUCue("facs", prepared.classes).codebook
    faces = [shown(models, prepared, label, k) for label in prepared.classes if codebook[label]]
    pages = (out / "photographs.png", out / "evidence.png")
    draw_page(faces, tuple(models), [on_photograph(face) for face in faces]).save(pages[0])
    page = draw_page(faces, tuple(models), [on_outlines(face) for face in faces])
    page.quantize(256, dither=Image.Dither.NONE).save(pages[1], optimize=True)
    return pages


def shown(models: Mapping[str, Path], prepared: PreparedSet, label: str, k: int) -> Shown:
    """The k-th test face of an expression, and what every arm makes of it."""
    stored, number = prepared.dataset("test"), prepared.classes.index(label)
    members = np.flatnonzero((stored.labels == number) & stored.landmarks_valid)
    if len(members) < k:
        raise SystemExit(f"the test part has {len(members)} faces of {label} with landmarks, not {k}")
    place = int(members[k - 1])
    sample, ids = stored[place], torch.tensor([number])
    size = (sample["image"].shape[-2], sample["image"].shape[-1])
    cue = AUCue("facs", prepared.classes)(sample["landmarks"][None], ids, size)
    attended, class_maps, named = [], [], []
    for file in models.values():
        model, _ = load_model(file)
        image = prepared.dataset("test", eval_transform(model.input_size))[place]["image"]
        with torch.inference_mode():
            out = model(image[None])
            class_map = normalize_cam(model.class_map(out, ids))
        probability, prediction = out.logits.softmax(dim=1)[0].max(dim=0)
        attended.append(normalize(attention(out.features[model.final_layer])[0, 0].numpy()))
        class_maps.append(class_map[0, 0].numpy())
        named.append(f"says {model.classes[int(prediction)]}, {100 * float(probability):.0f} %")
    return Shown(
        label,
        sample["image"].permute(1, 2, 0).numpy(),
        sample["landmarks"].numpy(),
        (cue.map[0, 0].numpy(), *attended, *class_maps),
        tuple(named),
    )


def draw_page(faces: Sequence[Shown], arms: Sequence[str], tiles: Sequence[Sequence[NDArray]]) -> Image.Image:
    """One row per face: itself, the expected map, then attention and class map of every arm."""
    what = ("attention", "class map")
    titles = ["", "expected", *(f"{name}: {arm}" for name in what for arm in arms)]
    rows = [
        panel(its, titles if k == 0 else None, [face.label, "", *face.named, *face.named], tile_size=TILE)
        for k, (face, its) in enumerate(zip(faces, tiles, strict=True))
    ]
    gap = round(0.1 * TILE)  # of the margins that every row has, one is enough between two
    page = Image.new("RGB", (rows[0].width, sum(row.height - gap for row in rows) + gap), "white")
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height - gap
    return page


def on_photograph(face: Shown) -> list[NDArray]:
    """The photograph, and every map over it."""
    large = np.asarray(Image.fromarray(face.photograph).resize((TILE, TILE), Image.Resampling.BICUBIC))
    return [large, *(overlay(large, map_, opacity=0.55) for map_ in face.maps)]


def on_outlines(face: Shown) -> list[NDArray]:
    """The outlines of the landmarks, alone and over every map."""
    points, side = (face.landmarks + 0.5) / face.photograph.shape[0], (TILE, TILE)
    blank = np.full((TILE, TILE, 3), 246, np.uint8)
    tiles = [draw_outlines(blank, points, (50, 50, 64))]
    return tiles + [
        draw_outlines(colormap(upsample(map_, side)), points, (255, 255, 255)) for map_ in face.maps
    ]


def draw_outlines(ground: NDArray, points: NDArray, color: tuple[int, int, int]) -> NDArray:
    """Jaw, brows, nose, eyes and lips as lines.

    Args:
        ground: Picture (S, S, 3).
        points: Landmarks (68, 2) as shares of the picture's side.
        color: Of the lines.
    """
    side = SMOOTH * len(ground)
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    for part in (*OPEN_LINES, *CLOSED_LINES):
        line = [(float(x), float(y)) for x, y in points[part] * side]
        draw.line(
            [*line, line[0]] if part in CLOSED_LINES else line, fill=215, width=2 * SMOOTH, joint="curve"
        )
    picture = Image.fromarray(ground)
    picture.paste(color, mask=mask.resize(picture.size, Image.Resampling.LANCZOS))
    return np.asarray(picture)
