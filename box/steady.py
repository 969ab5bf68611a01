"""Networks that learn answers, and give them where the face is a bit off, dim or blurred, or talks, too.

Each face has one answer: that of the network itself (with its mirror image), or of better ones. It has to be
given when the face is moved within its frame, dimmed, blurred, and, if it is neutral, opens its mouth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.data import FaceDataset
from aucue.data.batched import shrunk
from aucue.training import TrainConfig, fit
from aucue.training.calibrating import answers
from aucue.training.config import TrainerSettings
from aucue.training.module import Batch
from box.faint_smiles import with_faint_smiles
from box.moving import moved_batch
from box.open_mouths import with_open_mouths
from box.train import RENDERED, Continuing, Stage, mirroring
from experiments.ferplus_set import prepared_with_rendered

SHIFT, DEGREES, SCALE = 0.08, 15.0, 0.12
"""Largest shift as a share of the side, turn and change of size by which a face is moved."""
DARKEST = 0.15
"""Smallest factor of brightness."""
COARSEST = 28
"""Smallest side, in pixels, to which a face is reduced before it gets its size back."""


Teach = Callable[[FaceDataset], Tensor]
"""Gives for each of some faces the answer that is asked for: probabilities (N, K), in their order."""


class Pupil(Continuing):
    """Learns an answer to each training face in the place of its votes, while faces get harder to answer.

    What else the loss asks for, and how faces are augmented, its settings say.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file whose weights it starts from.
        photographs: As in `Continuing`.
        teach: Gives the answers to the faces themselves.
        talking: Share of the neutral faces whose mouths a warp opens, see `with_open_mouths`.
        worse: Share of the faces that are dimmed, and of those that are blurred.
        smiling: Share of the neutral faces that a warp makes smile faintly, whose answer moves towards
            happiness as their votes would, see `with_faint_smiles`.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        start: Path,
        photographs: Path,
        teach: Teach,
        talking: float,
        worse: float,
        smiling: float = 0.0,
    ) -> None:
        super().__init__(classifier, config, start, photographs)
        self.teach, self.talking, self.worse, self.smiling = teach, talking, worse, smiling

    def on_fit_start(self) -> None:
        """Let all training faces be answered, once."""
        super().on_fit_start()
        self.taught = self.teach(self.trainer.train_dataloader.dataset)  # pyright: ignore[reportOptionalMemberAccess]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Put the answers into a training batch, and change its faces."""
        if not self.trainer.training:
            return batch
        classes = self.classifier.classes
        asked = {**batch, "probabilities": self.taught[batch["index"]]}
        smiled = with_faint_smiles(asked, classes, self.smiling)
        talked = with_open_mouths(smiled, classes.index("neutral"), self.talking)
        moved = self.moved(talked, dataloader_idx)
        faces = randomly_blurred(randomly_dimmed(moved["image"], self.worse), self.worse)
        return {**moved, "image": faces}

    def moved(self, batch: Batch, dataloader_idx: int) -> Batch:
        """A batch augmented as the settings say."""
        return super().on_after_batch_transfer(batch, dataloader_idx)


class Steady(Pupil):
    """Moves faces within their frame and augments them no further."""

    def moved(self, batch: Batch, dataloader_idx: int) -> Batch:
        """A batch whose faces are a bit off."""
        return randomly_moved(batch)


@dataclass(frozen=True)
class Arm:
    """A training of a network on its own answers, by `Steady`.

    Attributes:
        stage: Its length, size and recipe.
        talking: Share of the neutral faces whose mouths a warp opens.
        worse: Share of the faces that are dimmed, and of those that are blurred.
        smiling: Share of the neutral faces that a warp makes smile faintly.
        guidance: Settings of guidance in which it differs from its recipe.
    """

    stage: Stage
    talking: float
    worse: float
    smiling: float = 0.0
    guidance: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, path: Path, out: Path, seed: int) -> TrainConfig:
        """Settings of the training: answers are for the mix of their network, so nothing is compensated."""
        config = self.stage.settings(path, out)
        return replace(
            config,
            data=replace(config.data, augment="none"),  # it changes the faces itself
            guidance=replace(config.guidance, **self.guidance),
            trainer=TrainerSettings(precision="bf16-mixed"),
            seed=seed,
            balance=0.0,
        )


