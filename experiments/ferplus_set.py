"""FER+ and the small network that the scripts about recipes train on it.

    python -m experiments.ferplus_set --out runs/ferplus-votes

prepares the two sets that the grids read, votes as soft labels, landmarks as given: `prepared`, all
photographs, and `short`, of which the training and validation parts have at most 600 and 60 faces of an
expression, all with landmarks, and the same test part.
"""

import argparse
import csv
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from aucue.classifiers import Classifier
from aucue.data import CsvSource, Sample, Source, SyntheticSource, prepare
from aucue.facs import EXPRESSIONS
from aucue.models import load_model
from aucue.training import ClassifierSettings, DataSettings, OptimizerSettings, TrainConfig
from aucue.training.module import GuidedModule

DATA = Path(os.environ.get("AUCUE_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Continued(GuidedModule):
    """Training that starts from the weights of another one, head included.

    Args:
        classifier: The network.
        config: Its settings.
        start: Model file of the same network, at any input size; None starts at random.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig, start: Path | None):
        super().__init__(classifier, config)
        if start is not None:
            earlier, _ = load_model(start)
            self.classifier.load_state_dict(earlier.state_dict())


def small_network(path: Path, out: Path, seed: int, epochs: int) -> TrainConfig:
    """Settings of a training: ResNet-10 of 16 to 64 channels at 48 x 48 pixels, maps of 12 x 12.

    Args:
        path: Prepared set.
        out: Folder of the training.
        seed: Of weights, order and augmentation.
        epochs: Passes over the training part; the last one is kept.
    """
    return TrainConfig(
        out=str(out),
        data=DataSettings(str(path), augment="geometric", workers=0),
        classifier=ClassifierSettings(
            backbone="resnet10t",
            input_size=48,  # of the pictures; finer maps would cost more time than three seeds can have
            final_stride=4,
            options={"channels": [16, 32, 48, 64], "stem_width": 16},
        ),
        optimizer=OptimizerSettings(lr=3e-3),
        epochs=epochs,
        select="last",
        seed=seed,
    )


def prepared(out: Path, soft: bool = True, detector: str | None = None) -> Path:
    """FER+ with a tenth of the training part, by label, as its validation part; several processes may ask.

    Args:
        out: Where the set is made, unless it is there.
        soft: Whether the votes are its soft labels.
        detector: Finds the faces; None takes the landmarks that come with the set, where there are some.
    """
    name = "prepared" if soft else "prepared-hard"
    return _made(out, name, lambda: _photographs(out, soft, detector=detector), detector=detector)


def short(out: Path) -> Path:
    """What `prepared` makes with votes, with few faces to train on: for grids of many trainings.

    Args:
        out: Where the set is made, unless it is there.
    """
    return _made(out, "short", lambda: _photographs(out, True, {"train": 600, "val": 60}))


def prepared_with_rendered(out: Path, count: int, size: int, detector: str | None = None) -> Path:
    """What `prepared` makes, votes as soft labels, and rendered faces in the training part.

    Args:
        out: Where the set is made, unless it is there.
        count: Number of rendered faces, as many of each expression.
        size: Side of the stored faces in pixels.
        detector: Finds the faces of the photographs, as in `prepared`.
    """
    rendered = SyntheticSource(train=count, val=0, test=0, size=size * 14 // 9)  # a crop shows a part of it
    name = f"prepared-with-rendered-{size}"
    return _made(
        out, name, lambda: WithRendered(_photographs(out, True, detector=detector), rendered), size, detector
    )


def _made(
    out: Path, name: str, source: Callable[[], Source], size: int = 72, detector: str | None = None
) -> Path:
    """A set in a folder, made unless it is there; other processes that ask for one wait."""
    out.mkdir(parents=True, exist_ok=True)
    made = out / (f"{name}-{detector}" if detector else name)
    with FileLock(out / ".lock"):
        prepare(source(), made, detector=detector or "none", size=size)
    return made


class WithRendered:
    """Photographs with soft labels, then rendered faces, of which the soft label is the label.

    Args:
        photographs: The ones.
        rendered: The others, of the same classes.
    """

    findings = ()
    name = "ferplus-and-rendered"

    def __init__(self, photographs: Source, rendered: Source) -> None:
        self.photographs, self.rendered = photographs, rendered
        self.classes = photographs.classes

    @property
    def provenance(self) -> Mapping[str, Any]:
        """That of both."""
        return {"photographs": self.photographs.provenance, "rendered": self.rendered.provenance}

    def __len__(self) -> int:
        return len(self.photographs) + len(self.rendered)

    def __getitem__(self, index: int) -> Sample:
        if index < len(self.photographs):
            return self.photographs[index]
        face = self.rendered[index - len(self.photographs)]
        certain = np.array([float(name == face.label) for name in self.classes])
        return replace(face, key=f"rendered/{face.key}", probabilities=certain, attributes={})


def undetected(folder: str, part: str | None, table: Path, split: str) -> CsvSource:
    """Photographs of `DATA` without landmarks, so that our own detector has to find the faces.

    Args:
        folder: Of a set.
        part: Its part; None takes all.
        table: Where their labels are written; its name is that of the source.
        split: What the part becomes.
    """
    rows = list(csv.DictReader((DATA / folder / "labels.csv").open(newline="")))
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "split"])
        writer.writerows([row["file"], row["label"], split] for row in rows if part in (None, row["split"]))
    return CsvSource(DATA / folder, table.resolve(), DATA / folder / "images", name=table.stem)


def _photographs(
    out: Path, soft: bool, most: Mapping[str, int] | None = None, detector: str | None = None
) -> CsvSource:
    """FER+ as a source, with the landmarks that come with it unless a detector is to find them; `most` limits
    the faces per expression of a split, to some with landmarks.
    """
    folder = DATA / "ferplus"
    stem = ("labels" if soft else "labels-hard") + ("-short" if most else "")
    labels, landmarks = out / f"{stem}.csv", out / "landmarks.csv"
    votes = {row["file"]: row for row in csv.DictReader((folder / "meta.csv").open(newline=""))}
    rows = list(csv.DictReader((folder / "labels.csv").open(newline="")))
    given = csv.DictReader((folder / "landmarks.csv").open(newline=""))
    found = [row for row in given if row["detector_ok"] == "1"]
    generator = np.random.default_rng(0)
    for label in EXPRESSIONS:
        places = [i for i, r in enumerate(rows) if r["label"] == label and r["split"] == "train"]
        for place in generator.choice(places, len(places) // 10, replace=False):
            rows[place]["split"] = "val"
    for split, count in (most or {}).items():
        rows = _at_most(rows, split, count, {row["file"] for row in found}, generator)
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "split", *(f"p {label}" for label in EXPRESSIONS if soft)])
        for row in rows:
            counts = [int(votes[row["file"]][label]) for label in EXPRESSIONS]
            if not sum(counts):
                counts = [int(label == row["label"]) for label in EXPRESSIONS]
            writer.writerow([row["file"], row["label"], row["split"], *(counts if soft else [])])
    with landmarks.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    known = landmarks.resolve() if detector is None else None
    return CsvSource(folder, labels.resolve(), folder / "images", known, name="ferplus")


def _at_most(
    rows: list[dict[str, str]], split: str, count: int, usable: set[str], generator: np.random.Generator
) -> list[dict[str, str]]:
    """The rows of other splits, and of this one at most `count` usable ones of each expression."""
    kept = [row for row in rows if row["split"] != split]
    for label in EXPRESSIONS:
        here = [r for r in rows if r["split"] == split and r["label"] == label and r["file"] in usable]
        kept += [here[i] for i in sorted(generator.permutation(len(here))[:count])]
    return kept


def main() -> None:
    """Prepare both sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/ferplus-votes"))
    out = parser.parse_args().out
    print(prepared(out), short(out))


if __name__ == "__main__":
    main()
