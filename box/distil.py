"""Trial for the model in the box: the small network learns what larger networks answer.

    python -m box.distil --out runs/box --human DIR --dlib DIR [--seeds 0 1] [--docs]

Trains the teachers (`box.large`, `box.teacher`; DIR as there). They and what `box.train` makes, without the
biases that were chosen for it, answer to every training face. From the weights of that model a training with
blurred strides goes on, whose targets are the mix of these answers and the votes. Biases and temperature are
then set as in `box.train`: OUT/distilled-SEED.safetensors. Measured on held-out faces alone: FER+'s last
tenth and the training part of `london`; --docs brings the tables to docs/recipe.md. Everything resumes.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.data import FaceDataset, PreparedSet, eval_transform, open_prepared
from aucue.models import load_model, save_model
from aucue.training import TrainConfig, fit
from aucue.training.calibrating import Answers, answers
from aucue.training.config import TrainerSettings
from aucue.training.module import Batch
from aucue.work.files import appearing
from box import large, teacher
from box.steady import Changes
from box.steady_trial import HEADS, PAGE, row
from box.train import (
    BALANCE,
    RENDERED,
    Continuing,
    Stage,
    by_votes,
    finish,
    log_frequency,
    mirroring,
    outputs,
    studio_faces,
)
from box.trials import HEADS as ACCURACIES
from box.trials import row as accuracies
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import prepared, prepared_with_rendered

STAGE = Stage(80, 8, lr=1.5e-3, stored=96)

CHANGES = Changes(talking=0.15, worse=0.15)

VOTES = 0.3
"""Share of the votes in the targets."""

SHARES = {"box": 0.25, "large": 0.5, "dlib": 0.25}
"""How much the logits of each teacher count."""


class Pupil(Continuing):
    """Learns an answer to each training face in the place of its votes, while faces get harder to answer.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file whose weights it starts from.
        photographs: As in `Continuing`.
        teach: Gives the answers to the faces themselves (N, K).
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        start: Path,
        photographs: Path,
        teach: Callable[[FaceDataset], Tensor],
    ) -> None:
        super().__init__(classifier, config, start, photographs)
        self.teach = teach

    def on_fit_start(self) -> None:
        """Let all training faces be answered, once."""
        super().on_fit_start()
        self.taught = self.teach(self.trainer.train_dataloader.dataset)  # pyright: ignore[reportOptionalMemberAccess]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Put the answers into a training batch, and change its faces."""
        if not self.trainer.training:
            return batch
        augment = partial(super().on_after_batch_transfer, dataloader_idx=dataloader_idx)
        asked = {**batch, "probabilities": self.taught[batch["index"]]}
        return CHANGES(asked, self.classifier.classes, augment)


Teachers = Mapping[str, Callable[[PreparedSet, str], Answers]]
"""Logits and labels of a split by name of who answers, all for the mix that `box.train` trains for."""


def teachers(start: Path, out: Path, photographs: Path, human: Path, dlib: Path) -> Teachers:
    """Networks whose answers are learnt; trains those that are not there yet.

    Args:
        start: The model that goes on learning.
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        human: Weights that `box.large` starts from.
        dlib: Weights that `box.teacher` starts from.
    """
    larger = large.trained(out, photographs, human, seed=0)
    other, how = teacher.trained(out, photographs, dlib, seed=0), eval_transform(STAGE.stored)
    return {
        "box": partial(_said, mirroring(start)[0]),
        "large": partial(_said, mirroring(larger)[0]),
        "dlib": lambda faces, split: teacher.said(other, faces.dataset(split, how)),
    }


def _said(network: Classifier, faces: PreparedSet, split: str) -> Answers:
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    with torch.autocast("cpu", torch.bfloat16):
        return answers(network, faces.dataset(split, eval_transform(network.input_size)))


def before_biases(voting: Path, out: Path, photographs: Path) -> Path:
    """The network that learnt from votes without the biases that held-out faces chose."""
    classifier, card = load_model(voting)
    chosen, path = card.metrics["held_out"], out / "before-biases.safetensors"
    rarity = -log_frequency(open_prepared(photographs))
    with torch.no_grad():
        classifier.head.fc.bias.sub_(chosen["shift"] * rarity)  # pyright: ignore
        classifier.head.fc.bias[classifier.classes.index("happiness")] -= chosen["smile"]  # pyright: ignore
    save_model(path, classifier, card, overwrite=True)
    return path


