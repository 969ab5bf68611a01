"""How the model in the box takes photographs that are turned, blurred, dark or small, and faces a bit off.

    python -m box.robustness --out runs/box-figures [--model FILE] [--detector mesh] [--tables NAME ...]
        [--card]

`photographs`: the test part of `london`, `sfhq`, and 20 test faces of each expression of FER+, changed and
then found and read as any photograph; of several faces the largest is taken, and none found is wrong.
`steady`: decisions that change when the aligned face is shifted by 4 % of its side, turned or scaled, on the
test parts that `box.figures` prepares. `mouths`: held-out neutral faces whose mouths a warp opens. Nothing is
chosen by any of it; --card brings the tables to MODEL_CARD.md.
"""

import argparse
import csv
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.data import FaceDataset, eval_transform, make_loader, open_prepared
from aucue.explanation import Explainer
from aucue.faces import DEFAULT_DETECTOR, open_detector, read_image
from aucue.facs import EXPRESSIONS
from aucue.models import Model, boxed_model
from box.figures import found_faces
from box.moving import moved
from box.open_mouths import with_open_mouths
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import DATA, prepared

CARD = Path(__file__).parents[1] / "MODEL_CARD.md"
SETS = ("london", "sfhq", "ferplus")
OF_FERPLUS = 20
"""Test faces of each expression that are changed, evenly spread over the test part."""

Row = dict[str | Any, str | Any]


def _turned(degrees: int) -> Callable[[Image.Image], Image.Image]:
    grey = (128, 128, 128)
    return lambda photo: photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=grey)


def _blurred(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda photo: photo.filter(ImageFilter.GaussianBlur(share * min(photo.size)))


def _dark(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda photo: ImageEnhance.Brightness(photo).enhance(factor)


def _small(side: int) -> Callable[[Image.Image], Image.Image]:
    def smaller(photo: Image.Image) -> Image.Image:
        scale = side / min(photo.size)
        return photo.resize(
            (round(scale * photo.width), round(scale * photo.height)), Image.Resampling.LANCZOS
        )

    return smaller


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda photo: photo,
    **{f"turned by {degrees} degrees": _turned(degrees) for degrees in (20, 40, 60, 90, 180)},
    **{f"blurred, {100 * share:g} % of the side": _blurred(share) for share in (0.01, 0.02, 0.04)},
    **{f"brightness times {factor}": _dark(factor) for factor in (0.4, 0.2, 0.1)},
    **{f"{side} pixels wide": _small(side) for side in (96, 64, 48)},
}
"""What is done to a photograph, by its name; the last ones concern large photographs alone."""

SHAKES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "4 % to the left": lambda faces: moved(faces, right=-0.04),
    "4 % to the right": lambda faces: moved(faces, right=0.04),
    "4 % up": lambda faces: moved(faces, down=-0.04),
    "4 % down": lambda faces: moved(faces, down=0.04),
    "4 % down and to the right": lambda faces: moved(faces, right=0.04, down=0.04),
    "turned by 10 degrees": lambda faces: moved(faces, degrees=10),
    "larger by 8 %": lambda faces: moved(faces, scale=1.08),
    "smaller by 8 %": lambda faces: moved(faces, scale=1 / 1.08),
}
"""What is done to an aligned face, by its name."""


def photographs_table(model: Path, _out: Path, detector: str) -> str:
    """What is found and right of changed photographs."""
    explain = Explainer(Model.load(model, device="cpu"), if_hidden=False)
    explain.reader.detector = open_detector(detector)
    rows: list[list[str]] = []
    upright: dict[str, list[bool]] = {}
    for name, change in CHANGES.items():
        cells = [name]
        for folder in SETS:
            if folder == "ferplus" and "wide" in name:  # its photographs are 48 pixels wide
                cells += [""] * 2
                continue
            answers = [_answered(explain, folder, row, change) for row in photographs(folder)]
            right = [bool(answer) for answer in answers]
            before = upright.setdefault(folder, right)
            kept = [now for now, then in zip(right, before, strict=True) if then]
            cells += [f"{_share([answer is not None for answer in answers])}", f"{_share(kept)}"]
        rows.append(cells)
        print(" ".join(cells), flush=True)
    heads = [head for name in SETS for head in (f"{name}: found", f"{name}: still right")]
    counts = ", ".join(f"{sum(right)} of {len(right)} of {name}" for name, right in upright.items())
    return f"{table(['photograph', *heads], rows)}\n\nRight as they are: {counts}."


