from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from aucue.data import Sample
from aucue.data.crops import FaceCropper, no_detector
from aucue.faces import TEMPLATES, Detection, Face

from .conftest import mean_face

Box = tuple[float, float, float, float]
SIZE = 32


def detector(*boxes: Box) -> Callable[..., list[Detection]]:
    """Finds a face in each box, as wide as the box."""

    def find(image: np.ndarray, key: str | None = None) -> list[Detection]:
        faces = []
        for box in boxes:
            left, top, right, bottom = box
            points = mean_face(((left + right) / 2, (top + bottom) / 2), (right - left) / 2)
            faces.append(Detection(box, 1.0, points.astype(np.float32), "plain"))
        return faces

    return find


def crop(
    image: np.ndarray, find: Callable[..., list[Detection]] = no_detector, **known: object
) -> tuple[Face, tuple[str, str] | None]:
    sample = Sample("a", "fear", "train", image, **known)  # pyright: ignore[reportArgumentType]
    return FaceCropper(find, SIZE, TEMPLATES["aucue"])(sample, Image.fromarray(image))


def ramp(width: int = 100, height: int = 80) -> np.ndarray:
    """Red is twice the column, green twice the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([2 * columns, 2 * rows, 0 * rows], axis=2).astype(np.uint8)


SMALL, LARGE = (10.0, 10.0, 40.0, 40.0), (45.0, 10.0, 95.0, 70.0)


def test_the_largest_face_counts_where_no_box_says_otherwise() -> None:
    face, trouble = crop(ramp(), detector(SMALL, LARGE))
    assert (face.box, face.how, trouble) == (LARGE, "plain", None)


def test_the_face_that_overlaps_the_box_most_counts() -> None:
    # The box shares 25 x 20 pixels with the small face, 10 x 20 with the large one.
    face, trouble = crop(ramp(), detector(SMALL, LARGE), box=(15, 20, 55, 40))
    assert (face.box, face.has_landmarks, trouble) == (SMALL, True, None)


def test_landmarks_of_its_own_come_before_the_box() -> None:
    face, trouble = crop(ramp(), detector(SMALL), landmarks=mean_face(), box=(500, 500, 510, 510))
    assert (face.how, trouble) == ("precomputed", None)
    np.testing.assert_allclose(face.photo_landmarks, mean_face(), atol=1e-3)


@pytest.mark.parametrize("found", [(), (LARGE,)])
def test_without_a_face_in_it_the_box_is_widened(found: tuple[Box, ...]) -> None:
    box = (20.0, 10.0, 40.0, 50.0)
    image = np.zeros((80, 100, 3), np.uint8)
    image[4:56, 17:43] = 200  # 15 % of 20 and of 40 on each side
    face, trouble = crop(image, detector(*found), box=box)
    assert trouble == ("no face", "no face found")
    assert (face.how, face.has_landmarks, face.box) == ("box", False, (17, 4, 43, 56))
    assert (face.crop == 200).all()


def test_a_box_is_stretched_to_the_pixel() -> None:
    face, _ = crop(ramp(), box=(20.4, 10.6, 50.4, 30.6))
    centres = (np.arange(SIZE) + 0.5) / SIZE
    left, top, width, height = 20.4 - 4.5, 10.6 - 3, 39, 26
    np.testing.assert_allclose(face.crop[16, 2:-2, 0], 2 * (left + centres * width - 0.5)[2:-2], atol=1)
    np.testing.assert_allclose(face.crop[2:-2, 16, 1], 2 * (top + centres * height - 0.5)[2:-2], atol=1)
    corners = face.matrix[:, :2] @ [left - 0.5, top - 0.5] + face.matrix[:, 2]
    np.testing.assert_allclose(corners, -0.5)


def test_a_widened_box_may_stick_out_of_the_picture() -> None:
    face, trouble = crop(ramp(), box=(0, 40, 60, 80))  # widened: -9 to 69, 34 to 86
    assert (face.how, trouble) == ("box", ("no face", "no face found"))
    centres = (np.arange(SIZE) + 0.5) / SIZE
    expected = 2 * np.clip(-9 + centres * 78 - 0.5, 0, 99)
    np.testing.assert_allclose(face.crop[16, :-2, 0], expected[:-2], atol=2)
    expected = 2 * np.clip(34 + centres * 52 - 0.5, 0, 79)
    np.testing.assert_allclose(face.crop[2:, 16, 1], expected[2:], atol=2)


@pytest.mark.parametrize(
    "box",
    [(80, 10, 180, 60), (-50, -50, -10, -10), (40, 10, 20, 50), (0, 0, float("nan"), 9), (0, 0, 1e9, 1e9)],
)
def test_a_box_outside_the_picture_is_no_box(box: Box) -> None:
    face, trouble = crop(ramp(), box=box)
    assert trouble is not None
    assert trouble[0] == "bad box"
    assert "lies outside the picture (100, 80)" in trouble[1]
    assert (face.how, face.box) == ("none", (10, 0, 90, 80))
    face, trouble = crop(ramp(), detector(SMALL, LARGE), box=box)
    assert face.box == LARGE
    assert trouble is not None


def test_bad_landmarks_leave_the_box() -> None:
    face, trouble = crop(ramp(), landmarks=mean_face()[:5], box=(20, 10, 40, 50))
    assert face.how == "box"
    assert trouble is not None
    assert trouble[0] == "bad landmarks"


def test_an_aligned_picture_is_resized_with_its_landmarks() -> None:
    points = mean_face((32, 30), 20)
    image = ramp(64, 80)
    face, trouble = crop(image, aligned=True, landmarks=points)
    expected = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(face.crop, np.asarray(expected))
    np.testing.assert_allclose(face.landmarks, (points + 0.5) * (0.5, 0.4) - 0.5, atol=1e-3)
    assert (face.how, trouble) == ("precomputed", None)


def test_landmarks_found_in_an_aligned_picture_are_scaled() -> None:
    face, trouble = crop(ramp(64, 64), detector((2, 2, 20, 20), (8, 8, 56, 56)), aligned=True)
    np.testing.assert_allclose(face.landmarks, (mean_face((32, 32), 24) + 0.5) / 2 - 0.5, atol=1e-3)
    assert (face.how, trouble) == ("plain", None)


def test_an_aligned_picture_without_a_face_is_kept_whole() -> None:
    image = ramp(64, 96)
    face, trouble = crop(image, aligned=True, box=(20, 20, 40, 40))
    assert (face.how, face.box, trouble) == ("none", (0, 0, 64, 96), ("no face", "no face found"))
    expected = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(face.crop, np.asarray(expected))
    assert not face.has_landmarks
