"""Make the model in the box: the small network that aucue uses where no model is named.

    python -m box.make --out runs/box

Begins with the network that learnt from votes (`box.train`, trained if need be). Trainings of four epochs go
on from there (`box/steady.py`), while its maps learn to lose what is hidden: in those of `truer` it learns to
give its own answers where the face is a bit off, dim, coarse, or talks, and to see faint smiles; in those of
`found` it goes on learning votes of faces that are hardly changed, and that our own detector has found. The
weights of all are averaged, dark faces are brightened before they are read, and biases and temperature are
set anew on held-out faces, found by our detector, too: OUT/aucue-fer.safetensors. Nothing here looks at a
test part; `box/figures.py` does that, once. Everything resumes. Tables are made by `box/steady_trial.py`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from aucue.classifiers import Classifier
from aucue.models import Card, load_card, load_model
from box.steady import ARMS, steadied
from box.train import by_votes, finish, found_photographs, mirroring, studio_faces
from experiments.ferplus_set import prepared

TRAINED = {"truer": (0, 1), "found": (0, 1)}
"""Of `box.steady.ARMS`: seeds of the trainings."""

EXPOSURE = 0.3
"""Mean brightness to which darker faces are brought; of .3 and .4, the one that held-out faces pay
nothing for."""


def averaged(trained: Sequence[Path], **changes: Any) -> tuple[Classifier, Card]:
    """The mean of networks that went on from the same weights (Wortsman et al., ICML 2022).

    Args:
        trained: Model files, each in the folder of its training; the first one's card is that of the mean,
            which names these folders.
        changes: Of the network, as in `mirroring`.
    """
    classifier, card = mirroring(trained[0], **changes)
    states = [classifier.state_dict(), *(load_model(path)[0].state_dict() for path in trained[1:])]
    mean = {
        name: torch.stack([state[name] for state in states]).double().mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    classifier.load_state_dict(mean)
    provenance = {**card.provenance, "mean_of": [path.parent.name for path in trained]}
    return classifier, replace(card, provenance=provenance)


def balance_of(arms: Sequence[str], start: Path) -> float:
    """How far the mean of networks compensates the frequencies of the photographs.

    Args:
        arms: Of each network, a name of `box.steady.ARMS`.
        start: Model file that all started from.
    """
    card = load_card(start)
    return sum(ARMS[arm].balance(card) for arm in arms) / len(arms)


def main() -> None:
    """Train what is not there yet, and finish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    photographs, studio = prepared(out), studio_faces(out)
    start = by_votes(out, photographs, studio)
    trained = {arm: steadied(arm, start, out, photographs, seeds) for arm, seeds in TRAINED.items()}
    arms = [arm for arm, files in trained.items() for _ in files]
    made = out / "aucue-fer.safetensors"
    mean = averaged([*chain(*trained.values())], exposure=EXPOSURE)
    finish(mean, found_photographs(out), studio, made, balance_of(arms, start))
    print(made)


if __name__ == "__main__":
    main()
