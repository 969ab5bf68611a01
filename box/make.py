"""Make the model in the box: the small network that aucue uses where no model is named.

    python -m box.make --out runs/box

Begins with the network that learnt from votes (`box.train`, trained if need be). Two trainings go on from
there, of four epochs each, in which it learns to give its own answers where the face is a bit off, dim,
coarse, or talks, and to see faint smiles (`box/steady.py`), while its maps learn to lose what is hidden; they
differ in their seeds, and their weights are averaged. Then the temperature is set anew on held-out faces:
OUT/aucue-fer.safetensors. Nothing here looks at a test part; `box/figures.py` does that, once. Everything
resumes. Tables of this are made by `box/steady_trial.py`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aucue.classifiers import Classifier
from aucue.data import open_prepared
from aucue.models import Card, load_card, load_model
from box.steady import steadied
from box.train import both_figures, by_votes, mirroring, outputs, save_calibrated, studio_faces
from experiments.ferplus_set import prepared

ARM, SEEDS = "truer", (0, 1)
"""Of `box.steady.ARMS`, and one training each."""


def averaged(trained: Sequence[Path]) -> tuple[Classifier, Card]:
    """The mean of networks that went on from the same weights (Wortsman et al., ICML 2022).

    Args:
        trained: Model files; the first one's card is that of the mean.
    """
    classifier, card = mirroring(trained[0])
    states = [classifier.state_dict(), *(load_model(path)[0].state_dict() for path in trained[1:])]
    mean = {
        name: torch.stack([state[name] for state in states]).double().mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    classifier.load_state_dict(mean)
    return classifier, card


def finish(steady: Sequence[Path], start: Path, photographs: Path, studio: Path, out: Path) -> None:
    """Average, and set the temperature; biases and mix of the answers are those that were learnt.

    Args:
        steady: Model files.
        start: The one whose answers they learnt.
        photographs: Prepared set, of which the held-out faces count.
        studio: Prepared set of neutral and smiling faces on large photographs.
        out: Model file to write.
    """
    classifier, card = averaged(steady)
    small, large = (outputs(classifier, open_prepared(path)) for path in (photographs, studio))
    nothing, before = torch.zeros(len(classifier.classes)), load_card(start)
    held_out = both_figures(small, large, nothing)
    held_out |= {name: before.metrics["held_out"][name] for name in ("shift", "smile")}
    card = replace(card, prior=before.prior, metrics={"held_out": held_out})
    save_calibrated(out, classifier, card, [small, large])


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
    made = out / "aucue-fer.safetensors"
    finish(steadied(ARM, start, out, photographs, SEEDS), start, photographs, studio, made)
    print(made)


if __name__ == "__main__":
    main()
