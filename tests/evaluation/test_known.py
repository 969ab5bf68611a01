"""Evidence of action units against what a set knows of them, worked out face by face."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tests.evaluation.conftest import SIDE, NoiseSource, information
from torch.nn.functional import interpolate

from aucue.classifiers import Classifier
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.cues import AUCue
from aucue.data import PreparedSet, Sample, eval_transform, open_prepared, prepare
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.evaluation.known import active_units, seen_by_landmarks
from aucue.facs import EXPRESSIONS
from aucue.models import Model

FACES = 71  # ten of each expression, and the one without landmarks


def intensity(index: int, unit: int) -> float:
    return (index // 7 + unit) % 3 / 2  # of ten faces of an expression three or four show nothing of it


class KnowingSource(NoiseSource):
    """The same faces, whose action units are known; of the first AU12 alone, of the second nothing."""

    name = "knowing"

    def __getitem__(self, index: int) -> Sample:
        units: Any = {f"AU{unit}": intensity(index, unit) for unit in AUCue().action_units}
        units = {0: {"AU12": 0.12}, 1: ["AU6", "AU12"]}.get(index, units)
        return replace(super().__getitem__(index), attributes={"action_units": units})


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("knowing") / "set"
    prepare(KnowingSource(FACES), folder, detector="none", size=SIDE, workers=1, progress=False)
    return open_prepared(folder)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = Classifier("test_resnet", EXPRESSIONS, input_size=SIDE, final_stride=8, method="units")
    return Model(network, information())


@pytest.fixture(scope="module")
def evaluation(model: Model, knowing: PreparedSet) -> Evaluation:
    return evaluate(model, knowing, EvaluationSettings(workers=0, batch_size=30), progress=False)


@pytest.fixture(scope="module")
def naive(model: Model, knowing: PreparedSet) -> Mapping[str, Mapping[tuple[str, int], np.ndarray]]:
    """By variant, per expression and unit (faces, 3): evidence, whether it is active, what landmarks show."""
    dataset, draw = knowing.dataset("test", transform=eval_transform(SIDE)), AUCue("facs", EXPRESSIONS)
    network, head, shown = model.network, model.network.head, seen_by_landmarks(dataset, draw.action_units)
    assert isinstance(head, ActionUnitHead)
    found: dict[str, dict[tuple[str, int], list]] = {
        "log_odds": {},
        "class_map": {},
        "cue": {},
        "own_map": {},
    }
    for index in range(FACES - 1):  # the last one has no landmarks
        item = dataset[index]
        landmarks, name = item["landmarks"][None], EXPRESSIONS[item["label"]]
        with torch.no_grad():
            out = network(item["image"][None] / 255)
            features = out.features[network.final_layer]
            maps, own = head.class_maps(features)[0], head.unit_maps(features)[0]
        log_odds = maps[item["label"]] - (out.logits.softmax(1)[0][:, None, None] * maps).sum(0)
        cue = draw(landmarks, torch.tensor([item["label"]]), (SIDE, SIDE)).map[0, 0]
        single, _ = draw.single(landmarks, (SIDE, SIDE))
        for unit in draw.codebook[name]:
            column = draw.action_units.index(unit)
            region = single[0, column] > single[0, column].max() / 2
            evidence = {"own_map": own[head.units.index(unit)].mean()}
            for variant, map_ in (("log_odds", log_odds), ("class_map", maps[item["label"]]), ("cue", cue)):
                full = interpolate(map_[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
                evidence[variant] = (full.clamp(min=0) * region).mean()
            active = intensity(index, unit) > 0.12 if index > 1 else np.nan
            if (index, unit) == (0, 12):
                active = False
            for variant, value in evidence.items():
                row = (value.item(), active, shown[index, column])
                found[variant].setdefault((name, unit), []).append(row)
    return {
        variant: {cell: np.array(rows, float) for cell, rows in cells.items()}
        for variant, cells in found.items()
    }


@pytest.mark.parametrize("variant", ["log_odds", "class_map", "cue", "own_map"])
def test_auc_of_units(variant: str, evaluation: Evaluation, naive: Any):
    by_name: dict[str, list[float]] = {}
    for (name, _), rows in naive[variant].items():
        evidence, active = rows[~np.isnan(rows[:, 1])][:, :2].T
        if 3 <= active.sum() <= len(active) - 3:
            by_name.setdefault(name, []).append(roc_auc_score(active, evidence))
    found = evaluation.estimate("units.auc", variant)
    means = {name: np.mean(values) for name, values in by_name.items()}
    assert len(means) >= 4
    assert {k: v for k, v in found.per_expression.items() if v is not None} == pytest.approx(means, abs=0.03)
    assert found.value == pytest.approx(np.mean([*means.values()]), abs=0.01)


@pytest.mark.parametrize("variant", ["log_odds", "class_map", "cue", "own_map"])
def test_correlation_with_landmarks(variant: str, evaluation: Evaluation, naive: Any):
    by_name: dict[str, list[float]] = {}
    for (name, _), rows in naive[variant].items():
        if not np.isnan(rows[:, 2]).any():
            alike = np.ptp(rows[:, 0]) == 0  # no evidence on any face
            by_name.setdefault(name, []).append(
                0.0 if alike else np.asarray(spearmanr(*rows[:, [0, 2]].T))[0]
            )
    found = evaluation.estimate("units.landmarks", variant)
    means = {name: np.mean(values) for name, values in by_name.items()}
    assert found.per_expression == pytest.approx(means, abs=0.03)
    assert found.faces == dict.fromkeys(means, 10)


def test_what_is_known_of_units(knowing: PreparedSet, faces: PreparedSet):
    active = active_units(knowing.dataset("test"), [12, 4, 99])
    np.testing.assert_array_equal(active[:2], [[0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    assert active[2].tolist()[:2] == [intensity(2, 12) > 0.12, intensity(2, 4) > 0.12]
    assert np.isnan(active_units(faces.dataset("test"), [12])).all()
    shown = seen_by_landmarks(knowing.dataset("test"), [12, 10])
    assert np.isnan(shown).tolist() == [[False, True]] * (FACES - 1) + [[True, True]]


def test_a_network_without_maps_of_units_has_no_figure_of_them(models: dict[str, Path], knowing: PreparedSet):
    found = evaluate(models["guided"], knowing, EvaluationSettings(workers=0), progress=False)
    for key in ("units.auc", "units.landmarks"):
        assert list(found.estimates[key]) == ["class_map", "log_odds", "cue", "mean_face", "even_map"]
        assert found.headline(key) == "class_map"
