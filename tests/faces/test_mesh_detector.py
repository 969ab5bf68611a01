import importlib.util
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.errors import InputError
from aucue.faces import FaceReader, MeshDetector, inter_ocular_distance, read_image
from aucue.faces.mesh import Meshes
from aucue.faces.mesh_detector import _Found
from aucue.faces.network import WEIGHTS

from ..builders import drawn_face

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def detector():
    return MeshDetector()


@pytest.fixture(scope="module")
def drawn():
    """A drawn face with its exact landmarks, on a plain ground with some air."""
    image, landmarks = drawn_face(224)
    canvas = Image.new("RGB", (448, 448), (200, 200, 205))
    canvas.paste(Image.fromarray(np.asarray(image)), (112, 112))
    return np.asarray(canvas), np.asarray(landmarks) + 112


def error(face, landmarks):
    """Mean distance over the corners of eyes and mouth, in distances between the eyes."""
    corners = [36, 39, 42, 45, 48, 54]
    away = np.linalg.norm(face.landmarks[corners] - landmarks[corners], axis=1)
    return away.mean() / inter_ocular_distance(landmarks)


def test_a_drawn_face(detector, drawn):
    image, landmarks = drawn
    (face,) = detector(image)
    assert face.how == "plain"
    assert face.presence > 0.99
    assert error(face, landmarks) < 0.15
    assert max(map(abs, face.pose[:2])) < 12
    left, top, right, bottom = face.box
    assert left < landmarks[:, 0].min() + 10
    assert bottom > landmarks[57, 1]
    assert top < landmarks[17:27, 1].min()
    assert right > landmarks[45, 0]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_faces_are_found_whichever_way_up(detector, drawn, quarters):
    image, landmarks = drawn
    turned = np.ascontiguousarray(np.rot90(image, -quarters))  # clockwise
    x, y = landmarks.T
    side = len(image) - 1
    there = {1: (side - y, x), 2: (side - x, side - y), 3: (y, side - x)}[quarters]
    face = max(detector(turned), key=lambda each: each.area)
    assert error(face, np.stack(there, axis=1)) < 0.2
    assert abs((face.pose.roll - 90 * quarters + 180) % 360 - 180) < 15


def test_small_faces_in_parts_of_a_picture(detector, drawn):
    image, landmarks = drawn
    scene = Image.new("RGB", (1200, 800), (120, 130, 125))
    places = [(80, 60), (620, 90), (1000, 560)]
    for place in places:
        scene.paste(Image.fromarray(image).resize((112, 112), Image.Resampling.LANCZOS), place)
    faces = detector(np.asarray(scene))
    assert len(faces) == 3
    assert {face.how for face in faces} == {"tile"}
    for place in places:
        assert min(error(face, landmarks / 4 + place) for face in faces) < 0.2


