from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.conftest import SIDE, NoiseSource, information, network
from torch.nn.functional import interpolate

from aucue.cues import AUCue
from aucue.data import PreparedSet, eval_transform, open_prepared, prepare
from aucue.errors import InputError, OutputExistsError
from aucue.evaluation import Evaluation, EvaluationSettings, compare, evaluate
from aucue.evaluation.report.page import reliability_chart
from aucue.facs import EXPRESSIONS
from aucue.metrics import calibration_error
from aucue.models import CalibrationRecord, Model, PriorRecord, load_model
from aucue.work.files import claimed


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(models["guided"], faces, EvaluationSettings(batch_size=5, workers=0), progress=False)


class Naive:
    """Every face by itself, every formula of DESIGN.md, section 8, written out."""

    def __init__(self, model: Path, faces: PreparedSet):
        classifier, _ = load_model(model)
        draw = AUCue("facs", EXPRESSIONS)
        self.att: dict[str, list[float]] = {layer: [] for layer in classifier.layers}
        self.cam, self.cams, self.labels, self.cues, self.specific = [], [], [], [], []
        self.correct, self.wrong = [], []
        dataset = faces.dataset("test", transform=eval_transform(SIDE))
        for index in range(len(dataset)):
            sample = dataset[index]
            with torch.no_grad():
                out = classifier(sample["image"][None])
            label = sample["label"]
            self.correct.append(int(out.logits.argmax()) == label)
            size, landmarks = (SIDE, SIDE), sample["landmarks"][None]
            cue = draw(landmarks, torch.tensor([label]), size)
            if not cue.valid:
                continue
            self.labels.append(label)
            self.cues.append(cue.map.double().flatten())
            other = 1 + (label + index % 5) % 6  # the other five in turn
            assert other != label
            self.wrong.append(cosine(draw(landmarks, torch.tensor([other]), size).map, self.cues[-1]))
            for layer, features in out.features.items():
                attention = features.mean(1, keepdim=True)
                low = attention.min().clamp(max=0)
                resized = interpolate(
                    attention - low, size, mode="bilinear", align_corners=True, antialias=True
                )
                resized = resized.clamp(attention.min() - low, attention.max() - low)
                self.att[layer].append(cosine(resized, self.cues[-1]))
            cam = classifier.class_maps(out.features[classifier.final_layer])[:, label : label + 1]
            cam = (cam - cam.min()) / (cam - cam.min()).max()
            cam = interpolate(cam, size, mode="bilinear", align_corners=False).clamp(0, 1)
            self.cam.append(cosine(cam, self.cues[-1]))
            self.cams.append(cam)
            six = [cosine(cam, draw(landmarks, torch.tensor([k]), size).map.flatten()) for k in range(1, 7)]
            self.specific.append(float(np.argmax(six) == label - 1))

    def macro(self, values: list[float]) -> float:
        values_, labels = np.array(values), np.array(self.labels)
        return float(np.mean([values_[labels == k].mean() for k in np.unique(labels)]))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.cosine_similarity(a.double().flatten(), b.double().flatten(), dim=0).item()


@pytest.fixture(scope="module")
def naive(models: dict[str, Path], faces: PreparedSet) -> Naive:
    return Naive(models["guided"], faces)


def test_att_cos_of_every_layer(evaluation: Evaluation, naive: Naive):
    assert list(evaluation.estimates["att_cos"]) == list(naive.att)
    for layer, values in naive.att.items():
        assert evaluation.estimate("att_cos", layer).value == pytest.approx(naive.macro(values), abs=1e-5)
        assert evaluation.estimate("att_cos", layer).micro == pytest.approx(np.mean(values), abs=1e-5)


def test_cam_cos(evaluation: Evaluation, naive: Naive):
    assert evaluation.estimate("cam_cos").value == pytest.approx(naive.macro(naive.cam), abs=1e-5)
    fear = [value for value, label in zip(naive.cam, naive.labels, strict=True) if label == 3]
    assert evaluation.estimate("cam_cos").per_expression["fear"] == pytest.approx(np.mean(fear), abs=1e-5)
    assert evaluation.estimate("cam_cos").faces["fear"] == len(fear)


