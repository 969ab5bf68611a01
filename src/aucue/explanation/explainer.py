"""A model file and a face reader, put together: photograph in, explanations out."""

import os
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aucue.classifiers.unit_head import ActionUnitHead
from aucue.errors import InputError
from aucue.explanation.explanation import Explanation
from aucue.explanation.hiding import IfHidden, answer_without, hide_regions
from aucue.explanation.results import Explanations
from aucue.explanation.units import measure_units
from aucue.faces import Face, FaceReader
from aucue.faces.photographs import Photograph
from aucue.metrics import attention_cosine, cam_cosine, map_cosine
from aucue.models import Look, Model
from aucue.models.calibration import Prior

_Photo = TypeVar("_Photo", bound=Photograph)

BATCH = 32
"""Faces in one pass through the network."""


class Explainer:
    """Explains the faces of photographs with one classifier.

    >>> explain = Explainer("model.safetensors")           # doctest: +SKIP
    >>> [face.expression for face in explain("photo.jpg")]   # doctest: +SKIP
    ['happiness', 'surprise']

    Args:
        model: Model file, `hf:OWNER/NAME`, or a model; by default the model in the box.
        reader: Finds and aligns faces; default the mesh detector with the template of the model.
        device: Where the network runs, as torch names it; "auto" takes a CUDA GPU if there is one.
        readout: Read-out of the class maps (`aucue.cams.READOUTS`); by default the one of the method that the
            model was trained as.
        if_hidden: Also measure what decides, by hiding regions: some forty more passes per face.
        prior: Mix of expressions that answers are given for, see `Model`.

    Raises:
        InputError: The model file, the device, the read-out or the prior cannot be used.
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        reader: FaceReader | None = None,
        device: str | torch.device = "auto",
        readout: str | None = None,
        *,
        if_hidden: bool = True,
        prior: Prior | None = None,
    ) -> None:
        self.model = Model.load(model, readout, device, prior=prior)
        self.if_hidden = if_hidden
        self._reader = reader
        _ = self.model.draw  # so that a codebook that cannot be drawn is told of now

    @property
    def reader(self) -> FaceReader:
        """The face reader; made when the first photograph comes, so that ready faces need no detector."""
        if self._reader is None:
            self._reader = FaceReader(size=self.model.reading_size, template=self.model.template)
        return self._reader

    @overload
    def __call__(
        self, photo: Photograph | Face, key: str | None = None, expression: str | None = None
    ) -> Explanations: ...

    @overload
    def __call__(
        self, photo: list[_Photo], key: None = None, expression: str | None = None
    ) -> list[Explanations]: ...

    def __call__(
        self,
        photo: Photograph | Face | list[Any],
        key: str | None = None,
        expression: str | None = None,
    ) -> Explanations | list[Explanations]:
        """Explain every face of a photograph, of each photograph of a list, or one face.

        Args:
            photo: Anything a `FaceReader` takes, an aligned face, or a list of photographs: their faces pass
                through the network together.
            key: Name of the photograph for detectors that look it up.
            expression: What is explained: why a face shows it, whatever the answer; default the answer.

        Returns:
            One explanation per face, largest face first; empty where no face is found. For a list, that of
            each of its photographs.

        Raises:
            InputError: A photograph cannot be read, or the model has no such class.
        """
        if isinstance(photo, Face):
            return Explanations(self.faces([photo], expression))
        photos = photo if isinstance(photo, list) else [photo]
        found = [self.reader(each, key) for each in photos]
        faces = [face for each in found for face in each]
        parts = (faces[start : start + BATCH] for start in range(0, len(faces), BATCH))
        explained = chain.from_iterable(self.faces(part, expression) for part in parts)
        results = [
            Explanations(islice(explained, len(its)), _name(each))
            for each, its in zip(photos, found, strict=True)
        ]
        return results if isinstance(photo, list) else results[0]

    def __repr__(self) -> str:
        return f"<Explainer of {self.model!r}>"

    @torch.inference_mode()
    def faces(
        self, faces: Sequence[Face], expression: str | None = None, if_hidden: bool | None = None
    ) -> list[Explanation]:
        """Explain faces together: in one forward pass, and those of pictures with something hidden.

        Args:
            faces: Aligned faces; crops of another size than the model's input are resized.
            expression: What is explained; default each face's most probable class.
            if_hidden: Whether regions are hidden; default as the explainer was made.

        Returns:
            One explanation per face, in the same order.

        Raises:
            InputError: The model has no such class.
        """
        model = self.model
        if expression is not None and expression not in model.classes:
            raise InputError(f"The model has no class {expression!r}; it has {', '.join(model.classes)}.")
        if not faces:
            return []
        size = model.input_size
        crops, landmarks = zip(*(_resized(face, size) for face in faces), strict=True)
        images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)  # (B, 3, S, S) uint8
        look = model.look(images)
        probabilities, votes = look.probabilities.cpu(), look.votes.cpu()  # (B, K)
        if not probabilities.isfinite().all():
            raise InputError(
                "The model answers with numbers that are not finite (NaN): it cannot be used; train it again."
            )
        explained = look.predicted.cpu()
        if expression is not None:
            explained = torch.full_like(explained, model.classes.index(expression))
        maps = look.class_maps.cpu()
        attentions = {name: values.cpu() for name, values in look.attention.items()}
        names = [model.classes[i] for i in explained.tolist()]
        points = torch.from_numpy(np.stack(landmarks))
        cue, valid = model.cue(points, explained)
        chosen = maps[torch.arange(len(faces)), explained].unsqueeze(1)  # (B, 1, h, w)
        cosines = {name: attention_cosine(values, cue) for name, values in attentions.items()}
        units = [[unit.number for unit in model.action_units(name)] for name in names]
        evidence = measure_units(model.draw, points, size, units, attentions[model.layer], chosen)
        hidden: list[IfHidden | None] = [None] * len(faces)
        if self.if_hidden if if_hidden is None else if_hidden:
            hidden = hide_regions(model, images, points, look.logits, explained)
        log_odds = _log_odds_maps(look, explained.to(look.logits.device)).cpu()
        added = _contributions(model, look, explained.to(look.logits.device))
        class_map_cosines, uniform = cam_cosine(chosen, cue), map_cosine(torch.ones_like(cue), cue)

        return [
            Explanation(
                expression=names[i],
                probabilities=dict(zip(model.classes, probabilities[i].tolist(), strict=True)),
                votes=dict(zip(model.classes, votes[i].tolist(), strict=True)),
                calibrated=model.card.calibration is not None,
                attention={name: _array(values[i, 0]) for name, values in attentions.items()},
                class_maps={name: _array(maps[i, k]) for k, name in enumerate(model.classes)},
                layer=model.layer,
                cue=_array(cue[i, 0]) if valid[i] else None,
                action_units=model.action_units(names[i]),
                codebook=model.codebook.name,
                attention_cosines={n: v[i].item() for n, v in cosines.items()} if valid[i] else {},
                class_map_cosine=class_map_cosines[i].item() if valid[i] else None,
                uniform_cosine=uniform[i].item() if valid[i] else None,
                evidence=evidence[i],
                log_odds_map=_array(log_odds[i, 0]),
                contributions=added[i],
                if_hidden=hidden[i],
                face=faces[i],
            )
            for i in range(len(faces))
        ]

    @torch.inference_mode()
    def probabilities(self, faces: Sequence[Face]) -> list[dict[str, float]]:
        """How probable each class is, without maps and evidence: for pictures that come fast.

        Args:
            faces: Aligned faces; crops of another size than the model's input are resized.

        Returns:
            Probability per class of each face, as `faces` gives them.
        """
        if not faces:
            return []
        crops = np.stack([_resized(face, self.model.input_size)[0] for face in faces])
        said = self.model.look(torch.from_numpy(crops).permute(0, 3, 1, 2)).probabilities
        return [dict(zip(self.model.classes, row, strict=True)) for row in said.tolist()]

    @torch.inference_mode()
    def without(self, face: Face, region: np.ndarray) -> dict[str, float]:
        """What the model says of a face with any region of it hidden.

        Args:
            face: An aligned face.
            region: (h, w) bool, what is hidden, over the whole crop at any resolution.

        Returns:
            Probability per class, mean over the fills (`aucue.explanation.hiding.FILLS`).

        Raises:
            InputError: The region is no such array.
        """
        if region.ndim != 2 or region.dtype != bool or 0 in region.shape:
            raise InputError(
                f"A region must be bool of shape (h, w), got {region.dtype} of shape {region.shape}."
            )
        size = self.model.input_size
        crop, _ = _resized(face, size)
        hidden = np.asarray(Image.fromarray(region).resize((size, size), Image.Resampling.NEAREST))
        image = torch.from_numpy(np.array(crop)).permute(2, 0, 1)
        answer = answer_without(self.model, image, torch.from_numpy(np.array(hidden)))
        return dict(zip(self.model.classes, answer.tolist(), strict=True))


def _contributions(model: Model, look: Look, classes: Tensor) -> list[dict[int, float]]:
    """What each unit adds to the logit of one class per face, most first; nothing without maps of units."""
    added, head = look.unit_contributions(classes), model.network.head
    if added is None or not isinstance(head, ActionUnitHead):
        return [{} for _ in classes]
    rows = [dict(zip(head.units, row, strict=True)) for row in added.tolist()]
    return [
        dict(sorted(((n, v) for n, v in row.items() if v > 0), key=lambda pair: -pair[1])) for row in rows
    ]


def _name(photo: Photograph) -> str:
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else ""


def _resized(face: Face, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Crop (size, size, 3) and landmarks (68, 2) in its pixels."""
    if face.size == size:
        return face.crop, face.landmarks
    crop = Image.fromarray(face.crop).resize((size, size), Image.Resampling.BILINEAR)  # as in training
    landmarks = (face.landmarks + 0.5) * (size / face.size) - 0.5  # pixel centres, not corners
    return np.asarray(crop), landmarks.astype(np.float32)


def _log_odds_maps(look: Look, classes: Tensor) -> Tensor:
    """What each cell adds to one class per face against the others, weighted by how probable they are.

    By the probabilities of all classes, its own included, the map of a sure answer would vanish.
    """
    others = look.logits.float().scatter(1, classes[:, None], -torch.inf).softmax(dim=1)
    return look.log_odds_map(classes, others)


def _array(map_: Tensor) -> np.ndarray:
    return map_.numpy().astype(np.float32)
