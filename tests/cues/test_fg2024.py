"""The published regions against OpenCV and torch, step by step as the published code takes them."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from aucue.cues import AUCue, PublishedRegions
from aucue.cues.opencv_ellipse import LONGEST_AXIS, filled_rows
from aucue.facs import Codebook

cv2 = pytest.importorskip("cv2")


def filled(size, ellipses):
    canvas = np.zeros(size, np.uint8)
    for x, y, a, b in ellipses:
        cv2.ellipse(canvas, (x, y), (a, b), 0, 0, 360, 1, -1)
    return canvas


def pixels_of(a, b):
    first, last = filled_rows()[a, b].long().unbind(-1)
    columns = torch.arange(-130, 131)
    inside = (columns >= first[:, None]) & (columns <= last[:, None])
    return functional.pad(inside.to(torch.uint8), (0, 0, 3, 3)).numpy()


def test_small_ellipses_to_the_pixel():
    for a in range(0, 33, 2):
        for b in range(32):
            ours = pixels_of(a, b)[90:-90, 90:-90]
            np.testing.assert_array_equal(ours, filled((81, 81), [(40, 40, a, b)]), f"{a}, {b}")


@pytest.mark.parametrize("a", [0, 1, 40, 77, 126, 127])
def test_large_ellipses_to_the_pixel(a):
    for b in range(0, LONGEST_AXIS + 1, 3):
        np.testing.assert_array_equal(pixels_of(a, b), filled((261, 261), [(130, 130, a, b)]), f"{a}, {b}")


def published_ellipses(points, size):
    """The published geometry of one face, in plain Python: the table of the paper's code."""
    h, w = size
    x, y = ([int(value) for value in axis] for axis in points.T)

    def mid(p, q):
        return int((p + q) / 2)

    def half(p, q, extra=0):
        return max(int((q - p + extra) / 2), 0)

    def eye(left, right, top, bottom, extra, zero):
        a, b = half(x[left], x[right]), half(y[top], y[bottom], extra)
        return mid(x[left], x[right]), mid(y[top], y[bottom]), a or zero, b or zero

    def eyes(extra, zero):
        return [eye(36, 39, 38, 41, extra, zero), eye(42, 45, 44, 47, extra, zero)]

    lips = [(mid(x[48], x[54]), mid(y[51], y[57]), half(x[48], x[54]) or 5, half(y[51], y[57]) or 5)]
    brow, cheek, down = (round(w / 8), round(h / 10)), (round(w / 10), round(h / 10)), round(h / 6)
    corners = [(x[48], y[48], 20, 20), (x[54], y[54], 20, 20)]
    return {
        1: [(x[20], y[20], *brow), (x[23], y[23], *brow)],
        2: [(x[18], y[18], *brow), (x[25], y[25], *brow)],
        4: [(mid(x[19], x[24]), mid(y[19], y[24]), half(x[19], x[24]) or 10, half(y[19], y[24]) or 10)],
        5: eyes(0, 5),
        6: [(x[41], y[41] + down, *cheek), (x[46], y[46] + down, *cheek)],
        7: eyes(20, 5),
        9: [(x[31], y[29], 20, 20), (x[35], y[29], 20, 20)],
        10: [(x[48], y[50], 20, 20), (x[52], y[54], 20, 20)],
        12: corners,
        14: [(max(x[48] - 20, 0), y[48], 20, 20), (min(x[54] + 20, w), y[54], 20, 20)],
        15: corners,
        16: [(x[59], y[59], 20, 20), (x[55], y[55], 20, 20)],
        17: [(mid(x[59], x[8]), mid(y[59], y[8]), half(x[59], x[8]) or 5, half(y[59], y[8]) or 5)],
        20: [(mid(x[48], x[6]), mid(y[48], y[6]), 20, 20), (mid(x[50], x[10]), mid(y[50], y[10]), 20, 20)],
        23: lips,
        24: lips,
        25: [(x[51], y[51], 25, 10), (x[57], y[57], 25, 10)],
        26: lips,
        27: lips,
        43: eyes(20, 0),
    }  # fmt: skip


def published_maps(points, size):
    """Grids before the blur, maps, and whether each is drawn, as the published code computes them."""
    masks = np.stack([filled(size, ellipses) for ellipses in published_ellipses(points, size).values()])
    canvas = torch.from_numpy(masks).double()[None] * (255 - 1e-4) + 1e-4
    grids = functional.interpolate(canvas, (28, 28), mode="bilinear", align_corners=False)
    blurred = functional.conv2d(
        functional.pad(grids, (1, 1, 1, 1), mode="reflect").transpose(0, 1),
        torch.full((1, 1, 3, 3), 1 / 9.0).double(),
    )
    maps = functional.interpolate(blurred, size, mode="bilinear", align_corners=False)
    return grids[0], maps[:, 0], torch.from_numpy(masks.any((1, 2)))


