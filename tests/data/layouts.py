"""Small trees of rendered faces in exactly the layouts in which gated sets are distributed."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from aucue.data import Sample, SyntheticSource
from aucue.faces import NOSE_TIP, TEMPLATES, eye_centres, transform_points, warp
from aucue.facs import EXPRESSIONS

RAF_DB_CODES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
RAF_DB_COMPOUND_CODES = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
)
AFFECTNET_CODES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
FOLD_IDS = {"Anger": 4, "Disgust": 5, "Fear": 3, "Happiness": 1, "Neutral": 0, "Sadness": 6, "Surprise": 2}
_MARGIN = (24, 16)
"""Pixels to the left of a rendered face and above it, where it stands in a larger photograph."""


@dataclass(frozen=True)
class Picture:
    """What was written for one sample.

    Attributes:
        name: As the set calls it.
        split: "train" or "test".
        label: Its class.
        image: (H, W, 3) uint8 before it was compressed.
        landmarks: (68, 2) in its pixels.
        box: Left, top, right, bottom of the face.
    """

    name: str
    split: str
    label: str
    image: np.ndarray
    landmarks: np.ndarray
    box: tuple[float, float, float, float]

    @property
    def points(self) -> np.ndarray:
        """Left eye, right eye, nose, left and right corner of the mouth (5, 2)."""
        return np.concatenate([eye_centres(self.landmarks), self.landmarks[[NOSE_TIP, 48, 54]]])

    @property
    def crop(self) -> np.ndarray:
        """The published crop (224, 224, 3)."""
        return warp(self.image, self._matrix, 224)

    @property
    def crop_landmarks(self) -> np.ndarray:
        """(68, 2) in pixels of the published crop."""
        return transform_points(self._matrix, self.landmarks)

    @property
    def _matrix(self) -> np.ndarray:
        return TEMPLATES["fg2024"].matrix(self.landmarks, 224)


def write_raf_db(
    root: Path, train: int = 14, test: int = 7, compound: bool = False, size: int = 64, seed: int = 0
) -> list[Picture]:
    """RAF-DB below `root`: the basic part, or with `compound` the other.

    Attributes follow from the number of a picture from 1: gender number % 3, race number // 3 % 3, age
    number % 5.

    Args:
        root: Folder that gets `basic/` or `compound/`.
        train: Training photographs; classes take turns.
        test: Test photographs.
        compound: Whether the classes are the compound ones.
        size: Side of the rendered faces in pixels.
        seed: Of the faces.
    """
    codes = RAF_DB_COMPOUND_CODES if compound else RAF_DB_CODES
    digits = {"train": 5, "test": 4}
    pictures = _photographs(
        codes,
        "compound" if compound else "facs",
        (train, test, size, seed),
        lambda split, number: f"{split}_{number:0{digits[split]}d}.jpg",
    )
    part = root / ("compound" if compound else "basic")
    lines = []
    for picture in pictures:
        stem = picture.name.removesuffix(".jpg")
        number = int(stem.partition("_")[2])
        lines.append(f"{picture.name} {codes.index(picture.label) + 1}")
        save(part / "Image" / "original" / picture.name, picture.image)
        left, top = _MARGIN
        face = Image.fromarray(picture.image[top : top + size, left : left + size]).resize((100, 100))
        save(part / "Image" / "aligned" / f"{stem}_aligned.jpg", np.asarray(face))
        annotation = part / "Annotation"
        write(annotation / "boundingbox" / f"{stem}_boundingbox.txt", "{} {} {} {} \n".format(*picture.box))
        points = [f"{x:.2f}\t{y:.2f}" for x, y in picture.points]
        attributes = [str(number % 3), str(number // 3 % 3), str(number % 5)]
        write(annotation / "manual" / f"{stem}_manu_attri.txt", "\n".join([*points, *attributes]) + "\n")
    write(part / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n")
    return pictures


def write_affectnet_csv(
    root: Path, train: int = 16, test: int = 8, classes: int = 8, size: int = 64, seed: int = 0
) -> list[Picture]:
    """AffectNet's CSV release: tables in `root`, photographs in Manually_Annotated_Images/.

    Each table ends with one line of class 8 (none) and one of class 10 (no face), whose photographs exist.
    """
    pictures = _photographs(
        AFFECTNET_CODES[:classes],
        "contempt",
        (train, test, size, seed),
        lambda split, number: f"{number % 3 + 1}/{split}{number:04x}.jpg",
    )
    for split, table in (("train", "training.csv"), ("test", "validation.csv")):
        lines = [AFFECTNET_HEADER]
        for picture in pictures:
            if picture.split == split:
                save(root / "Manually_Annotated_Images" / picture.name, picture.image)
                lines.append(affectnet_line(picture))
        for code in (8, 10):
            extra = f"9/{split}{code}.jpg"
            save(root / "Manually_Annotated_Images" / extra, np.zeros((16, 16, 3), np.uint8))
            lines.append(f"{extra},NULL,NULL,NULL,NULL,NULL,{code},-2,-2")
        write(root / table, "\n".join(lines) + "\n")
    return pictures


def affectnet_line(picture: Picture) -> str:
    """The line of a photograph in a table; valence and arousal follow from the class."""
    left, top, right, bottom = picture.box
    code = AFFECTNET_CODES.index(picture.label)
    landmarks = ";".join(f"{value:.2f}" for value in picture.landmarks.ravel())
    face = f"{left:g},{top:g},{right - left:g},{bottom - top:g}"
    return f"{picture.name},{face},{landmarks},{code},{code / 10},-0.5"


def write_affectnet_annotations(
    root: Path, train: int = 16, test: int = 8, classes: int = 8, size: int = 112, seed: int = 0
) -> list[Picture]:
    """AffectNet's annotation release: train_set and val_set.

    Expressions are 0-d arrays, of text for even numbers and of integers for odd ones, as both are said to
    circulate. Names are "train_set/images/0.jpg".
    """
    folders = {"train": "train_set", "test": "val_set"}
    numbers = dict.fromkeys(folders, 0)
    pictures = []
    for sample in _faces(AFFECTNET_CODES[:classes], "contempt", (train, test, size, seed)):
        number = numbers[sample.split]
        numbers[sample.split] += 1
        folder = root / folders[sample.split]
        code = AFFECTNET_CODES.index(sample.label)
        picture = Picture(
            f"{folder.name}/images/{number}.jpg",
            sample.split,
            sample.label,
            np.asarray(sample.image),
            np.asarray(sample.landmarks),
            (0, 0, size, size),
        )
        save(folder / "images" / f"{number}.jpg", picture.image)
        values = {
            "exp": np.array(code if number % 2 else str(code)),
            "val": np.array(str(code / 10)),
            "aro": np.array(-0.5),
            "lnd": picture.landmarks.ravel(),
        }
        for name, value in values.items():
            save_array(folder / "annotations" / f"{number}_{name}.npy", value)
        pictures.append(picture)
    return pictures


def write_published_folds(
    folder: Path,
    pictures: Sequence[Picture],
    path: Callable[[str], str],
    crops: Path | None = None,
    failed: Sequence[str] = (),
) -> Path:
    """Folds as the code of the paper has them: validation is the test set.

    Args:
        folder: Where class_id.yaml, train/, val/ and test/ are written.
        pictures: What they list.
        path: Makes the path in the folds from a picture's name.
        crops: Where the paths begin, if the crops are to be written, too.
        failed: Names of pictures in which no landmarks were found.
    """
    folder.mkdir(parents=True)
    (folder / "class_id.yaml").write_text(yaml.safe_dump(FOLD_IDS))
    for split in ("train", "val", "test"):
        chosen = [p for p in pictures if p.split == ("train" if split == "train" else "test")]
        lines: dict[str, list[str]] = {
            "image_ids": [],
            "class_labels": [],
            "landmarks": [],
            "image_sizes": [],
        }
        for picture in chosen:
            name = path(picture.name)
            values = picture.crop_landmarks.T.ravel() if picture.name not in failed else np.full(136, np.inf)
            lines["image_ids"].append(name)
            lines["class_labels"].append(f"{name},{EXPRESSIONS.index(picture.label)}")
            lines["landmarks"].append(",".join([name, *map(str, values)]))
            lines["image_sizes"].append(f"{name},223,223")
            if crops is not None:
                save(crops / name, picture.crop)
        for name, content in lines.items():
            write(folder / split / f"{name}.txt", "\n".join(content) + "\n")
    return folder


@cache
def _faces(classes: Sequence[str], codebook: str, drawn: tuple[int, int, int, int]) -> list[Sample]:
    """Rendered faces; `drawn` is their number for training and testing, their size, and the seed."""
    train, test, size, seed = drawn
    source = SyntheticSource(train, 0, test, seed=seed, size=size, classes=tuple(classes), codebook=codebook)
    return [source[index] for index in range(len(source))]


def _photographs(
    classes: Sequence[str],
    codebook: str,
    drawn: tuple[int, int, int, int],
    name: Callable[[str, int], str],
) -> list[Picture]:
    """Rendered faces in larger photographs; `name` is told the split and a number from 1 in it."""
    pictures = []
    for index, sample in enumerate(_faces(classes, codebook, drawn)):
        number = index + 1 - (drawn[0] if sample.split == "test" else 0)
        (left, top), size = _MARGIN, drawn[2]
        canvas = np.full((size + 3 * top, size + 2 * left, 3), (90, 110, 140), np.uint8)
        canvas[top : top + size, left : left + size] = np.asarray(sample.image)
        landmarks = np.asarray(sample.landmarks) + _MARGIN
        low, high = np.floor(landmarks.min(0)), np.ceil(landmarks.max(0))
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        pictures.append(
            Picture(name(sample.split, number), sample.split, sample.label, canvas, landmarks, box)
        )
    return pictures


def save(path: Path, image: np.ndarray) -> None:
    """Write a JPEG, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "JPEG", quality=95)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file (object arrays pickled, as careless tools do), and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    path.write_bytes(buffer.getvalue())


def write(path: Path, text: str) -> None:
    """Write a text, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def truncate(path: Path) -> None:
    """Cut a file to half its length."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
