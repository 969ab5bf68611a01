import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from aucue.errors import InputError
from aucue.metrics import (
    blank_pixels,
    face_region,
    points_hull,
    probability_losses,
    random_regions,
    region_of,
    regions_of,
)


def left_half(images: Tensor) -> Tensor:
    """A network that reads the mean of the left half of a 4 x 4 image."""
    score = images[:, 0, :, :2].mean((1, 2))
    return torch.stack([score, 1 - score], dim=1)


def disc(side: int, radius: float) -> Tensor:
    at = torch.arange(side) - (side - 1) / 2
    return (at[:, None] ** 2 + at[None, :] ** 2 <= radius**2)[None, None]


def test_losses_by_hand():
    images, filled = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    regions = torch.zeros(2, 3, 4, 4, dtype=torch.bool)
    regions[:, 0, :, :2] = True  # all that it reads
    regions[:, 1, 0, :] = True  # a row: 2 of the 8 pixels that it reads
    regions[:, 2, :, 2:] = True  # what it does not read
    losses = probability_losses(left_half, images, filled, regions, torch.tensor([0, 1]), batch_size=3)
    torch.testing.assert_close(losses, torch.tensor([[1.0, 0.25, 0.0], [-1.0, -0.25, 0.0]]))


def test_regions_and_images_must_fit():
    with pytest.raises(InputError, match=r"regions \(B, R, H, W\)"):
        probability_losses(
            left_half,
            torch.ones(2, 1, 4, 4),
            torch.ones(2, 1, 4, 4),
            torch.zeros(1, 3, 4, 4, dtype=torch.bool),
            torch.tensor([0, 1]),
        )


def test_random_regions_have_the_area_and_lie_inside():
    inside = disc(32, 12).expand(3, -1, -1, -1)
    areas = torch.tensor([50, 1, 300])
    regions, possible = random_regions(areas, inside, seeds=[4, 5, 6], count=10)
    assert possible.all()
    assert torch.equal(regions.sum((2, 3)), areas[:, None].expand(-1, 10))
    assert not (regions & ~inside).any()
    assert len({region.flatten().numpy().tobytes() for region in regions[0]}) == 10


def test_random_regions_are_whole_blobs():
    inside = disc(48, 22).expand(20, -1, -1, -1)
    regions, _ = random_regions(torch.full((20,), 120), inside, range(20), count=5)
    parts = [cv2.connectedComponents(r.numpy().astype(np.uint8))[0] - 1 for r in regions.flatten(0, 1)]
    assert set(parts) == {1, 2}
    alone, _ = random_regions(torch.full((20,), 120), inside, range(20), count=5, blobs=1)
    assert {cv2.connectedComponents(r.numpy().astype(np.uint8))[0] - 1 for r in alone.flatten(0, 1)} == {1}


def test_random_regions_come_everywhere_inside():
    inside = disc(32, 12)
    regions, _ = random_regions(torch.tensor([30]), inside, [0], count=400)
    covered = regions[0].float().mean(dim=0)
    assert (covered[inside[0, 0]] > 0).all()
    left, right = covered[:, :16].sum(), covered[:, 16:].sum()
    assert (left / right).item() == pytest.approx(1, abs=0.2)


def test_a_face_keeps_its_regions_in_any_batch():
    inside, areas = disc(24, 10).expand(2, -1, -1, -1), torch.tensor([40, 60])
    together, _ = random_regions(areas, inside, [7, 8])
    alone, _ = random_regions(areas[1:], inside[1:], [8])
    assert torch.equal(together[1:], alone)


def test_no_regions_where_the_face_is_too_small():
    inside = disc(24, 3).expand(2, -1, -1, -1)
    regions, possible = random_regions(torch.tensor([500, 0]), inside, [0, 1])
    assert possible.tolist() == [False, False]
    assert not regions.any()


def test_hull_equals_opencv():
    points = 8 + 48 * torch.rand(4, 30, 2)
    found = points_hull(points, (64, 64))
    rows, columns = np.mgrid[:64, :64]
    for hull, mine in zip(points.numpy(), found[:, 0], strict=True):
        polygon = cv2.convexHull(hull)
        distance = np.array(
            [
                cv2.pointPolygonTest(polygon, (float(x), float(y)), True)
                for x, y in zip(columns.ravel(), rows.ravel(), strict=True)
            ]
        ).reshape(64, 64)
        assert mine[torch.from_numpy(distance >= 0)].all()
        assert not mine[torch.from_numpy(distance < -0.6)].any()


def test_hull_of_a_triangle_by_hand():
    triangle = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]])
    expected = torch.arange(6)[:, None] + torch.arange(6)[None, :] <= 4
    assert torch.equal(points_hull(triangle, (6, 6))[0, 0], expected)


def test_no_hull_without_points():
    assert not points_hull(torch.full((1, 68, 2), torch.nan), (8, 8)).any()


def test_region_by_hand():
    cue = torch.tensor([[[[0.5, 0.6], [0.2, 1.0]]]])
    assert region_of(cue).flatten().tolist() == [False, True, False, True]
    assert region_of(cue, 0.1).all()


def test_blank_is_an_area_of_one_colour():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 3, 24, 24), dtype=torch.uint8)
    assert not blank_pixels(images).any()
    images[..., 4:12, 4:12] = 250
    images[..., 5, 5] = 252  # as JPEG leaves it
    expected = torch.zeros(24, 24, dtype=torch.bool)
    expected[3:13, 3:13] = True  # and the pixel around
    assert torch.equal(blank_pixels(images)[0, 0], expected)
    images[:, 0, 5, 5] = 247  # one channel is enough to be seen: within 3 x 3 pixels of it nothing is blank
    assert blank_pixels(images)[0, 0].sum() < expected.sum()


def test_a_face_is_its_hull_and_wherever_a_unit_shows():
    corners = torch.tensor([[[2.0, 2.0], [7.0, 2.0], [7.0, 7.0], [2.0, 7.0]]])
    every_unit = torch.zeros(1, 1, 12, 12)
    every_unit[..., 0, 4] = 0.6
    every_unit[..., 10, 4] = 0.4
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[2:8, 2:8] = True
    expected[0, 4] = True
    assert torch.equal(face_region(corners, every_unit)[0, 0], expected)


def test_each_map_has_its_own_region():
    maps = torch.zeros(1, 3, 2, 2)
    maps[0, 0] = torch.tensor([[0.1, 0.06], [0.05, 0.0]])
    maps[0, 1] = 1
    assert torch.equal(
        regions_of(maps)[0],
        torch.tensor([[[True, True], [False, False]], [[True, True]] * 2, [[False, False]] * 2]),
    )
