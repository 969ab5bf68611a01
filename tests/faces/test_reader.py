import io
import logging
import math
import pickle

import numpy as np
import pytest
from PIL import Image

from aucue.errors import InputError
from aucue.faces import (
    TEMPLATES,
    Detection,
    FaceReader,
    Pose,
    PrecomputedDetector,
    eye_centres,
    read_image,
    transform_points,
)


def face_points(centre=(100, 100), distance=40.0, degrees=0.0):
    """Landmarks with sensible anchors: eyes, mouth corners, nose tip; the rest in the middle of the face."""
    points = np.tile([0.0, 0.4], (68, 1))
    points[36:42], points[42:48] = (-0.5, 0), (0.5, 0)
    points[48], points[54], points[8] = (-0.4, 1.05), (0.4, 1.05), (0, 1.7)
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (points * distance @ rotation + centre).astype(np.float32)


class Found:
    """A detector that finds what it is told, and remembers what it was asked."""

    def __init__(self, *faces):
        self.faces = faces
        self.asked = []

    def __call__(self, image, key=None):
        self.asked.append((image.shape, image.dtype, key))
        return [Detection((*points.min(0), *points.max(0)), 0.5, points, "plain") for points in self.faces]


PHOTO = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def test_no_face():
    assert FaceReader(Found())(PHOTO) == []


def test_read_all(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    detector = Found(face_points())
    reader = FaceReader(detector)
    faces, reason = reader.read_all([tmp_path / "photo.png", tmp_path / "gone.png"])
    assert isinstance(faces, list)
    assert [face.box for face in faces] == [face.box for face in reader(PHOTO)]
    assert str(reason).startswith(f"{tmp_path / 'gone.png'} does not exist")
    assert detector.asked[0][2] == str(tmp_path / "photo.png")


def test_largest_first():
    small, large = face_points((50, 50), 20), face_points((200, 80), 60)
    faces = FaceReader(Found(small, large, small))(PHOTO)
    assert [face.box[0] for face in faces] == [large[:, 0].min(), small[:, 0].min(), small[:, 0].min()]


@pytest.mark.parametrize("template", ["aucue", "fg2024"])
@pytest.mark.parametrize("size", [112, 224])
def test_faces_are_upright_in_the_template(template, size):
    points = face_points((150, 100), 33, degrees=35)
    (face,) = FaceReader(Found(points), size, template)(PHOTO)
    assert face.crop.shape == (size, size, 3)
    assert face.crop.dtype == np.uint8
    assert face.size == size
    (left_x, left_y), (right_x, right_y) = eye_centres(face.landmarks)
    assert abs(left_y - right_y) < 0.02 * size
    expected = TEMPLATES[template].points(size)
    np.testing.assert_allclose([left_x, right_x], expected[:2, 0], atol=0.03 * size)
    assert face.landmarks.dtype == np.float32
    assert face.has_landmarks
    np.testing.assert_allclose(face.landmarks, transform_points(face.matrix, points), atol=1e-3)
    np.testing.assert_allclose(face.photo_landmarks, points, atol=1e-3)
    assert (face.how, face.score, face.pose, face.doubt) == ("plain", 0.5, None, "")
    assert math.isnan(face.presence)


@pytest.mark.parametrize(
    ("presence", "pose", "doubt"),
    [
        (1.0, Pose(80, 44, -39), ""),
        (0.6, Pose(0, 0, 0), "may be no face (presence 0.60), not trusted"),
        (1.0, Pose(0, -58.4, 0), "turned to profile (yaw -58 degrees), not trusted"),
        (1.0, Pose(0, 0, 41), "seen from above (pitch 41 degrees), not trusted"),
        (1.0, Pose(0, 0, -50), "seen from below (pitch -50 degrees), not trusted"),
    ],
)
def test_what_a_detector_knows_of_a_face_travels_with_it(presence, pose, doubt):
    def detector(image, key=None):
        return [Detection((0, 0, 99, 99), 0.5, face_points(), "tile", presence, pose)]

    (face,) = FaceReader(detector)(PHOTO)
    assert (face.how, face.presence, face.pose, face.doubt) == ("tile", presence, pose, doubt)


def test_crop_shows_what_the_landmarks_mark():
    """Both eyes are painted; the crop has the paint at the landmarks."""
    points = face_points((150, 100), 40, degrees=-20)
    photo = np.zeros((200, 300, 3), np.uint8)
    rows, columns = np.mgrid[0:200, 0:300]
    for channel, (x, y) in enumerate(eye_centres(points)):
        photo[(columns - x) ** 2 + (rows - y) ** 2 < 36, channel] = 255
    (face,) = FaceReader(Found(points))(photo)
    rows, columns = np.mgrid[0:224, 0:224]
    for channel, eye in enumerate(eye_centres(face.landmarks)):
        weight = face.crop[..., channel] / face.crop[..., channel].sum()
        assert np.hypot((weight * columns).sum() - eye[0], (weight * rows).sum() - eye[1]) < 0.5


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (face_points(distance=0.5), "less than a pixel apart"),
        (np.full((68, 2), 50, np.float32), "less than a pixel apart"),
        (np.full((68, 2), np.nan, np.float32), "incomplete"),
        (np.zeros((5, 2), np.float32), "incomplete"),
        (face_points((1000, 1000)), "outside the picture"),
    ],
)
def test_faces_that_cannot_be_aligned_are_left_out_and_logged(points, reason, caplog):
    with caplog.at_level(logging.WARNING):
        faces = FaceReader(Found(points, face_points()))(PHOTO, key="party.jpg")
    assert len(faces) == 1
    assert "party.jpg: a face (plain) is left out: " in caplog.text
    assert reason in caplog.text