def test_cam_cos_of_the_predicted_class_equals_that_of_the_true_one_where_both_agree(evaluation: Evaluation):
    right = [
        row for row in evaluation.faces.to_pylist() if row["correct"] and row["cam_cos.true"] is not None
    ]
    assert all(row["cam_cos.true"] == row["cam_cos.predicted"] for row in right)
    assert evaluation.estimate("cam_cos", "predicted") != evaluation.estimate("cam_cos")


def test_specificity(evaluation: Evaluation, naive: Naive):
    assert evaluation.estimate("specificity").value == pytest.approx(naive.macro(naive.specific), abs=1e-9)


def test_controls(evaluation: Evaluation, naive: Naive):
    cues, labels = torch.stack(naive.cues), np.array(naive.labels)
    same = []
    for i in range(len(cues)):
        others = [j for j in range(len(cues)) if j != i and labels[j] == labels[i]]
        same.append(cosine(cues[others].mean(0), cues[i]))
    uniform = [cosine(torch.ones(SIDE * SIDE), cue) for cue in cues]
    assert evaluation.estimate("control", "mean_of_the_class").value == pytest.approx(
        naive.macro(same), abs=1e-5
    )
    assert evaluation.estimate("control", "uniform").value == pytest.approx(naive.macro(uniform), abs=1e-5)
    assert evaluation.estimate("control", "wrong_expression").value == pytest.approx(
        naive.macro(naive.wrong), abs=1e-5
    )


def test_own_face(evaluation: Evaluation, naive: Naive):
    nearer: dict[int, list[float]] = {}
    before: dict[int, torch.Tensor] = {}
    for label, cam, cue in zip(naive.labels, naive.cams, naive.cues, strict=True):
        if label in before:
            nearer.setdefault(label, []).append(float(cosine(cam, cue) > cosine(cam, before[label])))
        before[label] = cue
    macro = float(np.mean([np.mean(values) for values in nearer.values()]))
    assert evaluation.estimate("own_face").value == pytest.approx(macro, abs=1e-9)
    assert evaluation.estimate("own_face").faces["fear"] == evaluation.estimate("cam_cos").faces["fear"] - 1


def test_accuracy(evaluation: Evaluation, naive: Naive):
    cl = evaluation.classification
    assert evaluation.estimate("accuracy").value == pytest.approx(np.mean(naive.correct))
    assert sum(map(sum, cl.confusion)) == 26
    assert cl.support == {name: 4 if k < 5 else 3 for k, name in enumerate(EXPRESSIONS)}


def test_faces_without_cue_are_counted(evaluation: Evaluation):
    # 26 faces labelled in turn: four are neutral, and the last one (anger) has no landmarks.
    assert evaluation.without_cue == {"no action units": 4, "no landmarks": 1}
    assert sum(evaluation.estimate("cam_cos").faces.values()) == 21
    assert evaluation.estimate("cam_cos").faces["anger"] == 3
    assert any("1 faces without landmarks" in note for note in evaluation.notes)


def test_the_batch_size_does_not_matter(evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet):
    other = evaluate(models["guided"], faces, EvaluationSettings(batch_size=26, workers=0), progress=False)
    assert other.classification == evaluation.classification
    assert other.estimate("cam_cos").value == pytest.approx(evaluation.estimate("cam_cos").value, abs=1e-5)
    assert other.estimate("control", "mean_face").value == pytest.approx(
        evaluation.estimate("control", "mean_face").value, abs=1e-5
    )


def test_one_row_per_face(evaluation: Evaluation):
    assert [row["key"] for row in evaluation.faces.to_pylist()] == [f"<face> {i}.png" for i in range(26)]
    first, happy = evaluation.faces.to_pylist()[:2]
    assert first["label"] == "neutral"
    assert first["cam_cos.true"] is None
    assert sum(happy[f"p {name}"] for name in EXPRESSIONS) == pytest.approx(1, abs=1e-5)
    values = [row["att_cos.layer3"] for row in evaluation.faces.to_pylist() if row["label"] == "happiness"]
    assert evaluation.estimate("att_cos", "layer3").per_expression["happiness"] == pytest.approx(
        np.mean(values)
    )


