"""Training faces whose soft labels are the answers of a trained model, the teacher (Hinton et al., 2015).

A model that is its own teacher goes on saying what it said, while guidance changes where its maps lie.
"""

import torch

from aucue.data import FaceDataset, PreparedSet, eval_transform
from aucue.errors import InputError
from aucue.models import Model
from aucue.training.calibrating import answers
from aucue.training.names import START
from aucue.training.start import check_template, starting_model


def teacher_of(teacher: str | None, start: Model | None, prepared: PreparedSet) -> Model | None:
    """The model whose answers a training learns; None if it learns labels.

    Args:
        teacher: The setting `teacher`.
        start: The model that the training starts from, if any.
        prepared: The faces.

    Raises:
        InputError: It is no model, it knows other classes, or its faces lie otherwise in their crops.
        HubError: The hub does not give it.
    """
    if teacher is None:
        return None
    model = start if teacher == START else starting_model(teacher)
    if model is None:
        what = "the training starts from no model" if teacher == START else f"{teacher} is no trained model"
        raise InputError(f"teacher: {what}; give box, a model file or hf:OWNER/NAME.")
    check_template(model, prepared)
    if set(model.classes) != set(prepared.classes):
        raise InputError(
            f"teacher: {model.name} knows {', '.join(model.classes)}, but the faces of {prepared.path} are "
            f"{', '.join(prepared.classes)}; take a teacher that knows these."
        )
    return model


def taught(
    faces: FaceDataset,
    teacher: Model,
    classes: tuple[str, ...],
    device: torch.device,
    progress: bool = False,
) -> FaceDataset:
    """The same faces, whose soft labels are what a teacher says of them as they are, not augmented.

    Its answers are those of its network, before calibration and prior: a pupil that gives the same ones
    needs no other calibration.

    Args:
        faces: N faces.
        teacher: Who answers.
        classes: The classes of the faces, which the teacher knows in any order.
        device: Where it works.
        progress: Show a progress bar.
    """
    plain = faces.with_transform(eval_transform(teacher.input_size))
    network = teacher.network.to(device)
    logits, _ = answers(network, plain, f"{teacher.name} answers" if progress else None)
    network.to(teacher.device)
    order = [teacher.classes.index(name) for name in classes]
    return faces.with_probabilities(logits.softmax(1)[:, order].numpy())
