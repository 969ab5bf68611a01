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
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig, fit, with_recipe
from aucue.training.module import GuidedModule
from ferplus_set import prepared

BALANCE = 0.5
"""Of the second stage: of 0, .25, .5, .75 and 1, the one that after the first stage gave the best accuracy on
held-out faces with at most 280 of each class."""

CAP = 280
"""Held-out faces of an expression that count at most, as the test part is capped too."""
SHIFTS = [round(0.05 * k, 2) for k in range(-10, 11)]
"""Compensations of the class frequencies, beside `BALANCE`, that are tried on held-out faces."""


class Continued(GuidedModule):
    """Training that starts from the weights of another one, head included.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file of the same network, at any input size.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig, start: Path):
        super().__init__(classifier, config)
        earlier, _ = load_model(start)
        self.classifier.load_state_dict(earlier.state_dict())


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
    prepared_set = open_prepared(path)
    votes = prepared_set.dataset("train").probabilities
    assert votes is not None
    log_frequency = torch.from_numpy(votes).mean(0).log()
    logits, labels = held_out(classifier, prepared_set)
    found = {shift: figures(logits - shift * log_frequency, labels) for shift in SHIFTS}
    free = [shift for shift in SHIFTS if found[shift][0] >= found[0.0][0]]
    best = max(free, key=lambda shift: found[shift][1])
    for shift, values in found.items():
        print(f"shift {shift:+.2f}: capped {values[0]:.3f}, mean recall {values[1]:.3f}, all {values[2]:.3f}")
    assert isinstance(classifier.head, WeightedGAP)
    with torch.no_grad():
        classifier.head.fc.bias.sub_(best * log_frequency)
    _, mean_recall, accuracy = found[best]
    metrics = {"held_out": {"accuracy": accuracy, "balanced_accuracy": mean_recall, "shift": best}}
    save_model(out, classifier, without_folders(replace(info, metrics=metrics)), overwrite=True)


@torch.inference_mode()
def held_out(classifier: Classifier, prepared_set: PreparedSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, K) and labels (N,) of the validation part."""
    faces = prepared_set.dataset("val", eval_transform(classifier.input_size))
    batches = [(classifier(b["image"]).logits, b["label"]) for b in make_loader(faces, 64, workers=0)]
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return logits, labels


def figures(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
    """Accuracy with at most `CAP` faces per class counting, mean recall, accuracy."""
    right, count = logits.argmax(1) == labels, torch.bincount(labels, minlength=logits.shape[1])
    recall = torch.bincount(labels, right.double(), minlength=logits.shape[1]) / count
    capped = count.clamp(max=CAP)
    return float((recall * capped).sum() / capped.sum()), float(recall.mean()), float(right.double().mean())


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
    if 2 in arguments.stages:
        config = settings(path, arguments.out / "stage-2", 64, second, lr=2e-3)
        balanced = replace(with_recipe(config, "aucue"), balance=BALANCE)
        trained = fit(balanced, progress=False, module=partial(Continued, start=small))
        finish(path, trained, arguments.out / "aucue-fer.safetensors")


if __name__ == "__main__":
    main()
