"""Train the model in the box: the small network that aucue uses where no model is named.

    python benchmarks/box.py --out runs/box

Two trainings on FER+ votes, strongly augmented, nine tenths of the training part: first at 48 x 48 pixels
with the attention aligned alone, then from those weights at 64 x 64 pixels, maps of 8 x 8, with the recipe
`aucue`.
Nothing here looks at a test part; `benchmarks/box_figures.py` does that, once. Everything resumes.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from aucue.classifiers import Classifier, load_model
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig, fit, with_recipe
from aucue.training.module import GuidedModule
from ferplus_set import prepared

BALANCE = 0.5
"""Of the second stage: of 0, .25, .5, .75 and 1, the one that after the first stage gave the best accuracy on
held-out faces with at most 280 of each class."""


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


def main() -> None:
    """Train both stages."""
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
        print(fit(balanced, progress=False, module=partial(Continued, start=small)))


if __name__ == "__main__":
    main()
