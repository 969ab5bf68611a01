import math

import numpy as np
import pytest
import torch

from aucue.errors import InputError
from aucue.guidance import LOSSES, alignment, energy, resize_map


def maps(*rows: list[float]) -> torch.Tensor:
    """Maps (B, 1, 1, n) from rows of numbers."""
    return torch.tensor(rows)[:, None, None, :]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("cosine", 1 - 3 / 5),  # (3, 4) . (1, 0) / 5
        ("l1", (2 + 4) / 2),
        ("l2", (4 + 16) / 2),
        # centred (-1/2, 1/2), unbiased std 1 / sqrt 2: direction (-1, 1), and the cue as it is
        ("standardized-cosine", 1 + 1 / math.sqrt(2)),
        # s = softmax(3, 4) = (1, e) / (1 + e); the cue (1, 0) has no entropy: -log s0 - log(1 - s1)
        ("kl", (math.log(1 + math.e) + math.log(1 + math.e)) / 2),
        ("energy", 1 - 3 / 7),
        ("rrr", (0 + 1) / 2),  # scaled (3 / 4, 1), the second pixel lies outside
        ("l1-mask", (1 / 4 + 1) / 2),
    ],
)
def test_losses_by_hand(loss, expected):
    result = alignment(maps([3.0, 4.0]), maps([1.0, 0.0]), loss=loss)
    torch.testing.assert_close(result.item(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("energy", 1 - (4 * 0.5) / (4 + 1)),  # only what is positive: 4 in a region of .5, 1 outside
        ("rrr", (0 / 4 + 0.5 * 1 + 1 / 16) / 3),  # scaled (-1/2, 1, 1/4), and what is negative counts
        ("l1-mask", (1 + 0.5 + 0.25) / 3),  # (0, 1, 1/4) against (1, .5, 0)
    ],
)
def test_losses_of_signed_maps_by_hand(loss, expected):
    result = alignment(maps([-2.0, 4.0, 1.0]), maps([1.0, 0.5, 0.0]), loss=loss)
    torch.testing.assert_close(result.item(), expected, atol=1e-6, rtol=0)


def test_energy_per_sample_by_hand():
    evidence = torch.tensor([[[2.0, -9.0]], [[-1.0, -1.0]], [[0.0, 5.0]]], requires_grad=True)  # (3, 1, 2)
    region = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[1.0, 0.0]]])
    result = energy(evidence, region)
    torch.testing.assert_close(
        result, torch.tensor([0.0, 1.0, 1.0])
    )  # nothing positive counts as nothing inside
    result.sum().backward()
    assert evidence.grad is not None
    torch.testing.assert_close(evidence.grad[1], torch.zeros(1, 2))
    torch.testing.assert_close(evidence.grad[0], torch.zeros(1, 2))


def test_kl_against_numpy():
    a, h = torch.randn(2, 1, 3, 4), torch.rand(2, 1, 3, 4)
    s = np.exp(a.double().numpy().reshape(2, -1))
    s, t = s / s.sum(1, keepdims=True), h.double().numpy().reshape(2, -1)
    expected = (t * np.log(t / s) + (1 - t) * np.log((1 - t) / (1 - s))).sum() / 12 / 2
    torch.testing.assert_close(alignment(a, h, loss="kl").item(), expected, rtol=1e-5, atol=0)


def test_barrier_by_hand():
    attention, cue = maps([3.0, 4.0], [-1.0, 10.0]), maps([1.0, 0.0], [1.0, 0.0])  # cosines 0.6, -0.0995
    attention.requires_grad_()
    inside = -math.log(0.6) / 2
    outside = 2 / math.sqrt(101) - math.log(1 / 4) / 2 + 1 / 2  # beyond the edge at -1 / 4: a straight line
    result = alignment(attention, cue, barrier=2.0)
    torch.testing.assert_close(result.item(), (inside + outside) / 2, atol=1e-6, rtol=0)
    result.backward()
    assert attention.grad is not None
    assert attention.grad.isfinite().all()


def test_softmax_by_hand():
    result = alignment(maps([0.0, math.log(3.0)]), maps([1.0, 0.0]), softmax=True)  # softmax (1, 3) / 4
    torch.testing.assert_close(result.item(), 1 - 1 / math.sqrt(10), atol=1e-6, rtol=0)


def test_grid_by_hand():
    attention, cue = maps([0.0, 3.0]), maps([1.0, 0.0, 0.0, 1.0])
    on_cue = alignment(attention, cue, grid="cue")  # the attention becomes (0, 0, 1, 2)
    torch.testing.assert_close(on_cue.item(), 1 - 2 / math.sqrt(5 * 2))
    coarse = resize_map(cue, (1, 2))[0, 0, 0]
    on_attention = alignment(attention, cue)
    torch.testing.assert_close(on_attention.item(), 1 - (coarse[1] / coarse.norm()).item())


@pytest.mark.parametrize("loss", LOSSES)
def test_only_valid_samples_count(loss):
    attention, cue = torch.rand(4, 1, 5, 6), torch.rand(4, 1, 9, 12)
    rows = [0, 2]
    valid = torch.tensor([True, False, True, False])
    poisoned = cue.clone()
    poisoned[1] = math.nan
    poisoned[3, 0, 0, 0] = math.inf
    attention.requires_grad_()
    expected = alignment(attention[rows], cue[rows], loss=loss)
    expected_gradient = torch.autograd.grad(expected, attention)[0]
    for given in (valid, None):  # marked, or found by the pixels that are not finite
        result = alignment(attention, poisoned, given, loss=loss)
        torch.testing.assert_close(result, expected)
        torch.testing.assert_close(torch.autograd.grad(result, attention)[0], expected_gradient)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_valid_sample_is_zero_with_a_graph(loss):
    attention = torch.rand(2, 1, 4, 4, requires_grad=True)
    result = alignment(attention, torch.full((2, 1, 8, 8), math.nan), torch.tensor([False, False]), loss=loss)
    result.backward()
    assert result.item() == 0
    assert attention.grad is not None
    assert attention.grad.eq(0).all()