def test_calibration_error_of_probabilities_and_votes(models: dict[str, Path], faces: PreparedSet):
    classifier, card = load_model(models["guided"])
    natural = dict.fromkeys(EXPRESSIONS, 0.1) | {"happiness": 0.4}
    card = replace(
        card,
        calibration=CalibrationRecord(0.5, voters=True),
        prior=PriorRecord(natural, dict.fromkeys(EXPRESSIONS, 1 / 7)),
    )
    dataset = faces.dataset("test", transform=eval_transform(SIDE))
    with torch.no_grad():
        logits = classifier(torch.stack([dataset[i]["image"] for i in range(len(dataset))])).logits.double()
    labels = torch.from_numpy(dataset.labels).long()
    for prior, shift in ((None, 0.0), ("natural", torch.tensor([natural[n] for n in EXPRESSIONS]).log())):
        settings = EvaluationSettings(workers=0, prior=prior)
        found = evaluate(Model(classifier, card), faces, settings, progress=False)
        for variant, temperature in (("", 0.5), ("votes", 1.0)):
            expected = calibration_error(((logits + shift) / temperature).softmax(1), labels)
            value = found.estimate("calibration", variant).value
            assert value == pytest.approx(float(expected), abs=1e-5), (prior, variant)
        answers = [EXPRESSIONS[k] for k in (logits + shift).argmax(1)]
        assert found.faces["prediction"].to_pylist() == answers
        assert "Share of right answers" in reliability_chart(found)


def test_without_a_calibration_there_are_no_votes_to_compare_with(evaluation: Evaluation):
    assert list(evaluation.estimates["calibration"]) == [""]


def test_examples_are_the_first_faces_of_each_class(evaluation: Evaluation):
    assert [example.key for example in evaluation.examples] == [f"<face> {i}.png" for i in range(14)]
    neutral, happy = evaluation.examples[:2]
    assert neutral.cue is None
    assert happy.image.shape == (SIDE, SIDE, 3)
    assert happy.cue is not None
    for map_ in (happy.attention, happy.class_map, happy.cue):
        assert 0 <= map_.min() <= map_.max() <= 1


def test_the_guided_layer_is_shown(evaluation: Evaluation):
    assert evaluation.attention_layer == "layer3"
    assert evaluation.estimate("att_cos") == evaluation.estimates["att_cos"]["layer3"]


def test_classes_are_matched_by_name(faces: PreparedSet):
    """The same network with its logits in another order gives the same figures."""
    order = torch.randperm(7)
    classes = tuple(EXPRESSIONS[k] for k in order)
    straight, shuffled = network(3), network(3, classes)
    shuffled.load_state_dict(straight.state_dict())
    for name, parameter in shuffled.head.named_parameters():
        parameter.data = straight.head.get_parameter(name).data[order]
    one = evaluate(Model(straight, information()), faces, EvaluationSettings(workers=0), progress=False)
    other = evaluate(
        Model(shuffled, information(classes)), faces, EvaluationSettings(workers=0), progress=False
    )
    assert one.estimate("accuracy").per_expression == other.estimate("accuracy").per_expression
    assert one.estimate("cam_cos").per_expression == pytest.approx(
        other.estimate("cam_cos").per_expression, abs=1e-5
    )


def test_a_class_the_model_does_not_know(faces: PreparedSet):
    classes = EXPRESSIONS[:6]
    with pytest.raises(InputError, match="'sadness', which the model does not know"):
        evaluate(
            Model(network(0, classes), information(classes)),
            faces,
            EvaluationSettings(workers=0),
            progress=False,
        )


def test_a_single_face_per_expression_has_no_template(models: dict[str, Path], tmp_path: Path):
    prepare(NoiseSource(8), tmp_path / "few", detector="none", size=SIDE, workers=1, progress=False)
    few = evaluate(
        models["guided"], open_prepared(tmp_path / "few"), EvaluationSettings(workers=0), progress=False
    )
    assert few.estimate("control", "mean_of_the_class").value is None
    assert few.estimate("own_face").value is None
    assert few.estimate("control", "mean_face").value is not None


def test_another_template_is_noted(faces: PreparedSet):
    info = information()
    info.template = "fg2024"
    notes = evaluate(Model(network(0), info), faces, EvaluationSettings(workers=0), progress=False).notes
    assert any("fg2024" in note for note in notes)


def test_nothing_is_measured_before_the_output_is_known_to_be_free(models: dict[str, Path], tmp_path: Path):
    (tmp_path / "report.html").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"report\.html"):
        evaluate(models["guided"], tmp_path / "no set at all", out=tmp_path)


