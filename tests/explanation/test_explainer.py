from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import aucue
from aucue.classifiers import Classifier
from aucue.errors import InputError
from aucue.explanation import Explainer, Explanation, load
from aucue.faces import Detection, Face, FaceReader
from aucue.facs import EXPRESSIONS
from aucue.models import CalibrationRecord, Card, GuidanceRecord, Model


@pytest.fixture
def face(drawn, detector) -> Face:
    return FaceReader(detector, size=64)(drawn[0])[0]


def cue_of(explanation: Explanation) -> np.ndarray:
    assert explanation.cue is not None
    return explanation.cue


def test_probabilities_are_the_softmax_of_the_logits(model, face: Face):
    given = model()
    classifier = given.network
    explanation = Explainer(given)(face)[0]
    images = torch.from_numpy(face.crop).permute(2, 0, 1)[None].float() / 255
    logits = classifier(images).logits[0].detach().numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert tuple(explanation.probabilities) == EXPRESSIONS
    assert np.allclose(list(explanation.probabilities.values()), expected, atol=1e-5)
    assert explanation.expression == EXPRESSIONS[expected.argmax()]
    assert explanation.probability == pytest.approx(expected.max(), abs=1e-5)


def test_calibrated_numbers_agree_with_each_other(model, face: Face):
    plain, given = model(), model(calibration=CalibrationRecord(0.25, voters=True))
    (before,), (explanation,) = (Explainer(each)(face) for each in (plain, given))
    logits = given.network(torch.from_numpy(face.crop).permute(2, 0, 1)[None]).logits.detach()
    chances = (logits / 0.25).softmax(1)[0].tolist()
    assert list(explanation.probabilities.values()) == pytest.approx(chances, abs=1e-5)
    assert explanation.votes == pytest.approx(dict(before.probabilities), abs=1e-6)
    assert explanation.calibrated
    assert "of ten voters" in explanation.sentence
    said = explanation.to_dict()
    assert said["votes"] == explanation.votes
    assert said["calibrated"] is True
    found = explanation.if_hidden
    assert found is not None
    assert found.probability == pytest.approx(explanation.probability, abs=1e-5)
    for region in found.regions:  # lost and left add up to the figure that is shown
        left = region.without[explanation.expression]
        assert region.loss.points + left == pytest.approx(explanation.probability, abs=1e-5)
    for name, map_ in before.class_maps.items():
        assert np.array_equal(explanation.class_map(name), map_)


def test_without_a_calibration_nothing_is_said_of_voters(model, face: Face):
    (explanation,) = Explainer(model())(face)
    assert explanation.votes == explanation.probabilities
    assert not explanation.calibrated
    assert "voters" not in explanation.sentence
    assert " sure" not in explanation.sentence


def test_maps_are_those_of_the_network(model, face: Face):
    given = model()
    classifier = given.network
    explanation = Explainer(given)(face)[0]
    features = classifier(torch.from_numpy(face.crop).permute(2, 0, 1)[None]).features
    assert list(explanation.attention) == list(classifier.layers)
    for name, values in features.items():
        mean = values[0].detach().numpy().mean(axis=0)
        assert np.allclose(explanation.attention[name], mean, atol=1e-5)
    final = features[classifier.final_layer][0].detach().numpy()
    for k, name in enumerate(EXPRESSIONS):
        raw = np.tensordot(classifier.head.fc.weight[k].detach().numpy(), final, axes=1)
        stretched = (raw - raw.min()) / (raw.max() - raw.min())
        assert np.allclose(explanation.class_map(name), stretched, atol=1e-4)
        assert explanation.class_map(name).dtype == np.float32
    assert np.array_equal(explanation.class_map(), explanation.class_map(explanation.expression))
    with pytest.raises(InputError, match="no class 'boredom'; it has neutral, happiness"):
        explanation.class_map("boredom")


