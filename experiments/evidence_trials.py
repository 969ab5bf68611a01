"""Trials around the grid `evidence`, on held-out faces of FER+ only: what makes maps truer?

    python -m experiments.evidence_trials --out runs/evidence [--only NAME ...] [--arms NAME ...] [--docs]

Networks that differ from the grid's: maps are finer, from the grid's own first training; or kernels are 1 x 1
from some layer on, so that a cell of the last maps sees a window of the face, which wants a first training of
its own. Of each, arms go on as in the grid: its recipes, or these with terms of other weights. All are
measured on the last tenth of the training part, and nothing here looks at the test part. Trainings that the
grid has in OUT, or an earlier call, are not run again. --docs brings table and picture to docs/recipe.md.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from aucue.benchmark import GRIDS, Cell, Grid, run_cell
from aucue.benchmark.grid import EVALUATED_FILE
from aucue.classifiers.locality import receptive_field
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.models import load_model
from aucue.models.naming import MODEL_FILE
from aucue.pages import ACCENT
from experiments.doc_tables import block, paste, table

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
PICTURE = PAGE.parent / "images" / "evidence-trials.png"
ARMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "unguided": ("unguided", {}),
    "aucue": ("aucue", {}),
    "units": ("units", {}),
    "aucue, hidden 4": ("aucue", {"guidance.hidden": 4}),
}
"""Recipe of the grid that each goes on with, and settings in which it differs."""

COLUMNS = {
    "accuracy": ("accuracy", ""),
    "mean recall": ("balanced_accuracy", ""),
    "left, one": ("hidden.left", "log_odds"),
    "left, all": ("painted.left", "log_odds"),
    "first = dearest": ("dearest.first", "log_odds"),
    "rank": ("dearest.rank", "log_odds"),
    "raises": ("dearest.raises", "log_odds"),
    "ratio": ("occlusion.mean", "ratio"),
    "specific": ("specificity", "class_map"),
    "own face": ("own_face", "class_map"),
}
"""Of the table: measure and variant of each."""

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "whole": {},
    "finer": {"classifier.final_stride": 4},
    "local": {"classifier.local_from": "layer2"},
}
"""Settings in which each differs from the grid's."""

STARTS: Mapping[str, Mapping[str, Any]] = {"finer": {"classifier.final_stride": 8}}
"""Settings in which a first training differs from its arms."""


DRAWN = {"left, one": "evidence left, one unit hidden", "rank": "order of units"}
INKS = {"unguided": "#8d8a97", "aucue": ACCENT.light, "units": "#2f6f9f"}
MARKS = {"whole": "o", "finer": "s", "local": "^"}


def cells(network: str, seed: int) -> Iterator[tuple[str, Cell]]:
    """The arms of a network and their trainings, as the grid `evidence` would have them."""
    whole = Grid.load(GRIDS / "evidence.yaml").table
    settings = {**whole["settings"], **NETWORKS[network]}
    for arm, (name, more) in ARMS.items():
        recipe = {**whole["axes"]["recipe"][name], **more}
        start = {**whole["start"], **STARTS.get(network, {})}
        axes = {"recipe": {arm: recipe}}
        table = {**whole, "settings": settings, "start": start, "axes": axes, "baseline": {}, "seeds": [seed]}
        yield arm, Grid.from_dict(table).cells[-1]


def measured(cell: Cell, out: Path) -> Path:
    """Folder of a cell's evaluation on held-out faces, evidence included."""
    return cell.folder(out) / f"held-out{cell.assessment.suffix}"


def run(network: str, arms: Sequence[str], out: Path, seed: int) -> None:
    """Train a network and some of its arms, and measure these on held-out faces, unless that is done."""
    for arm, cell in cells(network, seed):
        if arm not in arms:
            continue
        assert cell.start is not None
        for training in (cell.start, replace(cell, readouts=())):  # no read-out: the test part is not read
            run_cell(training, out, progress=False)
        if (measured(cell, out) / EVALUATED_FILE).is_file():
            continue
        asked = EvaluationSettings(
            split="val",
            codebook=cell.assessment.codebook,
            regions=cell.assessment.regions,
            workers=0,
            evidence=True,
            evidence_faces=cell.assessment.evidence,
        )
        data = cell.config(out).data.path
        evaluate(cell.folder(out) / MODEL_FILE, data, asked, out=measured(cell, out), progress=False)
        print(f"{network}, {arm}: measured", flush=True)


def found(out: Path, seed: int) -> Iterator[tuple[str, str, Cell, Evaluation]]:
    """Network, arm, training and figures of what is measured."""
    for network in NETWORKS:
        for arm, cell in cells(network, seed):
            file = measured(cell, out) / EVALUATED_FILE
            if file.is_file():
                yield network, arm, cell, Evaluation.load(file)


def columns(evaluation: Evaluation, which: Mapping[str, tuple[str, str]]) -> list[str]:
    """Figures of a line, by measure and variant of each column; empty where there is none."""
    values = (evaluation.estimate(*measure).value for measure in which.values())
    return ["" if value is None else f"{value:.3f}" for value in values]


def rows(out: Path, seed: int) -> Iterator[list[str]]:
    """Lines of the table."""
    for network, arm, cell, evaluation in found(out, seed):
        trained, _ = load_model(cell.folder(out) / MODEL_FILE)
        seen, _ = receptive_field(trained, trained.input_size)
        count = trained.shapes[trained.final_layer][1]
        yield [
            network,
            f"{seen} of {trained.input_size}",
            f"{count} x {count}",
            arm,
            *columns(evaluation, COLUMNS),
        ]


def picture(out: Path, seed: int) -> Figure:
    """Accuracy against what the causal measures say, with 95 % intervals over faces."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = dict(zip(DRAWN, figure.subplots(1, len(DRAWN)), strict=True))
    for network, arm, _, evaluation in found(out, seed):
        if arm in INKS:
            accuracy = evaluation.estimate(*COLUMNS["accuracy"]).value
            for name, axes in panels.items():
                estimate = evaluation.estimate(*COLUMNS[name])
                assert estimate.value is not None
                assert estimate.interval is not None
                low, high = estimate.interval
                reach = [[estimate.value - low], [high - estimate.value]]
                label = f"{network}, {arm}"
                how = {"color": INKS[arm], "marker": MARKS[network], "linestyle": "none"}
                axes.errorbar(accuracy, estimate.value, reach, label=label, **how)
    for name, axes in panels.items():
        axes.set(title=DRAWN[name], xlabel="accuracy on held-out faces")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def main() -> None:
    """Train, evaluate on held-out faces, tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"), help="folder of the grid")
    parser.add_argument("--only", nargs="*", default=[*NETWORKS], choices=NETWORKS, help="which to train")
    parser.add_argument("--arms", nargs="*", default=[*ARMS], choices=ARMS, help="which to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help="bring table and picture to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for network in arguments.only:
        run(network, arguments.arms, arguments.out, arguments.seed)
    text = table(["network", "window", "maps", "recipe", *COLUMNS], list(rows(arguments.out, arguments.seed)))
    print(text)
    if arguments.docs:
        paste(PAGE, {"evidence-trials": block("evidence-trials", text)})
        picture(arguments.out, arguments.seed).savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
