"""What else was tried for the model in the box: larger inputs, averaged weights, faint smiles made by a warp.

    python -m box.trials --out runs/box [--only NAME ...] [--docs]

needs OUT/stage-4 of `box.train`, from which `TRIALS` go on. Every network is then measured on held-out faces
alone, as `box.train` does it: FER+'s last tenth, and the training part of `london`. OUT/trials/figures.md
holds the table, --docs brings it to docs/recipe.md. Everything resumes.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from torch.optim.swa_utils import update_bn

from aucue.data import STRONG, FaceDataset, make_loader, open_prepared
from aucue.models import save_model
from aucue.models.naming import MODEL_FILE
from aucue.training import fit
from aucue.training.module import Batch
from box.faint_smiles import with_faint_smiles
from box.make import averaged
from box.train import (
    CAP,
    RENDERED,
    Continuing,
    Outputs,
    Stage,
    choose,
    figures,
    log_frequency,
    mirroring,
    outputs,
    studio_faces,
)
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import prepared, prepared_with_rendered

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"

BOX = "stage-4"
"""The last stage of `box.train`; the model in the box was this, but for its biases, when this was tried."""


@dataclass(frozen=True)
class Trial:
    """Trainings that go on from one network; with several seeds, their weights are averaged.

    Attributes:
        start: Folder of the network it goes on from, in that of all trainings.
        stage: How it is trained.
        seeds: One training each.
        smiling: Share of the neutral faces that a warp makes smile.
    """

    start: str
    stage: Stage
    seeds: tuple[int, ...] = (0,)
    smiling: float = 0.0


TRIALS = {
    "larger": Trial(BOX, Stage(96, 11, lr=1e-3, stored=112), (0, 1)),
    "larger-smiles": Trial("trials/larger", Stage(96, 6, lr=7e-4, stored=112), (0, 1), smiling=0.3),
    "longer": Trial(BOX, Stage(80, 5, lr=5e-4, stored=96)),
    "smiles": Trial(BOX, Stage(80, 5, lr=5e-4, stored=96), smiling=0.2),
}


class Smiling(Continuing):
    """Lets some neutral faces smile faintly, see `with_faint_smiles`.

    Args:
        *arguments: Of `Continuing`.
        share: Of the neutral faces.
        **others: Of `Continuing`.
    """

    def __init__(self, *arguments, share: float, **others) -> None:
        super().__init__(*arguments, **others)
        self.share = share

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Some neutral faces smile, then all are augmented."""
        if self.share and self.trainer.training:
            batch = with_faint_smiles(batch, self.classifier.classes, self.share)
        return super().on_after_batch_transfer(batch, dataloader_idx)


def train(trial: Trial, start: Path, out: Path, photographs: Path) -> dict[str, Path]:
    """Train for all seeds and average.

    Args:
        trial: What is trained.
        start: Model file to start from.
        out: Folder of the trial.
        photographs: Prepared set of the photographs alone.

    Returns:
        Model files by the end of their name: one per seed, and the average if there are several.
    """
    faces = prepared_with_rendered(out.parents[1], RENDERED, trial.stage.stored)
    module = partial(Smiling, start=start, photographs=photographs, share=trial.smiling)
    models = {}
    for seed in trial.seeds:
        config = replace(trial.stage.settings(faces, out / f"seed-{seed}"), seed=seed)
        models[f", seed {seed}"] = fit(config, progress=False, module=module)
    if len(models) == 1:
        return models
    mean = out / MODEL_FILE
    if not mean.exists():
        average([*models.values()], open_prepared(faces).dataset("train"), mean)
    return {**models, ", averaged": mean}


def average(trained: Sequence[Path], faces: FaceDataset, out: Path) -> None:
    """Average weights of long trainings that went on from the same ones.

    Means and variances of the batch normalisation belong to no average: they are taken anew.

    Args:
        trained: Model files.
        faces: Training faces.
        out: Model file to write.
    """
    torch.manual_seed(0)
    classifier, info = averaged(trained)
    batches = make_loader(faces, 64, shuffle=True, workers=0)
    update_bn((STRONG(batch, classifier.input_size)["image"] for batch in batches), classifier)
    save_model(out, classifier, info)


