"""Train the small network on votes: all of the model in the box but its last epochs, see `box/make.py`.

    python -m box.train --out runs/box

Trains on FER+ votes, strongly augmented, nine tenths of the training part, in the `STAGES` below: first small
pictures with the attention aligned alone, then from those weights larger ones, maps of 8 x 8, with the recipe
`aucue-1`, then with rendered faces among the photographs, which are sharp and show faint smiles,
fear and disgust, of which FER+ has few, at last at 80 x 80 pixels, maps of 10 x 10. The network then averages
each face with its mirror image, and its biases and its temperature are set on the last tenth and on the
training part of `london`: OUT/by-votes.safetensors. Nothing here looks at a test part; `box/figures.py` does
that, once. Everything resumes.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from aucue.classifiers import Classifier
from aucue.classifiers.heads import WeightedGAP
from aucue.data import PreparedSet, eval_transform, open_prepared, prepare
from aucue.export.description import without_folders
from aucue.faces import DEFAULT_DETECTOR
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.models import CalibrationRecord, Card, PriorRecord, load_model, save_model
from aucue.models.calibration import compensated_prior
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig, fit, with_recipe
from aucue.training.calibrating import Answers as Outputs
from aucue.training.calibrating import answers, calibration_of
from experiments.ferplus_set import Continued, prepared, prepared_with_rendered, undetected

BALANCE = 0.5
"""Of stages with the recipe: of 0, .25, .5, .75 and 1, the one that after the first stage gave the best
accuracy on held-out faces with at most 280 of each class."""

RENDERED = 3500
"""Rendered faces, as many of each expression."""

CAP = 280
"""Held-out faces of an expression that count at most, as the test part is capped too."""
SHIFTS = [round(0.05 * k, 2) for k in range(-10, 21)]
"""Compensations of the class frequencies, beside `BALANCE`, that are tried on held-out faces."""
SMILES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Preferences for happiness (logits) that are tried on held-out faces."""


@dataclass(frozen=True)
class Stage:
    """A training that goes on from the weights of the one before.

    Attributes:
        size: Side of the input.
        epochs: Passes over the faces.
        lr: Highest learning rate.
        recipe: What guides, with frequencies half compensated; None aligns the attention alone.
        rendered: Whether rendered faces are among the photographs.
        stored: Side of the faces in the set with rendered ones.
    """

    size: int
    epochs: int
    lr: float
    recipe: str | None = "aucue-1"
    rendered: bool = True
    stored: int = 72

    def settings(self, path: Path, out: Path) -> TrainConfig:
        """Settings of the training on a prepared set."""
        config = TrainConfig(
            out=str(out),
            data=DataSettings(str(path), augment="strong", workers=0),
            classifier=ClassifierSettings(
                backbone="resnet10t",
                input_size=self.size,
                final_stride=8,
                options={"channels": [32, 64, 128, 256], "stem_width": 16},
                grey=True,  # the photographs of FER+ are
            ),
            optimizer=OptimizerSettings(lr=self.lr),
            epochs=self.epochs,
            select="last",  # the schedule ends there; 9 held-out faces of disgust could not choose
        )
        return replace(with_recipe(config, self.recipe), balance=BALANCE) if self.recipe else config


STAGES = (
    Stage(48, 14, lr=3e-3, recipe=None, rendered=False),
    Stage(64, 18, lr=2e-3, rendered=False),
    Stage(64, 24, lr=2e-3),
    Stage(80, 15, lr=1.5e-3, stored=96),
)


class Continuing(Continued):
    """Compensates the frequencies of the photographs alone, where rendered faces are among them.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file whose weights it starts from; None starts at random.
        photographs: Prepared set of the photographs alone.
    """

    def __init__(
        self, classifier: Classifier, config: TrainConfig, start: Path | None, photographs: Path
    ) -> None:
        super().__init__(classifier, config, start)
        self.photographs = photographs

    def on_fit_start(self) -> None:
        """Rendered faces are as frequent as we chose: that says nothing of photographs to come."""
        if self.config.balance:
            photographs = log_frequency(open_prepared(self.photographs)).to(self.device)
            self.objective.log_prior = self.config.balance * photographs


@dataclass(frozen=True)
class Choice:
    """The biases that held-out faces chose, and what else was tried.

    Attributes:
        shifts: Figures for every one of `SHIFTS`.
        smiles: Figures for every one of `SMILES` beside the chosen shift, and `studio`: the accuracy there.
        shift: The chosen one.
        smile: The chosen one.
        bias: What the logits get (K,).
    """

    shifts: Mapping[float, Mapping[str, float]]
    smiles: Mapping[float, Mapping[str, float]]
    shift: float
    smile: float
    bias: torch.Tensor


