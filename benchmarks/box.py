"""Train the model in the box: the small network that aucue uses where no model is named.

    python benchmarks/box.py --out runs/box

Three trainings on FER+ votes, strongly augmented, nine tenths of the training part: first at 48 x 48 pixels
with the attention aligned alone, then from those weights at 64 x 64 pixels, maps of 8 x 8, with the recipe
`aucue`, and once more so with rendered faces among the photographs, which are sharp, coloured, and show faint
smiles, fear and disgust, of which FER+ has few. The network then averages each face with its mirror image,
and how far it prefers frequent expressions is set on the last tenth: OUT/aucue-fer.safetensors. Nothing here
looks at a test part; `benchmarks/box_figures.py` does that, once. Everything resumes.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from aucue.classifiers import Classifier, load_model, save_model
from aucue.classifiers.heads import WeightedGAP
from aucue.data import PreparedSet, eval_transform, make_loader, open_prepared
from aucue.export.description import without_folders
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig, fit, with_recipe
from ferplus_set import Continued, prepared, prepared_with_rendered

BALANCE = 0.5
"""Of the second stage: of 0, .25, .5, .75 and 1, the one that after the first stage gave the best accuracy on
held-out faces with at most 280 of each class."""

RENDERED = 3500
"""Rendered faces of the third training, as many of each expression."""

CAP = 280
"""Held-out faces of an expression that count at most, as the test part is capped too."""
SHIFTS = [round(0.05 * k, 2) for k in range(-10, 21)]
"""Compensations of the class frequencies, beside `BALANCE`, that are tried on held-out faces."""


def settings(path: Path, out: Path, size: int, epochs: int, lr: float) -> TrainConfig:
    """One of the trainings: input size, passes over the faces, highest learning rate."""
    return TrainConfig(
        out=str(out),
        data=DataSettings(str(path), augment="strong", workers=0),
        classifier=ClassifierSettings(
            backbone="resnet10t",
            input_size=size,
            final_stride=8,
            options={"channels": [32, 64, 128, 256], "stem_width": 16},
            grey=True,  # the photographs of FER+ are
        ),
        optimizer=OptimizerSettings(lr=lr),
        epochs=epochs,
        select="last",  # the schedule ends there; 9 held-out faces of disgust could not choose
    )


class Mixed(Continued):
    """Goes on with rendered faces among the photographs; the frequencies of the photographs are compensated.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file whose weights it starts from.
        photographs: Prepared set of the photographs alone.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig, start: Path, photographs: Path) -> None:
        super().__init__(classifier, config, start)
        self.photographs = photographs

    def on_fit_start(self) -> None:
        """Rendered faces are as frequent as we chose: that says nothing of photographs to come."""
        self.log_frequency = self.config.balance * log_frequency(open_prepared(self.photographs))


def finish(path: Path, trained: Path, out: Path) -> None:
    """Average face and mirror image, and shift the head's biases: one of `SHIFTS` times the log frequency of
    each class is taken away, for the best mean recall on held-out faces that costs no capped accuracy.

    Args:
        path: Prepared set.
        trained: Model file.
        out: Model file to write.
    """
    plain, info = load_model(trained)
    classifier = Classifier(**{**plain.config, "mirror": True}).eval()
    classifier.load_state_dict(plain.state_dict())
    faces = open_prepared(path)
    found = shifted(classifier, faces)
    free = [shift for shift, figures in found.items() if figures["capped"] >= found[0.0]["capped"]]
    best = max(free, key=lambda shift: found[shift]["balanced_accuracy"])
    assert isinstance(classifier.head, WeightedGAP)
    with torch.no_grad():
        classifier.head.fc.bias.sub_(best * log_frequency(faces))
    figures = {name: found[best][name] for name in ("accuracy", "balanced_accuracy")}
    metrics = {"held_out": {**figures, "shift": best}}
    save_model(out, classifier, without_folders(replace(info, metrics=metrics)), overwrite=True)


@torch.inference_mode()
def shifted(classifier: Classifier, faces: PreparedSet) -> dict[float, dict[str, float]]:
    """Figures on held-out faces for every one of `SHIFTS`, printed too.

    `accuracy`, `balanced_accuracy` (mean recall), and `capped`: the accuracy with at most `CAP` faces of each
    class counting.
    """
    held_out = make_loader(faces.dataset("val", eval_transform(classifier.input_size)), 64, workers=0)
    batches = [(classifier(batch["image"]).logits, batch["label"]) for batch in held_out]
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    found = {}
    for shift in SHIFTS:
        named = (logits - shift * log_frequency(faces)).argmax(1)
        report = classification_report(confusion_counts(named, labels, logits.shape[1]))
        weights = report["support"].clamp(max=CAP)
        capped = (report["recall"] * weights).sum() / weights.sum()
        figures = {"capped": capped, **{name: report[name] for name in ("accuracy", "balanced_accuracy")}}
        found[shift] = {name: float(value) for name, value in figures.items()}
        print(f"shift {shift:+.2f}: " + ", ".join(f"{name} {v:.3f}" for name, v in found[shift].items()))
    return found


def log_frequency(faces: PreparedSet) -> torch.Tensor:
    """Log of the share of each class (K,) in the votes on the training faces."""
    votes = faces.dataset("train").probabilities
    assert votes is not None
    return torch.from_numpy(votes).mean(0).log()


def main() -> None:
    """Train all stages and finish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--epochs", type=int, nargs=3, default=(14, 18, 24), help="of the three stages")
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 2, 3], choices=[1, 2, 3])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out, epochs = arguments.out, arguments.epochs
    path = arguments.data or prepared(out)
    trained = [out / f"stage-{number}" / "model.safetensors" for number in (1, 2, 3)]
    if 1 in arguments.stages:
        fit(settings(path, trained[0].parent, 48, epochs[0], lr=3e-3), progress=False)
        shifted(load_model(trained[0])[0], open_prepared(path))  # what BALANCE was chosen by
    if 2 in arguments.stages:
        config = guided(settings(path, trained[1].parent, 64, epochs[1], lr=2e-3))
        fit(config, progress=False, module=partial(Continued, start=trained[0]))
    if 3 in arguments.stages:
        mixed = prepared_with_rendered(out, RENDERED)
        config = guided(settings(mixed, trained[2].parent, 64, epochs[2], lr=2e-3))
        fit(config, progress=False, module=partial(Mixed, start=trained[1], photographs=path))
        finish(path, trained[2], out / "aucue-fer.safetensors")


def guided(config: TrainConfig) -> TrainConfig:
    """The same with the recipe `aucue`, and frequencies half compensated."""
    return replace(with_recipe(config, "aucue"), balance=BALANCE)


if __name__ == "__main__":
    main()
