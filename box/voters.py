"""How far voters agree with themselves: what a network that learns the votes of FER+ can reach.

    python -m box.voters --out runs/box

The label of a face is what most of its ten voters said. For the held-out tenth, two panels stand beside it:
ten more voters, drawn from the shares of the ten that there were, who agree too much, since those ten are not
everybody; and halves of the ten, label by the one half, answer by the other, who agree too little, since five
are fewer than ten. Ties are decided by lot.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aucue.facs import EXPRESSIONS
from box.train import figures
from experiments.doc_tables import table
from experiments.ferplus_set import prepared

PANELS, VOTERS = 100, 10


def counts(labels: Path, split: str) -> NDArray[np.int64]:
    """Votes (N, K) on the faces of a split, as `ferplus_set` writes them."""
    with labels.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return np.array([[int(row[f"p {label}"]) for label in EXPRESSIONS] for row in rows])


def ten_more(votes: NDArray[np.int64], draw: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Votes (N, K) of ten more, and of those that there were."""
    return draw.multinomial(VOTERS, votes / votes.sum(1, keepdims=True)), votes


def halves(votes: NDArray[np.int64], draw: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Votes (N, K) of one half of the voters, and of the other."""
    one = np.stack([draw.multivariate_hypergeometric(its, its.sum() // 2) for its in votes])
    return one, votes - one


def agreement(answers: NDArray, labelling: NDArray, draw: np.random.Generator) -> dict[str, float]:
    """Figures of the majorities of some votes (N, K) where those of others are the labels."""
    lots = [torch.from_numpy(votes + draw.uniform(0, 0.5, votes.shape)) for votes in (answers, labelling)]
    return figures(lots[0], lots[1].argmax(1), torch.zeros(answers.shape[1]))


def main() -> None:
    """Draw panels, tabulate their means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    out: Path = parser.parse_args().out
    prepared(out)  # writes the votes
    votes, draw, rows = counts(out / "labels.csv", "val"), np.random.default_rng(0), []
    for name, panel in (("ten more voters", ten_more), ("half of the voters", halves)):
        found = [agreement(*panel(votes, draw), draw) for _ in range(PANELS)]
        means = {figure: np.mean([its[figure] for its in found]) for figure in found[0]}
        rows.append([name, *(f"{value:.3f}" for value in means.values())])
    print(table(["panel", "capped", "accuracy", "mean recall"], rows))


if __name__ == "__main__":
    main()
