"""How well faces are found and their landmarks set, by both detectors.

    python benchmarks/landmarks.py [--photographs 142] [--scenes 20] [--detectors mesh dlib] [--only turned]

142 frontal photographs with an independent 189-point template (Face Research Lab London Set, CC BY 4.0) are
looked for in `landmarks-frl` in the folder AUCUE_DATA, by default ../shared/data: as they are, turned, small,
blurred, dark, and with the mouth covered. Scenes of 6 to 12 of the faces of `london` and `sfhq`, 28 to 180
pixels high and turned, on backgrounds without a face; and the backgrounds alone. Of several faces the
largest is taken. One process, one thread; a face is usable if its corners of eyes and mouth lie within 8 %
of the outer-eye distance.
"""

import argparse
import csv
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from aucue.faces import (
    Detection,
    LandmarkDetector,
    PrecomputedDetector,
    open_detector,
    overlap,
    read_image,
    transform_points,
)

# iBUG-68 index -> index in the template, for the points that both schemes define.
SHARED_POINTS = {
    **{36: 18, 39: 22, 42: 23, 45: 27, 48: 87, 54: 93},  # eye and mouth corners
    **{51: 90, 57: 106, 62: 96, 66: 101},  # upper and lower lip, midline
    **{8: 129, 33: 55},  # chin, base of the nose
}
CORNERS = (36, 39, 42, 45, 48, 54)
USABLE = 0.08

Change = Callable[[Image.Image, np.ndarray], tuple[Image.Image, np.ndarray]]
"""A photograph and its template -> another one."""


@dataclass(frozen=True)
class Measurement:
    """One photograph: how its face was found ("none" if it was not), the error of each shared point as a
    share of the outer-eye distance, and how long it took, in seconds.
    """

    file: str
    how: str
    relative_error: dict[int, float]
    seconds: float = 0.0

    @property
    def corners(self) -> float:
        """Mean relative error over the eye and mouth corners."""
        return float(np.mean([self.relative_error[index] for index in CORNERS]))

    @property
    def usable(self) -> bool:
        """Whether the face was found, and its landmarks lie on it."""
        return bool(self.relative_error) and self.corners < USABLE


