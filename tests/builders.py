"""Small things that many tests need, made in one place: untrained networks, what belongs to them, faces."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aucue.classifiers import Classifier
from aucue.data import SyntheticSource
from aucue.data.description import DESCRIPTION_FILE, FORMAT
from aucue.facs import EXPRESSIONS, Codebook
from aucue.models import Card, GuidanceRecord
from aucue.work.files import write_json

SIDE = 64
"""Input of the networks, in pixels."""

NARROW: dict[str, Any] = {"channels": [8, 8, 16, 16], "stem_width": 8}
"""Options of `test_resnet` with which a pass takes a quarter of the time; its layers stay where they are."""


def untrained(
    seed: int = 0,
    classes: Sequence[str] = EXPRESSIONS,
    predicts: str | None = None,
    bias: float = 20.0,
) -> Classifier:
    """A network of a few layers, made anew because tests change theirs.

    Args:
        seed: Of its weights.
        classes: Its classes.
        predicts: Class that a bias makes it predict.
        bias: How much of a bias.
    """
    torch.manual_seed(seed)
    classifier = Classifier("test_resnet", classes, input_size=SIDE, final_stride=8, backbone_options=NARROW)
    if predicts is not None:
        with torch.no_grad():
            classifier.head.fc.bias[list(classes).index(predicts)] += bias  # pyright: ignore
    return classifier.eval()


def information(classes: Sequence[str] = EXPRESSIONS, **changes: Any) -> Card:
    """What the model file of a network guided at layer3 with the codebook facs tells, or something else."""
    settings = {
        "codebook": Codebook.load("facs").to_dict(),
        "guidance": GuidanceRecord(weight=0.0, layers=["layer3"]),
    }
    return Card(classes=tuple(classes), **(settings | changes))


def small_settings(data: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a grid's trainings that take a second, by dotted name.

    Args:
        data: Prepared set, such as the fixture `rendered`.
        changes: Others, with `__` for the dot.
    """
    settings = {
        "data.path": str(data),
        "data.batch_size": 16,
        "data.workers": 0,
        "classifier.backbone": "test_resnet",
        "classifier.options": NARROW,
        "classifier.input_size": 48,
        "epochs": 1,
    }
    return settings | {name.replace("__", "."): value for name, value in changes.items()}


@cache
def drawn_face(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawn face (side, side, 3) uint8 and its landmarks (68, 2) float32."""
    sample = SyntheticSource(train=1, val=0, test=0, size=side)[0]
    return np.asarray(sample.image), np.asarray(sample.landmarks, dtype=np.float32)


def described_set(folder: Path, *splits: str) -> Path:
    """A folder that says it is a prepared set with some splits, for those who only ask."""
    folder.mkdir()
    counted = {"found": {}, "problems": {}, "skipped": 0, "dropped": 0}
    about = {"name": "described", "classes": list(EXPRESSIONS), "size": 32, "template": None}
    samples = dict.fromkeys(splits, 7)
    write_json(
        folder / DESCRIPTION_FILE,
        {"format": FORMAT, **about, **counted, "samples": samples, "notes": [], "settings": {}},
    )
    return folder