@pytest.mark.parametrize(
    "options", [{"loss": loss} for loss in LOSSES] + [{"barrier": 3.0}, {"softmax": True}]
)
@pytest.mark.parametrize("grid", ["attention", "cue"])
def test_gradients_against_finite_differences(options, grid):
    attention = torch.rand(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    cue = torch.rand(2, 1, 7, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: alignment(a, cue, grid=grid, **options), attention)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_attention_has_finite_gradients(loss, value):
    attention = torch.full((1, 1, 4, 4), value, requires_grad=True)
    alignment(attention, torch.rand(1, 1, 4, 4), loss=loss).backward()
    assert attention.grad is not None
    assert attention.grad.isfinite().all()


def test_kl_of_a_peak_is_finite():
    attention = maps([200.0, 0.0]).requires_grad_()
    for cue in ([1.0, 0.0], [0.0, 1.0]):
        result = alignment(attention, maps(cue), loss="kl")
        assert result.isfinite()
        assert torch.autograd.grad(result, attention)[0].isfinite().all()


def test_float32_under_autocast():
    attention, cue = torch.rand(2, 1, 7, 7), torch.rand(2, 1, 28, 28)
    expected = alignment(attention.bfloat16().float(), cue)
    with torch.autocast("cpu", torch.bfloat16):
        result = alignment(attention.bfloat16(), cue)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


@pytest.fixture(scope="module")
def compiled() -> dict[str, tuple[torch.Tensor, ...]]:
    """Every loss and its gradient in one graph, made once for all of them; then the same without it."""
    attention, cue = torch.rand(3, 1, 5, 5, requires_grad=True), torch.rand(3, 1, 10, 10)
    valid = torch.tensor([True, False, True])

    def losses(*given: torch.Tensor) -> dict[str, torch.Tensor]:
        return {loss: alignment(*given, loss=loss) for loss in LOSSES}

    def with_gradients(values: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        return {
            loss: (value.detach(), torch.autograd.grad(value, attention, retain_graph=True)[0])
            for loss, value in values.items()
        }

    graph = torch.compile(losses, backend="aot_eager", fullgraph=True)
    found, expected = (with_gradients(each(attention, cue, valid)) for each in (graph, losses))
    return {loss: (*found[loss], *expected[loss]) for loss in LOSSES}


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles_to_one_graph(loss, compiled):
    result, gradient, expected, expected_gradient = compiled[loss]
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def triangle(n_in: int, n_out: int) -> np.ndarray:
    """Antialiased bilinear resampling (n_out, n_in) as torch does it for align_corners=True.

    The corners set the scale, (n_in - 1) / (n_out - 1), but the centres are laid out by half pixels.
    """
    scale = (n_in - 1) / (n_out - 1)
    centres = scale * (np.arange(n_out)[:, None] + 0.5)
    weights = np.clip(1 - np.abs(np.arange(n_in) + 0.5 - centres) / max(scale, 1), 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(5, 7), (40, 25), (13, 64)])
def test_resize_against_numpy(size):
    cue = torch.rand(2, 1, 20, 31)
    expected = triangle(20, size[0]) @ cue.double().numpy() @ triangle(31, size[1]).T
    torch.testing.assert_close(resize_map(cue, size), torch.tensor(expected).float())


def test_resize_by_hand():
    line = torch.tensor([[0.0, 3.0]])[None, None]  # centres 1/6, 1/2, 5/6, 7/6 of pixels at 1/2 and 3/2
    torch.testing.assert_close(resize_map(line, (1, 4))[0, 0, 0], torch.tensor([0.0, 0.0, 1.0, 2.0]))


def test_resize_keeps_each_map_in_its_range():
    cue = torch.rand(3, 1, 20, 31)
    for size in ((6, 8), (50, 50)):
        resized = resize_map(cue, size)
        assert resized.shape == (3, 1, *size)
        assert (resized.amin((1, 2, 3)) >= cue.amin((1, 2, 3))).all()
        assert (resized.amax((1, 2, 3)) <= cue.amax((1, 2, 3))).all()
    assert resize_map(cue, (20, 31)) is cue
    flat = torch.full((1, 1, 20, 31), 0.7)
    assert resize_map(flat, (7, 7)).eq(flat[0, 0, 0, 0]).all()  # the weights' rounding would exceed it


@pytest.mark.parametrize(
    ("attention", "cue", "options", "message"),
    [
        ((2, 3, 4, 4), (2, 1, 4, 4), {}, r"\(2, 3, 4, 4\)"),
        ((2, 1, 4, 4), (3, 1, 4, 4), {}, r"\(2, 1, H, W\)"),
        ((2, 1, 4, 4), (2, 3, 4, 4), {}, r"\(2, 1, H, W\)"),
        ((2, 1, 1, 1), (2, 1, 4, 4), {}, "single pixel"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"loss": "cos"}, "standardized-cosine"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"grid": "heatmap"}, "attention, cue"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"loss": "kl", "softmax": True}, "softmax"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"loss": "l1", "barrier": 1.0}, "barrier"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"barrier": 0.0}, "barrier"),
        ((2, 1, 4, 4), (2, 1, 4, 4), {"valid": torch.tensor([True])}, r"\(2,\)"),
    ],
)
def test_errors_name_what_is_wrong(attention, cue, options, message):
    with pytest.raises(InputError, match=message):
        alignment(torch.rand(attention), torch.rand(cue), **options)
