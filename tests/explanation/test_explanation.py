import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aucue.errors import OutputExistsError
from aucue.explanation import Explainer, Explanation
from aucue.faces import FaceReader


@pytest.fixture
def explanation(model, drawn, detector) -> Explanation:
    return Explainer(model(predicts="surprise"), FaceReader(detector, size=64))(drawn[0])[0]


def test_dict_is_plain(explanation: Explanation):
    face = replace(explanation.face, score=float("nan"))
    values = json.loads(json.dumps(replace(explanation, face=face).to_dict(), allow_nan=False))
    assert values["expression"] == "surprise"
    assert sum(values["probabilities"].values()) == pytest.approx(1)
    assert values["action_units"][0] == {"number": 1, "name": "Inner Brow Raiser"}
    units = [(unit["number"], unit["region"]) for unit in values["unit_evidence"]]
    assert units == [
        (1, "inner brows"),
        (2, "outer brows"),
        (5, "upper lids"),
        (26, "mouth and chin"),
        (27, "mouth and chin"),
    ]
    assert values["unit_evidence"][0]["class_map"].keys() == {"share", "peak", "ratio"}
    assert values["face"]["score"] is None
    assert values["face"]["box"] == [20, 20, 90, 100]
    assert values["class_map_cosine"] == explanation.class_map_cosine


def test_sentence_is_honest(explanation: Explanation):
    assert explanation.sentence.startswith("Surprise 100 %. ")
    assert ". The class map " in explanation.sentence
    shown = replace(explanation, log_odds_map=explanation.log_odds_map + 5)
    assert "; where a map lies is not what decides. " in shown.sentence
    assert f"attention {explanation.attention_cosines['layer3']:.2f}" in explanation.sentence
    assert f"an even map: {explanation.uniform_cosine:.2f}" in explanation.sentence
    assert "not detected" in explanation.sentence
    torn = replace(explanation, probabilities={"surprise": 0.4, "fear": 0.35, "neutral": 0.25})
    assert torn.sentence.startswith("Surprise 40 %, unsure: fear 35 %. ")
    whole = replace(explanation, face=replace(explanation.face, how="full-frame"))
    assert "No face was found" in whole.sentence


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_picture_shows_the_face_and_five_tiles(explanation: Explanation, theme):
    picture = np.asarray(explanation.picture(theme, tile_size=64))
    crop = explanation.face.crop
    found = [
        (y, x)
        for y in range(picture.shape[0] - 63)
        for x in range(12)
        if (picture[y, x : x + 64] == crop[0]).all() and (picture[y : y + 64, x : x + 64] == crop).all()
    ]
    assert len(found) == 1  # the face itself, untouched, at the left margin
    assert picture.shape[1] > 3 * 64
    assert picture.shape[0] > 2 * 64
    assert not np.array_equal(picture, np.asarray(replace(explanation, cue=None).picture(theme, 64)))


def test_pictures_without_a_cue(model, drawn, detector):
    reader = FaceReader(detector, size=64)
    assert Explainer(model(predicts="neutral"), reader)(drawn[0])[0].picture(tile_size=64).width > 192


def test_save_refuses_to_replace(explanation: Explanation, tmp_path: Path):
    picture, numbers = explanation.save(tmp_path / "new" / "folder", "a")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(numbers.read_text()) == explanation.to_dict()
    with pytest.raises(OutputExistsError, match=r"a\.png exists"):
        explanation.save(tmp_path / "new" / "folder", "a")
    explanation.save(tmp_path / "new" / "folder", "a", overwrite=True)


def test_a_map_without_evidence_is_drawn_as_one(explanation: Explanation):
    values = np.zeros_like(explanation.log_odds_map)
    without = replace(explanation, log_odds_map=values - 3)
    assert not without.has_evidence
    assert not without.drawn_class_map.any()
    assert without.class_map().max() == 1  # the measure's map stays what it is
    assert "The class map shows no evidence for surprise. " in without.sentence
    assert not replace(explanation, log_odds_map=values + 0.9).has_evidence
    strong = replace(explanation, log_odds_map=values + 1.1)
    assert np.array_equal(strong.drawn_class_map, explanation.class_map())
    assert replace(explanation, log_odds_map=values).has_evidence  # a method whose maps are not in logits


def test_the_signed_map_adds_up_to_the_margin(model, drawn, detector):
    given = model(predicts=None)
    explanation = Explainer(given, FaceReader(detector, size=64))(drawn[0])[0]
    own, *others = sorted(explanation.probabilities, key=lambda name: name != explanation.expression)
    bias = dict(zip(given.classes, given.network.head.fc.bias.tolist(), strict=True))
    logit = {name: float(np.log(p)) - bias[name] for name, p in explanation.probabilities.items()}
    weights = np.array([explanation.probabilities[name] for name in others])
    margin = logit[own] - sum(weights / weights.sum() * [logit[name] for name in others])
    assert explanation.log_odds_map.mean() == pytest.approx(margin, abs=1e-4)


def test_what_decides_is_told_or_why_not(model, drawn, detector):
    reader = FaceReader(detector, size=64)
    given = model(predicts="happiness")
    measured = Explainer(given, reader)(drawn[0])[0]
    assert measured.why_not_measured == ""
    assert measured.if_hidden is not None
    assert measured.to_dict()["if_hidden"]["units_of"] == "happiness"
    left_out = Explainer(given, reader, if_hidden=False)(drawn[0])[0]
    assert (left_out.if_hidden, left_out.to_dict()["if_hidden"]) == (None, None)
    assert left_out.why_not_measured == "What decides was not measured."
    lost = replace(measured.face, landmarks=np.full((68, 2), np.nan, np.float32))
    blind = Explainer(given).faces([lost])[0]
    assert "What decides cannot be measured without landmarks." in blind.sentence
    neutral = Explainer(model(predicts="neutral"), reader)(drawn[0])[0]
    assert neutral.if_hidden is not None
    assert neutral.if_hidden.units_of == neutral.if_hidden.rival
