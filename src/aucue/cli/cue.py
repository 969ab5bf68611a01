"""`aucue cue`: the map of action units that an expert would expect, drawn over a photograph."""

from pathlib import Path
from typing import TYPE_CHECKING

from aucue.errors import InputError
from aucue.work.files import appearing, check_free

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from aucue.cues import AUCue
    from aucue.faces import Face, FaceReader

    _Drawing = tuple[np.ndarray, str, str]

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def command(
    photo: Path,
    *,
    expression: str | None = None,
    all: bool = False,
    codebook: str = "facs",
    regions: str = "anatomical",
    out: Path = Path("cue.png"),
    detector: str | None = None,
    overwrite: bool = False,
) -> int:
    """Draw where the action units of an expression show on the faces of a photograph.

    Writes one picture with a row of aligned crops per face. Without --expression, all expressions of the
    codebook are drawn.

    Args:
        photo: Photograph with any number of faces.
        expression: Expression of the codebook, such as happiness.
        all: Draw every action unit of the region model by itself, to inspect the regions.
        codebook: Action units per expression: `facs`, `fg2024`, or a YAML file.
        regions: Where the action units show: `anatomical`, `fg2024`, or a YAML table.
        out: Picture to write.
        detector: `mesh` (the default), `dlib`, or a table of known landmarks (.csv or .parquet with file,
            x0, y0, ..., x67, y67).
        overwrite: Replace an earlier picture.
    """
    from aucue.faces.photographs import require_picture
    from aucue.work.terminal import Terminal

    if all and expression is not None:
        raise InputError("--all draws every action unit, whatever the expression; leave out one of the two.")
    if out.suffix.lower() not in _IMAGE_SUFFIXES:
        raise InputError(f"--out must be a picture ({', '.join(_IMAGE_SUFFIXES)}), not {out}.")
    check_free(out.parent, [out.name], overwrite)
    require_picture(photo)
    cue = _cue(codebook, expression, regions)
    faces = _reader(detector, regions)(photo)
    if not faces:
        raise InputError(f"{photo}: no face found.")
    drawings = [(_units if all else _expressions)(cue, face) for face in faces]
    columns = 5 if all else min(3, len(cue.classes))
    picture = _picture(drawings, columns, f"Codebook {cue.codebook.name}, regions {cue.regions.name}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with appearing(out) as unfinished:
        picture.save(unfinished)
    what = f"{len(cue.action_units)} action units" if all else ", ".join(cue.classes)
    Terminal().say(f"{out}: {what} on {len(faces)} face{'s' * (len(faces) > 1)}")
    return 0


def _cue(codebook: str, expression: str | None, regions: str) -> "AUCue":
    from aucue.facs import Codebook

    book = Codebook.load(codebook)
    if expression is None:
        classes = [name for name in book.expressions if book[name]]
    elif book[expression]:
        classes = [expression]
    else:
        raise InputError(f"{expression} has no action units, so there is nothing to draw.")
    from aucue.cues import AUCue  # needs torch

    return AUCue(book, classes, regions)


def _reader(detector: str | None, regions: str) -> "FaceReader":
    from aucue.faces import FaceReader

    # The published regions have radii in pixels of the published crops.
    size, template = (224, "fg2024") if regions == "fg2024" else (448, "aucue")
    return FaceReader(detector, size, template)


def _expressions(cue: "AUCue", face: "Face") -> "list[_Drawing]":
    """Tile, title and caption for each class of the cue."""
    import torch

    classes = torch.arange(len(cue.classes))
    landmarks = torch.from_numpy(face.landmarks).expand(len(classes), -1, -1)
    maps, valid = cue(landmarks, classes, (face.size, face.size))
    units = cue.codebook.action_units
    names = [", ".join(str(units[unit]) for unit in cue.codebook[name]) for name in cue.classes]
    return _tiles(face, maps[:, 0].numpy(), valid.tolist(), list(cue.classes), names)


def _units(cue: "AUCue", face: "Face") -> "list[_Drawing]":
    """Tile, title and caption for each action unit of the region model."""
    import torch

    maps, valid = cue.single(torch.from_numpy(face.landmarks)[None], (face.size, face.size))
    units = cue.codebook.action_units
    titles = [str(units.get(number, f"AU{number}")) for number in cue.action_units]
    return _tiles(face, maps[0].numpy(), valid[0].tolist(), titles, [""] * len(titles))


def _tiles(
    face: "Face", maps: "np.ndarray", valid: list[bool], titles: list[str], captions: list[str]
) -> "list[_Drawing]":
    from aucue.pictures import overlay

    captions = [
        text if inside else "outside the picture" for text, inside in zip(captions, valid, strict=True)
    ]
    return [
        (overlay(face.crop, heat), title, caption)
        for heat, title, caption in zip(maps, titles, captions, strict=True)
    ]


def _picture(faces: "list[list[_Drawing]]", columns: int, footnote: str) -> "Image.Image":
    """One panel; every face begins a row."""
    from aucue.pictures import panel

    tiles: list[np.ndarray | None] = []
    titles, captions = [], []
    for number, drawings in enumerate(faces, start=1):
        empty = -len(drawings) % columns if number < len(faces) else 0
        prefix = f"{number}: " if len(faces) > 1 else ""
        tiles += [tile for tile, _, _ in drawings] + [None] * empty
        titles += [prefix + title for _, title, _ in drawings] + [""] * empty
        captions += [caption for _, _, caption in drawings] + [""] * empty
    return panel(tiles, titles, captions, columns=columns, footnote=footnote)
