"""Every method, guided and not: from rendered faces to a saved model that explains one of them."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aucue.classifiers import METHODS
from aucue.data import PreparedSet, open_prepared
from aucue.evaluation import EvaluationSettings, evaluate
from aucue.explanation import Explainer
from aucue.faces import Face
from aucue.models import Model
from aucue.training import (
    ClassifierSettings,
    DataSettings,
    GuidanceSettings,
    TrainConfig,
    fit,
)

from ..builders import NARROW

SIDE = 48
CONVOLUTIONAL = {"backbone": "test_resnet", "options": NARROW, "final_stride": 8}  # 6 x 6 maps
TINY: Mapping[str, Mapping[str, Any]] = {
    "ts-cam": {
        "backbone": "ts_cam_deit_tiny_patch16_224",
        "options": {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2},
    },
    "apvit": {
        "options": {"widths": [8, 8, 8, 16], "depths": [1, 1, 1]},
        "head_options": {"dim": 24, "depth": 3, "heads": 2, "kept": 24, "pooling": 1},
    },
}


@pytest.fixture
def faces(rendered: Path) -> PreparedSet:
    return open_prepared(rendered)


def face_of(faces: PreparedSet, number: int) -> Face:
    item = faces.dataset("test")[number]
    crop, landmarks = item["image"].permute(1, 2, 0).numpy(), item["landmarks"].numpy()
    return Face(crop, landmarks, (0, 0, SIDE, SIDE), 1.0, "precomputed", np.eye(2, 3))


CASES = [(method, 4.0) for method in METHODS] + [(method, 0.0) for method in ("cam", "acol", "apvit")]


@pytest.mark.parametrize(("method", "weight"), CASES)
def test_method_from_faces_to_explanation(
    faces: PreparedSet, tmp_path: Path, method: Any, weight: float
) -> None:
    config = TrainConfig(
        out=str(tmp_path / "run"),
        data=DataSettings(str(faces.path), batch_size=14, workers=0),
        classifier=ClassifierSettings(method, input_size=SIDE, **TINY.get(method, CONVOLUTIONAL)),
        guidance=GuidanceSettings(weight=weight),
        epochs=1,
    )
    model = fit(config, progress=False)

    with (tmp_path / "run" / "logs" / "start_1" / "metrics.csv").open() as file:
        logged = {name for row in csv.DictReader(file) for name, value in row.items() if value}
    assert ("train/alignment" in logged) == (weight > 0)
    read = Model.load(model)
    classifier, info = read.network, read.card
    assert info.method == classifier.method.name == method
    assert info.guidance is not None
    assert info.guidance.layers == [classifier.layers[METHODS[method].layer]]

    out = tmp_path / "evaluation" if method in ("cam", "units") else None  # pages look alike for the others
    evaluation = evaluate(model, faces, EvaluationSettings(workers=0), progress=False, out=out)
    assert evaluation.model["method"] == method
    accuracy, cam_cos = evaluation.estimate("accuracy").value, evaluation.estimate("cam_cos").value
    assert accuracy is not None
    assert cam_cos is not None
    assert 0 <= accuracy <= 1
    assert 0 < cam_cos <= 1  # both maps are positive
    assert out is None or (out / "report.html").stat().st_size > 0

    explainer = Explainer(read)
    (explanation,) = explainer(face_of(faces, 0))
    maps = torch.stack([torch.from_numpy(explanation.class_map(name)) for name in classifier.classes])
    assert maps.shape[1:] == classifier.shapes[classifier.final_layer][1:]
    assert 0 <= maps.min() <= maps.max() <= 1
    assert maps.amax((1, 2)).any()
    assert sum(explanation.probabilities.values()) == pytest.approx(1, abs=1e-5)
    first = evaluation.faces.to_pylist()[0]
    for name, probability in explanation.probabilities.items():
        assert first[f"p {name}"] == pytest.approx(probability, abs=1e-4)
    assert explanation.picture().size[0] > 0
