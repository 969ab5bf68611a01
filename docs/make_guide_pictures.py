"""Draw the pictures of the guides from rendered faces: `python docs/make_guide_pictures.py`."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aucue import AUCue
from aucue.explanation import Explainer
from aucue.faces import Detection, FaceReader
from aucue.facs import ACTION_UNITS
from aucue.pictures import draw_landmarks, overlay, panel
from aucue.rendering import FaceParameters, Identity, Rendering, render

IMAGES = Path(__file__).parent / "images"
SIZE = 240
PEOPLE = (3, 12, 21, 8, 30, 17)


def main() -> None:
    """Write `steps.jpg`, `expressions.jpg`, `action_units.jpg` and `explanation.png`."""
    cue = AUCue("facs")
    steps(cue)
    expressions(cue)
    action_units(cue)
    explanation()


def shown(person: int, units: tuple[int, ...]) -> Rendering:
    """A person who shows action units."""
    face = FaceParameters(Identity.draw(person), action_units=dict.fromkeys(units, 0.8))
    return render(face, SIZE)


def steps(cue: AUCue) -> None:
    """From a face to the cue of happiness."""
    units = cue.codebook["happiness"]
    face = shown(PEOPLE[1], units)
    points = torch.from_numpy(face.landmarks)[None]
    singles = cue.single(points, (SIZE, SIZE))[0][0]
    label = torch.tensor([cue.classes.index("happiness")])
    tiles = [face.image, draw_landmarks(face.image, face.landmarks)]
    tiles += [overlay(face.image, singles[cue.action_units.index(unit)].numpy()) for unit in units]
    tiles.append(overlay(face.image, cue(points, label, (SIZE, SIZE)).map[0, 0].numpy()))
    titles = ["face", "68 landmarks", *(str(ACTION_UNITS[unit]) for unit in units), "cue: their union"]
    panel(tiles, titles, columns=3, tile_size=SIZE).save(IMAGES / "steps.jpg", quality=88)


def expressions(cue: AUCue) -> None:
    """The six expressions, each with its cue."""
    names = [name for name in cue.classes if cue.codebook[name]]
    faces = [shown(person, cue.codebook[name]) for person, name in zip(PEOPLE, names, strict=True)]
    points = torch.stack([torch.from_numpy(face.landmarks) for face in faces])
    maps = cue(points, torch.tensor([cue.classes.index(name) for name in names]), (SIZE, SIZE)).map
    drawn = [overlay(face.image, map_[0].numpy()) for face, map_ in zip(faces, maps, strict=True)]
    tiles, titles, captions = [], [], []
    for row in (slice(0, 3), slice(3, 6)):  # three faces, and their cues below
        tiles += [face.image for face in faces[row]] + drawn[row]
        titles += names[row] + [""] * 3
        captions += [""] * 3 + [" ".join(f"AU{unit}" for unit in cue.codebook[name]) for name in names[row]]
    picture = panel(tiles, titles, captions, columns=3, tile_size=SIZE)
    picture.save(IMAGES / "expressions.jpg", quality=88)


def action_units(cue: AUCue) -> None:
    """Every action unit of the region table, on a face that shows it."""
    tiles = []
    for place, unit in enumerate(cue.action_units):
        face = shown(PEOPLE[1], (unit,))
        maps, _ = cue.single(torch.from_numpy(face.landmarks)[None], (SIZE, SIZE))
        tiles.append(overlay(face.image, maps[0, place].numpy()))
    titles = [str(ACTION_UNITS[unit]) for unit in cue.action_units]
    panel(tiles, titles, columns=5, tile_size=SIZE).save(IMAGES / "action_units.jpg", quality=88)


def explanation() -> None:
    """A rendered face as the model in the box explains it; it was drawn, so its landmarks are known."""
    face = shown(PEOPLE[0], (1, 2, 5, 26))
    box = (*face.landmarks.min(axis=0).tolist(), *face.landmarks.max(axis=0).tolist())

    def known(image: np.ndarray, key: str | None = None) -> list[Detection]:
        return [Detection(box, 1.0, face.landmarks.astype(np.float32), "precomputed")]

    explain = Explainer()
    reader = FaceReader(known, explain.model.reading_size, explain.model.template)
    (explained,) = explain.faces(reader(Image.fromarray(face.image)))
    explained.picture().save(IMAGES / "explanation.png")


if __name__ == "__main__":
    main()