def read_templates(folder: Path) -> dict[str, np.ndarray]:
    """File name -> template (189, 2) in pixels of the photograph."""
    with (folder / "frl189.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array(row[1:], dtype=float).reshape(-1, 2) for row in rows}


def measure(
    folder: Path, file: str, template: np.ndarray, detector: LandmarkDetector, change: Change | None = None
) -> Measurement:
    """Compare the largest face of one photograph with its template."""
    image = read_image(folder / "images" / file)
    image, template = change(image, template) if change else (image, template)
    pixels = np.asarray(image)
    start = time.perf_counter()
    found = detector(pixels)
    seconds = time.perf_counter() - start
    if not found:
        return Measurement(file, "none", {}, seconds)
    face = max(found, key=lambda each: each.area)
    outer_eyes = np.linalg.norm(template[SHARED_POINTS[36]] - template[SHARED_POINTS[45]])
    errors = {
        index: float(np.linalg.norm(face.landmarks[index] - template[other]) / outer_eyes)
        for index, other in SHARED_POINTS.items()
    }
    return Measurement(file, face.how, errors, seconds)


def measure_all(
    folder: Path, detector: str = "mesh", change: Change | None = None, most: int | None = None
) -> list[Measurement]:
    """The photographs of the folder, or as many of them, evenly chosen."""
    items = list(read_templates(folder).items())
    chosen = (
        items
        if most is None
        else [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]
    )
    finds = open_detector(detector)
    return [measure(folder, file, template, finds, change) for file, template in chosen]


def turned(degrees: float) -> Change:
    """Turned counter-clockwise, as large a picture as that takes."""

    def change(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
        drawn = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(230, 230, 230))
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        centred = (template + 0.5 - np.array(image.size) / 2) @ np.array([[cos, -sin], [sin, cos]])
        return drawn, centred + np.array(drawn.size) / 2 - 0.5

    return change


def small(height: float) -> Change:
    """Shrunk until the face, from brow to chin, is so many pixels high."""

    def change(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
        scale = height / (1.35 * (template[129, 1] - template[18:28, 1].mean()))
        size = round(image.width * scale), round(image.height * scale)
        factors = np.array(size) / image.size
        return image.resize(size, Image.Resampling.LANCZOS), (template + 0.5) * factors - 0.5

    return change


def blurred(share: float) -> Change:
    """Blurred by a share of the outer-eye distance."""

    def change(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
        radius = share * float(np.linalg.norm(template[18] - template[27]))
        return image.filter(ImageFilter.GaussianBlur(radius)), template

    return change


def dark(factor: float) -> Change:
    """As by so much of the light, with the noise of a camera."""

    def change(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
        noise = np.random.default_rng(0).normal(0, 2, (image.height, image.width, 3))
        return Image.fromarray((np.asarray(image) * factor + noise).clip(0, 255).astype(np.uint8)), template

    return change


def covered(image: Image.Image, template: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """The mouth and chin behind a plain cloth."""
    image, (left, top), bottom = image.copy(), template[87], template[129, 1]
    width = template[93, 0] - left
    corner, other = (left - 0.7 * width, top - 0.45 * width), (left + 1.7 * width, bottom + 0.2 * width)
    box = (round(corner[0]), round(corner[1]), round(other[0]), round(other[1]))
    image.paste((180, 200, 215), box)
    return image, template


CHANGES: dict[str, Change | None] = {
    "as they are": None,
    **{f"turned by {degrees}": turned(degrees) for degrees in (15, 30, 45, 60, 90, 180)},
    **{f"{height} pixels high": small(height) for height in (96, 64, 48, 32, 24)},
    "blurred, .05 of the eyes' distance": blurred(0.05),
    "dark, .15 of the light": dark(0.15),
    "mouth covered": covered,
}


def tabulate(name: str, measurements: list[Measurement]) -> str:
    """One row: found, usable, errors, time."""
    found = [m for m in measurements if m.relative_error]
    good = [m for m in measurements if m.usable]
    error = f"{np.mean([m.corners for m in good]):.2%}" if good else "-"
    everywhere = f"{np.mean([list(m.relative_error.values()) for m in good]):.2%}" if good else "-"
    shares = f"{len(found) / len(measurements):.3f} | {len(good) / len(measurements):.3f}"
    milliseconds = 1000 * float(np.median([m.seconds for m in measurements]))
    return f"| {name} | {shares} | {error} | {everywhere} | {milliseconds:.0f} |"


@dataclass(frozen=True)
class Scene:
    """A picture, and the boxes of the faces that were pasted into it."""

    image: np.ndarray
    boxes: list[tuple[float, float, float, float]]


def backgrounds(number: int) -> Iterator[Image.Image]:
    """Pictures without a face: two photographs that scikit-learn brings, cut and mirrored, and soft
    shapes.
    """
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(1)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    for i in range(number):
        if i % 3 == 2:
            coarse = random.integers(0, 256, (8 + i, 12 + i, 3), dtype=np.uint8)
            yield Image.fromarray(coarse).resize((1200, 800), Image.Resampling.BICUBIC)
            continue
        photograph = photographs[i % 2]
        left, top = (int(random.integers(0, side // 3)) for side in photograph.size)
        cut = photograph.crop((left, top, left + photograph.width * 2 // 3, top + photograph.height * 2 // 3))
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i % 4 > 1 else cut
        yield cut.resize((1200, 800), Image.Resampling.BICUBIC)


def scenes(data: Path, number: int, degrees: float) -> Iterator[Scene]:
    """Scenes of 6 to 12 faces on backgrounds, each turned by up to so many degrees."""
    random = np.random.default_rng(0)
    faces = [
        (data / name / "images" / file, table)
        for name in ("london", "sfhq")
        for table in [PrecomputedDetector(data / name / "landmarks.csv")]
        for file in _well_marked(data / name)
    ]
    for canvas in backgrounds(number):
        boxes: list[tuple[float, float, float, float]] = []
        places = random.permutation(12)[: int(random.integers(6, 13))]
        for place in places.tolist():
            path, table = faces[int(random.integers(len(faces)))]
            if known := table(np.empty(0), path.name):
                boxes.append(_paste(canvas, read_image(path), known[0], place, random, degrees))
        yield Scene(np.asarray(canvas), boxes)


def _well_marked(folder: Path) -> list[str]:
    """Photographs whose landmarks in the table are not guesses."""
    with (folder / "landmarks_how.csv").open(newline="") as file:
        return [row["file"] for row in csv.DictReader(file) if row["how"] == "plain"]


def _paste(
    canvas: Image.Image,
    photograph: Image.Image,
    face: Detection,
    place: int,
    random: np.random.Generator,
    degrees: float,
) -> tuple[float, float, float, float]:
    """Paste a face, cut out as an ellipse, into one of 4 x 3 places of a canvas; its box there."""
    points, height = face.landmarks, float(np.exp(random.uniform(np.log(28), np.log(180))))
    centre, tall = points.mean(axis=0), float(np.ptp(points[:, 1]))
    scale, angle = height / (1.3 * tall), np.radians(random.uniform(-degrees, degrees))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    column, row = place % 4, place // 4
    middle = np.array([150 + 300 * column, 133 + 266 * row]) + random.uniform(-20, 20, 2)
    shift = middle - linear @ centre
    inverse = np.linalg.inv(linear)
    affine = np.column_stack([inverse, -inverse @ shift]).ravel().tolist()
    smaller = photograph.filter(ImageFilter.GaussianBlur(max(0.0, 0.4 / scale - 0.4)))
    drawn = smaller.transform(canvas.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    rows, columns = np.mgrid[0 : canvas.height, 0 : canvas.width]
    x, y = inverse @ (np.stack([columns.ravel(), rows.ravel()]) - shift[:, None]) - centre[:, None]
    inside = ((x / (0.75 * tall)) ** 2 + ((y + 0.15 * tall) / (0.95 * tall)) ** 2 < 1).reshape(rows.shape)
    canvas.paste(drawn, mask=Image.fromarray((255 * inside).astype(np.uint8)))
    placed = transform_points(np.column_stack([linear, shift]), points)
    (left, top), (right, bottom) = placed.min(axis=0).tolist(), placed.max(axis=0).tolist()
    return left, top, right, bottom


def count(scene: Scene, found: list[Detection]) -> tuple[int, int]:
    """How many faces of a scene were found, and how many found faces are none."""
    around = [(*face.landmarks.min(axis=0).tolist(), *face.landmarks.max(axis=0).tolist()) for face in found]
    hits = sum(any(overlap(box, other) > 0.4 for other in around) for box in scene.boxes)
    false = sum(all(overlap(box, other) < 0.2 for box in scene.boxes) for other in around)
    return hits, false


def show_scenes(name: str, detector: LandmarkDetector, data: Path, number: int) -> None:
    """Print recall, false faces and time on scenes, and on their backgrounds alone."""
    for degrees in (15, 45):
        faces = hits = false = 0
        seconds = []
        for scene in scenes(data, number, degrees):
            start = time.perf_counter()
            found = detector(scene.image)
            seconds.append(time.perf_counter() - start)
            its, wrong = count(scene, found)
            faces, hits, false = faces + len(scene.boxes), hits + its, false + wrong
        print(
            f"| {name}, {number} scenes, up to {degrees} degrees | {hits / faces:.3f} of {faces} | {false} | "
            f"{1000 * np.median(seconds):.0f} |"
        )
    seconds, false = [], 0
    for background in backgrounds(number):
        start = time.perf_counter()
        false += len(detector(np.asarray(background)))
        seconds.append(time.perf_counter() - start)
    print(f"| {name}, {number} backgrounds alone | - | {false} | {1000 * np.median(seconds):.0f} |")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=int, help="how many of the 142; default all")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--detectors", nargs="+", default=["mesh", "dlib"])
    parser.add_argument("--only", nargs="+", help="rows whose name holds one of these words; scenes")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    data = Path(os.environ.get("AUCUE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    wanted = [name for name in CHANGES if not arguments.only or any(w in name for w in arguments.only)]
    for detector in arguments.detectors:
        print(f"\n{detector}\n| photographs | found | usable | corners | 12 points | ms |")
        print("|---|---|---|---|---|---|")
        for name in wanted:
            done = measure_all(data / "landmarks-frl", detector, CHANGES[name], arguments.photographs)
            print(tabulate(name, done), dict(Counter(each.how for each in done)), flush=True)
        if not arguments.only or "scenes" in arguments.only:
            print("\n| scenes | recall | false | ms |\n|---|---|---|---|")
            show_scenes(detector, open_detector(detector), data, arguments.scenes)


if __name__ == "__main__":
    main()
