"""What the model in the box can do: three test sets, faces found by our own detector; speed on one core.

    python -m box.figures [--model FILE] --out runs/box-figures [--tables sets detectors] [--card]

Prepares the test parts of FER+ and `london`, both parts of `london` together (the training part chose one
bias of the model), and `sfhq` without given landmarks, evaluates the model once on each, with evidence on
FER+, and times prediction with attention and class map. The same behind dlib, without evidence, shows what
the detector does to the figures. None of this selects anything. The folder then holds figures.md and the
evaluations; --card brings the tables to MODEL_CARD.md. Needs the extras `train` and `dlib`. The table
`evidence` takes most of the time: some four hundred passes for each of its faces.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aucue.cams import normalize_cam
from aucue.data import open_prepared, prepare
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.evaluation.estimate import wilson
from aucue.evaluation.report.comparison import further_table
from aucue.faces import DEFAULT_DETECTOR
from aucue.guidance import attention
from aucue.metrics.bootstrap import resampled_means
from aucue.models import boxed_model, load_model
from box.train import fingerprint
from experiments.doc_tables import block, paste, table, with_interval
from experiments.ferplus_set import undetected

CARD = Path(__file__).parents[1] / "MODEL_CARD.md"
SETS = {
    "ferplus": ("ferplus", "test"),
    "london": ("london", "test"),
    "london-all": ("london", None),
    "sfhq": ("sfhq", "test"),
}
"""Folder of photographs and the part that is looked at (None: all), by name of a set."""

DETECTORS = (DEFAULT_DETECTOR, "dlib")
"""The one that the figures of the model are of, and what it is compared with."""


@dataclass(frozen=True)
class Measured:
    """A set that was looked at.

    Attributes:
        evaluation: The figures.
        labels: What each face shows (N,).
        predictions: What the model called it (N,).
        found: Whether the detector found it (N,); of others the centre of the picture was read.
    """

    evaluation: Evaluation
    labels: NDArray
    predictions: NDArray
    found: NDArray


def main() -> None:
    """Prepare, evaluate, time, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="model file; default the one in the box")
    parser.add_argument("--out", type=Path, default=Path("runs/box-figures"))
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--card", action="store_true", help="bring the tables to MODEL_CARD.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = arguments.model or boxed_model()
    texts = {name: TABLES[name](model, arguments.out) for name in arguments.tables}
    blocks = {name: block(name, text) for name, text in texts.items()}
    (arguments.out / "figures.md").write_text("\n\n".join(blocks.values()) + "\n", encoding="utf-8")
    print("\n\n".join(texts.values()))
    if arguments.card:
        paste(CARD, blocks)


def measure(
    model: Path, name: str, out: Path, detector: str = DEFAULT_DETECTOR, *, evidence: bool = False
) -> Measured:
    """Look at one set, its faces found by a detector; done once."""
    which = f"{name}-evidence" if evidence else name
    folder = out / detector / f"{which}-{fingerprint(load_model(model)[0])}"
    path = found_faces(name, out, detector)
    if not (folder / "evaluation.json").exists():
        settings = EvaluationSettings(split="test", workers=0, evidence=evidence)
        evaluate(model, path, settings, out=folder)
    rows = list(csv.DictReader((folder / "per_image.csv").open(newline="")))
    return Measured(
        Evaluation.load(folder / "evaluation.json"),
        np.array([row["label"] for row in rows]),
        np.array([row["prediction"] for row in rows]),
        open_prepared(path).dataset("test").landmarks_valid,
    )


def found_faces(name: str, out: Path, detector: str = DEFAULT_DETECTOR) -> Path:
    """Prepared set of one of `SETS`, its faces found by a detector; made once."""
    out, (folder, part) = out / detector, SETS[name]
    path = out / "sets" / name
    out.mkdir(parents=True, exist_ok=True)
    prepare(undetected(folder, part, out / f"{name}.csv", "test"), path, detector, size=96, workers=1)
    return path


def sets_table(model: Path, out: Path) -> str:
    """Accuracy and mean recall of every set, on the faces that were found and on all."""
    rows = []
    for name in SETS:
        its = measure(model, name, out)
        for which, kept in (("found", its.found), ("all", np.ones_like(its.found))):
            rows.append([name, which, str(kept.sum()), *accuracies(its.labels[kept], its.predictions[kept])])
    return table(["set", "faces", "number", "accuracy", "mean recall"], rows)


