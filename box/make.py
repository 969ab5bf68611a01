"""Make the model in the box: the small network that aucue uses where no model is named.

    python -m box.make --out runs/box

Begins with the network that learnt from votes (`box.train`, trained if need be). It then learns to give its
own answers where the face is a bit off, dim, coarse, or talks (`box/steady.py`, two epochs), and its
temperature is set anew on held-out faces: OUT/aucue-fer.safetensors. Nothing here looks at a test part;
`box/figures.py` does that, once. Everything resumes. Tables of this are made by `box/steady_trial.py`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from aucue.data import open_prepared
from aucue.export.description import without_folders
from aucue.models import load_card, save_model
from box.steady import steadied
from box.train import by_votes, calibration, figures, mirroring, outputs, studio_faces
from experiments.ferplus_set import prepared


def finish(steady: Path, start: Path, photographs: Path, studio: Path, out: Path) -> None:
    """Set the temperature on held-out faces; biases and mix of the answers are those that were learnt.

    Args:
        steady: Model file.
        start: The one whose answers it learnt.
        photographs: Prepared set, of which the held-out faces count.
        studio: Prepared set of neutral and smiling faces on large photographs.
        out: Model file to write.
    """
    classifier, card = mirroring(steady)
    small, large = (outputs(classifier, open_prepared(path)) for path in (photographs, studio))
    nothing, before = torch.zeros(len(classifier.classes)), load_card(start)
    held_out = {**figures(*small, nothing), "studio": figures(*large, nothing)["accuracy"]}
    held_out |= {name: before.metrics["held_out"][name] for name in ("shift", "smile")}
    card = replace(
        card,
        metrics={"held_out": held_out},
        calibration=calibration([small, large]),
        prior=before.prior,
    )
    save_model(out, classifier, without_folders(card), overwrite=True)


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
    finish(steadied("steady", start, out, photographs, seed=0), start, photographs, studio, made)
    print(made)


if __name__ == "__main__":
    main()