@pytest.fixture(scope="module")
def many_faces(faces):
    """Faces (18, 68, 2) in float64: also upside down, and partly out of the frame."""
    far = faces + torch.tensor([[-90.0, 60.0]])
    return torch.cat((faces, 223 - faces, far)).double()


@pytest.mark.parametrize("size", [(224, 224), (256, 256), (180, 240), (300, 400)])
def test_published_steps_at_any_size(many_faces, size):
    faces = many_faces if size == (224, 224) else many_faces[::3]
    points = faces * torch.tensor([size[1] / 224, size[0] / 224])
    draw = AUCue("fg2024", regions="fg2024")
    cells = PublishedRegions().cells(points, size)
    maps, valid = draw.single(points, size)
    for face, grid, drawn, own in zip(points.numpy(), cells, valid, maps, strict=True):
        expected_grid, expected, expected_drawn = published_maps(face, size)
        torch.testing.assert_close(grid * (255 - 1e-4) + 1e-4, expected_grid, atol=1e-9, rtol=0)
        assert drawn.tolist() == expected_drawn.tolist()
        assert ((own[drawn].double() * 255 - expected[drawn]).abs() <= 255e-6).all()


def test_same_regions_are_drawn_once():
    model = PublishedRegions()
    assert len(model.shapes((23, 24, 26, 27, 12, 15))) == 2
    assert len(model.shapes((7, 43))) == 2  # they differ where an eye is closed
    assert len(model.shapes(model.action_units)) == 16


def test_truncation_in_the_precision_given(face):
    # 141.99999999999994 is pixel 141; rounded to float32 it would be 142.
    points = face[None].double()
    points[0, 48, 0] = 142 - 6e-14
    expected = points.clone()
    expected[0, 48, 0] = 141
    model = PublishedRegions()
    torch.testing.assert_close(
        model.cells(points, (224, 224)), model.cells(expected, (224, 224)), atol=0, rtol=0
    )


def test_ellipses_longer_than_the_table(face):
    # Beyond it an exact ellipse is drawn, which differs from OpenCV's polygon at the outline only.
    size = (1200, 1200)
    points = ((face[None] - 111.5) * 5 + 600).double()
    grid = PublishedRegions().cells(points, size)[0]
    expected, _, _ = published_maps(points[0].numpy(), size)
    difference = (grid - (expected - 1e-4) / (255 - 1e-4)).abs()
    assert difference.max() <= 0.5
    assert difference.mean() < 1e-3


def test_a_constant_map_is_no_cue():
    # Drawn, but between the rows and columns that the sampler reads (3, 4, 11, 12, ... at 224).
    points = torch.full((1, 68, 2), -500.0)
    points[:, [51]] = torch.tensor([112.0, -10.0])  # AU25: the ellipse's last row is row 0
    data = {"name": "lips", "expressions": {"happiness": [25]}}
    cue = AUCue(Codebook.from_dict(data), ["happiness"], "fg2024")(points, torch.tensor([0]), (224, 224))
    assert cue.valid.tolist() == [False]
    assert (cue.map == 0).all()


@pytest.mark.parametrize("side", [64, 112])  # 112: what APViT sees
def test_regions_of_224_pixels_whatever_the_frame(faces, side):
    """In a smaller crop they are those of the same crop at 224; there they are `fg2024`'s own."""
    points = faces[1:].double()  # whose coordinates are far from whole, which rounding would truncate
    expressions = torch.tensor([1, 2, 3, 4, 5])
    published = AUCue("fg2024", regions="fg2024")(points, expressions, (224, 224), (side, side))
    draw = AUCue("fg2024", regions="fg2024-224")
    small = draw((points + 0.5) * side / 224 - 0.5, expressions, (side, side))
    torch.testing.assert_close(small, published)
    torch.testing.assert_close(draw(points, expressions, (224, 224), (side, side)), published)
    assert draw.regions.name == "fg2024-224"
    unscaled = AUCue("fg2024", regions="fg2024")((points + 0.5) * side / 224 - 0.5, expressions, (side, side))
    assert unscaled.map.sum() > 1.2 * published.map.sum()


def test_region_models_keep_their_side_when_copied():
    assert copy.deepcopy(AUCue(regions="fg2024-224")).regions.name == "fg2024-224"