def test_unusable_device(models: dict[str, Path], faces: PreparedSet):
    with pytest.raises(InputError, match="abacus"):
        evaluate(models["guided"], faces, EvaluationSettings(device="abacus"))


def test_a_network_that_diverged_is_refused(faces: PreparedSet):
    broken = network(0)
    for parameter in broken.backbone.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(InputError, match=r"broken: its answers or maps for 26 of 26 faces are no numbers"):
        evaluate(
            Model(broken, information()), faces, EvaluationSettings(workers=0), name="broken", progress=False
        )


def test_a_class_that_the_codebook_lacks_takes_no_part_in_cosines(evaluation: Evaluation, faces: PreparedSet):
    info = information()
    assert info.codebook
    del info.codebook["expressions"]["fear"]
    lacking = evaluate(Model(network(0), info), faces, EvaluationSettings(workers=0), progress=False)
    fear = evaluation.classification.support["fear"]
    before = evaluation.without_cue["no action units"]
    assert lacking.without_cue["no action units"] == before + fear
    assert "fear" not in lacking.estimate("cam_cos").faces
    assert (
        lacking.estimate("cam_cos").per_expression["anger"]
        == evaluation.estimate("cam_cos").per_expression["anger"]
    )
    assert lacking.classification == evaluation.classification


def test_a_judge_of_ones_own(evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet):
    judged = evaluate(
        models["guided"],
        faces,
        EvaluationSettings(codebook="fg2024", regions="fg2024", workers=0),
        progress=False,
    )
    assert (judged.data["codebook"], judged.data["regions"]) == ("fg2024", "fg2024")
    assert judged.estimate("cam_cos").value != evaluation.estimate("cam_cos").value
    apart = compare({"own": evaluation, "other": judged})[0]
    controls = [line.label for line in apart.lines if line.kind == "control"]
    assert "uniform (for own)" in controls
    assert "uniform (for other)" in controls
    assert "Different action-unit maps judge these models" in apart.notes[1]
    alike = compare({"one": judged, "two": judged})[0]
    assert "uniform" in [line.label for line in alike.lines if line.kind == "control"]
    assert len(alike.notes) == 1


def test_a_second_process_is_told(models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    with claimed(tmp_path), pytest.raises(InputError, match="Another process is writing to"):
        evaluate(models["guided"], faces, EvaluationSettings(workers=0), progress=False, out=tmp_path)


def test_another_read_out_of_the_same_network(
    models: dict[str, Path], faces: PreparedSet, evaluation: Evaluation
) -> None:
    layercam = evaluate(
        models["guided"],
        faces,
        EvaluationSettings(batch_size=5, readout="layercam", workers=0),
        progress=False,
    )
    assert (evaluation.model["method"], layercam.model["method"]) == ("cam", "layercam")
    assert layercam.estimates["att_cos"] == evaluation.estimates["att_cos"]
    assert layercam.classification == evaluation.classification
    # from the formula alone: after global average pooling the gradient is w / (h w) everywhere
    classifier, _ = load_model(models["guided"])
    item = faces.dataset("test", transform=eval_transform(SIDE))[1]
    with torch.no_grad():
        features = classifier(item["image"][None]).features[classifier.final_layer]
        weight = classifier.head.get_parameter("fc.weight")[item["label"]].clamp(min=0)
        map_ = torch.einsum("c,bchw->bhw", weight, features).clamp(min=0)[:, None]
    map_ = (map_ - map_.min()) / (map_ - map_.min()).max()
    map_ = interpolate(map_, (SIDE, SIDE), mode="bilinear", align_corners=False).clamp(0, 1)
    cue = AUCue("facs", EXPRESSIONS)(item["landmarks"][None], torch.tensor([item["label"]]), (SIDE, SIDE))
    assert layercam.faces["cam_cos.true"][1].as_py() == pytest.approx(
        cosine(map_, cue.map.double().flatten()), abs=1e-5
    )


def test_read_outs_that_take_another_network_are_refused(models: dict[str, Path], faces: PreparedSet) -> None:
    with pytest.raises(InputError, match="trained as 'cam' cannot be read out as 'wildcat'"):
        evaluate(models["guided"], faces, EvaluationSettings(readout="wildcat", workers=0), progress=False)
