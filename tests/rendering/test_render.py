"""The renderer: landmarks lie on what is drawn, and action units move what FACS says they move."""

from dataclasses import replace

import numpy as np
import pytest

from aucue.errors import InputError
from aucue.faces import MIRROR
from aucue.facs import ACTION_UNITS
from aucue.rendering import (
    FaceParameters,
    Identity,
    Sticker,
    View,
    contact_sheet,
    draw_action_units,
    render,
)
from aucue.rendering.geometry import Geometry

# A young face without fringe, beard or glasses in front of its features; seen frontally.
PLAIN = Identity(tone=0.15, hair_style="bun", eye_colour=(0.25, 0.15, 0.1))


FRONTAL = View(light=(0.0, -0.4))


def face(
    units: dict[int, float] | None = None, identity: Identity = PLAIN, view: View = FRONTAL
) -> FaceParameters:
    return FaceParameters(identity, units or {}, view)


def shape(units: dict[int, float] | None = None) -> np.ndarray:
    """Landmarks in inter-ocular distances, (68, 2)."""
    return Geometry(face(units), 112).points


def random_face(seed: int) -> FaceParameters:
    rng = np.random.default_rng(seed)
    units = dict(zip(ACTION_UNITS, rng.random(len(ACTION_UNITS)), strict=True))
    return FaceParameters(Identity.draw(seed), units, View.draw(rng), skew=0.1)


