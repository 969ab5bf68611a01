import pytest
import torch

from aucue.cues import mask_cue
from aucue.errors import InputError


def test_mask_of_numbers_or_booleans():
    mask = torch.zeros(3, 2, 4, dtype=torch.float64)
    mask[0, 1, 2] = 0.25
    mask[2, 0, 0] = torch.nan
    cue = mask_cue(mask)
    assert cue.map.shape == (3, 1, 2, 4)
    assert cue.map.dtype == torch.float32
    assert cue.valid.tolist() == [True, False, False]
    assert cue.map.sum() == 0.25
    boolean = mask_cue(torch.ones(1, 1, 2, 2, dtype=torch.bool))
    assert boolean.map.tolist() == [[[[1, 1], [1, 1]]]]
    assert boolean.valid.tolist() == [True]


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 4, 4), (1, 0, 4)])
def test_mask_shape(shape):
    with pytest.raises(InputError, match=r"must have the shape \(B, h, w\)"):
        mask_cue(torch.ones(shape))


def test_mask_range_names_the_sample():
    mask = torch.zeros(3, 2, 2)
    mask[1] = torch.tensor([[0.0, 255.0], [-1.0, 0.0]])
    with pytest.raises(InputError, match=r"Mask 1 has values from -1 to 255; they must lie in \[0, 1\]"):
        mask_cue(mask)
    with pytest.raises(InputError, match="real numbers"):
        mask_cue(torch.zeros(1, 2, 2, dtype=torch.complex64))
