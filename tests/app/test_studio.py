from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aucue.app import Sitting, Sittings, Studio, View, names_of
from aucue.app.studio import MAX_FACES
from aucue.errors import InputError
from aucue.explanation import Explainer
from aucue.faces import FaceReader
from aucue.facs import EXPRESSIONS
from aucue.models import Model

from .conftest import SIDE, tiny_model

MOUTH_CORNER, INNER_BROW = 48, 21  # landmarks


def expected_at(view: View, landmark: int) -> float:
    """The expected map at a landmark of the face."""
    assert view.explanation.cue is not None
    scale = len(view.explanation.cue) / view.explanation.face.size
    x, y = np.rint((view.explanation.face.landmarks[landmark] + 0.5) * scale - 0.5).astype(int)
    return float(view.explanation.cue[y, x])


def test_says_what_the_explainer_says(studio: Studio, detector, photo):
    picture = photo(2)
    expected = Explainer(tiny_model(0, "happiness"), FaceReader(detector))(picture)
    reading = studio.read(studio.sit(picture), "guided")
    assert (reading.model, reading.method) == ("guided", "cam")
    assert [e.to_dict() for e in reading.explanations] == [e.to_dict() for e in expected]
    other = Explainer(tiny_model(0, "happiness"), FaceReader(detector), method="gradcam")(picture)[1]
    asked = studio.read(studio.sit(picture), "guided", "gradcam").explanations[1]
    assert np.array_equal(asked.class_map("fear"), other.class_map("fear"))


def test_nothing_is_computed_twice(studio: Studio, photo):
    sitting = studio.sit(photo())
    passes = []
    hook = studio.model("guided").network.register_forward_hook(lambda *_: passes.append(1))
    first = studio.read(sitting, "guided")
    assert studio.read(sitting, "guided", "cam") is first
    assert passes == [1]
    studio.read(sitting, "guided", "layercam")
    assert passes == [1, 1]
    hook.remove()


def test_faces_are_searched_once_for_models_that_want_them_differently(detector, photo):
    other = tiny_model(1, "anger")
    tight = Model(other.network, replace(other.card, template="fg2024"))
    models = {"a": tiny_model(0, "fear"), "b": tight}
    studio = Studio(models, detector)
    sitting = studio.sit(photo())
    assert detector.calls == 1
    first, second = (studio.read(sitting, name).explanations[0].face.crop for name in "ab")
    assert not np.array_equal(first, second)


def test_photographs_without_a_face(studio: Studio, photo):
    with pytest.raises(InputError, match="No face was found"):
        studio.sit(photo().point(lambda value: 90))


def test_of_a_crowd_the_largest_faces(studio: Studio, photo):
    sitting = studio.sit(photo(MAX_FACES + 3))
    assert len(sitting.boxes) == MAX_FACES
    assert sitting.left_out == 3
    assert max(sitting.preview.size) == 1024
    assert np.allclose(sitting.boxes[1], np.array([144, 16, 239, 112]) * 1024 / (SIDE * (MAX_FACES + 3)))


def test_what_is_looked_at(studio: Studio, photo):
    sitting = studio.sit(photo(2))
    view = studio.view(sitting, "guided")
    assert (view.explanation.expression, view.explanation.face.box[0]) == ("happiness", 16)
    assert [unit.number for unit in view.explanation.action_units] == [6, 12, 25]
    assert expected_at(view, MOUTH_CORNER) > 0.5
    assert expected_at(view, INNER_BROW) < 0.1
    sitting.look_at(expression="fear")
    view = studio.view(sitting, "guided")
    assert (view.explanation.expression, view.explanation.answer) == ("fear", "happiness")
    assert 20 in [unit.number for unit in view.explanation.action_units]
    assert expected_at(view, INNER_BROW) > 0.5
    sitting.look_at(expression="neutral")
    view = studio.view(sitting, "guided")
    assert view.explanation.cue is None
    assert "neutral face shows no action unit" in view.explanation.why_no_cue
    sitting.look_at(face=1)  # begins with the answer again
    view = studio.view(sitting, "guided")
    assert (view.explanation.expression, view.explanation.face.box[0]) == ("happiness", 144)
    with pytest.raises(InputError, match="There is no face 3: the photograph has 2"):
        sitting.look_at(face=2)


def test_faces_are_found_by_a_point(studio: Studio, photo):
    sitting = studio.sit(photo(2))
    assert [sitting.face_at(x, 60) for x in (60, 200, 5)] == [0, 1, None]


def test_names_that_do_not_exist(studio: Studio, photo):
    sitting = studio.sit(photo())
    with pytest.raises(InputError, match="no model 'x' here; choose guided or unguided"):
        studio.read(sitting, "x")
    with pytest.raises(InputError, match="no read-out 'x'; choose cam, gradcam"):
        studio.read(sitting, "guided", "x")
    with pytest.raises(InputError, match="at least one model"):
        Studio({}, detector=lambda image, key=None: [])


def test_eight_at_once_get_what_one_gets(studio: Studio, photo):
    expected = studio.read(studio.sit(photo()), "guided").explanations[0].to_dict()

    def ask(method: str) -> dict:
        return studio.read(studio.sit(photo()), "guided", method).explanations[0].to_dict()

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(ask, ["cam", "layercam"] * 8):
            assert answer["probabilities"] == expected["probabilities"]
            assert answer["attention_cosines"] == expected["attention_cosines"]


def test_sittings_are_forgotten(studio: Studio, photo):
    now = [0.0]
    sittings = Sittings(seconds=10, most=2, clock=lambda: now[0])
    sitting = studio.sit(photo())
    for name in "abc":
        sittings.put(name, sitting)
    assert sittings.get("a") is None  # too many
    now[0] = 8
    assert isinstance(sittings.get("b"), Sitting)
    now[0] = 12
    sittings.sweep()
    assert len(sittings) == 1  # c was not touched for long
    sittings.drop("b")
    assert len(sittings) == 0


def test_names_of_models():
    assert list(names_of([Path("runs/fer.safetensors")])) == ["fer"]
    paths = [Path("runs/a/model.safetensors"), Path("runs/b/model.safetensors")]
    assert list(names_of(paths)) == ["a/model", "b/model"]
    with pytest.raises(InputError, match="named twice"):
        names_of([paths[0], Path("runs/../runs/a/model.safetensors")])


def test_expressions_of_the_models(studio: Studio):
    assert studio.model("guided").classes == EXPRESSIONS
    assert studio.model("guided").readout == "cam"
