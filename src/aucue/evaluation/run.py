"""A classifier over a prepared set: how often it is right, where it looks, and how much of that is free."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier, ModelInfo, load_model
from aucue.classifiers.methods import name_of_readout, readout_for
from aucue.cues import AUCue, Cue
from aucue.data import FaceDataset, PreparedSet, eval_transform, make_loader, open_prepared
from aucue.errors import InputError
from aucue.evaluation.groups import ATTRIBUTES, read_attributes, with_groups
from aucue.evaluation.results import FILES, Classification, Evaluation, Example, Mean, check_free
from aucue.facs import Codebook
from aucue.guidance import attention
from aucue.metrics import (
    CONTROLS,
    ClassificationReport,
    ExpressionMean,
    MeanCues,
    attention_at,
    cam_at,
    control_cosines,
    is_specific,
    map_cosine,
)
from aucue.pictures import normalize

Model = str | os.PathLike[str] | tuple[Classifier, ModelInfo]
Data = str | os.PathLike[str] | PreparedSet


def evaluate(
    model: Model,
    data: Data,
    split: str = "test",
    *,
    batch_size: int = 64,
    device: str = "auto",
    workers: int | None = None,
    examples: int = 2,
    method: str | None = None,
    groups: Sequence[str] = ATTRIBUTES,
    name: str | None = None,
    data_name: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Evaluation:
    """Measure a classifier on one split of a prepared set.

    Every face passes through the network once. AU maps are drawn on the device at the input's resolution,
    with the codebook and the region model the classifier was trained with.

    Args:
        model: Model file, or a classifier with its information.
        data: Folder of a prepared set, or an open one.
        split: Which faces.
        batch_size: Faces per step; the figures do not depend on it.
        device: "auto" takes a CUDA GPU if there is one.
        workers: Processes that read pictures; by default what suits this machine.
        examples: Faces per class kept for the report: the first of the split, not chosen.
        method: Read-out of the class maps (`aucue.cams.READOUTS`); by default the one of the method that the
            model was trained as. cam, gradcam, gradcam++ and layercam are read-outs of the same network.
        groups: Attributes of the set by whose values the figures are given too; of the default ones, those
            that it has.
        name: Name of the model in tables and reports; default that of its file, or of its folder if the file
            is called model.safetensors.
        data_name: Name of the set in tables and reports; default that of its source.
        out: Folder for all files, see `Evaluation.write`.
        overwrite: Replace the files of an earlier evaluation in `out`.
        progress: Show a progress bar.

    Returns:
        Figures, one row per face, and the pictures of the report.

    Raises:
        InputError: Model and set do not fit each other, the split is empty, there is no such read-out, or an
            attribute other than the usual ones is unknown to the set.
        OutputExistsError: `out` holds an evaluation already.
    """
    if out is not None:
        check_free(Path(out), FILES, overwrite)
    classifier, info, name = _open_model(model, name)
    prepared = data if isinstance(data, PreparedSet) else open_prepared(data)
    dataset = prepared.dataset(split, transform=eval_transform(classifier.input_size))
    if len(dataset) == 0:
        raise InputError(f"{prepared.path}: the split '{split}' has no faces.")
    attributes = read_attributes(dataset.column("attributes"), groups)
    label_ids = _label_ids(prepared.classes, classifier.classes)
    readout = readout_for(classifier.method, method)
    observer = _Observer(classifier, info, label_ids, _device(device), examples, readout)
    loader = make_loader(dataset, batch_size, workers=workers)
    doing, console = f"{name} on {data_name or prepared.name}", Console(stderr=True)
    for batch in track(loader, doing, console=console, transient=True, disable=not progress):
        observer.look(batch)
    observer.compare_with_controls(batch_size)
    evaluation = observer.summarise(dataset)
    evaluation = replace(
        evaluation,
        model=_describe_model(name, classifier, info, name_of_readout(classifier.method, method)),
        data=_describe_data(data_name, prepared, split) | evaluation.data,
        notes=_notes(evaluation, info, prepared),
    )
    evaluation = with_groups(evaluation, attributes)
    if out is not None:
        evaluation.write(out, overwrite=overwrite)
    return evaluation


class _Observer:
    """Sees every face once (`look`), then their landmarks once more (`compare_with_controls`)."""

    def __init__(
        self,
        classifier: Classifier,
        info: ModelInfo,
        label_ids: Tensor,
        device: torch.device,
        examples: int,
        readout: str,
    ):
        self.readout = readout
        self.classifier = classifier.to(device).eval()
        self.device = device
        self.label_ids = label_ids.to(device)
        self.classes = classifier.classes
        codebook = Codebook.load("facs") if info.codebook is None else Codebook.from_dict(info.codebook)
        self.draw = AUCue(codebook, self.classes, info.regions or "anatomical")
        self.expressions = tuple(label for label in self.classes if codebook[label])
        self.layer = _shown_layer(classifier, info)
        self.size = (classifier.input_size, classifier.input_size)
        self.confusion = ClassificationReport(self.classes).to(device)
        self.mean_cues = MeanCues(self.classes, self.size).to(device)
        self.means: dict[str, ExpressionMean] = {}
        self.rows: dict[str, list[Tensor]] = {}
        self.face_before: dict[int, Tensor] = {}  # class id -> landmarks of its latest face
        self.examples: dict[int, Example] = {}
        self.wanted = [examples] * len(self.classes)

    @torch.inference_mode()
    def look(self, batch: dict[str, Tensor]) -> None:
        """Classify a batch and measure where the network looked."""
        images, landmarks = batch["image"].to(self.device), batch["landmarks"].to(self.device)
        labels = self.label_ids[batch["label"].to(self.device)]
        out = self.classifier(images)
        probabilities = out.logits.softmax(dim=1)
        predictions = probabilities.argmax(dim=1)
        cue = self.draw(landmarks, labels, self.size)
        self.confusion.update(predictions, labels)
        self.mean_cues.update(cue.map, labels, cue.valid)
        self.keep(landmarks=landmarks, label=labels, valid=cue.valid, probability=probabilities)

        attentions = {layer: attention(features) for layer, features in out.features.items()}
        for layer, map_ in attentions.items():
            self.record(
                f"att_cos {layer}", map_cosine(attention_at(map_, self.size), cue.map), labels, cue.valid
            )
        true_map, predicted_map = (
            normalize_cam(self.classifier.class_map(out, ids, self.readout)) for ids in (labels, predictions)
        )
        for name, map_ in (("cam_cos", true_map), ("cam_cos predicted class", predicted_map)):
            self.record(name, map_cosine(cam_at(map_, self.size), cue.map), labels, cue.valid)
        maps = {
            "class map": cam_at(true_map, self.size),
            "attention": attention_at(attentions[self.layer], self.size),
        }
        self.compare_expressions(landmarks, labels, cue.valid, maps)
        self.compare_faces(landmarks, labels, cue, maps)
        self.keep_examples(batch, labels, probabilities, attentions[self.layer], true_map, cue)

    def record(self, name: str, values: Tensor, labels: Tensor, valid: Tensor) -> None:
        """Add one value per face (B,) to the mean and to the rows of that name."""
        if name not in self.means:
            self.means[name] = ExpressionMean(self.classes).to(self.device)
        self.means[name].update(values, labels, valid)
        self.keep(**{name: torch.where(valid, values.double(), torch.nan)})

    def keep(self, **columns: Tensor) -> None:
        """Keep columns (B, ...) for the rows."""
        for name, values in columns.items():
            self.rows.setdefault(name, []).append(values.cpu())

    def column(self, name: str) -> Tensor:
        """A column over all faces (N, ...)."""
        return torch.cat(self.rows[name])

    def compare_expressions(
        self, landmarks: Tensor, labels: Tensor, valid: Tensor, maps: dict[str, Tensor]
    ) -> None:
        """Compare maps (B, 1, H, W) with the AU maps of every expression on the same face."""
        ids = torch.tensor([self.classes.index(name) for name in self.expressions], device=self.device)
        drawn = [self.draw(landmarks, ids[k].expand(len(labels)), self.size).map for k in range(len(ids))]
        cues = torch.cat(drawn, dim=1)  # (B, E, H, W)
        true = (labels[:, None] == ids).int().argmax(dim=1)  # 0 for neutral, which is not valid
        for name, map_ in maps.items():
            self.record(f"specificity {name}", is_specific(map_, cues, true), labels, valid)

    def compare_faces(self, landmarks: Tensor, labels: Tensor, cue: Cue, maps: dict[str, Tensor]) -> None:
        """Compare maps (B, 1, H, W) with the AU map of the face of the same expression that came before."""
        others, met = landmarks.clone(), torch.zeros_like(cue.valid)
        for row, (label, valid) in enumerate(zip(labels.tolist(), cue.valid.tolist(), strict=True)):
            if valid and label in self.face_before:
                others[row], met[row] = self.face_before[label], True
            if valid:
                self.face_before[label] = landmarks[row]
        other = self.draw(others, labels, self.size).map
        for name, map_ in maps.items():
            nearer = map_cosine(map_, cue.map) > map_cosine(map_, other)
            self.record(f"own face {name}", nearer, labels, met)

    def keep_examples(
        self,
        batch: dict[str, Tensor],
        labels: Tensor,
        probabilities: Tensor,
        attended: Tensor,
        class_map: Tensor,
        cue: Cue,
    ) -> None:
        """Keep the first faces of every class for the report."""
        for row, label in enumerate(labels.tolist()):
            if self.wanted[label] == 0:
                continue
            self.wanted[label] -= 1
            probability, prediction = probabilities[row].max(dim=0)
            self.examples[int(batch["index"][row])] = Example(
                key="",
                label=self.classes[label],
                prediction=self.classes[int(prediction)],
                probability=float(probability),
                image=batch["image"][row].permute(1, 2, 0).numpy(),
                attention=normalize(attended[row, 0].nan_to_num(0, 0, 0).cpu().numpy()),
                class_map=class_map[row, 0].cpu().numpy(),
                cue=cue.map[row, 0].cpu().numpy() if cue.valid[row] else None,
            )

    @torch.inference_mode()
    def compare_with_controls(self, batch_size: int) -> None:
        """Cosines of the controls, which rest on the cues of the other faces: all must have been seen."""
        landmarks, labels = self.column("landmarks"), self.column("label")
        for rows in torch.arange(len(labels)).split(batch_size):
            batch_labels = labels[rows].to(self.device)
            cue = self.draw(landmarks[rows].to(self.device), batch_labels, self.size)
            for name, (values, others) in control_cosines(cue.map, batch_labels, self.mean_cues).items():
                self.record(f"control {name}", values, batch_labels, cue.valid & others)

    def summarise(self, dataset: FaceDataset) -> Evaluation:
        """All figures; model, data and notes are described by the caller."""
        labels, valid = self.column("label"), self.column("valid")
        keys = dataset.column("key")
        has_action_units = torch.tensor([label in self.expressions for label in self.classes])[labels]
        return Evaluation(
            model={},
            data={
                "faces": len(labels),
                "codebook": self.draw.codebook.name,
                "regions": self.draw.regions.name,
                "size": self.size[0],
            },
            classes=self.classes,
            expressions=self.expressions,
            without_cue={
                "no action units": int((~has_action_units).sum()),
                "no landmarks": int((has_action_units & ~valid).sum()),
            },
            classification=Classification.of(self.confusion.compute(), self.classes),
            attention_layer=self.layer,
            att_cos={layer: self.mean(f"att_cos {layer}") for layer in self.classifier.layers},
            cam_cos=self.mean("cam_cos"),
            cam_cos_predicted=self.mean("cam_cos predicted class"),
            controls={name: self.mean(f"control {name}") for name in CONTROLS},
            specificity={name: self.mean(f"specificity {name}") for name in ("class map", "attention")},
            own_face={name: self.mean(f"own face {name}") for name in ("class map", "attention")},
            images=self.table(keys),
            examples=[replace(self.examples[i], key=keys[i]) for i in sorted(self.examples)],
        )

    def mean(self, name: str) -> Mean:
        """The mean of that name as plain numbers."""
        return Mean.of(self.means[name].compute(), self.classes, self.expressions)

    def table(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """One row per face: key, label, prediction, probabilities, every recorded value (None: no cue)."""
        probabilities, labels = self.column("probability"), self.column("label").tolist()
        recorded = {name: self.column(name).tolist() for name in self.means}
        rows = []
        for i, (key, label, prediction) in enumerate(
            zip(keys, labels, probabilities.argmax(dim=1).tolist(), strict=True)
        ):
            shares = zip(self.classes, probabilities[i].tolist(), strict=True)
            values = {name: column[i] for name, column in recorded.items()}
            rows.append(
                {
                    "key": key,
                    "label": self.classes[label],
                    "prediction": self.classes[prediction],
                    "correct": int(prediction == label),
                    **{f"p {name}": share for name, share in shares},
                    **{name: None if math.isnan(value) else value for name, value in values.items()},
                }
            )
        return rows


def _shown_layer(classifier: Classifier, info: ModelInfo) -> str:
    """The deepest guided layer; without guidance the final one."""
    guided = (info.guidance or {}).get("layers") or []
    return next((layer for layer in reversed(classifier.layers) if layer in guided), classifier.final_layer)


def _open_model(model: Model, name: str | None) -> tuple[Classifier, ModelInfo, str]:
    if isinstance(model, tuple):
        return *model, name or "model"
    path = Path(model)
    default = path.resolve().parent.name if path.stem == "model" else path.stem
    return *load_model(path), name or default


def _label_ids(of_the_set: Sequence[str], of_the_model: Sequence[str]) -> Tensor:
    """The model's id of each class of the set (K,)."""
    unknown = [label for label in of_the_set if label not in of_the_model]
    if unknown:
        raise InputError(
            f"the set has faces labelled '{unknown[0]}', which the model does not know; "
            f"it knows {', '.join(of_the_model)}."
        )
    return torch.tensor([of_the_model.index(label) for label in of_the_set])


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error


