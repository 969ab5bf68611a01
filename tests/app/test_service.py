from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.app import FaceView, Service, Session, Sessions, names_of
from aucue.app.service import MAX_FACES, WHOLE
from aucue.errors import InputError
from aucue.explanation import Explainer
from aucue.faces import Detection, FaceReader
from aucue.facs import EXPRESSIONS
from aucue.models import Model

from .conftest import SIDE, tiny_model

MOUTH_CORNER, INNER_BROW = 48, 21  # landmarks


def expected_at(view: FaceView, landmark: int) -> float:
    """The expected map at a landmark of the face."""
    assert view.explanation.cue is not None
    scale = len(view.explanation.cue) / view.explanation.face.size
    x, y = np.rint((view.explanation.face.landmarks[landmark] + 0.5) * scale - 0.5).astype(int)
    return float(view.explanation.cue[y, x])


def test_says_what_the_explainer_says(service: Service, detector, photo):
    picture = photo(2)
    expected = Explainer(tiny_model(0, "happiness"), FaceReader(detector))(picture)
    answer = service.read(service.open(picture), "guided", if_hidden=True)
    assert (answer.model, answer.readout) == ("guided", "cam")
    assert [e.to_dict() for e in answer.explanations] == [e.to_dict() for e in expected]
    other = Explainer(tiny_model(0, "happiness"), FaceReader(detector), readout="gradcam")(picture)[1]
    asked = service.read(service.open(picture), "guided", "gradcam").explanations[1]
    assert np.array_equal(asked.class_map("fear"), other.class_map("fear"))


def test_nothing_is_computed_twice(service: Service, photo):
    session = service.open(photo())
    passes = []
    hook = service.model("guided").network.register_forward_hook(lambda *_: passes.append(1))
    first = service.read(session, "guided")
    assert service.read(session, "guided", "cam") is first
    assert passes == [1]
    service.read(session, "guided", "layercam")
    assert passes == [1, 1]
    hook.remove()


def test_faces_are_searched_once_for_models_that_want_them_differently(detector, photo):
    other = tiny_model(1, "anger")
    tight = Model(other.network, replace(other.card, template="fg2024"))
    models = {"a": tiny_model(0, "fear"), "b": tight}
    service = Service(models, detector)
    session = service.open(photo())
    assert detector.calls == 1
    first, second = (service.read(session, name).explanations[0].face.crop for name in "ab")
    assert not np.array_equal(first, second)


def test_photographs_without_a_face(service: Service, photo):
    with pytest.raises(InputError, match="No face was found"):
        service.open(photo().point(lambda value: 90))


@pytest.fixture(scope="module")
def canvas(drawn) -> Image.Image:
    """A photograph of 2,400 x 2,080 pixels with a face in a corner of it."""
    canvas = Image.new("RGB", (300, 260), (200, 200, 205))
    canvas.paste(Image.fromarray(drawn[0]).resize((224, 224), Image.Resampling.BICUBIC), (40, 20))
    return canvas.resize((2400, 2080), Image.Resampling.BICUBIC)


def nobody(image: np.ndarray, key: str | None = None) -> list[Detection]:
    return []


def test_a_face_that_was_not_found_is_shown(models, canvas: Image.Image):
    service = Service(models, nobody)
    session = service.find(canvas)
    assert len(session.boxes) == 0
    box = (720, 400, 1760, 1760)
    session.name = "odd"
    session = service.shown(session, (720 / 2400, 400 / 2080, 1760 / 2400, 1760 / 2080))
    face = service.view(session, "guided").explanation.face
    (expected,) = FaceReader(boxes=[box])(canvas)
    assert (face.how, session.name) == ("given box", "odd")
    assert face.box == pytest.approx(box)
    assert face.presence > 0.9
    assert np.abs(face.photo_landmarks - expected.photo_landmarks).max() < 16  # of 1,040 pixels
    assert np.allclose(session.boxes[0], np.array(box) * 1024 / 2400, atol=1)
    whole = service.shown(session, WHOLE)  # instead of the one that was shown before
    assert [each.how for faces in whole.faces.values() for each in faces] == ["full-frame"]
    assert service.view(whole, "guided").explanation.face.how == "full-frame"


def test_a_face_is_shown_beside_others(service: Service, photo):
    session = service.find(photo(2))
    session = service.shown(session, (0.0, 0.0, 0.5, 1.0))
    assert [face.how for face in next(iter(session.faces.values()))] == ["plain", "plain", "given box"]
    assert session.face == 2
    assert service.view(session, "guided").explanation.face.how == "given box"
    with pytest.raises(InputError, match="No face can be read there; draw a box around one"):
        service.shown(session, (0.2, 0.2, 0.202, 0.202))