def answered(out: Path, said: Teachers, faces: PreparedSet) -> dict[str, Tensor]:
    """Logits (N, K) of all teachers to the training faces; each is asked once."""
    found = {}
    for name, says in said.items():
        path = out / "answers" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            with appearing(path) as unfinished:
                save_file({"logits": says(faces, "train")[0].contiguous()}, unfinished)
        found[name] = load_file(path)["logits"]
    return found


def together(said: Mapping[str, Tensor]) -> Tensor:
    """Logits (N, K) of all teachers, mixed by `SHARES`."""
    return torch.stack([share * said[name] for name, share in SHARES.items()]).sum(0)


def targets(faces: FaceDataset, said: Mapping[str, Tensor], log_prior: Tensor) -> Tensor:
    """What is learnt (N, K): votes, and answers of teachers brought to the mix of the votes.

    Args:
        faces: The faces, with votes.
        said: Logits (N, K) by teacher.
        log_prior: What the training adds to the logits (K,), since they are for a mix less uneven.
    """
    votes = faces.probabilities
    assert votes is not None
    logits = together(said) + log_prior
    return VOTES * torch.from_numpy(votes) + (1 - VOTES) * logits.softmax(1)


def settings(faces: Path, out: Path, seed: int) -> TrainConfig:
    """Settings of the small network's training."""
    config = STAGE.settings(faces, out)
    return replace(
        config,
        classifier=replace(config.classifier, blur=True),
        trainer=TrainerSettings(precision="bf16-mixed"),
        seed=seed,
    )


def learnt(start: Path, out: Path, photographs: Path, said: Teachers, seed: int) -> Path:
    """The small network's model file, trained unless it is there.

    Args:
        start: The model whose weights it starts from.
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        said: Who answers.
        seed: Of order and augmentation.
    """
    path = prepared_with_rendered(out, RENDERED, STAGE.stored)
    logits = answered(out, said, open_prepared(path))
    log_prior = BALANCE * log_frequency(open_prepared(photographs))
    module = partial(
        Pupil,
        start=start,
        photographs=photographs,
        teach=lambda faces: targets(faces, logits, log_prior),
    )
    return fit(settings(path, out / f"learnt-{seed}", seed), progress=False, module=module)


def of_teachers(said: Teachers, faces: Sequence[PreparedSet], rare: Tensor) -> list[list[str]]:
    """A row for each teacher, and one for all together, on held-out faces.

    Args:
        said: Who answers.
        faces: Photographs as in training, and large ones.
        rare: Rarity of the classes (K,).
    """
    found = {name: [says(its, "val") for its in faces] for name, says in said.items()}
    rows = [accuracies(name, its, rare, faces[0].classes) for name, its in found.items()]
    mixed = [
        (together({name: its[place][0] for name, its in found.items()}), found["box"][place][1])
        for place in range(len(faces))
    ]
    return [*rows, accuracies("together", mixed, rare, faces[0].classes)]


def main() -> None:
    """Train teachers and pupils, set biases, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--human", type=Path, required=True, help="folder of faceres, see box.large")
    parser.add_argument("--dlib", type=Path, required=True, help="folder of dlib's network, see box.teacher")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--docs", action="store_true", help="bring the tables to docs/recipe.md")
    arguments = parser.parse_args()
    out: Path = arguments.out
    photographs, studio = prepared(out), studio_faces(out)
    before = by_votes(out, photographs, studio)
    start = before_biases(before, out, photographs)
    said = teachers(start, out, photographs, arguments.human, arguments.dlib)
    sets = open_prepared(photographs), open_prepared(studio)
    rare, classes = -log_frequency(sets[0]), sets[0].classes
    right, steady = [], []
    for seed in arguments.seeds:
        path, finished = learnt(start, out, photographs, said, seed), out / f"distilled-{seed}.safetensors"
        network, name = mirroring(path)[0], f"pupil, seed {seed}"
        right.append(accuracies(name, [outputs(network, its) for its in sets], rare, classes))
        finish(mirroring(path), photographs, studio, finished)
        steady.append(row(name, mirroring(finished)[0], photographs, studio))
        print(right[-1], steady[-1], sep="\n", flush=True)
    right = [*of_teachers(said, sets, rare), *right]
    steady = [row("by votes", mirroring(before)[0], photographs, studio), *steady]
    texts = {"box-teachers": table(ACCURACIES, right), "box-taught": table(HEADS, steady)}
    print(*texts.values(), sep="\n\n")
    if arguments.docs:
        paste(PAGE, {name: block(name, text) for name, text in texts.items()})


if __name__ == "__main__":
    main()
