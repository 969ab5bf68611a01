"""Does the sentence ever name a place that is covered?

    python -m experiments.covered --faces 12

covers places of photographs (strips over eyes or mouth, the regions of the expected action units), explains
them, and counts what is said of covered places: by what was measured, and by where the class map lies.
"""

import argparse
import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from aucue.explanation import Explainer, Explanation
from aucue.explanation.units import PREFERENCE
from aucue.faces import Face, FaceReader, PrecomputedDetector
from aucue.metrics import regions_of
from experiments.ferplus_set import DATA

SETS = ("ferplus", "sfhq")
HALF = 0.5  # of a region: from here on it counts as covered

Cover = NDArray[np.bool_]


def faces_of(name: str, explain: Explainer, count: int) -> Iterator[Face]:
    """So many test faces of each label, spread evenly."""
    folder = DATA / name
    reader = FaceReader(
        PrecomputedDetector(folder / "landmarks.csv"), explain.model.reading_size, explain.model.template
    )
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    for label in dict.fromkeys(row["label"] for row in rows):
        own = [row["file"] for row in rows if row["label"] == label]
        for file in own[:: max(1, len(own) // count)][:count]:
            yield from reader(folder / "images" / file, file)[:1]


def strip(face: Face, first: int, last: int) -> Cover:
    """Rows of the crop from one landmark to another, with a margin."""
    rows = np.arange(face.size)[:, None] * np.ones(face.size, int)
    margin = 0.03 * face.size
    return (rows >= face.landmarks[first, 1] - margin) & (rows <= face.landmarks[last, 1] + margin)


def expected(face: Face, explain: Explainer, expression: str) -> Cover:
    """The regions of an expression's action units; of neutral none."""
    draw = explain.model.draw
    maps, _ = draw.single(torch.from_numpy(face.landmarks)[None].float(), (face.size, face.size))
    units = [unit.number for unit in explain.model.action_units(expression)]
    chosen = regions_of(maps)[0][[draw.action_units.index(unit) for unit in units]]
    return chosen.any(dim=0).numpy() if units else np.zeros((face.size, face.size), bool)


def white(face: Face, cover: Cover) -> NDArray[np.uint8]:
    """Blank paper."""
    return np.where(cover[..., None], np.uint8(255), face.crop)


def painted(face: Face, cover: Cover) -> NDArray[np.uint8]:
    """The mean colour of what is covered."""
    return np.where(cover[..., None], face.crop[cover].mean(axis=0).astype(np.uint8), face.crop)


def noisy(face: Face, cover: Cover) -> NDArray[np.uint8]:
    """Noise, which is not blank: it may well decide."""
    noise = np.random.default_rng(0).integers(0, 256, face.crop.shape, dtype=np.uint8)
    return np.where(cover[..., None], noise, face.crop)


def covered(
    face: Face, explain: Explainer, answer: str
) -> Iterator[tuple[str, Cover, Callable[[Face, Cover], NDArray[np.uint8]]]]:
    """What is covered, and with what, by name."""
    eyes, mouth, units = strip(face, 19, 30), strip(face, 33, 8), expected(face, explain, answer)
    yield "white strip over eyes and cheeks", eyes, white
    yield "painted strip over the mouth", mouth, painted
    yield "noise over eyes and cheeks", eyes, noisy
    if units.any():
        yield "expected regions painted", units, painted


def shares(face: Face, explain: Explainer, cover: Cover) -> dict[int, float]:
    """How much of the region of each action unit is covered, at the network's input."""
    side = explain.model.input_size
    small = np.asarray(Image.fromarray(cover).resize((side, side), Image.Resampling.NEAREST))
    draw = explain.model.draw
    points = (torch.from_numpy(face.landmarks)[None].float() + 0.5) * (side / face.size) - 0.5
    regions = regions_of(draw.single(points, (side, side))[0])[0].numpy()
    return {
        unit: small[region].mean() if region.any() else 0.0
        for unit, region in zip(draw.action_units, regions, strict=True)
    }


def named(explanation: Explanation) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Units of the places that the sentence names: as deciding, and as where the class map lies."""
    found = explanation.if_hidden
    decide: list[tuple[int, ...]] = []
    if found:
        places = [each for each in found.regions if each.matters or each.opposes or each is found.tipping]
        decide = [tuple(unit.number for unit in each.units) for each in places]
    lies = [(unit.unit.number,) for unit in explanation.unit_evidence if unit.class_map.ratio >= PREFERENCE]
    return decide, lies if explanation.has_evidence else []


def count(explain: Explainer, faces: list[Face]) -> dict[str, Counter[str]]:
    """By what is covered: faces, faces with a covered place named, places named, covered ones among them."""
    counts: dict[str, Counter[str]] = {}
    for face in track(faces, "faces"):
        answer = explain.faces([face], if_hidden=False)[0].answer
        for name, cover, paint in covered(face, explain, answer):
            explanation = explain.faces([replace(face, crop=paint(face, cover))])[0]
            hidden = shares(face, explain, cover)
            tally = counts.setdefault(name, Counter())
            tally["faces"] += 1
            for kind, places in zip(("decide", "lie"), named(explanation), strict=True):
                bad = [units for units in places if np.mean([hidden[unit] for unit in units]) >= HALF]
                tally[f"{kind}: places"] += len(places)
                tally[f"{kind}: covered"] += len(bad)
                tally[f"{kind}: faces"] += bool(bad)
    return counts


def milliseconds(explain: Explainer, faces: list[Face], if_hidden: bool) -> float:
    """CPU time of one face after the other, one thread."""
    torch.set_num_threads(1)
    explain.faces(faces[:1], if_hidden=if_hidden)
    start = time.process_time()
    for face in faces:
        explain.faces([face], if_hidden=if_hidden)
    return 1000 * (time.process_time() - start) / len(faces)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description="Does the sentence name a covered place?")
    parser.add_argument("--faces", type=int, default=8, help="of each label and set")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    explain = Explainer(arguments.model)
    faces = [face for name in arguments.sets for face in faces_of(name, explain, arguments.faces)]
    faces = [face for face in faces if face.has_landmarks]
    print(f"{len(faces)} faces")
    print(
        "| covered | faces | places said to decide | covered ones | places of the class map | covered ones |"
    )
    for name, tally in count(explain, faces).items():
        kinds = (f"{tally[f'{kind}: places']} | {tally[f'{kind}: covered']}" for kind in ("decide", "lie"))
        print(f"| {name} | {tally['faces']} | {' | '.join(kinds)} |", flush=True)
    few = faces[:: max(1, len(faces) // 12)]
    for if_hidden in (False, True):
        took = milliseconds(explain, few, if_hidden)
        print(f"{'with' if if_hidden else 'without'} what decides: {took:.0f} ms")


if __name__ == "__main__":
    main()