HEADS = ("network", "FER+", "AUC", "best cut", "with biases", "crossed")


def row(name: str, found: Sequence[Outputs], rare: torch.Tensor, classes: Sequence[str]) -> list[str]:
    """Figures of a network: without biases; with those of `choose`; and crossed.

    Crossed: the biases are chosen on one half of the held-out faces and measured on the other, mean of four
    random divisions, both ways. Those with biases flatter: the faces that chose are those that measure.

    Args:
        name: Of the network.
        found: Logits and labels of photographs as in training, and of large ones.
        rare: Rarity of the classes (K,).
        classes: Their names.
    """
    small, large = found
    neutral, happiness = (classes.index(label) for label in ("neutral", "happiness"))
    score = large[0][:, happiness] - large[0][:, neutral]
    smiles = (large[1] == happiness).long()
    choice = choose(small, large, rare, happiness)
    crossed = torch.tensor([*_crossed(small, large, rare, happiness)]).mean(0)
    return [
        name,
        f"{figures(*small, torch.zeros_like(rare))['capped']:.3f}",
        f"{roc_auc_score(smiles, score):.3f}",
        f"{max(float(((score > cut) == smiles).float().mean()) for cut in score):.3f}",
        " / ".join(f"{value:.3f}" for value in _three(small, large, choice.bias)),
        " / ".join(f"{value:.3f}" for value in crossed.tolist()),
    ]


def _three(small: Outputs, large: Outputs, bias: torch.Tensor, cap: int = CAP) -> tuple[float, float, float]:
    """Capped accuracy and mean recall on FER+, accuracy on `london`."""
    found = figures(*small, bias, cap)
    return found["capped"], found["balanced_accuracy"], figures(*large, bias)["accuracy"]


def _crossed(
    small: Outputs, large: Outputs, rare: torch.Tensor, happiness: int
) -> Iterator[tuple[float, float, float]]:
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        first = [_halves(labels, generator) for _, labels in (small, large)]
        second = [~half for half in first]
        for here, there in ((first, second), (second, first)):
            chosen = choose(_part(small, here[0]), _part(large, here[1]), rare, happiness, CAP // 2)
            yield _three(_part(small, there[0]), _part(large, there[1]), chosen.bias, CAP // 2)


def _part(faces: Outputs, kept: torch.Tensor) -> Outputs:
    logits, labels = faces
    return logits[kept], labels[kept]


def _halves(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Which faces (N,) are in the first half, class by class."""
    first = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        places = (labels == label).nonzero()[:, 0]
        order = torch.randperm(len(places), generator=generator)
        first[places[order[: len(places) // 2]]] = True
    return first


def together(several: Sequence[Outputs]) -> Outputs:
    """What networks say together: the mean of their log probabilities."""
    return torch.stack([logits.log_softmax(1) for logits, _ in several]).mean(0), several[0][1]


def main() -> None:
    """Train all trials, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--only", nargs="+", default=[*TRIALS], choices=TRIALS)
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    photographs, studio = arguments.data or prepared(out), studio_faces(out)
    models = {"in the box": out / BOX / MODEL_FILE}
    for name in arguments.only:
        start = out / TRIALS[name].start / MODEL_FILE
        found = train(TRIALS[name], start, out / "trials" / name, photographs)
        models |= {name + end: path for end, path in found.items()}
    faces, faint = open_prepared(photographs), open_prepared(studio)
    rare = -log_frequency(faces)
    rows, smalls, larges = [], [], []
    for name, path in models.items():
        classifier, _ = mirroring(path)
        smalls.append(outputs(classifier, faces))
        larges.append(outputs(classifier, faint))
        rows.append(row(name, (smalls[-1], larges[-1]), rare, faces.classes))
    rows.append(row("all of these together", (together(smalls), together(larges)), rare, faces.classes))
    text = table(HEADS, rows)
    (out / "trials").mkdir(exist_ok=True)
    (out / "trials" / "figures.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    if arguments.docs:
        paste(PAGE, {"box-trials": block("box-trials", text)})


if __name__ == "__main__":
    main()
