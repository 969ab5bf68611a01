"""Where in its map does an answer lose what hiding an action unit costs?

    python -m box.where_costs NAME=MODEL ... --out runs/box [--faces 45] [--docs]

The log-odds of an answer are the mean of its log-odds map, but for a bias and to first order. So what hiding
a unit takes from them is lost in cells of that map: in those that are hidden, in part at least, in those next
to them, or farther off. A map can name the dearest unit only as far as the loss is where the unit is.
Measured on held-out faces, with how right the network is beside it: FER+'s last tenth, and for accuracy the
training part of `london`. --docs brings the table to docs/recipe.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from aucue.cues import AUCue
from aucue.data import FaceDataset, eval_transform, open_prepared
from aucue.evaluation.observing import chosen_faces
from aucue.metrics import FILLS, evidence_in, first_is_dearest, regions_of, unit_rank_correlation
from aucue.metrics.causal import log_odds_of
from aucue.models import Model
from box.steady_trial import accuracies
from box.train import outputs, studio_faces
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import prepared

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
NAME = "where-costs"
FEWEST = 3  # units whose order says something
TOUCHED = 0.2  # share of a cell that is hidden, from which on it counts as hidden
HEADS = (
    "network",
    "FER+",
    "london",
    "faces",
    "lost here / next / farther",
    "evidence: first / rank",
    "lost here: first / rank",
    "lost here and next: first / rank",
)


@dataclass(frozen=True)
class Lost:
    """What hiding each of U action units takes from the answer to a face, in logits; all (U,).

    Attributes:
        label: The answer's class.
        evidence: Of the unit, as the face is.
        cost: What is lost of the log-odds.
        here: What is lost in cells of the map that are hidden, in part at least.
        near: In those next to them.
        far: In all others.
    """

    label: int
    evidence: Tensor
    cost: Tensor
    here: Tensor
    near: Tensor
    far: Tensor


def parts(regions: Tensor, cells: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Cells that regions (U, 1, H, W) touch, cells next to those, and others: each (U, 1, h, w), 0 or 1."""
    here = (interpolate(regions.float(), cells, mode="area") >= TOUCHED).float()
    around = max_pool2d(here, 3, stride=1, padding=1)
    return here, around - here, 1 - around


def lost(model: Model, draw: AUCue, image: Tensor, landmarks: Tensor) -> Lost | None:
    """What hiding each unit of the answer takes from it; None where it has too few.

    Args:
        model: The model.
        draw: Draws action units.
        image: A face (3, S, S) uint8.
        landmarks: (68, 2) in its pixels.
    """
    size = (image.shape[-2], image.shape[-1])
    look = model.look(image[None])
    answer = int(look.predicted)
    units = [unit for unit in draw.action_units if unit in draw.codebook[draw.classes[answer]]]
    if len(units) < FEWEST:
        return None
    maps, drawn = draw.single(landmarks[None], size, units=units)
    regions = regions_of(maps)[0, drawn[0]][:, None]  # (U, 1, H, W)
    hidden = model.look(torch.where(regions, FILLS["mean"](image[None].float()).round().to(image), image))
    named, weights = torch.full((len(regions),), answer), look.uncalibrated
    before = look.log_odds_map(named[:1], weights)
    change = before - hidden.log_odds_map(named, weights.expand(len(regions), -1))
    here, near, far = (
        (change * part).mean((1, 2, 3)) for part in parts(regions, (change.shape[-2], change.shape[-1]))
    )
    cost = log_odds_of(look.logits, named[:1]) - log_odds_of(hidden.logits, named)
    return Lost(answer, evidence_in(before, regions.transpose(0, 1))[0], cost, here, near, far)


def all_lost(model: Model, faces: FaceDataset, count: int) -> Iterator[Lost]:
    """What is lost in as many faces of each expression that has units.

    Args:
        model: The model.
        faces: As large as its input.
        count: Of each expression, evenly spread; all where there are fewer.
    """
    draw = AUCue("facs", model.classes)
    with_units = [k for k, name in enumerate(model.classes) if draw.codebook[name]]
    for row in chosen_faces(faces.labels, faces.landmarks_valid, with_units, count):
        face = faces[int(row)]
        if (found := lost(model, draw, face["image"], face["landmarks"])) is not None:
            yield found


def order(found: Sequence[Lost], scores: Sequence[Tensor]) -> str:
    """How often the unit with the largest score is the dearest, and the rank correlation with the costs.

    Args:
        found: Of each face.
        scores: What ranks its units (U,).
    """
    pairs = []
    for face, score in zip(found, scores, strict=True):
        exists = torch.ones(1, len(score), dtype=torch.bool)
        first, _ = first_is_dearest(score[None], face.cost[None], exists)
        rank, _ = unit_rank_correlation(score[None], face.cost[None], exists)
        pairs.append(torch.stack([first[0].double(), rank[0].double()]))
    first, rank = _mean_of_answers(found, torch.stack(pairs))
    return f"{first:.3f} / {rank:.3f}"


def where(found: Sequence[Lost]) -> list[str]:
    """Columns of the table: means over the faces of each answer, then over answers."""
    sums = torch.stack([torch.stack([face.here.sum(), face.near.sum(), face.far.sum()]) for face in found])
    places = _mean_of_answers(found, sums)
    return [
        str(len(found)),
        " / ".join(f"{share:.2f}" for share in places / places.sum()),
        order(found, [face.evidence for face in found]),
        order(found, [face.here for face in found]),
        order(found, [face.here + face.near for face in found]),
    ]


def _mean_of_answers(found: Sequence[Lost], values: Tensor) -> Tensor:
    """Mean (C,) of values (N, C) of faces, every answer counting alike."""
    answers = torch.tensor([face.label for face in found])
    return torch.stack([values[answers == k].mean(0) for k in answers.unique()]).mean(0)


def main() -> None:
    """Measure, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL", help="box, or a model file")
    parser.add_argument("--out", type=Path, default=Path("runs/box"), help="folder of the prepared sets")
    parser.add_argument("--faces", type=int, default=45, help="of each expression")
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets = open_prepared(prepared(arguments.out)), open_prepared(studio_faces(arguments.out))
    rows = []
    for named in arguments.models:
        name, _, file = named.partition("=")
        model = Model.load(file or name, device="cpu")
        faces = sets[0].dataset("val", eval_transform(model.input_size))
        right = accuracies([outputs(model.network, its) for its in sets])
        rows.append([name, *right, *where(list(all_lost(model, faces, arguments.faces)))])
        print(rows[-1], flush=True)
    text = table(HEADS, rows)
    print(text)
    if arguments.docs:
        paste(PAGE, {NAME: block(NAME, text)})


if __name__ == "__main__":
    main()
