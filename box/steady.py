"""Networks that go on learning their own answers, or votes, of faces a bit off, dim, blurred, or talking.

Each face has one answer: that of the network itself, with the mirror image, or its votes. It has to be given
when the face is moved within its frame, dimmed, blurred, and, if it is neutral, opens its mouth.
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
from aucue.data.batched import GEOMETRIC, shrunk
from aucue.faces import DEFAULT_DETECTOR
from aucue.models import Card
from aucue.training import TrainConfig, fit
from aucue.training.config import TrainerSettings
from aucue.training.module import Batch
from aucue.training.names import START
from box.faint_smiles import with_faint_smiles
from box.moving import moved_batch
from box.open_mouths import with_open_mouths
from box.train import BALANCE, RENDERED, Continuing, Stage
from experiments.ferplus_set import prepared_with_rendered

SHIFT, DEGREES, SCALE = 0.08, 15.0, 0.12
"""Largest shift as a share of the side, turn and change of size by which a face is moved."""
DARKEST = 0.15
"""Smallest factor of brightness."""
COARSEST = 28
"""Smallest side, in pixels, to which a face is reduced before it gets its size back."""


def randomly_moved(batch: Batch) -> Batch:
    """A batch whose faces and landmarks are mirrored or not and moved by draws of their own, see `SHIFT`."""
    faces = batch["image"]
    draws = 2 * torch.rand(4, len(faces), device=faces.device) - 1
    mirrored = _chosen(faces, 0.5)
    return moved_batch(
        batch, mirrored, SHIFT * draws[0], SHIFT * draws[1], DEGREES * draws[2], 1 + SCALE * draws[3]
    )


def mildly_moved(batch: Batch) -> Batch:
    """A batch whose faces and landmarks are moved as in the published training (`GEOMETRIC`)."""
    return GEOMETRIC(batch, batch["image"].shape[-1])


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


@dataclass(frozen=True)
class Changes:
    """How faces are made harder to answer, while the answer that is asked for stays.

    Attributes:
        talking: Share of the neutral faces whose mouths a warp opens, see `with_open_mouths`.
        worse: Share of the faces that are dimmed, and of those that are blurred.
        smiling: Share of the neutral faces that a warp makes smile faintly, whose answer moves towards
            happiness as their votes would, see `with_faint_smiles`.
    """

    talking: float
    worse: float
    smiling: float = 0.0

    def __call__(self, batch: Batch, classes: Sequence[str], augment: Callable[[Batch], Batch]) -> Batch:
        """A batch of such faces.

        Args:
            batch: With the answers as `probabilities`.
            classes: What the classes are called.
            augment: What else happens to the faces, between mouths and light.
        """
        smiled = with_faint_smiles(batch, classes, self.smiling)
        changed = augment(with_open_mouths(smiled, classes.index("neutral"), self.talking))
        faces = randomly_blurred(randomly_dimmed(changed["image"], self.worse), self.worse)
        return {**changed, "image": faces}


class Steady(Continuing):
    """Learns answers or votes of faces that are changed and a bit off, and augments no further.

    Args:
        classifier: The network.
        config: Its settings, which say what it starts from, who teaches and what else the loss asks for.
        photographs: As in `Continuing`.
        changes: What happens to the faces.
        move: How they are moved within their frame.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        photographs: Path,
        changes: Changes,
        move: Callable[[Batch], Batch],
    ) -> None:
        super().__init__(classifier, config, None, photographs)
        self.changes, self.move = changes, move

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Change the faces of a training batch."""
        return self.changes(batch, self.classifier.classes, self.move) if self.trainer.training else batch


@dataclass(frozen=True)
class Arm:
    """A training that goes on from a network, by `Steady`.

    Attributes:
        stage: Its length, size and recipe.
        changes: What happens to the faces.
        guidance: Settings of guidance in which it differs from its recipe.
        votes: Whether it learns the votes, and not the network's own answers.
        move: How faces are moved within their frame.
        detector: Finds the faces of the photographs; None takes the landmarks that come with them.
    """

    stage: Stage
    changes: Changes
    guidance: Mapping[str, Any] = field(default_factory=dict)
    votes: bool = False
    move: Callable[[Batch], Batch] = randomly_moved
    detector: str | None = None

    def balance(self, start: Card) -> float:
        """How far the answers of the network that it gives compensate the frequencies of the photographs.

        Args:
            start: Card of the network that it starts from, as `box.train.finish` writes it.
        """
        return BALANCE if self.votes else BALANCE + start.metrics["held_out"]["shift"]

    def settings(self, path: Path, start: Path, out: Path, seed: int) -> TrainConfig:
        """Settings of the training.

        Args:
            path: Prepared set.
            start: Model file whose weights it starts from.
            out: Folder of the training.
            seed: Of order and changes.
        """
        config = self.stage.settings(path, out)
        return replace(
            config,
            data=replace(config.data, augment="none"),  # it changes the faces itself
            classifier=replace(config.classifier, weights=str(start)),
            teacher=None if self.votes else START,
            guidance=replace(config.guidance, **self.guidance),
            trainer=TrainerSettings(precision="bf16-mixed"),
            seed=seed,
            balance=BALANCE if self.votes else 0.0,  # answers are for the mix of their network
        )


_CHANGES = Changes(talking=0.4, worse=0.3, smiling=0.12)
_SHORT = Stage(80, 2, lr=5e-4, recipe="unguided", stored=96)
_GUIDED = Stage(80, 4, lr=1e-3, recipe="aucue", stored=96)
_LIGHTER = {"weight": 1.0, "class_map": 0.25, "contrast": 0.25, "hidden": 2.0}

_MILD = Arm(_GUIDED, replace(_CHANGES, worse=0.0), _LIGHTER, votes=True, move=mildly_moved)

ARMS: Mapping[str, Arm] = {
    "moved": Arm(_SHORT, Changes(0.0, 0.0)),
    "steady": Arm(_SHORT, Changes(0.5, 0.3)),
    "smiling": Arm(_SHORT, _CHANGES),
    "guided": Arm(_GUIDED, _CHANGES),
    "truer": Arm(_GUIDED, _CHANGES, _LIGHTER),
    "voted": Arm(_GUIDED, _CHANGES, _LIGHTER, votes=True),
    "mild": _MILD,
    "found": replace(_MILD, detector=DEFAULT_DETECTOR),
}
"""Trainings that were tried; which of them end the model in the box says `box.make`."""


def steadied(name: str, start: Path, out: Path, photographs: Path, seeds: Sequence[int]) -> list[Path]:
    """Networks that went on from one; trained unless they are there.

    Args:
        name: One of `ARMS`.
        start: Model file.
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        seeds: Of order and changes, one for each.
    """
    arm = ARMS[name]
    faces = prepared_with_rendered(out, RENDERED, arm.stage.stored, arm.detector)
    module = partial(Steady, photographs=photographs, changes=arm.changes, move=arm.move)
    trainings = [arm.settings(faces, start, out / f"{name}-{seed}", seed) for seed in seeds]
    return [fit(settings, progress=False, module=module) for settings in trainings]