def pixel(image: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Colour at a place, bilinear."""
    (x0, y0), (fx, fy) = np.floor(point).astype(int), point - np.floor(point)
    patch = image[y0 : y0 + 2, x0 : x0 + 2].astype(float)
    rows = patch[0] * (1 - fy) + patch[1] * fy
    return rows[0] * (1 - fx) + rows[1] * fx


def test_rendering_has_the_promised_form():
    result = render(face(), 96)
    assert result.image.shape == (96, 96, 3)
    assert result.image.dtype == np.uint8
    assert result.landmarks.shape == (68, 2)
    assert result.landmarks.dtype == np.float32


def test_same_parameters_give_the_same_bytes():
    first, second = (render(random_face(3), 64) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.landmarks.tobytes() == second.landmarks.tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_mirrored_parameters_give_the_mirrored_picture(seed):
    original = random_face(seed)
    original = replace(original, view=replace(original.view, noise=0.0), mark=Sticker((0.9, 0.1, 0.1)))
    straight, mirrored = render(original, 96), render(original.mirrored(), 96)
    expected = straight.landmarks[MIRROR] * (-1, 1) + (95, 0)
    np.testing.assert_allclose(mirrored.landmarks, expected, atol=1e-3)
    difference = np.abs(straight.image[:, ::-1].astype(int) - mirrored.image)
    assert difference.mean() < 0.3
    assert np.abs(straight.image.astype(int) - mirrored.image).mean() > 3


def test_a_larger_picture_shows_the_same_face():
    small, large = render(face({12: 0.8}), 96), render(face({12: 0.8}), 192)
    np.testing.assert_allclose(large.landmarks, (small.landmarks + 0.5) * 2 - 0.5, atol=1e-3)
    halved = large.image.reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small.image).mean() < 4


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_landmarks_lie_in_the_picture_and_in_order(seed):
    landmarks = render(random_face(seed), 64).landmarks
    assert landmarks.min() >= 0
    assert landmarks.max() <= 63
    upright = landmarks - landmarks.mean(axis=0)
    assert upright[36, 0] < upright[39, 0] < upright[42, 0] < upright[45, 0]
    assert upright[0, 0] < upright[48, 0] < upright[54, 0] < upright[16, 0]
    assert upright[27, 1] < upright[33, 1] < upright[51, 1] < upright[57, 1] < upright[8, 1]
    assert (upright[61:64, 1] <= upright[[67, 66, 65], 1] + 1e-3).all()


def test_roll_turns_the_landmarks_about_the_point_between_the_eyes():
    straight, rolled = (render(face(view=View(roll=angle)), 112).landmarks for angle in (0, 10))
    line = rolled[42:48].mean(axis=0) - rolled[36:42].mean(axis=0)
    assert np.degrees(np.arctan2(line[1], line[0])) == pytest.approx(10, abs=0.2)
    np.testing.assert_allclose(
        np.linalg.norm(rolled[8] - rolled[27]), np.linalg.norm(straight[8] - straight[27]), rtol=1e-4
    )


def test_yaw_moves_the_nose_further_than_the_eyes():
    straight, turned = (render(face(view=View(yaw=angle)), 112).landmarks for angle in (0, 10))
    eyes = (turned - straight)[36:48, 0].mean()
    assert (turned - straight)[30, 0] > eyes + 1


# landmarks and pixels


def test_iris_is_dark_and_centred_in_the_eye_landmarks():
    result = render(face(), 224)
    for eye in (range(36, 42), range(42, 48)):
        points = result.landmarks[list(eye)]
        centre = points.mean(axis=0)
        corner = points[[0, 3]].mean(axis=0)
        assert pixel(result.image, corner).mean() < 90
        sclera = 0.72 * points[0] + 0.28 * centre
        assert pixel(result.image, sclera).mean() > pixel(result.image, corner).mean() + 60


@pytest.mark.parametrize("units", [{}, {12: 1.0}, {20: 1.0, 25: 1.0}, {27: 1.0}, {15: 0.8}])
def test_outer_lip_landmarks_lie_on_the_border_of_the_red(units):
    identity = replace(PLAIN, make_up=1.0)
    result = render(face(units, identity), 320)
    middle = result.landmarks[60:68].mean(axis=0)

    def redness(point: np.ndarray) -> float:
        red, green, blue = pixel(result.image, point)
        return red / (green + blue + 1)

    for index in (49, 50, 52, 53, 55, 56, 57, 58, 59):
        point = result.landmarks[index]
        inward = (middle - point) * (0.6, 1)
        inward /= np.linalg.norm(inward)
        assert redness(point + 3 * inward) > 1.2 * redness(point - 3.5 * inward), index


def test_open_mouth_is_dark_between_the_inner_lip_landmarks():
    image, landmarks = (lambda r: (r.image, r.landmarks))(render(face({25: 1.0, 27: 1.0}), 224))
    inside = 0.5 * landmarks[62] + 0.5 * landmarks[66]
    assert pixel(image, inside).mean() < 80
    assert pixel(image, landmarks[8] - (0, 12)).mean() > 150


def test_jaw_landmarks_lie_on_the_edge_of_the_face():
    identity = replace(PLAIN, hair_style="bald")
    backdrop = ((0.1, 0.3, 0.9), (0.1, 0.3, 0.9))
    result = render(face(identity=identity, view=View(background=backdrop)), 224)
    for index in (2, 3, 13, 14):
        outward = np.array([-1 if index < 8 else 1, 0])
        outside, inside = (pixel(result.image, result.landmarks[index] + d * outward) for d in (3, -3))
        assert outside[2] > outside[0] + 60, index
        assert inside[0] > inside[2] + 20, index


def test_brow_landmarks_lie_on_dark_hair():
    result = render(face(), 224)
    for index in (18, 19, 20, 23, 24, 25):
        brow = pixel(result.image, result.landmarks[index]).mean()
        assert brow < pixel(result.image, result.landmarks[index] - (0, 9)).mean() - 40, index


# action units

UP, DOWN = -1, 1
MOVES = [
    # AU, landmarks, axis, direction: as described in the FACS manual
    (1, [20, 21, 22, 23], 1, UP),
    (2, [17, 18, 25, 26], 1, UP),
    (4, [20, 21, 22, 23], 1, DOWN),
    (5, [37, 38, 43, 44], 1, UP),
    (6, [40, 41, 46, 47], 1, UP),
    (7, [40, 41, 46, 47], 1, UP),
    (7, [37, 38, 43, 44], 1, DOWN),
    (9, [31, 33, 35], 1, UP),
    (10, [50, 51, 52], 1, UP),
    (12, [48, 54], 1, UP),
    (15, [48, 54], 1, DOWN),
    (16, [56, 57, 58], 1, DOWN),
    (17, [57, 66, 8], 1, UP),
    (25, [66], 1, DOWN),
    (26, [8, 57], 1, DOWN),
    (27, [8, 57], 1, DOWN),
    (43, [37, 38, 43, 44], 1, DOWN),
]


@pytest.mark.parametrize(("number", "indices", "axis", "direction"), MOVES)
def test_action_unit_moves_landmarks_as_in_facs(number, indices, axis, direction):
    moved = (shape({number: 1.0}) - shape())[indices, axis]
    assert (moved * direction > 0.01).all(), moved


@pytest.mark.parametrize(("number", "direction"), [(12, 1), (14, 1), (20, 1), (23, -1), (24, -1)])
def test_action_unit_widens_or_narrows_the_mouth(number, direction):
    wide, neutral = (points[54, 0] - points[48, 0] for points in (shape({number: 1.0}), shape()))
    assert (wide - neutral) * direction > 0.02


@pytest.mark.parametrize("number", [23, 24])
def test_tight_and_pressed_lips_are_thin(number):
    def red(points: np.ndarray) -> float:
        return points[62, 1] - points[51, 1] + points[57, 1] - points[66, 1]

    assert red(shape({number: 1.0})) < 0.75 * red(shape())


def test_knitted_brows_come_together():
    assert shape({4: 1.0})[22, 0] < shape()[22, 0] - 0.02


def test_fear_brows_are_raised_and_drawn_together():
    fear, neutral = shape({1: 1.0, 2: 1.0, 4: 1.0}), shape()
    assert (fear[17:27, 1] < neutral[17:27, 1]).all()
    assert fear[22, 0] < neutral[22, 0] - 0.02


def test_stretched_mouth_opens_wider_than_dropped_jaw():
    def gap(points: np.ndarray) -> float:
        return points[66, 1] - points[62, 1]

    assert gap(shape({27: 1.0})) > 1.3 * gap(shape({26: 1.0})) > 0.1
    assert gap(shape()) == pytest.approx(0, abs=1e-6)


def test_closed_eyes_hide_the_sclera():
    opened, shut = render(face(), 224), render(face({43: 1.0}), 224)
    heights = [r.landmarks[41, 1] - r.landmarks[37, 1] for r in (opened, shut)]
    assert heights[1] < 0.1 * heights[0]
    spot = 0.72 * opened.landmarks[36] + 0.28 * opened.landmarks[36:42].mean(axis=0)
    skin = pixel(shut.image, shut.landmarks[28] * (1, 1) - (12, 0))
    assert np.abs(pixel(shut.image, spot) - skin).mean() < np.abs(pixel(opened.image, spot) - skin).mean()


@pytest.mark.parametrize("number", ACTION_UNITS)
def test_every_action_unit_can_be_seen_where_it_acts(number):
    neutral, moved = render(face(), 112), render(face({number: 1.0}), 112)
    change = np.abs(neutral.image.astype(float) - moved.image).mean(axis=2)
    assert (change > 12).sum() > 25
    upper_face = number in (1, 2, 4, 5, 7, 43)
    rows = np.average(np.arange(112), weights=change.sum(axis=1))
    assert (rows < neutral.landmarks[30, 1]) == upper_face or number in (6, 9)


@pytest.mark.parametrize(("number", "places"), [(1, [27]), (9, [27]), (6, [45]), (12, [35])])
def test_action_unit_adds_shading_beyond_the_contours(number, places):
    """Wrinkles, folds and furrows: pixels change next to landmarks that hardly move."""
    neutral, moved = render(face(), 224), render(face({number: 1.0}), 224)
    for place in places:
        x, y = neutral.landmarks[place].round().astype(int)
        window = slice(max(y - 40, 0), y + 20), slice(x - 24, x + 24)
        assert np.abs(neutral.image[window].astype(float) - moved.image[window]).max() > 15


def test_intensity_scales_the_movement():
    steps = [shape({12: value})[48, 1] for value in (0.0, 0.5, 1.0)]
    assert steps[0] > steps[1] > steps[2]
    assert steps[0] - steps[1] == pytest.approx(steps[1] - steps[2], rel=0.05)


def test_skew_moves_one_half_more():
    lopsided = Geometry(replace(face({12: 0.8}), skew=0.2), 112).points - shape()
    assert lopsided[48, 1] < 1.2 * lopsided[54, 1] < 0


# mistakes


def test_intensity_outside_the_range_is_refused():
    with pytest.raises(InputError, match="AU12 has intensity"):
        face({12: 1.5})


@pytest.mark.parametrize("number", [28, 0, "12"])
def test_action_units_that_no_face_can_show_are_refused(number):
    with pytest.raises(InputError, match=f"cannot show action unit {number!r}; they show 1, 2, 4, 5"):
        face({12: 0.5, number: 0.5})


def test_every_action_unit_can_be_drawn_at_once():
    for seed in range(20):  # in six of them, were there any, a unit that is no part of it would join in
        intensities = draw_action_units(tuple(ACTION_UNITS), np.random.default_rng(seed))
        assert list(intensities) == list(ACTION_UNITS)


def test_tiny_pictures_are_refused():
    with pytest.raises(InputError, match="16 x 16"):
        render(face(), 16)


def test_identities_differ_and_are_reproducible():
    assert Identity.draw(5) == Identity.draw(5)
    assert Identity.draw(5) != Identity.draw(6)


def test_skin_tones_cover_the_range():
    lightness = [Identity.draw(seed).skin.mean() for seed in range(150)]
    assert min(lightness) < 0.3
    assert max(lightness) > 0.8


def test_contact_sheet_has_a_row_per_person():
    sheet = contact_sheet(people=[1, 2], expressions=["neutral", "happiness", "fear"], size=48)
    assert sheet.size == (144, 96)