def detectors_table(model: Path, out: Path) -> str:
    """What each detector finds, and how right the model is on what it finds, on what all of them find, and
    on all faces.
    """
    rows = []
    for name in SETS:
        behind = {detector: measure(model, name, out, detector) for detector in DETECTORS}
        by_all = np.all([its.found for its in behind.values()], axis=0)
        for detector, its in behind.items():
            row = [name, detector, f"{its.found.sum()} of {len(its.found)} ({its.found.mean():.3f})"]
            for kept in (its.found, by_all, np.ones_like(its.found)):
                observed, _ = bootstrapped(its.labels[kept], its.predictions[kept])
                row.append(" / ".join(f"{value:.3f}" for value in observed))
            rows.append(row)
    return table(["accuracy / mean recall", "detector", "found", "on those", "found by both", "on all"], rows)


def accuracies(labels: NDArray, predictions: NDArray) -> list[str]:
    """Accuracy and mean recall with 95 % bootstrap intervals over the faces."""
    observed, drawn = bootstrapped(labels, predictions)
    return [with_interval(observed[k], drawn[:, k]) for k in range(2)]


def bootstrapped(labels: NDArray, predictions: NDArray) -> tuple[NDArray, NDArray]:
    """Accuracy and mean recall (2,), and those of resampled faces (R, 2)."""
    right = (labels == predictions).astype(float)
    ids = np.unique(labels, return_inverse=True)[1]
    return resampled_means(np.stack([right, right]), ids, np.array([False, True]))


def expressions_table(model: Path, out: Path) -> str:
    """Recall of every expression with its 95 % interval, and the number of faces, by set."""
    rows, sets = [], {name: measure(model, name, out) for name in SETS}
    for label in sets["ferplus"].evaluation.classes:
        shown = [its.predictions[its.labels == label] == label for its in sets.values()]
        rows.append([label, *(f"{share(right)} of {len(right)}" if len(right) else "" for right in shown)])
    return table(["recall on all faces", *sets], rows)


def share(right: NDArray) -> str:
    """A share with Wilson's 95 % interval: a bootstrap would be certain of seven faces that are all wrong."""
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.2f} ({low:.2f} to {high:.2f})"


def evidence_table(model: Path, out: Path) -> str:
    """Cosines, specificity and the measures of evidence, with what to read them against."""
    evaluation = measure(model, "ferplus", out, evidence=True).evaluation
    known = evaluation.estimates["control"].items()
    controls = " ".join(f"{name.replace('_', ' ')} {control.value:.2f}" for name, control in known)
    rows = [
        ["ATT-COS", f"{evaluation.estimate('att_cos').value:.3f}", controls],
        ["CAM-COS", f"{evaluation.estimate('cam_cos').value:.3f}", controls],
        ["specificity of the class map", f"{evaluation.estimate('specificity').value:.3f}", "chance 0.17"],
    ]
    for line in further_table({"": evaluation}, "").lines:
        if line.kind == "reference":
            rows[-1][-1] = f"{line.label} {line.cells[-1]}"
        else:
            rows.append([line.label, line.cells[-1], ""])
    return table(["FER+ test", "value", "to read it against"], rows)


def speed_table(model: Path, _out: Path) -> str:
    """Milliseconds per face of prediction, attention and class map on one core, median of 30 passes."""
    classifier, _ = load_model(model)
    classifier = classifier.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @torch.inference_mode()
    def explain(images: torch.Tensor) -> None:
        out = classifier(images)
        attention(out.features[classifier.final_layer])
        normalize_cam(classifier.class_map(out, out.logits.argmax(1)))

    size, rows = classifier.input_size, []
    for batch in (1, 32):
        images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
        rows.append([str(batch), f"{1000 * median_seconds(partial(explain, images)) / batch:.2f}"])
    return table(["batch", "ms per face"], rows)


def median_seconds(work: Callable[[], None], times: int = 30) -> float:
    """Median time of one call, after three to warm up."""
    for _ in range(3):
        work()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


TABLES: dict[str, Callable[[Path, Path], str]] = {
    "sets": sets_table,
    "detectors": detectors_table,
    "expressions": expressions_table,
    "evidence": evidence_table,
    "speed": speed_table,
}
"""What makes each table of the model card, from the model file and the folder of what was measured."""


if __name__ == "__main__":
    main()
