import numpy as np
import pytest
from PIL import Image

from aucue.errors import InputError
from aucue.faces import FaceReader, GivenBoxes

from ..builders import drawn_face


@pytest.fixture(scope="module")
def photo():
    canvas = Image.new("RGB", (300, 260), (200, 200, 205))
    canvas.paste(Image.fromarray(np.asarray(drawn_face(224)[0])), (40, 20))
    return canvas


BOX = (90, 50, 220, 220)


def asked(image, key=None):
    raise AssertionError(f"the detector was asked for {key}")


def test_a_box_takes_the_place_of_the_detector(photo, tmp_path):
    photo.save(tmp_path / "a.png")
    for boxes in ({"a.png": [BOX]}, {str(tmp_path / "a.png"): [BOX]}, [BOX]):
        (face,) = FaceReader(asked, boxes=boxes)(tmp_path / "a.png")
        assert (face.how, face.box) == ("given box", BOX)
        assert face.has_landmarks
        assert face.presence > 0.9
    (face,) = FaceReader(asked, boxes=[BOX])(photo)
    assert face.how == "given box"


def test_photographs_that_are_not_named_are_searched(photo):
    faces = FaceReader(lambda image, key=None: [], boxes={"b.png": [BOX]})(photo, key="a.png")
    assert faces == []
    assert GivenBoxes({"a.png": []}, asked)(np.asarray(photo), "a.png") == []  # somebody says: no face


@pytest.mark.parametrize(
    "box", [(1, 2, 3), (5, 0, 5, 9), (0, 9, 9, 0), (0, 0, 9, float("nan")), "abcd", None]
)
def test_what_is_no_box(box):
    with pytest.raises(InputError, match=r"The box .* of a.png is none; give left, top, right, bottom"):
        FaceReader(asked, boxes={"a.png": [box]})
