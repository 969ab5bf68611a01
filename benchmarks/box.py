"""Train the model in the box: the small network that aucue uses where no model is named.

    python benchmarks/box.py --out runs/box

Two trainings on FER+ votes, strongly augmented, nine tenths of the training part: first at 48 x 48 pixels
with the attention aligned alone, then from those weights at 64 x 64 pixels, maps of 8 x 8, with the recipe
`aucue`. The network then averages each face with its mirror image, and how far it prefers frequent
expressions is set on the last tenth: OUT/aucue-fer.safetensors. Nothing here looks at a test part;
`benchmarks/box_figures.py` does that, once. Everything resumes.
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
from ferplus_set import Continued, prepared

BALANCE = 0.5
"""Of the second stage: of 0, .25, .5, .75 and 1, the one that after the first stage gave the best accuracy on
held-out faces with at most 280 of each class."""

CAP = 280
"""Held-out faces of an expression that count at most, as the test part is capped too."""
SHIFTS = [round(0.05 * k, 2) for k in range(-10, 21)]
"""Compensations of the class frequencies, beside `BALANCE`, that are tried on held-out faces."""


def settings(path: Path, out: Path, size: int, epochs: int, lr: float) -> TrainConfig:
    """One of the two trainings: input size, passes over the faces, highest learning rate."""
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
    """Train both stages and finish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--epochs", type=int, nargs=2, default=(14, 18), help="of the two stages")
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.data or prepared(arguments.out)
    first, second = arguments.epochs
    small = arguments.out / "stage-1" / "model.safetensors"
    if 1 in arguments.stages:
        fit(settings(path, small.parent, 48, first, lr=3e-3), progress=False)
        shifted(load_model(small)[0], open_prepared(path))  # what BALANCE was chosen by
    if 2 in arguments.stages:
        config = settings(path, arguments.out / "stage-2", 64, second, lr=2e-3)
        balanced = replace(with_recipe(config, "aucue"), balance=BALANCE)
        trained = fit(balanced, progress=False, module=partial(Continued, start=small))
        finish(path, trained, arguments.out / "aucue-fer.safetensors")


if __name__ == "__main__":
    main()
