import pytest
import torch
from torch import Tensor

from aucue.errors import InputError
from aucue.guidance import to_nchw


def positions(h: int, w: int, channels: int = 5) -> Tensor:
    """Feature maps (2, channels, h, w) in which every number is another one."""
    return torch.arange(2.0 * channels * h * w).view(2, channels, h, w)


def tokens(maps: Tensor, prefix: int) -> Tensor:
    """Feature maps as a transformer has them, (B, prefix + h * w, C)."""
    rows = maps.flatten(2).transpose(1, 2)
    return torch.cat([torch.full_like(rows[:, :1], -1.0).expand(-1, prefix, -1), rows], 1)


@pytest.mark.parametrize("size", [(64, 64), (64, 32), (65, 33)])
def test_channels_first_and_last_are_told_apart_by_the_aspect_ratio(size):
    maps = positions(-(-size[0] // 8), -(-size[1] // 8), 24)
    assert torch.equal(to_nchw(maps, size), maps)
    assert torch.equal(to_nchw(maps.permute(0, 2, 3, 1), size), maps)


def test_the_hint_decides_where_shapes_cannot():
    maps = positions(8, 8, 8)
    assert torch.equal(to_nchw(maps, (64, 64)), maps)
    assert torch.equal(to_nchw(maps, (64, 64), hint="NHWC"), maps.permute(0, 3, 1, 2))
    assert torch.equal(to_nchw(maps, (64, 64), layout="nchw", hint="NHWC"), maps)


def test_the_hint_does_not_overrule_shapes():
    maps = positions(8, 8, 24)
    assert torch.equal(to_nchw(maps, (64, 64), hint="NHWC"), maps)


def test_a_network_that_changes_the_aspect_ratio_has_to_be_told():
    maps = positions(4, 20, 12)
    for wrong in (maps, torch.zeros(2, 1, 196, 384), torch.zeros(2, 32, 4, 16)):  # as in NesT, MobileViTv2
        with pytest.raises(InputError, match=r"no grid with the aspect ratio of the input \(64 x 64\)"):
            to_nchw(wrong, (64, 64))
    assert torch.equal(to_nchw(maps, (64, 64), layout="nchw"), maps)
    assert torch.equal(to_nchw(maps.permute(0, 2, 3, 1), (64, 64), layout="nhwc"), maps)


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((224, 224), (14, 14)),
        ((256, 128), (16, 8)),
        ((128, 256), (8, 16)),
        ((230, 180), (14, 11)),
        ((48, 32), (3, 2)),
    ],
)
def test_the_grid_of_tokens_is_recovered(size, grid, prefix):
    maps = positions(*grid)
    row = tokens(maps, prefix)
    assert torch.equal(to_nchw(row, size, prefix_tokens=prefix), maps)
    assert torch.equal(to_nchw(row, size, declared_tokens=prefix), maps)
    if grid != (3, 2):  # so few tokens are several grids: with 2 prefix tokens, 4 x 2 and 3 x 2 ...
        assert torch.equal(to_nchw(row, size), maps)


def test_convolutions_without_padding_may_change_the_aspect_ratio_a_little():
    maps = positions(35, 25, 60)  # as Inception has them
    assert torch.equal(to_nchw(maps, (299, 224)), maps)


def test_an_unknown_input_is_read_as_square_only_where_it_must_be():
    maps = positions(7, 7)
    assert torch.equal(to_nchw(tokens(maps, 1), declared_tokens=1), maps)
    for maps, prefix in ((positions(8, 16), 1), (positions(4, 16), 0), (positions(6, 6), 1)):
        with pytest.raises(InputError, match="the size of the input is not known: call the network itself"):
            to_nchw(tokens(maps, prefix), declared_tokens=prefix)


def test_a_declared_number_is_believed_or_refused():
    row = tokens(positions(14, 14), 0)  # before the class token is added
    with pytest.raises(InputError, match=r"after 1 prefix tokens has .* \(so many the network declares\)"):
        to_nchw(row, (224, 224), declared_tokens=1)
    row = tokens(positions(8, 16), 1)  # 129: after 8 more, 11 x 11 would fit
    with pytest.raises(InputError, match="after 1 prefix tokens"):
        to_nchw(row, (224, 224), declared_tokens=1)


def test_gradient_flows_to_the_tokens_of_the_grid_alone():
    row = tokens(positions(3, 3), 1).requires_grad_()
    to_nchw(row, (9, 9)).sum().backward()
    assert row.grad is not None
    assert row.grad[:, 0].eq(0).all()
    assert row.grad[:, 1:].eq(1).all()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 10), {}, r"Layer 'x' yields shape \(2, 10\)"),
        ((2, 3, 4, 5, 6), {}, "no grid"),
        ((2, 3, 4, 5), {"layout": "tokens"}, "tokens"),
        ((2, 197, 8), {"layout": "nchw"}, "nchw"),
        ((2, 197, 8), {"prefix_tokens": 2}, "after 2 prefix tokens"),
        ((2, 197, 8), {"prefix_tokens": 300}, "after 300 prefix tokens"),
        ((2, 223, 8), {}, "no grid has the aspect ratio"),
        ((2, 3, 4, 5), {"layout": "NCHW"}, "nchw, nhwc, tokens"),
    ],
)
def test_errors_say_what_the_layer_yields(shape, options, message):
    with pytest.raises(InputError, match=message):
        to_nchw(torch.zeros(shape), (224, 224), where="Layer 'x'", **options)