_SHORT = Stage(80, 2, lr=5e-4, recipe="unguided", stored=96)
_GUIDED = Stage(80, 4, lr=1e-3, recipe="aucue", stored=96)

ARMS: Mapping[str, Arm] = {
    "moved": Arm(_SHORT, 0.0, 0.0),
    "steady": Arm(_SHORT, 0.5, 0.3),
    "smiling": Arm(_SHORT, 0.4, 0.3, smiling=0.12),
    "guided": Arm(_GUIDED, 0.4, 0.3, smiling=0.12),
    "truer": Arm(
        _GUIDED,
        0.4,
        0.3,
        smiling=0.12,
        guidance={"weight": 1.0, "class_map": 0.25, "contrast": 0.25, "hidden": 2.0},
    ),
}
"""Trainings that were tried; those of `truer` end the model in the box, see `box.make`."""


def steadied(name: str, start: Path, out: Path, photographs: Path, seeds: Sequence[int]) -> list[Path]:
    """Networks that have learnt the answers of one, which gives them once; trained unless they are there.

    Args:
        name: One of `ARMS`.
        start: Model file whose weights it starts from, and whose answers it learns.
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        seeds: Of order and changes, one for each.
    """
    arm, given = ARMS[name], []

    def teach(faces: FaceDataset) -> Tensor:
        """The same faces in the same order for every seed."""
        if not given:
            given.append(own_answers(start)(faces))
        return given[0]

    module = partial(
        Steady,
        start=start,
        photographs=photographs,
        teach=teach,
        talking=arm.talking,
        worse=arm.worse,
        smiling=arm.smiling,
    )
    faces = prepared_with_rendered(out, RENDERED, arm.stage.stored)
    return [
        fit(arm.settings(faces, out / f"{name}-{seed}", seed), progress=False, module=module)
        for seed in seeds
    ]


def own_answers(start: Path) -> Teach:
    """The answers that a model file gives, with mirror images."""
    return lambda faces: answers(mirroring(start)[0], faces)[0].softmax(1)


def randomly_moved(batch: Batch) -> Batch:
    """A batch whose faces and landmarks are mirrored or not and moved by draws of their own, see `SHIFT`."""
    faces = batch["image"]
    draws = 2 * torch.rand(4, len(faces), device=faces.device) - 1
    mirrored = _chosen(faces, 0.5)
    return moved_batch(
        batch, mirrored, SHIFT * draws[0], SHIFT * draws[1], DEGREES * draws[2], 1 + SCALE * draws[3]
    )


def randomly_dimmed(faces: Tensor, share: float) -> Tensor:
    """Faces (B, 3, S, S) uint8, of which a share gets less light, down to `DARKEST`."""
    factors = DARKEST ** torch.rand(len(faces), device=faces.device)
    return dimmed(faces, torch.where(_chosen(faces, share), factors, 1.0))


def dimmed(faces: Tensor, factors: Tensor) -> Tensor:
    """Faces (B, 3, S, S) uint8 whose brightness is multiplied by factors (B,)."""
    return (faces.float() * factors[:, None, None, None]).round().to(faces.dtype)


def randomly_blurred(faces: Tensor, share: float) -> Tensor:
    """Faces (B, 3, S, S) uint8, of which a share is as coarse as `COARSEST` or less."""
    side = int(torch.randint(COARSEST, faces.shape[-1], ()))
    return torch.where(_chosen(faces, share)[:, None, None, None], coarse(faces, side), faces)


def coarse(faces: Tensor, side: int) -> Tensor:
    """Faces (B, 3, S, S) uint8 that were reduced to a side in pixels and enlarged again."""
    size = faces.shape[-1]
    enlarged = F.interpolate(shrunk(faces.float(), side), (size, size), mode="bilinear", antialias=True)
    return enlarged.round().clamp(0, 255).to(faces.dtype)


def _chosen(faces: Tensor, share: float) -> Tensor:
    return torch.rand(len(faces), device=faces.device) < share
