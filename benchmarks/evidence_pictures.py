"""Pictures of docs/evidence.md by a fixed rule: the k-th test image of each expression, arms side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.cues import AUCue
from aucue.data import PreparedSet, eval_transform, open_prepared
from aucue.faces import landmarks as scheme
from aucue.guidance import attention
from aucue.metrics import attention_at, cam_at, map_cosine
from aucue.models import load_model
from aucue.pictures import colormap, normalize, overlay, panel, upsample

TILE = 200
SMOOTH = 3  # drawn larger, then shrunk
OPEN_LINES = (scheme.JAW, scheme.LEFT_BROW, scheme.RIGHT_BROW, scheme.NOSE_BRIDGE, scheme.NOSTRILS)
CLOSED_LINES = (scheme.LEFT_EYE, scheme.RIGHT_EYE, scheme.OUTER_LIP, scheme.INNER_LIP)


Words = tuple[NDArray, str]
"""A map (h, w) in [0, 1], and what is written below it."""


@dataclass(frozen=True)
class Shown:
    """One face and what is drawn over it.

    Attributes:
        label: Its expression.
        photograph: Stored crop (S, S, 3).
        landmarks: (68, 2) in pixels of the crop.
        maps: The expected map, the attention of every arm, the class map of its expression by every arm.
    """

    label: str
    photograph: NDArray
    landmarks: NDArray
    maps: tuple[Words, ...]


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
    sample, draw = stored[place], AUCue("facs", prepared.classes)
    looks = [look(load_model(file)[0], prepared, place, draw) for file in models.values()]
    side = sample["image"].shape[-1]
    expected = draw(sample["landmarks"][None], torch.tensor([number]), (side, side)).map[0, 0].numpy()
    return Shown(
        label,
        sample["image"].permute(1, 2, 0).numpy(),
        sample["landmarks"].numpy(),
        ((expected, ""), *(attended for attended, _ in looks), *(class_map for _, class_map in looks)),
    )


@torch.inference_mode()
def look(model: Classifier, prepared: PreparedSet, place: int, draw: AUCue) -> tuple[Words, Words]:
    """Attention and class map of a face's expression, with their cosines and what the model says."""
    size = (model.input_size, model.input_size)
    sample = prepared.dataset("test", eval_transform(model.input_size))[place]
    ids = torch.tensor([sample["label"]])
    cue = draw(sample["landmarks"][None], ids, size).map
    out = model(sample["image"][None])
    probability, prediction = out.logits.softmax(dim=1)[0].max(dim=0)
    attended = attention(out.features[model.final_layer])
    class_map = normalize_cam(model.class_map(out, ids))
    cosines = [float(map_cosine(m, cue)) for m in (attention_at(attended, size), cam_at(class_map, size))]
    says = f"says {model.classes[int(prediction)]}, {100 * float(probability):.0f} %"
    return (
        (normalize(attended[0, 0].numpy()), f"cosine {cosines[0]:.2f}; {says}"),
        (class_map[0, 0].numpy(), f"cosine {cosines[1]:.2f}"),
    )


def draw_page(faces: Sequence[Shown], arms: Sequence[str], tiles: Sequence[Sequence[NDArray]]) -> Image.Image:
    """One row per face: itself, the expected map, then attention and class map of every arm."""
    what = ("attention", "class map")
    titles = ["", "expected", *(f"{name}: {arm}" for name in what for arm in arms)]
    rows = [
        panel(its, titles if k == 0 else None, [face.label, *(w for _, w in face.maps)], tile_size=TILE)
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
    return [large, *(overlay(large, map_, opacity=0.55) for map_, _ in face.maps)]


def on_outlines(face: Shown) -> list[NDArray]:
    """The outlines of the landmarks, alone and over every map."""
    points, side = (face.landmarks + 0.5) / face.photograph.shape[0], (TILE, TILE)
    blank = draw_outlines(np.full((*side, 3), 246, np.uint8), points, (50, 50, 64))
    grounds = [colormap(upsample(map_, side)) for map_, _ in face.maps]
    rimmed = [draw_outlines(ground, points, (13, 10, 44), width=3.5) for ground in grounds]
    return [blank, *(draw_outlines(ground, points, (255, 255, 255)) for ground in rimmed)]


def draw_outlines(
    ground: NDArray, points: NDArray, color: tuple[int, int, int], width: float = 1.6
) -> NDArray:
    """Jaw, brows, nose, eyes and lips as lines.

    Args:
        ground: Picture (S, S, 3).
        points: Landmarks (68, 2) as shares of the picture's side.
        color: Of the lines.
        width: Of the lines, in pixels.
    """
    side = SMOOTH * len(ground)
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    for part in (*OPEN_LINES, *CLOSED_LINES):
        line = [(float(x), float(y)) for x, y in points[part] * side]
        line += line[:1] if part in CLOSED_LINES else []
        draw.line(line, fill=225, width=round(width * SMOOTH), joint="curve")
    picture = Image.fromarray(ground)
    picture.paste(color, mask=mask.resize(picture.size, Image.Resampling.LANCZOS))
    return np.asarray(picture)
