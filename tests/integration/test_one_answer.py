"""One model, seen by every room: which layer is shown, how it was guided, what its figures are."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aucue import cues
from aucue.app import Service
from aucue.cues import AnatomicalRegions, AUCue, region_model
from aucue.data import Sample, SyntheticSource, open_prepared, prepare
from aucue.evaluation import EvaluationSettings, evaluate
from aucue.evaluation.summary import _digest
from aucue.explanation import Explainer
from aucue.export import CropClassifier, model_card
from aucue.export.onnx_file import _metadata
from aucue.faces import Face
from aucue.facs import EXPRESSIONS, Codebook
from aucue.models import Model
from aucue.training import ClassifierSettings, DataSettings, GuidanceSettings, TrainConfig, fit

from ..builders import NARROW

SIDE = 48
LACKED = "contempt"
CLASSES = (*EXPRESSIONS, LACKED)
CASES = {
    "two stacked layers": (
        GuidanceSettings(weight=3.0, layers=["layer2", "layer3"]),
        "guided: attention of layer2, layer3 (weight 3)",
        "layer3",
    ),
    "the class map alone": (
        GuidanceSettings(weight=0.0, class_map=2.0, layers=["layer3"]),
        "guided: class map (weight 2)",
        "layer3",
    ),
}


class WithContempt:
    """Rendered faces, of which every fifth is said to show what the codebook lacks."""

    name, classes, findings = "rendered", CLASSES, ()
    provenance: Mapping[str, Any] = {"kind": "rendered"}

    def __init__(self) -> None:
        self.drawn = SyntheticSource(train=40, val=0, test=16, seed=2, size=64)

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, index: int) -> Sample:
        sample = self.drawn[index]
        return replace(sample, label=LACKED) if index % 5 == 0 else sample


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("contempt") / "set"
    prepare(WithContempt(), out, size=SIDE, workers=1, progress=False)
    return out


@pytest.mark.parametrize("case", CASES)
def test_every_room_gives_one_answer(faces: Path, tmp_path: Path, case: str):
    guidance, words, layer = CASES[case]
    book = tmp_path / "book.yaml"
    entries = {name: list(units) for name, units in Codebook.load("facs").entries.items() if name != LACKED}
    added = {"adds": {"expressions": [LACKED]}, "expressions": entries | {LACKED: [14]}}
    book.write_text(json.dumps({"name": "book"} | added))
    table = tmp_path / "regions.yaml"  # wider than those of the package
    bundled = (Path(cues.__file__).parent / "anatomical.yaml").read_text()
    table.write_text(bundled.replace("name: anatomical", "name: wide").replace("edge: 0.1", "edge: 0.3"))
    guidance = replace(guidance, codebook=str(book), regions=str(table))
    config = TrainConfig(
        out=str(tmp_path / "run"),
        data=DataSettings(str(faces), batch_size=20, workers=0),
        classifier=ClassifierSettings("cam", "test_resnet", options=NARROW, input_size=SIDE, final_stride=8),
        guidance=guidance,
        epochs=1,
    )
    trained = Model.load(fit(config, progress=False))
    own, wide = region_model("anatomical"), region_model(table)
    table.unlink()  # what draws the maps lies in the model file, as the codebook does
    book.unlink()
    lacking = {name: units for name, units in entries.items() if name != LACKED}
    model = Model(trained.network, replace(trained.card, codebook={"name": "book", "expressions": lacking}))
    assert (model.layer, model.card.how_guided) == (layer, words)

    evaluation = evaluate(
        model, faces, EvaluationSettings(workers=0), progress=False, out=tmp_path / "evaluation"
    )
    report = (tmp_path / "evaluation" / "report.html").read_text()
    assert evaluation.attention_layer == layer
    assert (evaluation.data["regions"], evaluation.data["codebook"]) == ("wide", "book")
    assert words in report
    assert LACKED not in evaluation.estimate("cam_cos").faces

    item = open_prepared(faces).dataset("test")[1]
    crop = item["image"].permute(1, 2, 0).numpy()
    face = Face(crop, item["landmarks"].numpy(), (0, 0, SIDE, SIDE), 1.0, "precomputed", np.eye(2, 3))
    label, row = CLASSES[int(item["label"])], evaluation.faces.to_pylist()[1]
    (explanation,) = Explainer(model)(face, expression=label)
    assert explanation.layer == layer
    assert explanation.class_map_cosine == pytest.approx(row["cam_cos.true"], abs=1e-5)
    assert explanation.attention_cosines[layer] == pytest.approx(row[f"att_cos.{layer}"], abs=1e-5)
    for name, probability in explanation.probabilities.items():
        assert row[f"p {name}"] == pytest.approx(probability, abs=1e-5)
    assert Explainer(model)(face, expression=LACKED)[0].cue is None
    shown = [AUCue(model.codebook, [label], regions) for regions in (wide, own)]
    wanted, other = (
        draw(item["landmarks"][None], torch.tensor([0]), (SIDE, SIDE)).map[0, 0] for draw in shown
    )
    assert explanation.cue is not None
    np.testing.assert_allclose(explanation.cue, wanted, atol=1e-6)
    assert np.abs(explanation.cue - other.numpy()).max() > 0.1

    service = Service({"one": model}, detector=lambda image, key=None: [])
    assert (service.model("one").layer, service.model("one").card.how_guided) == (layer, words)

    described = _metadata(model)
    assert described["layer"] == layer
    assert json.loads(described["regions"])["name"] == "wide"
    assert words in model_card(model, "jane/fer")
    with torch.inference_mode():
        given = CropClassifier(model)(torch.from_numpy(crop)[None])
    np.testing.assert_allclose(given.attention[0, 0], explanation.attention[layer], atol=1e-5)
    np.testing.assert_allclose(given.probabilities[0], list(explanation.probabilities.values()), atol=1e-5)


def test_judges_of_one_name_are_told_apart():
    """A region table that has the name of the bundled one, and other regions."""
    bundled = region_model("anatomical")
    own = AnatomicalRegions().to_dict()
    same, wider = (AnatomicalRegions.from_content({**own, "edge": edge}, "here") for edge in (0.1, 0.3))
    assert (same.name, wider.name) == (bundled.name, bundled.name)
    judges = {_digest(AUCue(regions=regions)) for regions in (bundled, same, wider)}
    assert len(judges) == 3
