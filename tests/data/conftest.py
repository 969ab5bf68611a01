"""Small collections of painted faces with known landmarks."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from aucue.data import CsvSource

LABELS = ("neutral", "happiness", "surprise", "fear", "anger", "disgust", "sadness")


def mean_face(centre: tuple[float, float] = (48, 48), scale: float = 24) -> np.ndarray:
    """A symmetric face (68, 2) around the point between eyes and mouth; the eyes are one `scale` apart."""

    def ring(x: float, y: float, rx: float, ry: float, degrees: list[float]) -> list[tuple[float, float]]:
        turns = np.deg2rad(degrees)
        return [(x + rx * np.cos(turn), y + ry * np.sin(turn)) for turn in turns]

    eye = [180.0, 240, 300, 0, 60, 120]
    points = ring(0, -0.2, 1.0, 1.3, np.linspace(180, 0, 17).tolist())
    points += [(x, -0.75) for x in np.linspace(-0.85, -0.2, 5)] + [
        (x, -0.75) for x in np.linspace(0.2, 0.85, 5)
    ]
    points += [(0, y) for y in np.linspace(-0.45, 0, 4)] + [(x, 0.1) for x in np.linspace(-0.2, 0.2, 5)]
    points += ring(-0.5, -0.5, 0.2, 0.1, eye) + ring(0.5, -0.5, 0.2, 0.1, eye)
    points += ring(0, 0.5, 0.4, 0.2, np.linspace(180, 510, 12).tolist())
    points += ring(0, 0.5, 0.3, 0.08, [180, 225, 270, 315, 0, 45, 90, 135])
    return np.array(points) * scale + centre


def paint(landmarks: np.ndarray, size: int = 96) -> Image.Image:
    """A picture with a dot at every landmark."""
    picture = Image.new("RGB", (size, size), (90, 110, 140))
    draw = ImageDraw.Draw(picture)
    for number, (x, y) in enumerate(landmarks):
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(255, 3 * number, 60))
    return picture


def write_collection(folder: Path, samples: int, splits: tuple[str, ...] = ("train", "test")) -> CsvSource:
    """Pictures, labels.csv (with persons) and landmarks.csv; every picture differs."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels, landmarks = [], []
    for number in range(samples):
        points = mean_face(tuple(rng.uniform(42, 54, 2)), rng.uniform(18, 26))
        file = f"face{number:03d}.png"
        paint(points).save(folder / "images" / file)
        labels.append(
            (file, LABELS[number % 7], splits[number % len(splits)], f"p{number // 4}", number / 10)
        )
        landmarks.append((file, *points.round(3).ravel()))
    header = ["file", *(f"{axis}{index}" for index in range(68) for axis in "xy")]
    write_csv(folder / "labels.csv", [("file", "label", "split", "person", "valence"), *labels])
    write_csv(folder / "landmarks.csv", [header, *landmarks])
    return CsvSource(folder, landmarks="landmarks.csv", name="painted")


def write_csv(path: Path, rows: list) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def collection(tmp_path: Path) -> Callable[[int], CsvSource]:
    """Makes a collection of so many painted faces."""
    return lambda samples: write_collection(tmp_path / "collection", samples)