def photographs(folder: str) -> list[Row]:
    """Rows of the labels of a test part; of FER+ a few of each expression."""
    with (DATA / folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    if folder != "ferplus":
        return rows
    by_label = [[row for row in rows if row["label"] == label] for label in EXPRESSIONS]
    return [its[k * len(its) // OF_FERPLUS] for its in by_label for k in range(OF_FERPLUS)]


def _answered(
    explain: Explainer, folder: str, row: Row, change: Callable[[Image.Image], Image.Image]
) -> bool | None:
    """Whether a changed photograph is answered right; None where no face is found."""
    faces = explain(change(read_image(DATA / folder / "images" / row["file"])))
    return faces[0].answer == row["label"] if faces else None


def _share(values: list[bool]) -> str:
    return f"{sum(values) / len(values):.3f}"


def steady_table(model: Path, out: Path, detector: str) -> str:
    """How many decisions change when the aligned face is moved a little."""
    network, rows = Model.load(model, device="cpu").network, {name: [name] for name in SHAKES}
    for folder in ("ferplus", "london", "sfhq"):
        faces = open_prepared(found_faces(folder, out, detector))
        for name, changed in shaken(
            network, faces.dataset("test", eval_transform(network.input_size))
        ).items():
            rows[name].append(f"{changed:.3f}")
    return table(["aligned face", "ferplus", "london", "sfhq"], [*rows.values()])


@torch.inference_mode()
def shaken(network: Classifier, faces: FaceDataset) -> dict[str, float]:
    """Share of the decisions that change by each of `SHAKES`."""
    changed: dict[str, list[Tensor]] = {name: [] for name in SHAKES}
    for batch in make_loader(faces, 64, workers=0):
        before = network(batch["image"]).logits.argmax(1)
        for name, shake in SHAKES.items():
            changed[name].append(network(shake(batch["image"])).logits.argmax(1) != before)
    return {name: float(torch.cat(its).double().mean()) for name, its in changed.items()}


def mouths_table(model: Path, out: Path, _detector: str) -> str:
    """How many neutral held-out faces are still called neutral when a warp opens their mouths."""
    network = Model.load(model, device="cpu").network
    faces = open_prepared(prepared(out)).dataset("val", eval_transform(network.input_size))
    closed, opened = talking(network, faces)
    neutral = network.classes.index("neutral")
    kept = opened[closed == neutral] == neutral
    names = [network.classes[k] for k in opened.tolist() if k != neutral]
    called = ", ".join(f"{name} {names.count(name)}" for name in sorted({*names}, key=names.count)[::-1])
    rows = [
        [f"as they are ({len(closed)})", f"{(closed == neutral).double().mean():.3f}"],
        ["mouth opened by a warp", f"{(opened == neutral).double().mean():.3f}"],
        ["the same, of those called neutral before", f"{kept.double().mean():.3f}"],
    ]
    text = table(["neutral held-out faces of FER+", "called neutral"], rows)
    return f"{text}\n\nOpened ones that are called something else: {called}."


@torch.inference_mode()
def talking(network: Classifier, faces: FaceDataset) -> tuple[Tensor, Tensor]:
    """What neutral faces with landmarks are called, as they are and with their mouths opened (N,) each."""
    torch.manual_seed(0)
    neutral, closed, opened = network.classes.index("neutral"), [], []
    for batch in make_loader(faces, 64, workers=0):
        kept = (batch["label"] == neutral) & batch["landmarks_valid"].bool()
        changed = with_open_mouths(batch, neutral, 1.0)
        closed.append(network(batch["image"][kept]).logits.argmax(1))
        opened.append(network(changed["image"][kept]).logits.argmax(1))
    return torch.cat(closed), torch.cat(opened)


TABLES: Mapping[str, Callable[[Path, Path, str], str]] = {
    "photographs": photographs_table,
    "steady": steady_table,
    "mouths": mouths_table,
}
"""What makes each table, from the model file, the folder of what was measured, and a detector."""


def main() -> None:
    """Measure and tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="model file; default the one in the box")
    parser.add_argument("--out", type=Path, default=Path("runs/box-figures"))
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--card", action="store_true", help="bring the tables to MODEL_CARD.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    model = arguments.model or boxed_model()
    for name in arguments.tables:
        text = TABLES[name](model, arguments.out, arguments.detector)
        print(text, flush=True)
        if arguments.card:
            paste(CARD, {name: block(name, text)})


if __name__ == "__main__":
    main()