def choose(small: Outputs, large: Outputs, rare: torch.Tensor, happiness: int, cap: int = CAP) -> Choice:
    """Choose the head's biases on held-out faces.

    One of `SHIFTS` times the log frequency of each class is taken away, for the best mean recall that costs
    at most half a point of capped accuracy. Faint smiles on large photographs look neutral to a network that
    has seen small ones: happiness then gets the one of `SMILES` that finds most of them and costs at most
    half a point more.

    Args:
        small: Logits and labels of photographs as in training.
        large: Those of neutral and smiling faces on large photographs.
        rare: Rarity of the classes (K,).
        happiness: Its class.
        cap: As in `figures`.
    """
    shifts = compensated(small, rare, cap)
    most = max(found["capped"] for found in shifts.values())
    shift = best(shifts, "balanced_accuracy", capped=most - 0.005)
    smiling = torch.zeros_like(rare)
    smiling[happiness] = 1
    biases = {smile: shift * rare + smile * smiling for smile in SMILES}
    smiles = {smile: both_figures(small, large, bias, cap) for smile, bias in biases.items()}
    smile = best(smiles, "studio", capped=most - 0.01)
    return Choice(shifts, smiles, shift, smile, biases[smile])


def by_votes(out: Path, photographs: Path, studio: Path) -> Path:
    """The network after all stages, with its biases and its temperature; made unless it is there.

    Args:
        out: Folder of all trainings.
        photographs: Prepared set of the photographs alone.
        studio: As in `finish`.
    """
    made = out / "by-votes.safetensors"
    if not made.exists():
        finish(mirroring(_trained(out, photographs)), photographs, studio, made)
    return made


def _trained(out: Path, photographs: Path) -> Path:
    start = None
    for number, stage in enumerate(STAGES, 1):
        path = prepared_with_rendered(out, RENDERED, stage.stored) if stage.rendered else photographs
        module = partial(Continuing, start=start, photographs=photographs)
        start = fit(stage.settings(path, out / f"stage-{number}"), progress=False, module=module)
        if number == 1:  # BALANCE is chosen by these
            faces = open_prepared(photographs)
            small = outputs(load_model(start)[0], faces)
            print_figures("shift", compensated(small, -log_frequency(faces)))
    assert start is not None
    return start


def finish(
    trained: tuple[Classifier, Card], photographs: Path, studio: Path, out: Path, balance: float = BALANCE
) -> None:
    """Set the head's biases and the temperature on held-out faces.

    Args:
        trained: A network that averages face and mirror image, and its card.
        photographs: Prepared set, of which the held-out faces count.
        studio: Prepared set of neutral and smiling faces on large photographs.
        out: Model file to write.
        balance: As in `with_biases`.
    """
    sets = open_prepared(photographs), open_prepared(studio)
    save_calibrated(out, *with_biases(*trained, *sets, balance))


def with_biases(
    classifier: Classifier,
    card: Card,
    photographs: PreparedSet,
    studio: PreparedSet,
    balance: float = BALANCE,
) -> tuple[Classifier, Card, list[Outputs]]:
    """A network whose head has the biases that held-out faces chose, its card, and what it says of both.

    Args:
        classifier: The network; it is changed.
        card: Its card.
        photographs: As in training.
        studio: Neutral and smiling faces on large photographs.
        balance: How far its answers compensate the frequencies of the photographs before.
    """
    frequency = log_frequency(photographs)
    small, large = (outputs(classifier, faces) for faces in (photographs, studio))
    choice = choose(small, large, -frequency, classifier.classes.index("happiness"))
    print_figures("shift", choice.shifts)
    print_figures("smile", choice.smiles)
    print(f"chosen: shift {choice.shift}, smile {choice.smile}")
    assert isinstance(classifier.head, WeightedGAP)
    with torch.no_grad():
        classifier.head.fc.bias.add_(choice.bias)
    held_out = {**choice.smiles[choice.smile], "shift": choice.shift, "smile": choice.smile}
    prior = made_for(frequency, classifier.classes, balance + choice.shift)
    found = [(logits + choice.bias, labels) for logits, labels in (small, large)]
    return classifier, replace(card, prior=prior, metrics={"held_out": held_out}), found


def save_calibrated(out: Path, classifier: Classifier, card: Card, found: Sequence[Outputs]) -> None:
    """Write a finished model, whose temperature fits both kinds of held-out faces.

    Args:
        out: Model file to write.
        classifier: The network.
        card: Its card, with figures on held-out faces.
        found: What it says of photographs as in training, and of large ones.
    """
    card = replace(card, calibration=calibration(found))
    save_model(out, classifier, without_folders(card), overwrite=True)