def test_class_maps_by_another_read_out(model, face: Face):
    given = model()
    classifier = given.network
    explanation = Explainer(given, readout="gradcam")(face)[0]
    final = classifier(torch.from_numpy(face.crop).permute(2, 0, 1)[None]).features[classifier.final_layer]
    for k, name in enumerate(EXPRESSIONS):  # after average pooling GradCAM is CAM without its negative part
        cam = np.tensordot(classifier.head.fc.weight[k].detach().numpy(), final[0].detach().numpy(), axes=1)
        positive = np.maximum(cam, 0) - np.maximum(cam, 0).min()
        expected = positive / positive.max() if positive.any() else positive
        assert np.allclose(explanation.class_map(name), expected, atol=1e-4)
    with pytest.raises(InputError, match="cannot be read out as 'prm'"):
        Explainer(given, readout="prm")


def test_cosines_by_hand(model, face: Face):
    explanation = Explainer(model(predicts="happiness"))(face)[0]
    cue = cue_of(explanation)
    assert cue.shape == (64, 64)
    assert (cue.min(), cue.max()) == (0, 1)

    def cosine(a: np.ndarray) -> float:
        return float((a * cue).sum() / np.linalg.norm(a) / np.linalg.norm(cue))

    class_map = torch.from_numpy(explanation.class_map())[None, None]
    class_map = torch.nn.functional.interpolate(class_map, size=(64, 64), mode="bilinear")[0, 0].numpy()
    assert explanation.class_map_cosine == pytest.approx(cosine(class_map), abs=1e-5)
    attention = torch.from_numpy(explanation.attention["layer3"])[None, None]
    options = {"mode": "bilinear", "align_corners": True, "antialias": True}
    attention = torch.nn.functional.interpolate(attention, size=(64, 64), **options)
    shifted = (attention - attention.min().clamp(max=0))[0, 0].numpy()
    assert explanation.attention_cosines["layer3"] == pytest.approx(cosine(shifted), abs=1e-4)
    assert explanation.uniform_cosine == pytest.approx(cosine(np.ones_like(cue)), abs=1e-5)


def test_expected_action_units(model, face: Face):
    explanation = Explainer(model(predicts="happiness"))(face)[0]
    assert [str(unit) for unit in explanation.action_units] == [
        "AU6 Cheek Raiser",
        "AU12 Lip Corner Puller",
        "AU25 Lips Part",
    ]
    assert explanation.why_no_cue == ""
    cue, rows = cue_of(explanation), np.arange(64)[:, None]
    assert (cue * rows).sum() / cue.sum() > 32  # cheeks and mouth: the lower half


def test_neutral_has_no_cue(model, face: Face):
    explanation = Explainer(model(predicts="neutral"))(face)[0]
    assert explanation.cue is None
    assert explanation.attention_cosines == {}
    assert explanation.class_map_cosine is None
    assert "neutral face shows no action unit" in explanation.sentence
    assert explanation.class_map().max() == 1


def test_missing_landmarks_leave_the_rest(model, face: Face):
    explain = Explainer(model(predicts="happiness"))
    lost = replace(face, landmarks=np.full((68, 2), np.nan, np.float32))
    explanation = explain(lost)[0]
    assert explanation.cue is None
    assert "no landmarks" in explanation.why_no_cue
    assert explanation.probabilities == explain(face)[0].probabilities


def test_a_class_without_action_units_has_no_cue(model, face: Face):
    explanation = Explainer(model(("happiness", "boredom"), predicts="boredom"))(face)[0]
    assert explanation.cue is None
    assert explanation.why_no_cue == "Codebook facs has no action units for boredom, so no map is expected."
    other = Explainer(model(("boredom", "happiness"), predicts="happiness"))(face)[0]
    same = Explainer(model(predicts="happiness"))(face)[0]
    assert np.array_equal(cue_of(other), cue_of(same))  # the id among the model's classes does not matter


