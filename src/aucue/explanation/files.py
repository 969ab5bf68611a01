"""The files of an explained face: picture, thumbnail and maps; of a photograph with several: all in one."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aucue.explanation.annotate import COLORS, Mark, annotate
from aucue.explanation.explanation import Explanation, percent
from aucue.explanation.settings import MapFormat
from aucue.faces import read_reduced, rescaled
from aucue.pictures import normalize, overlay, upsample
from aucue.work.files import appearing

THUMBNAILS = "thumbnails"
_THUMBNAIL = 128
_LONGEST = 1600  # of an annotated photograph, in pixels


@dataclass(frozen=True)
class FaceFiles:
    """Names of a face's files, relative to the folder.

    Attributes:
        picture: Its explanation.
        thumbnail: The face and its class map, small.
        maps: Its maps, as far as they were asked for.
    """

    picture: str
    thumbnail: str
    maps: tuple[str, ...]

    @classmethod
    def of(cls, stem: str, explanation: Explanation, maps: MapFormat) -> "FaceFiles":
        """The names for a face.

        Args:
            stem: What they begin with.
            explanation: Says which maps there are.
            maps: Kind of map files.
        """
        return cls(f"{stem}.png", f"{THUMBNAILS}/{stem}.jpg", map_names(stem, explanation, maps))

    def write(self, folder: Path, explanation: Explanation) -> None:
        """Write them; each appears whole or not at all."""
        write_maps(folder, self.maps, explanation)
        save_picture(folder / self.thumbnail, thumbnail(explanation))
        save_picture(folder / self.picture, explanation.picture())


def output_stem(file: Path) -> str:
    """What the names of a file's outputs begin with: its name, if that works on every system.

    Else letters are replaced or cut off, and a digest of the name keeps it apart from others.
    """
    name = _UNSAFE.sub("_", "".join(letter if letter.isprintable() else "_" for letter in file.stem))
    name = name.encode()[:_LONGEST_STEM].decode(errors="ignore").rstrip(". ")
    if name == file.stem and not _DEVICE.match(name):
        return name
    return f"{name}-{hashlib.sha256(os.fsencode(file.name)).hexdigest()[:8]}"


_UNSAFE = re.compile(r'[<>:"/\\|?*]')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE
)  # names that Windows keeps for itself
_LONGEST_STEM = 180  # bytes; with endings such as "_face12_class-map.png" below the 255 that systems allow


def map_names(stem: str, explanation: Explanation, maps: MapFormat) -> tuple[str, ...]:
    """Names of the map files of a face."""
    if maps == "npz":
        return (f"{stem}_maps.npz",)
    return tuple(f"{stem}_{name}.png" for name in _shown(explanation)) if maps == "png" else ()


def write_maps(folder: Path, names: Sequence[str], explanation: Explanation) -> None:
    """Write the maps of a face.

    NPZ holds all of them as they are, PNG the three that a picture shows: grey, 8 bits, at the size of the
    crop, black the minimum of the map and white its maximum.
    """
    if len(names) == 1 and names[0].endswith(".npz"):
        face = explanation.face
        arrays: dict[str, NDArray] = {
            f"attention_{name}": map_ for name, map_ in explanation.attention.items()
        }
        arrays |= {f"class_map_{name}": map_ for name, map_ in explanation.class_maps.items()}
        arrays |= {} if explanation.cue is None else {"expected": explanation.cue}
        arrays |= {"crop": face.crop, "landmarks": face.landmarks, "photo_to_crop": face.matrix}
        _write_whole(folder / names[0], lambda path: _save_npz(path, arrays))
        return
    side = (explanation.face.size, explanation.face.size)
    for name, map_ in zip(names, _shown(explanation).values(), strict=bool(names)):
        grey = np.rint(255 * upsample(normalize(map_), side)).astype(np.uint8)
        save_picture(folder / name, Image.fromarray(grey))


def mark_of(explanation: Explanation, label: str, index: int) -> Mark:
    """How a face is marked in its photograph or frame.

    Args:
        explanation: Of the face.
        label: Text at its box.
        index: Number that chooses the colour.
    """
    face = explanation.face
    color = COLORS[index % len(COLORS)]
    return Mark(face.box, face.matrix, face.size, explanation.drawn_class_map, label, color)


def write_overview(path: Path, photo: Path, explanations: Sequence[Explanation]) -> None:
    """Write a photograph with all of its faces marked."""
    picture, factor = read_reduced(photo)
    width, height = (factor * side for side in picture.size)
    scale = min(1.0, _LONGEST / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = np.asarray(picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture)
    marks = []
    for index, explanation in enumerate(explanations):
        text = f"{index + 1} {explanation.expression} {percent(explanation.probability)}"
        marks.append(shrunk(mark_of(explanation, text, index), scale))
    save_picture(path, Image.fromarray(annotate(image, marks)))


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG or JPEG; it appears whole or not at all."""
    options = {"quality": 88} if path.suffix == ".jpg" else {"compress_level": 1}
    format = "JPEG" if path.suffix == ".jpg" else "PNG"
    _write_whole(path, lambda unfinished: picture.save(unfinished, format=format, **options))


def _shown(explanation: Explanation) -> dict[str, NDArray]:
    maps = {"attention": explanation.attention[explanation.layer], "class-map": explanation.class_map()}
    return maps if explanation.cue is None else {**maps, "expected": explanation.cue}


def thumbnail(explanation: Explanation) -> Image.Image:
    """The face and its class map, small."""
    face = Image.fromarray(explanation.face.crop).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    both = np.concatenate([np.asarray(face), overlay(face, explanation.drawn_class_map)], axis=1)
    return Image.fromarray(both)


def shrunk(mark: Mark, scale: float) -> Mark:
    """The mark for a picture that is `scale` times as large."""
    left, top, right, bottom = (scale * value for value in mark.box)
    return Mark(
        (left, top, right, bottom), rescaled(mark.matrix, scale), mark.size, mark.heat, mark.label, mark.color
    )


def _save_npz(path: Path, arrays: dict[str, NDArray]) -> None:
    with path.open("wb") as file:  # savez adds an ending to a name
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as unfinished:
        write(unfinished)