def calibration(found: Sequence[Outputs]) -> CalibrationRecord:
    """The temperature that fits both kinds of held-out faces, those of FER+ and those of `london`, alike.

    Fitted on FER+ alone it would be .55: sure of small grey pictures, and too sure of large photographs.
    """
    faces = "held-out tenth of FER+'s training part, and training part of london; each counts half"
    return calibration_of(found, faces, voters=True)


def made_for(log_frequency: torch.Tensor, classes: Sequence[str], balance: float) -> PriorRecord:
    """How frequent the expressions are in the photographs, and how far that is compensated.

    The preference for happiness is no mix: it makes up for faint smiles on large photographs.

    Args:
        log_frequency: Of the classes (K,).
        classes: Their names.
        balance: How far.
    """
    natural = dict(zip(classes, log_frequency.exp().tolist(), strict=True))
    return compensated_prior(natural, balance)


def mirroring(trained: Path, **changes: Any) -> tuple[Classifier, Card]:
    """The network of a model file, made to average face and mirror image, and changed further if asked."""
    plain, info = load_model(trained)
    classifier = Classifier(**{**plain.config, "mirror": True, **changes}).eval()
    classifier.load_state_dict(plain.state_dict())
    return classifier, info


def outputs(classifier: Classifier, faces: PreparedSet) -> Outputs:
    """Logits (N, K) and labels (N,) of the held-out faces."""
    return answers(classifier, faces.dataset("val", eval_transform(classifier.input_size)))


def fingerprint(classifier: Classifier) -> str:
    """Eight letters that tell a network from others, for names of folders."""
    weights = (value.cpu().numpy().tobytes() for value in classifier.state_dict().values())
    return sha256(b"".join([repr(classifier.config).encode(), *weights])).hexdigest()[:8]


def figures(
    logits: torch.Tensor, labels: torch.Tensor, bias: torch.Tensor, cap: int = CAP
) -> dict[str, float]:
    """Figures with a bias (K,) added to the logits.

    `accuracy`, `balanced_accuracy` (mean recall), and `capped`: the accuracy with at most `cap` faces of each
    class counting.
    """
    report = classification_report(confusion_counts((logits + bias).argmax(1), labels, logits.shape[1]))
    weights = report["support"].clamp(max=cap)
    capped = (report["recall"] * weights).nansum() / weights.sum()
    found = {"capped": capped, **{name: report[name] for name in ("accuracy", "balanced_accuracy")}}
    return {name: float(value) for name, value in found.items()}


def both_figures(small: Outputs, large: Outputs, bias: torch.Tensor, cap: int = CAP) -> dict[str, float]:
    """Figures on photographs as in training, and `studio`: the accuracy on large photographs."""
    return {**figures(*small, bias, cap), "studio": figures(*large, bias)["accuracy"]}


def print_figures(what: str, found: Mapping[float, Mapping[str, float]]) -> None:
    """A line for each value that was tried."""
    for value, its in found.items():
        print(f"{what} {value:+.2f}: " + ", ".join(f"{name} {v:.3f}" for name, v in its.items()))


def compensated(small: Outputs, rare: torch.Tensor, cap: int = CAP) -> dict[float, dict[str, float]]:
    """Figures for every one of `SHIFTS` times the rarity (K,) of the classes."""
    return {shift: figures(*small, shift * rare, cap) for shift in SHIFTS}


def best(found: Mapping[float, Mapping[str, float]], name: str, capped: float) -> float:
    """Of the values that leave this capped accuracy at least, the one with the largest figure of a name."""
    kept = [value for value, its in found.items() if its["capped"] >= capped]
    return max(kept, key=lambda value: found[value][name])


def found_photographs(out: Path) -> Path:
    """FER+ with its faces found by our detector, as photographs are read later; made once.

    Its held-out faces choose biases and temperature of the model in the box.
    """
    return prepared(out, detector=DEFAULT_DETECTOR)


def studio_faces(out: Path) -> Path:
    """The training part of `london`, its faces found by our detector, as a validation part; made once."""
    studio = out / "prepared-studio"
    prepare(undetected("london", "train", out / "studio.csv", "val"), studio, size=96)
    return studio


def log_frequency(faces: PreparedSet) -> torch.Tensor:
    """Log of the share of each class (K,) in the votes on the training faces."""
    votes = faces.dataset("train").probabilities
    assert votes is not None
    return torch.from_numpy(votes).mean(0).log()


def main() -> None:
    """Train all stages, set biases and temperature."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    photographs = arguments.data or prepared(out)
    print(by_votes(out, photographs, studio_faces(out)))


if __name__ == "__main__":
    main()
