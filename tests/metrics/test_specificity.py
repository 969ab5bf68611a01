import pytest
import torch

from aucue.errors import InputError
from aucue.metrics import is_specific, specificity_margin

# Expression 0 shows in the left half of a 2 x 2 face, expression 1 in the upper half, 2 everywhere.
CUES = torch.tensor([[[[1.0, 0], [1, 0]], [[1, 1], [0, 0]], [[1, 1], [1, 1]]]])


def test_nearest_cue_by_hand():
    left = torch.tensor([[[[2.0, 0], [1, 0]]]])
    assert is_specific(left, CUES, torch.tensor([0])).tolist() == [True]
    assert is_specific(left, CUES, torch.tensor([1])).tolist() == [False]


def test_ties_and_empty_maps_are_not_specific():
    corner = torch.tensor([[[[1.0, 0], [0, 0]]]])  # as near to the left half as to the upper
    assert not is_specific(corner, CUES, torch.tensor([0])).any()
    assert not is_specific(torch.zeros(1, 1, 2, 2), CUES, torch.tensor([2])).any()


def test_a_fixed_map_is_specific_for_one_expression_at_most():
    cues, blob = torch.rand(1, 6, 8, 8).expand(6, -1, -1, -1), torch.rand(1, 1, 8, 8).expand(6, -1, -1, -1)
    assert is_specific(blob, cues, torch.arange(6)).sum() == 1


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"\(1, 2, 2\)"):
        is_specific(torch.zeros(1, 2, 2), CUES, torch.tensor([0]))


def test_margin_by_hand():
    left = torch.tensor([[[[2.0, 0], [1, 0]]]])
    # Cosines: (2 + 1) / sqrt(5 * 2) with the left half, 2 / sqrt(5 * 2) above, 3 / sqrt(5 * 4) everywhere.
    cosines = [3 / 10**0.5, 2 / 10**0.5, 3 / 20**0.5]
    for true, other in ((0, 2), (1, 0), (2, 0)):
        margin = specificity_margin(left, CUES, torch.tensor([true]))
        assert margin.item() == pytest.approx(cosines[true] - cosines[other], abs=1e-6)
