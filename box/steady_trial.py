"""The last epochs of the model in the box: answers that stay when a face is a bit off, maps that follow it.

    python -m box.steady_trial --out runs/box [--arms truer] [--seeds 0 1] [--docs]

From what `box.train` makes, biases included, the weights go on learning from its own answers, or from votes,
see `box.steady`; which of these arms the model in the box is the mean of says `box.make`. Measured on
held-out faces alone, beside that model: FER+'s last tenth and the training part of `london`. --docs brings
the tables to docs/recipe.md. Everything resumes.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from aucue.benchmark.grid import EVALUATED_FILE
from aucue.classifiers import Classifier
from aucue.data import FaceDataset, eval_transform, make_loader, open_prepared
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.metrics import calibration_error
from aucue.models import Card, Model, boxed_model, load_model
from aucue.training.calibrating import Answers
from box.make import averaged
from box.robustness import shaken, talking
from box.steady import ARMS, COARSEST, coarse, dimmed, steadied
from box.train import by_votes, figures, fingerprint, mirroring, outputs, studio_faces, with_biases
from experiments.doc_tables import block, paste, table
from experiments.evidence_trials import COLUMNS, columns
from experiments.ferplus_set import prepared

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"


CAUSES = {name: which for name, which in COLUMNS.items() if name not in ("accuracy", "mean recall")}
"""Measures of evidence and their variants, by the heads of their columns."""

OF_EACH = 15
"""Held-out faces of each expression on which evidence is measured."""

HEADS = (
    "network",
    "FER+",
    "london",
    "calibration error (votes)",
    "changed by 4 %",
    "neutral: closed / open",
    "dim / coarse",
)


def row(name: str, network: Classifier, photographs: Path, studio: Path) -> list[str]:
    """Figures of a network on held-out faces: how right, how steady, how neutral faces that talk."""
    small, large = (outputs(network, open_prepared(path)) for path in (photographs, studio))
    faces = open_prepared(photographs).dataset("val", eval_transform(network.input_size))
    changed = [share for change, share in shaken(network, faces).items() if change.startswith("4 %")]
    neutral = network.classes.index("neutral")
    spoke = [(called == neutral).double().mean() for called in talking(network, faces)]
    return [
        name,
        *accuracies((small, large)),
        " / ".join(f"{calibration_error(z.softmax(1), y):.3f}" for z, y in (small, large)),
        f"{sum(changed) / len(changed):.3f}",
        " / ".join(f"{share:.3f}" for share in spoke),
        " / ".join(f"{share:.3f}" for share in right_in_bad_pictures(network, faces)),
    ]


def accuracies(found: Sequence[Answers]) -> list[str]:
    """Accuracy, that with at most 280 faces of an expression and mean recall on FER+; accuracy on `london`.

    Args:
        found: Logits and labels of both.
    """
    nothing = torch.zeros(found[0][0].shape[1])
    fer, london = (figures(*answers, nothing) for answers in found)
    return [
        f"{fer['accuracy']:.3f} / {fer['capped']:.3f} / {fer['balanced_accuracy']:.3f}",
        f"{london['accuracy']:.3f}",
    ]


def causes(name: str, model: Model, photographs: Path, out: Path) -> list[str]:
    """What a network's maps say of what decides, on held-out faces; measured once.

    Args:
        name: Of the network.
        model: It.
        photographs: Prepared set.
        out: Folder of all trainings.
    """
    folder = out / "causes" / f"{name.replace(', ', '-').replace(' ', '-')}-{fingerprint(model.network)}"
    if not (folder / EVALUATED_FILE).is_file():
        asked = EvaluationSettings(split="val", workers=0, evidence=True, evidence_faces=OF_EACH)
        evaluate(model, photographs, asked, name=name, out=folder, progress=False)
    return [name, *columns(Evaluation.load(folder / EVALUATED_FILE), CAUSES)]


@torch.inference_mode()
def right_in_bad_pictures(network: Classifier, faces: FaceDataset) -> list[float]:
    """Accuracy on faces with a fifth of their light, and on faces reduced to `COARSEST` pixels."""
    changes: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda images: dimmed(images, torch.full((len(images),), 0.2)),
        lambda images: coarse(images, COARSEST),
    )
    return [_accuracy(network, faces, change) for change in changes]


def _accuracy(network: Classifier, faces: FaceDataset, change: Callable[[Tensor], Tensor]) -> float:
    right = [
        network(change(batch["image"])).logits.argmax(1) == batch["label"]
        for batch in make_loader(faces, 64, workers=0)
    ]
    return torch.cat(right).double().mean().item()


def networks_of(
    name: str, start: Path, out: Path, photographs: Path, studio: Path, seeds: Sequence[int]
) -> dict[str, tuple[Classifier, Card]]:
    """The networks of an arm with their biases and cards, by their names; the mean of several is the last.

    Args:
        name: One of `ARMS`.
        start: Model file that they start from.
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        studio: Prepared set of neutral and smiling faces on large photographs.
        seeds: As many networks.
    """
    trained = steadied(name, start, out, photographs, seeds)
    files = {f"{name}, seed {seed}": [path] for seed, path in zip(seeds, trained, strict=True)}
    if len(trained) > 1:
        files[f"{name}, averaged"] = trained
    networks = {which: averaged(paths) for which, paths in files.items()}
    if not ARMS[name].votes:
        return networks
    sets = open_prepared(photographs), open_prepared(studio)  # votes bring no biases, as answers do
    return {which: with_biases(*network, *sets)[:2] for which, network in networks.items()}


def main() -> None:
    """Train all arms, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["smiling", "guided", "truer"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--docs", action="store_true", help="bring the tables to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    photographs, studio = arguments.data or prepared(out), studio_faces(out)
    start = by_votes(out, photographs, studio)
    networks, settled = {"by votes": mirroring(start)}, ["by votes", "box"]
    for name in arguments.arms:
        of_arm = networks_of(name, start, out, photographs, studio, arguments.seeds)
        networks |= of_arm
        settled.append([*of_arm][-1])
    networks["box"] = load_model(boxed_model())
    rows, decides = [], []
    for name, (network, card) in networks.items():
        rows.append(row(name, network, photographs, studio))
        print(rows[-1], flush=True)
        if name in settled:
            decides.append(causes(name, Model(network, card), photographs, out))
            print(decides[-1], flush=True)
    texts = {"box-steady": table(HEADS, rows), "box-causes": table(("network", *CAUSES), decides)}
    print(*texts.values(), sep="\n\n")
    if arguments.docs:
        paste(PAGE, {name: block(name, text) for name, text in texts.items()})


if __name__ == "__main__":
    main()
