import pytest
import torch

from aucue.errors import InputError
from aucue.guidance import evidence_when_hidden, outside_regions, region_alignment


def test_region_alignment_by_hand() -> None:
    maps = torch.tensor([[[[3.0, 4.0]], [[1.0, 0.0]], [[1.0, 1.0]]]])
    regions = torch.tensor([[[[3.0, 4.0]], [[1.0, 1.0]], [[0.0, 1.0]]]]) / 4
    expected = torch.tensor([[True, True, False]])
    # cosines 1 and 1 / sqrt(2); the third is not expected
    assert float(region_alignment(maps, regions, expected)) == pytest.approx((1 - 2**-0.5) / 2)


def test_outside_regions_by_hand() -> None:
    maps = torch.tensor([[[[2.0, 2.0, 4.0]], [[0.0, 1.0, 1.0]]]])
    regions = torch.tensor([[[[1.0, 0.25, 0.0]], [[0.0, 0.6, 1.0]]]])
    # of 8, 2 lie in full and 2 by half in the region; the second counts in full from half the maximum on
    drawn = torch.tensor([[True, True]])
    assert float(outside_regions(maps, regions, drawn)) == pytest.approx(((1 - 3 / 8) + 0) / 2)
    assert float(outside_regions(maps, regions, torch.tensor([[True, False]]))) == pytest.approx(1 - 3 / 8)


def test_nothing_expected_is_nothing_lost() -> None:
    maps = torch.rand(2, 3, 4, 4, requires_grad=True)
    none = torch.zeros(2, 3, dtype=torch.bool)
    unknown = torch.full((2, 3, 4, 4), torch.nan)
    for loss in (region_alignment, outside_regions):
        value = loss(maps, unknown, none)
        assert float(value.detach()) == 0
        value.backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_evidence_when_hidden_by_hand() -> None:
    before = torch.tensor([[[[2.0, 4.0, 0.0]]], [[[2.0, 0.0, 2.0]]]], requires_grad=True)
    after = torch.tensor([[[[1.0, 3.0, 1.0]]], [[[0.0, 1.0, 2.0]]]], requires_grad=True)
    hidden = torch.tensor([[[[1.0, 0.5, 0.0]]], [[[1.0, 0.0, 0.0]]]])
    left, changed = evidence_when_hidden(after, before, hidden)
    assert float(left.detach()) == pytest.approx((1 + 1.5 + 0) / (2 + 2 + 2))
    assert float(changed.detach()) == pytest.approx((0.5 + 1 + 1 + 0) / (2 + 0 + 0 + 2))
    (left + changed).backward()
    assert before.grad is None  # what was seen of the whole face is the measure
    assert after.grad is not None


def test_evidence_when_hidden_knows_no_scale() -> None:
    before, after, hidden = torch.rand(5, 3, 4, 4), torch.rand(5, 3, 4, 4), torch.rand(5, 1, 4, 4)
    factors = torch.tensor([0.1, 1.0, 50.0])[:, None, None]
    scaled = evidence_when_hidden(after * factors, before * factors, hidden)
    torch.testing.assert_close(scaled, evidence_when_hidden(after, before, hidden))


def test_evidence_that_follows_what_can_be_seen_costs_nothing() -> None:
    before, hidden = torch.rand(5, 3, 4, 4), (torch.rand(5, 1, 4, 4) > 0.5).float()
    assert [float(part) for part in evidence_when_hidden(before * (1 - hidden), before, hidden)] == [0, 0]
    left, changed = evidence_when_hidden(before, before, hidden)  # a map that glows on nothing
    assert (float(left), float(changed)) == (pytest.approx(1), 0)
    nobody = torch.zeros(0, 3, 4, 4)
    assert [float(part) for part in evidence_when_hidden(nobody, nobody, torch.zeros(0, 1, 4, 4))] == [0, 0]


def test_shapes_that_do_not_fit() -> None:
    maps, rows = torch.rand(2, 3, 4, 4), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(InputError, match="Maps and regions need one shape"):
        region_alignment(maps, maps[:, :2], rows)
    with pytest.raises(InputError, match="Maps and regions need one shape"):
        outside_regions(maps, maps, rows[:, :2])
    with pytest.raises(InputError, match="Evidence before and after needs one shape"):
        evidence_when_hidden(maps, maps, maps)
