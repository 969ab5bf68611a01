"""ATT-COS, CAM-COS and accuracy against the published code's own figures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from aucue.metrics import (
    ATTCOS,
    CAMCOS,
    ClassificationReport,
    MeanCues,
    attention_cosine,
    cam_cosine,
    control_cosines,
)

CLASSES = ("neutral", "happiness", "surprise", "fear", "anger", "disgust", "sadness")
TAGS = ("CAM", "TSCAM", "APVIT", "CAM_missing_Disgust")


class Case:
    """One case of metrics.npz with its cues gathered from au_expr_224.npz."""

    def __init__(self, folder: Path, tag: str):
        arrays = np.load(folder / "metrics.npz")
        self.get = lambda name: torch.from_numpy(arrays[f"{tag}/{name}"])
        self.labels = self.get("labels")
        self.valid = ~self.get("invalid")
        features = sorted(name for name in arrays.files if name.startswith(f"{tag}/feat"))
        self.attentions = [torch.from_numpy(arrays[f]).mean(dim=1, keepdim=True) for f in features]
        self.cam = self.get("cam_low").unsqueeze(1)
        self.cue = cues(folder, self.labels, self.get("heat_ids"))


def cues(folder: Path, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    expressions = np.load(folder / "au_expr_224.npz")
    order = [str(name).lower() for name in expressions["expressions"]]
    norm = torch.from_numpy(expressions["norm"])
    column = torch.tensor([order.index(CLASSES[k]) if k else 0 for k in labels])
    drawn = norm[rows, column].unsqueeze(1)
    drawn[labels == 0] = 0  # neutral has no cue
    return drawn


@pytest.fixture(params=TAGS)
def case(goldens: Path, request: pytest.FixtureRequest) -> Case:
    return Case(goldens, request.param)


def test_per_sample(case: Case):
    expected = case.get("per_sample")[:, 1:]  # column 0 is the image, which has no map
    ours = [attention_cosine(a, case.cue) for a in case.attentions] + [cam_cosine(case.cam, case.cue)]
    ours = torch.stack(ours, dim=1).double()
    torch.testing.assert_close(ours[case.valid], expected[case.valid], rtol=0, atol=1e-5)
    assert expected[~case.valid].isnan().all()


def test_reported_table(case: Case):
    metrics = [(ATTCOS(CLASSES, absent="fg2024"), a) for a in case.attentions]
    metrics += [(CAMCOS(CLASSES, absent="fg2024"), case.cam)]
    matrix, average = case.get("matrix")[:, 1:].double(), case.get("average").double()
    for column, (metric, maps) in enumerate(metrics):
        for batch in torch.arange(len(maps)).split(16):
            metric.update(maps[batch], case.cue[batch], case.labels[batch], case.valid[batch])
        result = metric.compute()
        per_class = result["per_class"].nan_to_num(-1)
        torch.testing.assert_close(per_class, matrix[:, column], rtol=0, atol=1e-5)
        torch.testing.assert_close(per_class[1:], case.get("reported")[:, column].double(), rtol=0, atol=1e-5)
        assert result["macro"].item() == pytest.approx(average[column].item(), abs=1e-5)


def test_skipping_absent_expressions_raises_the_average(goldens: Path):
    case = Case(goldens, "CAM_missing_Disgust")
    metric = CAMCOS(CLASSES)
    metric.update(case.cam, case.cue, case.labels, case.valid)
    reported = case.get("reported")[:, -1]
    assert metric.compute()["macro"].item() == pytest.approx(reported[reported >= 0].mean().item(), abs=1e-5)


def test_classification(goldens: Path):
    arrays = np.load(goldens / "metrics.npz")
    report = ClassificationReport(CLASSES)
    report.update(torch.from_numpy(arrays["cls/pred"]), torch.from_numpy(arrays["cls/target"]))
    result = report.compute()
    assert 100 * result["accuracy"].item() == pytest.approx(float(arrays["cls/acc"]), abs=1e-5)
    torch.testing.assert_close(
        result["confusion"], torch.from_numpy(arrays["cls/confusion"]), rtol=0, atol=1e-6
    )


def test_controls_on_real_faces(goldens: Path):
    """The figures of DESIGN.md, section 8, within what other faces and another blob change."""
    labels = torch.arange(1, 7).repeat(12)
    cue = cues(goldens, labels, torch.arange(12).repeat_interleave(6))
    means = MeanCues(CLASSES, (224, 224))
    means.update(cue, labels, labels > 0)
    average = {
        name: values.mean().item() for name, (values, _) in control_cosines(cue, labels, means).items()
    }
    assert average["uniform"] == pytest.approx(0.48, abs=0.02)
    assert average["centre"] == pytest.approx(0.61, abs=0.03)
    assert average["uniform"] < average["centre"] < average["mean_face"] < average["mean_of_the_class"] < 1
