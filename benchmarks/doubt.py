"""How well `Face.doubt` tells landmarks that are wrong from those that are right.

    python benchmarks/doubt.py [--photographs 48] [--faces 727]

The faces of `landmarks-frl` in the folder AUCUE_DATA (by default ../shared/data), in boxes around their
templates as somebody would draw them, made hard to read; and boxes on pictures without a face. Landmarks are
wrong if the corners of eyes and mouth lie 8 % of the outer-eye distance or more beside the template. Then
faces of the test part of `ferplus` with the model in the box: how right it is on faces that are doubted.
"""

import argparse
import csv
import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from aucue.explanation import Explainer
from aucue.faces import FaceReader, read_image
from landmarks import (
    CORNERS,
    SHARED_POINTS,
    USABLE,
    Change,
    backgrounds,
    blurred,
    covered,
    dark,
    read_templates,
    small,
    turned,
)


def half_covered(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """The half of the face at the picture's left behind a plain cloth."""
    image = image.copy()
    middle, (left, top), (_, bottom) = template[55, 0], template.min(axis=0), template.max(axis=0)
    image.paste((180, 200, 215), (round(left), round(top), round(middle), round(bottom)))
    return image, template


CHANGES: dict[str, Change | None] = {
    "as they are": None,
    **{f"turned by {degrees}": turned(degrees) for degrees in (45, 90, 180)},
    **{f"{height} pixels high": small(height) for height in (24, 16, 12)},
    **{f"blurred, {share} of the eyes' distance": blurred(share) for share in (0.1, 0.2)},
    **{f"dark, {share} of the light": dark(share) for share in (0.15, 0.05, 0.02)},
    "mouth covered": covered,
    "half covered": half_covered,
}


def drawn_box(points: np.ndarray) -> tuple[float, float, float, float]:
    """A box around a template, hair and neck included, a tenth wider on each side."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    x, y = 0.1 * (right - left), 0.1 * (bottom - top)
    return left - x, top - y, right + x, bottom + y


def show_boxes(folder: Path, number: int) -> None:
    """Print how many right and wrong landmarks are doubted, by what was done to the photographs."""
    templates = list(read_templates(folder).items())
    chosen = [templates[i] for i in np.linspace(0, len(templates) - 1, number).round().astype(int)]
    total: Counter[tuple[bool, bool]] = Counter()
    print("| in drawn boxes | right | of these doubted | wrong | of these doubted |\n|---|---|---|---|---|")
    for name, change in CHANGES.items():
        counts: Counter[tuple[bool, bool]] = Counter()
        for file, template in chosen:
            image = read_image(folder / "images" / file)
            photo, points = change(image, template) if change else (image, template)
            faces = FaceReader(size=64, boxes=[drawn_box(points)])(photo)
            eyes = np.linalg.norm(points[SHARED_POINTS[36]] - points[SHARED_POINTS[45]])
            for face in faces:
                errors = [np.linalg.norm(face.photo_landmarks[i] - points[SHARED_POINTS[i]]) for i in CORNERS]
                counts[bool(np.mean(errors) / eyes < USABLE), bool(face.doubt)] += 1
        print(_row(name, counts), flush=True)
        total += counts
    print(_row("all", total))
    boxes = [(80 * k, 50 * k, 80 * k + 260, 50 * k + 320) for k in range(9)]
    found = [face for picture in backgrounds(8) for face in FaceReader(size=64, boxes=boxes)(picture)]
    print(f"\nno face in the box: {sum(bool(face.doubt) for face in found)} of {len(found)} doubted")


def _row(name: str, counts: Counter[tuple[bool, bool]]) -> str:
    cells = [
        f"{counts[right, True] + counts[right, False]} | {counts[right, True]}" for right in (True, False)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def show_answers(folder: Path, number: int) -> None:
    """Print how right the model in the box is on faces that are doubted, and on the others."""
    rows = [row for row in csv.DictReader((folder / "labels.csv").open(newline="")) if row["split"] == "test"]
    explain = Explainer(device="cpu", if_hidden=False)
    right: dict[str, list[bool]] = {}
    for row in rows[:: max(1, len(rows) // number)]:
        faces = explain(folder / "images" / row["file"])
        doubt = faces[0].face.doubt if faces else "not found"
        why = next((w for w in ("profile", "seen from", "may be no face") if w in doubt), doubt or "no doubt")
        right.setdefault(why, []).append(bool(faces) and faces[0].answer == row["label"])
    print("\n| FER+, test part | faces | answered right |\n|---|---|---|")
    for why, its in right.items():
        print(f"| {why} | {len(its)} | {np.mean(its):.3f} |")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=int, default=48)
    parser.add_argument("--faces", type=int, default=727)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    data = Path(os.environ.get("AUCUE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    show_boxes(data / "landmarks-frl", arguments.photographs)
    show_answers(data / "ferplus", arguments.faces)


if __name__ == "__main__":
    main()
