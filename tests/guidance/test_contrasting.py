import math

import pytest
import torch

from aucue.errors import InputError
from aucue.guidance import contrast

OWN = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
OTHER = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
CUES = torch.stack([OWN, OTHER])[None]  # (1, 2, 2, 2)


def test_by_hand() -> None:
    map_ = torch.tensor([[2.0, 0.0], [3.0, 4.0]])[None, None]
    length = math.sqrt(4 + 9 + 16)
    own, other = 2 / length / 0.5, 25 / 5 / length / 0.5
    expected = math.log(math.exp(own) + math.exp(other)) - own
    loss = contrast(map_, CUES, torch.tensor([0]), torch.tensor([True]), temperature=0.5)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_descending_it_turns_the_map_to_its_own_cue() -> None:
    map_ = torch.ones(1, 1, 2, 2, requires_grad=True)
    contrast(map_, CUES, torch.tensor([0]), torch.tensor([True])).backward()
    assert map_.grad is not None
    downhill = -map_.grad[0, 0]
    assert downhill[0, 0] > 0  # more of its own cue
    assert (downhill[1] < 0).all()  # less of the other one


def test_samples_that_take_no_part_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, cues = (torch.rand(3, n, 4, 4, generator=generator) for n in (1, 2))
    target, valid = torch.tensor([1, -7, 0]), torch.tensor([True, False, True])
    each = [contrast(maps[i : i + 1], cues[i : i + 1], target[i : i + 1], valid[i : i + 1]) for i in (0, 2)]
    torch.testing.assert_close(contrast(maps, cues, target, valid), torch.stack(each).mean())


def test_no_valid_sample_is_zero_with_a_graph() -> None:
    map_ = torch.rand(1, 1, 2, 2, requires_grad=True)
    loss = contrast(map_, CUES, torch.tensor([0]), torch.tensor([False]))
    loss.backward()
    assert loss.item() == 0
    assert map_.grad is not None
    assert not map_.grad.any()


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="Contrast needs maps"):
        contrast(torch.rand(1, 1, 4, 4), CUES, torch.tensor([0]), torch.tensor([True]))