def test_all_faces_in_one_pass_largest_first(model, drawn, detector):
    image, landmarks = drawn
    wide = np.concatenate([image, image], axis=1)
    small = landmarks.mean(axis=0) + (landmarks - landmarks.mean(axis=0)) * 0.6 + (112, 0)
    detector.detections.insert(
        0, Detection((160.0, 30.0, 180.0, 50.0), 0.3, small.astype(np.float32), "padded")
    )
    given = model(predicts="fear")
    classifier = given.network
    passes = []
    classifier.register_forward_hook(lambda module, inputs, output: passes.append(len(inputs[0])))
    first, second = Explainer(given, FaceReader(detector, size=64))(wide)
    assert passes[0] == 2  # and what is hidden in both, together
    assert len(passes) < sum(passes[1:]) / 16
    assert (first.face.how, second.face.how) == ("plain", "padded")
    assert np.allclose(first.attention["layer3"], Explainer(given)(first.face)[0].attention["layer3"])
    assert not np.array_equal(cue_of(first), cue_of(second))


def test_no_face_is_no_explanation(model, drawn, detector):
    detector.detections.clear()
    assert Explainer(model(), FaceReader(detector, size=64))(drawn[0]) == []


def test_crops_of_another_size_are_resized(model, drawn, detector):
    explain = Explainer(model(predicts="fear"))
    large = FaceReader(detector, size=128)(drawn[0])[0]
    right = FaceReader(detector, size=64)(drawn[0])[0]
    first, second = explain.faces([large, right])
    a, b = cue_of(first), cue_of(second)
    assert a.shape == (64, 64)
    assert (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b) > 0.995
    assert first.face.size == 128


def test_layer_shown_is_the_guided_one(model):
    assert Explainer(model()).model.layer == "layer3"
    assert Explainer(model(guidance=None)).model.layer == "layer4"
    assert Explainer(model(guidance=GuidanceRecord(layers=["gone"]))).model.layer == "layer4"
    two = GuidanceRecord(layers=["layer3", "layer1"])
    assert Explainer(model(guidance=two)).model.layer == "layer3"  # the deepest


def test_reader_follows_the_model(model):
    reader = Explainer(model(template="fg2024")).reader
    assert (reader.size, reader.template.name) == (224, "fg2024")  # larger than the network's 64, for the eye


def test_from_a_file(model, tmp_path: Path, face: Face):
    given = model(predicts="fear")
    path = given.save(tmp_path / "m.safetensors")
    explanation = Explainer(path, if_hidden=False)(face)[0]
    direct = Explainer(given, if_hidden=False)(face)[0]
    assert explanation.to_dict() == direct.to_dict()
    assert isinstance(load(path), aucue.Explainer)
    hidden = aucue.load(path)(face)[0].if_hidden
    assert hidden is not None
    assert (hidden.expression, hidden.units_of, len(hidden.expected)) == ("fear", "fear", 7)


def test_bad_device(model):
    with pytest.raises(InputError, match="Device 'abacus' cannot be used here"):
        Explainer(model(), device="abacus")


def test_a_network_of_units_says_what_adds_up(face: Face):
    network = Classifier("test_resnet", input_size=64, final_stride=8, method="units").eval()
    model = Model(network, Card(network.classes, template="aucue", method="units"))
    explainer = Explainer(model, if_hidden=False)
    (happy,) = explainer(face, expression="happiness")
    assert set(happy.contributions) == {6, 12, 25}
    assert list(happy.contributions.values()) == sorted(happy.contributions.values(), reverse=True)
    assert "What the network saw for happiness is AU" in happy.finding
    assert set(happy.to_dict()["contributions"]) == {"AU6", "AU12", "AU25"}
    (neutral,) = explainer(face, expression="neutral")
    assert neutral.contributions == {}
    assert "What the network saw" not in neutral.finding


def test_any_region_hidden(model, face: Face):
    explain = Explainer(model(predicts=None))
    nothing = np.zeros((32, 32), bool)
    whole = explain(face)[0].probabilities
    assert explain.without(face, nothing) == pytest.approx(dict(whole), abs=1e-5)
    half = nothing.copy()
    half[16:] = True
    assert explain.without(face, half) != pytest.approx(dict(whole), abs=1e-5)
    with pytest.raises(InputError, match=r"bool of shape \(h, w\), got float64 of shape \(3,\)"):
        explain.without(face, np.zeros(3))