def test_a_photograph_is_turned(models, canvas: Image.Image):
    seen = []

    def watch(image: np.ndarray, key: str | None = None) -> list[Detection]:
        seen.append(image)
        return []

    service = Service(models, watch)
    session = service.find(canvas)
    left = service.turned(session, 1)
    assert (session.preview.size, left.preview.size) == ((1024, 887), (887, 1024))
    kept = session.kept
    assert kept is not None
    assert kept.factor == 2
    assert np.array_equal(seen[1], np.rot90(np.asarray(kept.open())))
    assert np.abs(np.asarray(kept.open(), int) - np.asarray(canvas.reduce(2), int)).mean() < 2
    assert service.turned(left, 3).kept == kept


def test_of_a_crowd_the_largest_faces(service: Service, photo):
    session = service.open(photo(MAX_FACES + 3))
    assert len(session.boxes) == MAX_FACES
    assert session.left_out == 3
    assert max(session.preview.size) == 1024
    assert np.allclose(session.boxes[1], np.array([144, 16, 239, 112]) * 1024 / (SIDE * (MAX_FACES + 3)))


def test_what_is_looked_at(service: Service, photo):
    session = service.open(photo(2))
    view = service.view(session, "guided")
    assert (view.explanation.expression, view.explanation.face.box[0]) == ("happiness", 16)
    assert [unit.number for unit in view.explanation.action_units] == [6, 12, 25]
    assert expected_at(view, MOUTH_CORNER) > 0.5
    assert expected_at(view, INNER_BROW) < 0.1
    session.look_at(expression="fear")
    view = service.view(session, "guided")
    assert (view.explanation.expression, view.explanation.answer) == ("fear", "happiness")
    assert 20 in [unit.number for unit in view.explanation.action_units]
    assert expected_at(view, INNER_BROW) > 0.5
    session.look_at(expression="neutral")
    view = service.view(session, "guided")
    assert view.explanation.cue is None
    assert "neutral face shows no action unit" in view.explanation.why_no_cue
    session.look_at(face=1)  # begins with the answer again
    view = service.view(session, "guided")
    assert (view.explanation.expression, view.explanation.face.box[0]) == ("happiness", 144)
    with pytest.raises(InputError, match="There is no face 3: the photograph has 2"):
        session.look_at(face=2)


def test_faces_are_found_by_a_point(service: Service, photo):
    session = service.open(photo(2))
    assert [session.face_at(x, 60) for x in (60, 200, 5)] == [0, 1, None]


def test_names_that_do_not_exist(service: Service, photo):
    session = service.open(photo())
    with pytest.raises(InputError, match="no model 'x' here; choose guided or unguided"):
        service.read(session, "x")
    with pytest.raises(InputError, match="no read-out 'x' here; choose cam, gradcam"):
        service.read(session, "guided", "x")
    with pytest.raises(InputError, match="at least one model"):
        Service({}, detector=lambda image, key=None: [])


def test_eight_at_once_get_what_one_gets(service: Service, photo):
    expected = service.read(service.open(photo()), "guided").explanations[0].to_dict()

    def ask(readout: str) -> dict:
        return service.read(service.open(photo()), "guided", readout).explanations[0].to_dict()

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(ask, ["cam", "layercam"] * 8):
            assert answer["probabilities"] == expected["probabilities"]
            assert answer["attention_cosines"] == expected["attention_cosines"]


def test_sessions_are_forgotten(service: Service, photo):
    now = [0.0]
    sessions = Sessions(seconds=10, most=2, clock=lambda: now[0])
    session = service.open(photo())
    for name in "abc":
        sessions.put(name, session)
    assert sessions.get("a") is None  # too many
    now[0] = 8
    assert isinstance(sessions.get("b"), Session)
    now[0] = 12
    sessions.sweep()
    assert len(sessions) == 1  # c was not touched for long
    sessions.drop("b")
    assert len(sessions) == 0


def test_names_of_models():
    assert list(names_of([Path("runs/fer.safetensors")])) == ["fer"]
    paths = [Path("runs/a/model.safetensors"), Path("runs/b/model.safetensors")]
    assert list(names_of(paths)) == ["a/model", "b/model"]
    with pytest.raises(InputError, match="named twice"):
        names_of([paths[0], Path("runs/../runs/a/model.safetensors")])


def test_expressions_of_the_models(service: Service):
    assert service.model("guided").classes == EXPRESSIONS
    assert service.model("guided").readout == "cam"


def test_read_outs_that_take_minutes_are_not_offered(service: Service, models, detector, photo):
    session = service.open(photo())
    assert service.read(session, "guided", "xgradcam").readout == "xgradcam"
    with pytest.raises(InputError, match="There is no read-out 'scorecam' here; choose cam, gradcam"):
        service.read(session, "guided", "scorecam")
    with pytest.raises(InputError, match="'ss-cam' takes minutes per face"):
        Service(models, detector, readout="ss-cam")