def test_a_face_cut_by_the_border_is_kept():
    assert len(FaceReader(Found(face_points((5, 100))))(PHOTO)) == 1


class FoundByLooking(Found):
    """Finds a face at its place in a picture of any size."""

    sees_pixels_alone = True

    def __call__(self, image, key=None):
        self.faces = [(face_points() + 0.5) * (image.shape[1] / 304) - 0.5]
        return super().__call__(image, key)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "P"), ("TIFF", "RGBA")])
def test_very_large_photographs_are_reduced(kind, mode, tmp_path, monkeypatch):
    """The face lies where it lies in the photograph, whichever way it was read."""
    smooth = np.linspace(0, 255, 304 * 208 * 3).astype(np.uint8).reshape(208, 304, 3)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "photo", kind)
    whole_detector, detector = FoundByLooking(), FoundByLooking()
    (whole,) = FaceReader(whole_detector, 64)(tmp_path / "photo")
    monkeypatch.setattr("aucue.faces.photographs.FULL_PIXELS", 304 * 208 // 5)  # not at a half either
    (face,) = FaceReader(detector, 64)(tmp_path / "photo")
    assert whole_detector.asked[0][0] == (208, 304, 3)
    assert detector.asked[0][0] == (52, 76, 3)
    assert face.box == pytest.approx(whole.box, abs=2)  # its edges are pixel centres, of other pixels
    np.testing.assert_allclose(face.matrix, whole.matrix, atol=1e-4)
    np.testing.assert_allclose(face.photo_landmarks, whole.photo_landmarks, atol=1e-3)
    known = Found(face_points())  # one that may know the photograph sees all of it
    FaceReader(known, 64)(tmp_path / "photo")
    assert known.asked[0][0] == (208, 304, 3)


def test_the_key_is_the_path_unless_given(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PHOTO).save(path)
    detector = Found()
    reader = FaceReader(detector)
    reader(path)
    reader(path, key="b.png")
    reader(path.read_bytes())
    assert [asked[2] for asked in detector.asked] == [str(path), "b.png", None]


def test_detectors_see_upright_rgb():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("L", (60, 40)).save(file, "PNG", exif=exif)
    detector = Found()
    FaceReader(detector)(file.getvalue())
    assert detector.asked == [((60, 40, 3), np.uint8, None)]


def test_faces_of_a_table(tmp_path):
    path = tmp_path / "faces.csv"
    header = ",".join(["file"] + [f"{axis}{index}" for index in range(68) for axis in "xy"])
    path.write_text(header + "\na.png," + ",".join(map(str, face_points().ravel())) + "\n")
    reader = FaceReader(PrecomputedDetector(path))
    (face,) = reader(PHOTO, key="a.png")
    assert face.how == "precomputed"
    np.testing.assert_allclose(face.photo_landmarks, face_points(), atol=1e-3)
    assert reader(PHOTO, key="b.png") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detector": "mtcnn"}, "'mtcnn'; use mesh, mesh-full-frame, dlib, .*, none, or a table"),
        ({"detector": Found(), "template": "arcface"}, "Unknown template 'arcface'; known: aucue, fg2024"),
        ({"detector": Found(), "size": 0}, "from 1 to 2048 pixels, got 0"),
        ({"detector": Found(), "size": 100_000}, "from 1 to 2048 pixels, got 100000"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        FaceReader(**arguments)


@pytest.fixture
def portraits(photographs):
    return sorted((photographs / "london" / "images").iterdir())[::60]


def test_pickled_reader_reads_the_same(portraits):
    reader = FaceReader()
    (face,), (again,) = reader(portraits[0]), pickle.loads(pickle.dumps(reader))(portraits[0])
    np.testing.assert_array_equal(face.crop, again.crop)


def test_real_photographs_in_every_form(portraits):
    """Rotated by EXIF, grey, with alpha, with 16 bits: the same face within a few pixels."""
    reader = FaceReader()
    image = read_image(portraits[0])
    (reference,) = reader(image)
    exif, rotated = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(rotated, "PNG", exif=exif)
    grey16 = np.asarray(image.convert("L")).astype(np.uint16) * 257
    for photo in (rotated.getvalue(), image.convert("L"), image.convert("RGBA"), grey16):
        (face,) = reader(photo)
        assert np.abs(face.landmarks - reference.landmarks).mean() < 3


def test_default_template_shows_whole_faces(photographs):
    """At least 97 % of all landmarks lie in the crop, chin and jaw of open mouths included."""
    for name in ("london", "sfhq"):
        table = PrecomputedDetector(photographs / name / "landmarks.csv")
        reader = FaceReader(table)
        inside = [
            ((face.landmarks >= 0) & (face.landmarks <= 223)).all(axis=1)
            for file in table.files[::5]
            for face in reader(photographs / name / "images" / file)
        ]
        assert np.mean(inside) >= 0.97


def test_full_frame_detector_in_a_reader(portraits):
    (face,) = FaceReader("mesh-full-frame")(portraits[0])
    assert face.how == "plain"
