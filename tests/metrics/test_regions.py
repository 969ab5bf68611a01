import pytest
import torch

from aucue.errors import InputError
from aucue.metrics import region_evidence

REGIONS = torch.tensor(
    [[[[True, True, False], [False, False, False]], [[True, False, False], [True, True, True]]]]
)  # a third and two thirds of the picture; they overlap in one pixel


def test_by_hand():
    found = region_evidence(torch.tensor([[[[0.5, 0.25, 0.0], [0.25, 1.0, 0.5]]]]), REGIONS)
    assert found.area.tolist() == [pytest.approx([2 / 6, 4 / 6])]
    assert found.share.tolist() == [pytest.approx([0.75 / 2.5, 2.25 / 2.5])]  # more than 1 together
    assert found.peak.tolist() == [pytest.approx([0.5, 1.0])]
    assert found.ratio.tolist() == [pytest.approx([0.9, 1.35])]


def test_a_constant_map_is_chance():
    found = region_evidence(torch.full((1, 1, 2, 3), 0.3), REGIONS)
    assert found.ratio.tolist() == [pytest.approx([1, 1])]
    assert found.peak.tolist() == [pytest.approx([1, 1])]


def test_nothing_is_divided_by_zero():
    empty = region_evidence(torch.zeros(1, 1, 2, 3), REGIONS)
    assert empty.share.tolist() == empty.peak.tolist() == empty.ratio.tolist() == [[0, 0]]
    nowhere = region_evidence(torch.ones(1, 1, 2, 3), torch.zeros_like(REGIONS))
    assert [values.tolist() for values in nowhere] == [[[0, 0]]] * 4


def test_pictures_do_not_mix():
    maps, regions = torch.rand(4, 1, 5, 7), torch.rand(4, 3, 5, 7) > 0.5
    together = region_evidence(maps, regions)
    for i in range(4):
        alone = region_evidence(maps[i : i + 1], regions[i : i + 1])
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[i : i + 1], theirs)


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"\(1, 2, 2, 3\)"):
        region_evidence(torch.zeros(1, 1, 3, 3), REGIONS)
