"""How sure the model in the box is, and for which mix of expressions.

    python -m box.calibrate --out runs/box [--data SET] [--model FILE] [--docs]

Prints what held-out faces say of its temperature and of every mix of expressions that `--prior` may name:
FER+'s last tenth, whose mix is that of the web search that made it, and the training part of `london`. No
test part chooses anything: --test measures the calibration error on those of FER+, `london` and `sfhq`, with
what is in the model file; --card brings that to MODEL_CARD.md, and draws how often answers are right, by how
probable they are called. Faces are found by our detector.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from aucue.data import eval_transform, open_prepared
from aucue.evaluation.estimate import wilson
from aucue.metrics import calibration_error, reliability
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.models import Model, boxed_model
from aucue.models.looking import calibrated
from aucue.pages import ACCENT
from aucue.training.calibrating import answers
from box.figures import found_faces
from box.train import Outputs, found_photographs, outputs, studio_faces
from experiments.doc_tables import block, paste, table

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
CARD = Path(__file__).parents[1] / "MODEL_CARD.md"
PLOT = Path(__file__).parents[1] / "docs" / "images" / "calibration.png"
PLOT_BINS = 10

DRAWS = 500
"""Times that answers of a perfectly calibrated network are drawn."""

TEST_SETS = ("ferplus", "london", "sfhq")
"""Those of `box.figures.SETS` whose test parts are read."""

MIXES = (None, "natural", "even")
"""Values of `--prior`; None is the model as it was trained."""


def row(model: Model, which: str, found: Outputs) -> list[str]:
    """Figures of a model, with its mix, on one kind of held-out faces."""
    logits, labels = found
    seen = calibrated(logits, replace(model.scale, temperature=1.0))
    report = classification_report(confusion_counts(seen.argmax(1), labels, seen.shape[1]))
    errors = [calibration_error((seen / t).softmax(1), labels) for t in (1.0, model.scale.temperature)]
    figures = [report[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")]
    return [
        str(model.prior or "as trained"),
        which,
        *(f"{value:.3f}" for value in figures),
        " / ".join(f"{value:.3f}" for value in errors),
    ]


def test_row(name: str, model: Model, found: Outputs) -> list[str]:
    """Calibration error of votes and probabilities on a test part, and what a perfect network would get."""
    logits, labels = found
    votes, chances = ((logits.double() / t).softmax(1) for t in (1.0, model.scale.temperature))
    drawn = [torch.multinomial(chances, 1)[:, 0] for _ in range(DRAWS)]
    free = torch.stack([calibration_error(chances, each) for each in drawn]).mean()
    errors = (calibration_error(votes, labels), calibration_error(chances, labels), free)
    means = (votes.amax(1).mean(), chances.amax(1).mean(), (chances.argmax(1) == labels).double().mean())
    return [name, str(len(labels)), *(f"{value:.3f}" for value in (*errors, *means))]


def test_outputs(model: Model, out: Path) -> dict[str, Outputs]:
    """What a model says of the test parts, by their names."""
    how = eval_transform(model.input_size)
    sets = {name: open_prepared(found_faces(name, out)) for name in TEST_SETS}
    return {name: answers(model.network, faces.dataset("test", how)) for name, faces in sets.items()}


def test_table(model: Model, found: Mapping[str, Outputs]) -> str:
    """The calibration on test parts; nothing is chosen by it."""
    torch.manual_seed(0)
    heads = ["test part", "faces", "error of votes", "error of probability", "of a perfect one"]
    rows = [test_row(name, model, its) for name, its in found.items()]
    return table([*heads, "mean vote", "mean probability", "right"], rows)


def plot(model: Model, sets: Mapping[str, Outputs]) -> Figure:
    """How often answers are right, by how probable they are called, with 95 % intervals of so many faces."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, (logits, labels)) in zip(figure.subplots(1, len(sets)), sets.items(), strict=True):
        chances = (logits.double() / model.scale.temperature).softmax(1)
        found = reliability(chances, labels, PLOT_BINS)
        faces, said, right = (part[found.faces > 0].numpy() for part in found)
        intervals = [wilson(round(share * n), int(n)) for share, n in zip(right, faces, strict=True)]
        low, high = np.array(intervals).T
        reach = np.clip([right - low, high - right], 0, None)  # at 0 and 1 it may be beyond by a rounding
        axes.plot([0, 1], [0, 1], color="#8d8a97", linewidth=1)
        axes.errorbar(said, right, reach, fmt="none", ecolor=ACCENT.light, alpha=0.5)
        axes.scatter(said, right, s=12 + 200 * faces / faces.sum(), color=ACCENT.light)
        axes.set(title=f"{name}: {len(labels)} faces", xlabel="probability of the answer", aspect="equal")
        axes.set(xlim=(0.15, 1.02), ylim=(0, 1.05))
    figure.axes[0].set_ylabel("share that is right")
    return figure


def main() -> None:
    """Measure, tabulate, and write if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--model", type=Path, help="model file; default the one in the box")
    parser.add_argument("--test", action="store_true", help="measure what the model file holds on test parts")
    parser.add_argument("--card", action="store_true", help="bring that to MODEL_CARD.md")
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    path: Path = arguments.model or boxed_model()
    model = Model.load(path, device="cpu")
    if arguments.test:
        found = test_outputs(model, out)
        text = test_table(model, found)
        print(text)
        if arguments.card:
            paste(CARD, {"calibration": block("calibration", text)})
            plot(model, found).savefig(PLOT, dpi=110)
        return
    photographs = open_prepared(arguments.data or found_photographs(out))
    sets = {
        "FER+": outputs(model.network, photographs),
        "london": outputs(model.network, open_prepared(studio_faces(out))),
    }
    rows = []
    for mix in MIXES:
        mixed = Model(model.network, model.card, device="cpu", prior=mix)
        rows += [row(mixed, which, found) for which, found in sets.items()]
    heads = ["mix", "faces", "accuracy", "mean recall", "macro F1", "calibration error without / with"]
    text = table(heads, rows)
    print(text)
    if arguments.docs:
        paste(PAGE, {"box-mixes": block("box-mixes", text)})


if __name__ == "__main__":
    main()
