import pytest
import torch

from aucue.errors import InputError
from aucue.metrics import energy_inside, points_inside

REGION = torch.tensor([[[[True, True, False], [False, False, False]]]])  # a third of the area


def map_of(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 2, 3)


def test_maximum_by_hand():
    assert points_inside(map_of(0.1, 0.9, 0.3, 0.5, 0.8, 0), REGION).tolist() == [1]
    assert points_inside(map_of(0.1, 0.7, 0.3, 0.5, 0.8, 0), REGION).tolist() == [0]


def test_shared_maximum_counts_by_its_share():
    assert points_inside(map_of(0.8, 0.8, 0.3, 0.5, 0.8, 0.8), REGION).item() == 0.5


def test_energy_by_hand():
    assert energy_inside(map_of(0.5, 0.25, 0, 0.25, 1, 0.5), REGION).item() == pytest.approx(0.75 / 2.5)
    assert energy_inside(map_of(0.5, 0.25, 0, 0, 0, 0), REGION).item() == 1


def test_a_constant_map_gets_the_share_of_the_area():
    uniform = torch.full((1, 1, 2, 3), 0.7)
    assert points_inside(uniform, REGION).item() == pytest.approx(1 / 3)
    assert energy_inside(uniform, REGION).item() == pytest.approx(1 / 3)


def test_an_empty_map_points_nowhere():
    empty = torch.zeros(1, 1, 2, 3)
    assert points_inside(empty, REGION).item() == energy_inside(empty, REGION).item() == 0


def test_the_scale_of_a_map_does_not_matter():
    maps, regions = torch.rand(5, 1, 2, 3), REGION.expand(5, -1, -1, -1)
    torch.testing.assert_close(energy_inside(7 * maps, regions), energy_inside(maps, regions))
    torch.testing.assert_close(points_inside(7 * maps, regions), points_inside(maps, regions))


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"\(2, 1, 2, 3\)"):
        energy_inside(torch.zeros(2, 1, 2, 3), REGION)
