"""Trial for the model in the box: decisions that stay when the face is a bit off, or a neutral face talks.

    python -m box.steady --out runs/box [--seeds 0 1] [--docs]

From the model file in the box, biases included, go on for `STAGE`: `longer` with its recipe alone, and
`steady` as well with moved faces and open mouths. Measured on held-out faces alone, before any new bias is
chosen: FER+'s last tenth and the training part of `london`. --docs brings the table to docs/recipe.md.
Everything resumes.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.data import eval_transform, open_prepared
from aucue.models import boxed_model
from aucue.training import TrainConfig, fit
from aucue.training.module import Batch
from box.moving import moved
from box.open_mouths import with_open_mouths
from box.robustness import shaken, talking
from box.train import RENDERED, Continuing, Stage, figures, mirroring, outputs, studio_faces
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import prepared, prepared_with_rendered

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
STAGE = Stage(80, 2, lr=5e-4, stored=96)
ARMS: Mapping[str, Mapping[str, float]] = {
    "longer": {"weight": 0.0, "talking": 0.0},
    "steady": {"weight": 1.0, "talking": 0.3},
}
"""Further arguments of `Steady`."""

SHIFT, DEGREES, SCALE = 0.06, 12.0, 0.1
"""Largest shift as a share of the side, turn and change of size by which a face is moved in training."""


class Steady(Continuing):
    """Asks that a moved face be answered as the network that it starts from answers the face itself.

    That network sees each face with its mirror image; its answer to the augmented face is the soft target of
    the same face, moved. So the pictures need no new labels.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file whose weights it starts from.
        photographs: Prepared set of the photographs alone.
        weight: Of the cross-entropy between the two answers.
        talking: Share of the neutral faces whose mouths a warp opens, see `with_open_mouths`.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        start: Path,
        photographs: Path,
        weight: float,
        talking: float,
    ) -> None:
        super().__init__(classifier, config, start, photographs)
        self.weight, self.talking = weight, talking
        teacher, _ = mirroring(start)
        self.teacher = [teacher.requires_grad_(False)]  # in a list: no part of the weights that are stored

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Some neutral faces talk, then all are augmented."""
        if self.talking and self.trainer.training:
            batch = with_open_mouths(batch, self.classifier.classes.index("neutral"), self.talking)
        return super().on_after_batch_transfer(batch, dataloader_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of the recipe, and that of the moved faces."""
        loss = super().training_step(batch, batch_idx)
        if not self.weight:
            return loss
        with torch.no_grad():
            target = self.teacher[0](batch["image"]).logits.softmax(1)
        value = F.cross_entropy(self.classifier(randomly_moved(batch["image"])).logits, target)
        self.log_mean("train/steady", value, len(target))
        return loss + self.weight * value


def randomly_moved(faces: Tensor) -> Tensor:
    """Faces (B, 3, S, S), each moved by draws of its own, see `SHIFT`."""
    draws = 2 * torch.rand(4, len(faces), device=faces.device) - 1
    return moved(faces, SHIFT * draws[0], SHIFT * draws[1], DEGREES * draws[2], 1 + SCALE * draws[3])


def row(name: str, trained: Path, photographs: Path, studio: Path) -> list[str]:
    """Figures of a model file on held-out faces: how right, how steady, how neutral faces that talk."""
    network, _ = mirroring(trained)
    small, large = (outputs(network, open_prepared(path)) for path in (photographs, studio))
    nothing = torch.zeros(len(network.classes))
    faces = open_prepared(photographs).dataset("val", eval_transform(network.input_size))
    changed = [share for change, share in shaken(network, faces).items() if change.startswith("4 %")]
    neutral = network.classes.index("neutral")
    spoke = [(called == neutral).double().mean() for called in talking(network, faces)]
    fer, london = figures(*small, nothing), figures(*large, nothing)
    return [
        name,
        f"{fer['accuracy']:.3f} / {fer['capped']:.3f} / {fer['balanced_accuracy']:.3f}",
        f"{london['accuracy']:.3f}",
        f"{sum(changed) / len(changed):.3f}",
        " / ".join(f"{share:.3f}" for share in spoke),
    ]


def main() -> None:
    """Train all arms, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    photographs, studio = arguments.data or prepared(out), studio_faces(out)
    faces = prepared_with_rendered(out, RENDERED, STAGE.stored)
    rows = [row("in the box", boxed_model(), photographs, studio)]
    for seed in arguments.seeds:
        for name, more in ARMS.items():
            config = replace(STAGE.settings(faces, out / "trials" / f"{name}-{seed}"), seed=seed)
            module = partial(Steady, start=boxed_model(), photographs=photographs, **more)
            trained = fit(config, progress=False, module=module)
            rows.append(row(f"{name}, seed {seed}", trained, photographs, studio))
            print(rows[-1], flush=True)
    heads = ["network", "FER+", "london", "changed by 4 %", "neutral: as they are / talking"]
    text = table(heads, rows)
    print(text)
    if arguments.docs:
        paste(PAGE, {"box-steady": block("box-steady", text)})


if __name__ == "__main__":
    main()
