import math

import numpy as np
import pytest
from PIL import Image

from aucue.errors import InputError
from aucue.faces import TEMPLATES, Template, eye_centres, invert, similarity, transform_points, warp


def turn(scale, degrees, shift=(0, 0)):
    """Similarity that scales, turns and then shifts."""
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def test_similarity_is_recovered():
    points = np.random.default_rng(0).normal(size=(5, 2)) * 30
    matrix = turn(0.7, 130, (12, -5))
    np.testing.assert_allclose(similarity(points, transform_points(matrix, points)), matrix, atol=1e-12)


def test_similarity_is_the_least_squares_one():
    """Against the normal equations of [x -y 1 0; y x 0 1] (a, b, tx, ty) = dst."""
    rng = np.random.default_rng(1)
    src, dst = rng.normal(size=(2, 6, 2))
    x, y = src.T
    one, zero = np.ones(6), np.zeros(6)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, dst.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(src, dst), [[a, -b, tx], [b, a, ty]], atol=1e-12)


def test_similarity_never_reflects():
    square = np.array([[0, 0], [2, 0], [2, 1], [0, 1.0]])
    matrix = similarity(square, square * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("src", "dst", "message"),
    [
        (np.ones((4, 2)), np.eye(4)[:, :2], "fall together"),
        (np.eye(4)[:, :2], np.ones((4, 2)), "fall together"),
        (np.eye(3), np.eye(3), r"n >= 2 points"),
        (np.zeros((4, 2)), np.zeros((5, 2)), r"n >= 2 points"),
        (np.full((4, 2), np.nan), np.eye(4)[:, :2], "finite"),
    ],
)
def test_similarity_says_what_it_cannot_fit(src, dst, message):
    with pytest.raises(InputError, match=message):
        similarity(src, dst)


def test_invert():
    points = np.random.default_rng(0).normal(size=(4, 2))
    matrix = turn(3, 40, (1, 2))
    np.testing.assert_allclose(transform_points(invert(matrix), transform_points(matrix, points)), points)


def test_fg2024_template_at_224():
    """DESIGN section 9: the ArcFace points x 2."""
    points = TEMPLATES["fg2024"].points(224)
    expected = [(76.6, 103.4), (147.1, 103.0), (83, 185), (142, 184), (112.05, 143.47)]
    np.testing.assert_allclose(points, expected, atol=1e-9)


def test_template_points_scale_from_the_edges_of_the_crop():
    for template in TEMPLATES.values():
        np.testing.assert_allclose(template.points(448) + 0.5, 2 * (template.points(224) + 0.5))


def test_template_matrix_puts_anchors_where_it_says():
    template = TEMPLATES["aucue"]
    landmarks = np.zeros((68, 2))
    left, right, left_corner, right_corner = template.points(224)
    landmarks[36:42], landmarks[42:48], landmarks[48], landmarks[54] = left, right, left_corner, right_corner
    photo = transform_points(turn(3, 20, (50, 400)), landmarks)
    aligned = transform_points(template.matrix(photo, 224), photo)
    np.testing.assert_allclose(eye_centres(aligned), [left, right], atol=1e-9)
    np.testing.assert_allclose(aligned[[48, 54]], [left_corner, right_corner], atol=1e-9)


def dots(points, sigma, size):
    """A dark picture with a bright Gaussian dot at each point."""
    profiles = np.exp(-((np.arange(size) - points[..., None]) ** 2) / (2 * sigma**2)).astype(np.float32)
    heat = np.max([np.outer(down, across) for across, down in profiles], axis=0)
    return np.repeat(np.rint(255 * heat).astype(np.uint8)[..., None], 3, axis=-1)


def centroid(crop, point, radius):
    rows, columns = np.ogrid[0 : crop.shape[0], 0 : crop.shape[1]]
    near = (columns - point[0]) ** 2 + (rows - point[1]) ** 2 < radius**2
    weight = crop[..., 0] * near.astype(float)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("degrees", [0, 17, -90, 171])
@pytest.mark.parametrize("scale", [0.13, 0.5, 0.97, 1, 1.3, 4.7])
def test_points_coincide_with_what_they_mark(scale, degrees):
    size = 224
    spots = np.array([(80.2, 70.4), (150.7, 90.1), (110.5, 160.9)])
    matrix = turn(scale, degrees)
    reach = 112 / scale
    matrix[:, 2] = 111.5 - matrix[:, :2] @ (1.2 * reach, 1.3 * reach)
    in_photo = transform_points(invert(matrix), spots)
    sigma = max(1.2, 3 / scale)
    crop = warp(dots(in_photo, sigma, int(3 * reach)), matrix, size)
    for spot in spots:
        assert np.linalg.norm(centroid(crop, spot, 4 * sigma * scale) - spot) < 0.2


def test_identity_is_exact():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    identity = np.eye(2, 3)
    np.testing.assert_array_equal(warp(image, identity, 32), image)
    np.testing.assert_array_equal(warp(Image.fromarray(image), identity, 32), image)


def test_shrinking_is_antialiased():
    """A one-pixel checkerboard has to become grey, not a moiré pattern."""
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    crop = warp(np.repeat(board[..., None], 3, axis=-1), turn(0.23, 8, (20, 5)), 64)
    assert np.abs(crop[16:-16, 16:-16].astype(int) - 127).max() <= 6


def test_enlarging_is_smooth():
    """Where a step becomes ten pixels wide, no neighbouring pixels differ by half the step."""
    step = np.zeros((12, 12, 3), np.uint8)
    step[:, 6:] = 200
    crop = warp(step, turn(10, 0), 120).astype(int)
    assert np.abs(np.diff(crop, axis=1)).max() < 60


def test_outside_repeats_the_border():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, :5], image[:, 5:] = (200, 0, 0), (0, 0, 90)
    crop = warp(image, np.array([[1.0, 0, 20], [0, 1, 20]]), 50)
    assert (crop[:, :20] == (200, 0, 0)).all()
    assert (crop[:, 30:] == (0, 0, 90)).all()


@pytest.mark.parametrize("shift", [(500, 0), (-500, 0), (0, 500), (0, -500)])
def test_a_crop_beside_the_picture_shows_its_border(shift):
    image = np.full((10, 10, 3), 7, np.uint8)
    assert (warp(image, turn(2, 30, shift), 40) == 7).all()


def test_a_template_of_ones_own():
    template = Template("eyes", (0.25, 0.5), (0.75, 0.5), (0.3, 1.1), (0.7, 1.1))
    assert template.points(100)[0].tolist() == [24.5, 49.5]
