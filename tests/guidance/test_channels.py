import pytest
import torch

from aucue.errors import InputError
from aucue.guidance import attention, draw_channels, mean_of_channels


@pytest.fixture
def features() -> torch.Tensor:
    """One sample, five channels that are constant 1, 2, 4, 8, 16, on a 1 x 2 grid."""
    return torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]).view(1, 5, 1, 1).expand(1, 5, 1, 2)


@pytest.mark.parametrize(
    ("kind", "share", "expected"),
    [
        ("mean", 1.0, 31 / 5),
        ("first-half", 1.0, 3 / 2),  # channels 1, 2
        ("second-half", 1.0, 28 / 3),  # channels 4, 8, 16
        ("first-share", 0.6, 7 / 3),  # channels 1, 2, 4
        ("first-share", 0.7, 7 / 3),  # 3.5 channels are 3, as published
        ("first-share", 0.01, 1.0),  # never none
        ("random-share", 1.0, 31 / 5),
    ],
)
def test_means_by_hand(features, kind, share, expected):
    result = attention(features, kind, share)
    torch.testing.assert_close(result, torch.full((1, 1, 1, 2), expected))


def test_mean_of_drawn_channels_by_hand(features):
    both = features.repeat(2, 1, 1, 1)
    taken = torch.tensor([[1, 0, 0, 0, 1], [0, 0, 1, 0, 0]])
    result = mean_of_channels(both, taken)
    torch.testing.assert_close(result[:, 0, 0, 0], torch.tensor([8.5, 4.0]))


def test_draw_has_the_share_and_is_never_empty():
    taken = draw_channels(200, 50, 0.3)
    assert abs(taken.float().mean().item() - 0.3) < 0.02  # 10 000 draws: standard error 0.005
    assert draw_channels(200, 50, 1e-9).sum(1).eq(1).all()
    assert draw_channels(20, 50, 1.0).all()


def test_draw_follows_the_generator_and_differs_between_samples():
    features = torch.rand(3, 16, 2, 2)
    draws = [
        attention(features, "random-share", 0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    torch.testing.assert_close(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    taken = draw_channels(3, 16, 0.5)
    assert not torch.equal(taken[0], taken[1])


@pytest.mark.parametrize("kind", ["mean", "random-share"])
def test_half_precision_is_averaged_in_float32(kind):
    features = torch.full((1, 4096, 1, 1), 1.0, dtype=torch.bfloat16)
    features[:, 0] = 3.0
    result = attention(features, kind)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.item(), 1 + 2 / 4096)  # 1.0 in bfloat16


def test_errors():
    with pytest.raises(InputError, match=r"\(B, C, h, w\)"):
        attention(torch.rand(2, 3))
    with pytest.raises(InputError, match="first-half"):
        attention(torch.rand(1, 2, 3, 3), "first_half")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="share"):
        attention(torch.rand(1, 2, 3, 3), "first-share", 0.0)
