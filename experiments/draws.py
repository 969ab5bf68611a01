"""How many random regions does "what decides" need beside a hidden one?

    python -m experiments.draws --faces 6

explains faces that the model in the box was not trained on (the last tenth of FER+'s training part) with 2, 4
and 8 of them and with 32, and counts where what is said is the same.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from aucue.data import eval_transform, split_holdout
from aucue.data.prepared import open_prepared
from aucue.evaluation.observing import chosen_faces
from aucue.explanation import hiding
from aucue.models import Model
from experiments.ferplus_set import prepared

MANY = 32
Said = dict[tuple[int, str], object]


def said(model: Model, images: torch.Tensor, landmarks: torch.Tensor, draws: int) -> Said:
    """What is said of every region, and of which one costs most, by face."""
    hiding.DRAWS = draws
    logits = model.look(images.float() / 255).logits
    found: Said = {}
    for face, what in enumerate(hiding.hide_regions(model, images, landmarks, logits, logits.argmax(dim=1))):
        if what is not None:
            found |= {(face, region.numbers): (region.matters, region.opposes) for region in what.expected}
            found[face, "dearest"] = what.dearest and what.dearest.numbers
    return found


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--faces", type=int, default=6, help="of each expression")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/ferplus-votes"), help="folder of the prepared set"
    )
    arguments = parser.parse_args()
    model = Model.load()
    data = open_prepared(prepared(arguments.out)).dataset("train", eval_transform(model.input_size))
    held_out = data.subset(split_holdout(data, 0.1, 0)[1])
    labels = np.array(held_out.labels)
    chosen = chosen_faces(labels, held_out.landmarks_valid, list(range(len(model.classes))), arguments.faces)
    samples = [held_out[i] for i in chosen.tolist()]
    images, landmarks = (torch.stack([sample[key] for sample in samples]) for key in ("image", "landmarks"))
    reference = said(model, images, landmarks, MANY)
    for draws in (2, 4, 8):
        found = said(model, images, landmarks, draws)
        for name, keys in {
            "regions": [key for key in reference if key[1] != "dearest"],
            "dearest": [key for key in reference if key[1] == "dearest"],
        }.items():
            same = sum(found.get(key) == reference[key] for key in keys)
            print(f"{draws} draws, {name}: {same} of {len(keys)} as with {MANY}", flush=True)


if __name__ == "__main__":
    main()
