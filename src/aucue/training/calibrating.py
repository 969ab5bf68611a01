"""Calibration of a trained network on held-out faces, and how frequent the expressions were that it saw."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from aucue.classifiers import Classifier
from aucue.data import FaceDataset, PreparedSet, eval_transform, make_loader
from aucue.data.sources.source import SplitName
from aucue.errors import InputError
from aucue.metrics import calibration_error, fit_temperature
from aucue.models import CalibrationRecord, Model
from aucue.work.progress import tracked

FEWEST = 100
"""Held-out faces that a temperature needs; with fewer, probabilities stay what the network says."""

Answers = tuple[Tensor, Tensor]
"""Logits (N, K) of some faces, and their labels (N,)."""


def frequencies(faces: FaceDataset, classes: int) -> Tensor:
    """Share of each class (K,) among faces, by their votes where they have any; none is 0.

    Args:
        faces: The faces.
        classes: Number of classes K.
    """
    labels, soft = torch.from_numpy(faces.labels).long(), faces.probabilities
    shares = one_hot(labels, classes).float() if soft is None else torch.from_numpy(soft)
    return shares.mean(0).clamp(min=1 / len(labels))


@torch.inference_mode()
def answers(classifier: Classifier, faces: FaceDataset, bar: str | None = None) -> Answers:
    """What a network says of faces that are as large as its input.

    Args:
        classifier: The network.
        faces: The faces.
        bar: Text beside a progress bar; None shows none.
    """
    device = next(classifier.parameters()).device
    classifier.eval()
    loader = make_loader(faces, 64, workers=0)
    batches = [
        (classifier(batch["image"].to(device)).logits.float().cpu(), batch["label"])
        for batch in tracked(loader, bar, len(loader))
    ]
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return logits, labels


def calibration_of(found: Sequence[Answers], faces: str, voters: bool) -> CalibrationRecord:
    """What makes chances of being right of a network's answers.

    Args:
        found: Answers to one or several sets of faces that it did not see in training; each set counts alike.
        faces: Which ones they are, in words.
        voters: Whether it was trained on shares of votes.

    Raises:
        InputError: There are fewer than `FEWEST` faces.
    """
    number = sum(len(labels) for _, labels in found)
    if number < FEWEST:
        raise InputError(
            f"A calibration needs at least {FEWEST} labelled faces that no training saw, not {number}; "
            "name a set with more."
        )
    logits, labels = zip(*found, strict=True)
    temperature = fit_temperature(logits, labels)

    def error(scale: float) -> float:
        errors = [calibration_error((z.double() / scale).softmax(1), y) for z, y in found]
        return round(float(torch.stack(errors).mean()), 4)

    temperature = round(temperature, 4)
    return CalibrationRecord(temperature, faces, number, error(1.0), error(temperature), voters)


def calibrate(model: Model, faces: PreparedSet, split: SplitName = "val", voters: bool = False) -> Model:
    """The same model with a calibration on its card; its weights and answers stay what they are.

    ```
    calibrate(Model.load("old.safetensors"), open_prepared("runs/set")).save("new.safetensors")
    ```

    Args:
        model: The model.
        faces: Faces that its training did not see.
        split: Which of them.
        voters: Whether it was trained on shares of votes (soft labels).

    Raises:
        InputError: There are too few faces, or their classes are not the model's.
    """
    if tuple(faces.classes) != model.classes:
        raise InputError(
            f"{faces.path}: the classes are {', '.join(faces.classes)}; the model knows "
            f"{', '.join(model.classes)}."
        )
    held_out = faces.dataset(split, eval_transform(model.input_size))
    record = calibration_of([answers(model.network, held_out)], f"{faces.name}, split {split}", voters)
    card = replace(model.card, calibration=record)
    return Model(model.network, card, model.name, model.readout, model.device, prior=model.prior)
