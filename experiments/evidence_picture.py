"""Pictures of docs/evidence.md: class maps of the grid's networks, before and after units are painted.

    python -m experiments.evidence_picture --out runs/evidence

draws outlines of landmarks instead of faces, which are not ours to publish: of each expression the seventh
test photograph whose landmarks are known, by the networks of the first seed. The number was fixed beforehand.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aucue.benchmark import GRIDS, Grid
from aucue.data import eval_transform, open_prepared
from aucue.metrics import evidence_in, flat_fill, region_of
from aucue.models import Model
from aucue.pictures import in_percent, overlay_signed, panel
from experiments.evidence_page import PAGE

ARMS = ("unguided", "aucue-1", "aucue", "units")
FEW = ("happiness", "surprise", "anger")
"""Expressions of the smaller picture."""

SEVENTH, SIDE = 6, 224
CHAINS = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)
"""Lines through the 68 landmarks, and whether they are closed."""


def outline(landmarks: NDArray, region: NDArray | None = None) -> NDArray[np.uint8]:
    """A face as lines.

    Args:
        landmarks: (68, 2) as shares of the side.
        region: Pixels (h, w) that are painted over; none by default.
    """
    picture = Image.new("RGB", (SIDE, SIDE), (247, 247, 248))
    if region is not None:
        mask = Image.fromarray((255 * region).astype(np.uint8)).resize((SIDE, SIDE))
        picture.paste((201, 201, 206), mask=mask)
    draw = ImageDraw.Draw(picture)
    for chain, closed in CHAINS:
        points = [tuple(landmarks[i] * SIDE) for i in chain]
        draw.line([*points, points[0]] if closed else points, fill=(84, 84, 104), width=2)
    return np.asarray(picture)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"), help="folder of the benchmark")
    out = parser.parse_args().out
    grid = Grid.load(GRIDS / "evidence.yaml")
    rows = {row.place["recipe"]: row for row in grid.rows}
    models = {
        arm: Model.load(grid.evaluation(out, rows[arm], 0).parent / "model.safetensors") for arm in ARMS
    }
    first = models[ARMS[0]]
    data = open_prepared(grid.rows[0].settings["data.path"]).dataset("test", eval_transform(first.input_size))
    labels, known = np.array(data.labels), np.isfinite(data.landmarks).all(axis=(1, 2))
    classes = [k for k, name in enumerate(first.classes) if first.codebook[name]]
    samples = [data[int(np.flatnonzero((labels == k) & known)[SEVENTH])] for k in classes]
    images, landmarks = (torch.stack([sample[key] for sample in samples]) for key in ("image", "landmarks"))
    pictures, expected = images.float() / 255, torch.tensor(classes)
    cue = first.draw(landmarks, expected, (images.shape[-2], images.shape[-1]))
    region = region_of(cue.map)
    painted = torch.where(region, flat_fill(pictures, region), pictures)
    shares = ((landmarks + 0.5) / images.shape[-1]).numpy()
    faces = [outline(points) for points in shares]
    tiles = [[outline(points, area[0].numpy())] for points, area in zip(shares, region, strict=True)]
    captions = [[f"{first.classes[k]}: what is painted over"] for k in classes]
    for model in models.values():
        weights = (before := model.look(pictures)).probabilities
        maps = [look.log_odds_map(expected, weights) for look in (before, model.look(painted))]
        largest = maps[0].abs().amax(dim=(1, 2, 3)).tolist()  # of each face, before and after alike
        evidence = [evidence_in(each, region)[:, 0] for each in maps]
        for i, face in enumerate(faces):
            tiles[i] += [overlay_signed(face, each[i, 0].numpy(), largest[i], 0.9) for each in maps]
            left = (evidence[1][i] / evidence[0][i]).item() if evidence[0][i] > 0 else float("nan")
            captions[i] += [
                "as it is",
                f"painted: {in_percent(left)} left" if left == left else "no evidence",
            ]
    write("evidence.png", tiles, captions, list(range(len(classes))), ARMS, 128)
    named = [first.classes[k] for k in classes]
    write("painted.png", tiles, captions, [named.index(name) for name in FEW], ("unguided", "aucue"), 240)


def write(
    name: str,
    tiles: list[list[NDArray[np.uint8]]],
    captions: list[list[str]],
    faces: list[int],
    arms: tuple[str, ...],
    size: int,
) -> None:
    """Write some of the faces as some of the networks see them."""
    columns = [0, *(2 * ARMS.index(arm) + k for arm in arms for k in (1, 2))]
    titles = ["", *(title for arm in arms for title in (arm, ""))]
    panel(
        [tiles[face][column] for face in faces for column in columns],
        titles * len(faces),
        [captions[face][column] for face in faces for column in columns],
        columns=len(columns),
        tile_size=size,
    ).save(PAGE.parent / "images" / name)


if __name__ == "__main__":
    main()
