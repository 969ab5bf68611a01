"""Trials of locality: networks that see less of the face at each cell, on held-out faces of FER+ only.

    python -m experiments.locality --out runs/locality [--only NAME ...]

The network of the grid `evidence` (ResNet-10 of 32 to 256 channels, 64 x 64 pixels), whose kernels are 1 x 1
from some layer on, so that a cell of its last maps sees a window of the face. Each is trained for itself
without guidance; from there it goes on without guidance and with the recipe `units`, equally long, and both
are measured on the last tenth of the training part. Nothing here looks at the test part. What is finished is
not run again.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aucue.classifiers.locality import receptive_field
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.models import load_model
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig, guidance_of
from aucue.training.config import TrainerSettings
from aucue.training.fitting import fit
from experiments.doc_tables import table
from experiments.ferplus_set import prepared

SIZE = 64
ARMS = ("unguided", "units")
COLUMNS = {
    "accuracy": ("accuracy", ""),
    "balanced": ("balanced_accuracy", ""),
    "left, one": ("hidden.left", "log_odds"),
    "left, all": ("painted.left", "log_odds"),
    "first is dearest": ("dearest.first", "log_odds"),
    "rank": ("dearest.rank", "log_odds"),
    "raises": ("dearest.raises", "log_odds"),
    "specific": ("specificity", "class_map"),
    "own face": ("own_face", "class_map"),
}
"""Of the table: measure and variant of each."""


@dataclass(frozen=True)
class Trial:
    """A network.

    Attributes:
        local_from: The first layer whose kernels are 1 x 1; None leaves all as they are.
        stride: Pixels per cell of the last maps.
        epochs: Passes over the training part, without guidance, before the arms.
    """

    local_from: str | None
    stride: int = 8
    epochs: int = 14


TRIALS = {
    "whole": Trial(None),
    "layer2": Trial("layer2"),
    "layer1": Trial("layer1"),
    "fine": Trial(None, stride=4),
    "fine-layer2": Trial("layer2", stride=4),
    "fine-layer1": Trial("layer1", stride=4),
}


def start_settings(trial: Trial, data: Path, out: Path, seed: int) -> TrainConfig:
    """The training that both arms of a network go on from."""
    return TrainConfig(
        out=str(out),
        data=DataSettings(str(data), augment="strong", workers=0),
        classifier=ClassifierSettings(
            backbone="resnet10t",
            input_size=SIZE,
            final_stride=trial.stride,
            options={"channels": [32, 64, 128, 256], "stem_width": 16},
            grey=True,
            local_from=trial.local_from,
        ),
        optimizer=OptimizerSettings(lr=3e-3),
        guidance=guidance_of("unguided"),
        trainer=TrainerSettings(precision="bf16-mixed"),
        epochs=trial.epochs,
        select="last",
        balance=0.5,
        seed=seed,
    )


def arm_settings(arm: str, start: TrainConfig, model: Path, out: Path) -> TrainConfig:
    """What goes on from a start: a recipe, frequencies fully compensated."""
    method = "units" if arm == "units" else "cam"
    return replace(
        start,
        out=str(out),
        classifier=replace(start.classifier, weights=str(model), method=method),
        optimizer=OptimizerSettings(lr=1e-3),
        guidance=guidance_of(arm),
        epochs=4,
        balance=1.0,
    )


def run(name: str, data: Path, out: Path, seed: int, faces: int) -> None:
    """Train a network and its arms, and measure these on held-out faces, unless that is done."""
    start = start_settings(TRIALS[name], data, out / f"{name}-start-{seed}", seed)
    model = fit(start, progress=False)
    for arm in ARMS:
        folder = out / f"{name}-{arm}-{seed}"
        trained = fit(arm_settings(arm, start, model, folder), progress=False)
        if (folder / "evaluation" / "evaluation.json").exists():
            continue
        asked = EvaluationSettings(
            split="val",
            codebook="facs",
            regions="anatomical",
            workers=0,
            evidence=True,
            evidence_faces=faces,
        )
        evaluate(trained, data, asked, out=folder / "evaluation", progress=False)
        print(f"{folder.name} is measured", flush=True)


def rows(out: Path, seed: int) -> Iterator[list[str]]:
    """Lines of the table, of the trials that are measured."""
    for name, trial in TRIALS.items():
        for arm in ARMS:
            folder = out / f"{name}-{arm}-{seed}"
            file = folder / "evaluation" / "evaluation.json"
            if file.exists():
                found = Evaluation.load(file)
                seen, _ = receptive_field(load_model(folder / "model.safetensors")[0], SIZE)
                values = (found.estimate(measure, variant).value for measure, variant in COLUMNS.values())
                cells = SIZE // trial.stride
                yield [
                    f"{seen} of {SIZE}",
                    f"{cells} x {cells}",
                    arm,
                    *("" if value is None else f"{value:.3f}" for value in values),
                ]


def main() -> None:
    """Train, evaluate on held-out faces, tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/locality"))
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--only", nargs="*", default=[*TRIALS], choices=[*TRIALS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=int, default=15, help="held-out faces per expression with evidence")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = arguments.data or prepared(arguments.out)
    for name in arguments.only:
        run(name, data, arguments.out, arguments.seed, arguments.faces)
    print(table(["window", "maps", "recipe", *COLUMNS], list(rows(arguments.out, arguments.seed))))


if __name__ == "__main__":
    main()
