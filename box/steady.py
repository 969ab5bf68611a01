"""Trial for the model in the box: answers that stay when the face is a bit off, dim or blurred, or talks.

    python -m box.steady --out runs/box [--arms steady] [--seeds 0 1] [--docs]

From the model file in the box, biases included, its weights go on learning from its own answers: it answers a
face (with its mirror image), and has to give the same answer when the face is moved within its frame, dimmed,
blurred, and, if it is neutral, opens its mouth. So no label is needed, and neither biases nor the mix that
they stand for change. Measured on held-out faces alone: FER+'s last tenth and the training part of `london`.
--docs brings the table to docs/recipe.md. Everything resumes.
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
from aucue.metrics import calibration_error
from aucue.models import boxed_model
from aucue.training import TrainConfig, fit
from aucue.training.module import Batch
from box.moving import moved
from box.open_mouths import with_open_mouths
from box.robustness import shaken, talking
from box.train import RENDERED, Stage, figures, mirroring, outputs, studio_faces
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import Continued, prepared, prepared_with_rendered

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
STAGE = Stage(80, 2, lr=5e-4, stored=96)
ARMS: Mapping[str, Mapping[str, float]] = {
    "moved": {"talking": 0.0, "worse": 0.0},
    "steady": {"talking": 0.5, "worse": 0.3},
}
"""Further arguments of `Steady`."""

SHIFT, DEGREES, SCALE = 0.08, 15.0, 0.12
"""Largest shift as a share of the side, turn and change of size by which a face is moved in training."""
DARKEST = 0.15
"""Smallest factor of brightness."""
COARSEST = 28
"""Smallest side, in pixels, to which a face is reduced before it gets its size back."""


class Steady(Continued):
    """Asks that a changed face be answered as the network that it starts from answers the face itself.

    Args:
        classifier: The network.
        config: Its settings, without augmentation.
        start: Model file whose weights it starts from.
        talking: Share of the neutral faces whose mouths a warp opens, see `with_open_mouths`.
        worse: Share of the faces that are dimmed, and of those that are blurred.
    """

    def __init__(
        self, classifier: Classifier, config: TrainConfig, start: Path, talking: float, worse: float
    ) -> None:
        super().__init__(classifier, config, start)
        self.talking, self.worse = talking, worse
        teacher, _ = mirroring(start)
        self.teacher = [teacher.requires_grad_(False)]  # in a list: no part of the weights that are stored

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy between the answer to a changed face and that of the start to the face."""
        with torch.no_grad():
            target = self.teacher[0](batch["image"]).logits.softmax(1)
        neutral = self.classifier.classes.index("neutral")
        faces = randomly_moved(with_open_mouths(batch, neutral, self.talking)["image"])
        logits = self.classifier(randomly_blurred(randomly_dimmed(faces, self.worse), self.worse)).logits
        loss = F.cross_entropy(logits, target)
        self.log_mean("train/steady", loss, len(target))
        return loss


def randomly_moved(faces: Tensor) -> Tensor:
    """Faces (B, 3, S, S), each mirrored or not and moved by draws of its own, see `SHIFT`."""
    draws = 2 * torch.rand(4, len(faces), device=faces.device) - 1
    mirrored = torch.where((_chosen(faces, 0.5))[:, None, None, None], faces.flip(-1), faces)
    return moved(mirrored, SHIFT * draws[0], SHIFT * draws[1], DEGREES * draws[2], 1 + SCALE * draws[3])


def randomly_dimmed(faces: Tensor, share: float) -> Tensor:
    """Faces (B, 3, S, S) uint8, of which a share gets less light, down to `DARKEST`."""
    factors = DARKEST ** torch.rand(len(faces), device=faces.device)
    factors = torch.where(_chosen(faces, share), factors, 1.0)
    return (faces.float() * factors[:, None, None, None]).round().to(faces.dtype)


def randomly_blurred(faces: Tensor, share: float) -> Tensor:
    """Faces (B, 3, S, S) uint8, of which a share is reduced to a side of `COARSEST` or more, and enlarged."""
    size = faces.shape[-1]
    side = int(torch.randint(COARSEST, size, ()))
    resized = partial(F.interpolate, mode="bilinear", antialias=True)
    coarse = resized(resized(faces.float(), size=(side, side)), size=(size, size))
    chosen = _chosen(faces, share)[:, None, None, None]
    return torch.where(chosen, coarse.round().clamp(0, 255).to(faces.dtype), faces)


def _chosen(faces: Tensor, share: float) -> Tensor:
    return torch.rand(len(faces), device=faces.device) < share


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
        " / ".join(f"{calibration_error(z.softmax(1), y):.3f}" for z, y in (small, large)),
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
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    photographs, studio = arguments.data or prepared(out), studio_faces(out)
    faces = prepared_with_rendered(out, RENDERED, STAGE.stored)
    rows = [row("in the box", boxed_model(), photographs, studio)]
    print(rows[-1], flush=True)
    for seed in arguments.seeds:
        for name in arguments.arms:
            config = replace(STAGE.settings(faces, out / "trials" / f"{name}-{seed}"), seed=seed)
            config.data.augment = "none"
            trained = fit(config, progress=False, module=partial(Steady, start=boxed_model(), **ARMS[name]))
            rows.append(row(f"{name}, seed {seed}", trained, photographs, studio))
            print(rows[-1], flush=True)
    errors = "calibration error (votes)"
    heads = ["network", "FER+", "london", errors, "changed by 4 %", "neutral: closed / open"]
    text = table(heads, rows)
    print(text)
    if arguments.docs:
        paste(PAGE, {"box-steady": block("box-steady", text)})


if __name__ == "__main__":
    main()