def _describe_model(name: str, classifier: Classifier, info: ModelInfo, method: str) -> dict[str, Any]:
    return {
        "name": name,
        "backbone": classifier.config["backbone"],
        "method": method,
        "layers": list(classifier.layers),
        "guidance": info.guidance,
    }


def _describe_data(name: str | None, prepared: PreparedSet, split: str) -> dict[str, Any]:
    origin = json.dumps(prepared.provenance, sort_keys=True, default=str)
    return {
        "name": name or prepared.name,
        "split": split,
        "template": prepared.template,
        "fingerprint": hashlib.sha256(origin.encode()).hexdigest()[:16],
    }


def _notes(evaluation: Evaluation, info: ModelInfo, prepared: PreparedSet) -> tuple[str, ...]:
    """What a reader has to know before believing the figures."""
    notes = []
    if info.template and prepared.template and info.template != prepared.template:
        notes.append(
            f"The model was trained on faces aligned to the template '{info.template}', these are aligned to "
            f"'{prepared.template}': all figures suffer."
        )
    if missing := evaluation.without_cue["no landmarks"]:
        notes.append(f"{missing} faces without landmarks take no part in ATT-COS and CAM-COS.")
    if absent := [name for name, faces in evaluation.classification.support.items() if faces == 0]:
        notes.append(f"No faces of {', '.join(absent)}: averages over expressions leave them out.")
    return tuple(notes)