@pytest.mark.parametrize("shape", [(6, 1), (8, 1), (1, 6), (4, 2)])
def test_faces_of_one_height_in_a_long_picture(detector, drawn, shape):
    """A face that is large beside the shorter side ends no search for others like it."""
    image, landmarks = drawn
    across, rows = shape
    faces = detector(np.tile(image[60:380, 64:384], (rows, across, 1)))
    assert len(faces) == across * rows
    for i in range(across * rows):
        place = landmarks - (64, 60) + np.array([i % across, i // across]) * 320
        assert min(error(face, place) for face in faces) < 0.2


@pytest.mark.parametrize(("score", "faces"), [(0.5, 1), (0.7, 2)])
def test_a_doubtful_face_does_not_lean_on_another(score, faces):
    """Hair and forehead of a face look like one, too, to a network that sees them larger than they are."""
    corners = np.array([[(0, 0, 0), (99, 119, 0)], [(10, -50, 0), (80, 49, 0)]])  # they share half of one
    points = corners[:, np.arange(468) % 2].astype(float)
    presence = np.array([1 - 1e-10, 1 - 1e-9])
    found = _Found.none().joined(
        _Found(Meshes(points, presence, np.zeros((2, 4))), np.array([0.9, score]), ("plain", "tile"))
    )
    assert len(found.how) == faces


def test_a_portrait_ends_the_search(detector, drawn, monkeypatch):
    """Nobody much smaller is searched beside a large face, wherever it stands in a wide picture."""
    looks = []
    candidates = MeshDetector._candidates

    def counted(self, picture, where, network):
        looks.append(len(where))
        return candidates(self, picture, where, network)

    monkeypatch.setattr(MeshDetector, "_candidates", counted)
    scene = Image.new("RGB", (1200, 675), (120, 130, 125))
    scene.paste(Image.fromarray(drawn[0]).resize((640, 640), Image.Resampling.LANCZOS), (480, 20))
    (face,) = detector(np.asarray(scene))
    assert 0.25 * 675 < face.box[3] - face.box[1] < 0.35 * 1200
    assert max(looks) < 10  # no tiles of a seventh of the longer side


def test_a_picture_that_a_face_fills_is_found_with_a_border(detector, drawn):
    image, landmarks = drawn
    cut = np.array((140, 150))
    faces = detector(np.ascontiguousarray(image[150:330, 140:308]))
    assert len(faces) <= 1
    (face,) = MeshDetector(full_frame=True)(np.ascontiguousarray(image[150:330, 140:308]))
    assert error(face, landmarks - cut) < 0.3


@pytest.mark.parametrize("shape", [(1, 1), (5, 700), (300, 3), (48, 48), (240, 320)])
def test_no_face_is_an_empty_list(detector, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector(noise) == []


def test_full_frame_always_answers():
    image = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    (face,) = MeshDetector(full_frame=True)(image)
    assert (face.how, face.box) == ("full-frame", (0, 0, 60, 48))
    assert np.isnan(face.score)
    assert np.isfinite(face.landmarks).all()
    assert face.presence < 0.9
    assert face.pose is not None
    assert abs(face.pose.roll) < 45  # upright, as far as anybody knows


def test_a_box_that_is_given_is_read_whichever_way_up(detector, drawn):
    image, landmarks = drawn
    upside_down = np.ascontiguousarray(image[::-1, ::-1])
    (face, none) = detector.in_boxes(upside_down, [(150, 130, 300, 310), (0, 0, 60, 60)])
    assert (face.how, face.box) == ("given box", (150, 130, 300, 310))
    assert error(face, len(image) - 1 - landmarks) < 0.2
    assert none.presence < 0.9 < face.presence
    (face,) = detector.in_boxes(image, [(0, 0, image.shape[1], image.shape[0])])  # drawn very widely
    assert face.box == (0, 0, image.shape[1], image.shape[0])
    assert error(face, landmarks) < 0.2


def test_copies_and_threads_find_the_same(detector, drawn):
    image, _ = drawn
    (reference,) = detector(image)
    copy = pickle.loads(pickle.dumps(detector))
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: detector(image)[0], range(4)), copy(image)[0]]
    for face in found:
        np.testing.assert_array_equal(face.landmarks, reference.landmarks)


def test_an_unknown_device():
    with pytest.raises(InputError, match="device 'tpu': onnxruntime has no TPUExecutionProvider"):
        MeshDetector(device="tpu")


def test_the_networks_lie_in_the_package_with_their_licence():
    names = {path.name for path in WEIGHTS.iterdir()}
    assert names == {"near.onnx", "far.onnx", "mesh.onnx", "LICENSE", "NOTICE"}
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 3_000_000
    assert "Apache License" in (WEIGHTS / "LICENSE").read_text(encoding="utf-8")


def test_neither_torch_nor_dlib_is_needed():
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['dlib'] = None\n"
        "import numpy\nfrom aucue.faces import FaceReader\n"
        "print(FaceReader()(numpy.zeros((64, 64, 3), numpy.uint8)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_errors_against_independent_templates(photographs):
    """On every tenth of 142 faces, as they are and turned: what the page of results says, and a little."""
    spec = importlib.util.spec_from_file_location("benchmark_landmarks", BENCHMARKS / "landmarks.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark  # dataclasses look their module up
    spec.loader.exec_module(benchmark)
    for change, most in ((None, 0.0195), (benchmark.turned(90), 0.0205), (benchmark.turned(180), 0.0205)):
        measured = benchmark.measure_all(photographs / "landmarks-frl", "mesh", change, 14)
        assert all(each.usable for each in measured)
        assert np.mean([each.corners for each in measured]) < most


def test_reader_uses_it_where_nobody_chooses(drawn):
    reader = FaceReader()
    assert isinstance(reader.detector, MeshDetector)
    (face,) = reader(drawn[0])
    assert face.pose is not None
    assert face.doubt == ""


def test_real_photographs(detector, photographs):
    """Each of a few portraits has one face, seen from the front."""
    for path in sorted((photographs / "london" / "images").iterdir())[::80]:
        (face,) = detector(np.asarray(read_image(path)))
        assert face.presence > 0.999
        assert abs(face.pose.yaw) < 15
