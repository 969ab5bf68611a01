import pytest
import torch
from torch import Tensor, nn

from aucue.metrics import CHANGES

SEEDS = [3, 4]


def images(side: int = 50) -> Tensor:
    return torch.rand(2, 3, side, side)


def brightness(pictures: Tensor) -> Tensor:
    """A map that goes wherever the picture goes."""
    return pictures.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["mirrored", "shifted"])
def test_a_map_that_goes_with_the_face_is_stable(name: str):
    change, pictures = CHANGES[name], images()
    changed = change.apply(pictures, SEEDS)
    assert changed.shape == pictures.shape
    assert not torch.equal(changed, pictures)
    stability = change.stability(brightness(pictures), brightness(changed))
    torch.testing.assert_close(stability, torch.ones(2))


def test_a_map_that_stays_where_it_is():
    """The left half of the frame, whatever it shows: mirrored it has nothing in common with itself."""
    left = torch.zeros(2, 1, 50, 50)
    left[..., :25] = 1
    assert CHANGES["mirrored"].stability(left, left).tolist() == [0, 0]
    # Shifted by 2 of 50 columns: 23 of 25 columns are common, of the 48 compared.
    shifted = CHANGES["shifted"].stability(left, left)
    assert shifted[0].item() == pytest.approx(23 / (25 * 23) ** 0.5)


def test_shift_by_hand():
    picture = torch.arange(25.0).view(1, 1, 5, 5)
    shifted = CHANGES["shifted"].apply(picture, SEEDS[:1])  # 4 % of 5 pixels, at least 1
    expected = [[0, 0, 1, 2, 3], [0, 0, 1, 2, 3], [5, 5, 6, 7, 8], [10, 10, 11, 12, 13], [15, 15, 16, 17, 18]]
    assert shifted[0, 0].tolist() == expected


def test_noise_is_that_of_the_face():
    change, pictures = CHANGES["noisy"], torch.full((2, 3, 50, 50), 0.5)
    noisy = change.apply(pictures, SEEDS)
    assert (noisy - pictures).std().item() == pytest.approx(0.02, rel=0.05)
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(change.apply(pictures[1:], SEEDS[1:]), noisy[1:])
    assert change.apply(torch.ones(2, 3, 50, 50), SEEDS).max() == 1


def test_convolutions_with_symmetric_kernels_are_stable_when_mirrored():
    convolution = nn.Conv2d(3, 1, 3, padding=1)
    weight = convolution.weight.data
    convolution.weight.data = (weight + weight.flip(-1)) / 2
    change, pictures = CHANGES["mirrored"], images()
    with torch.no_grad():
        before = convolution(pictures).relu()
        after = convolution(change.apply(pictures, SEEDS)).relu()
    torch.testing.assert_close(change.stability(before, after), torch.ones(2), atol=1e-5, rtol=0)
