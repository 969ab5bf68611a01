import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from aucue.classifiers import HEADS, Head, WeightedGAP
from aucue.classifiers.heads import GAP, PRM, WILDCAT, ACoL, LogSumExp, MaxPool, Variant
from aucue.errors import InputError

CONVOLUTIONAL = [name for name in HEADS if name not in ("ts-cam", "apvit")]
UNITS = [[6, 12], [1, 4], [], [4, 12], [9], [20]]
OPTIONS: dict[str, dict[str, Any]] = {"apvit": {"dim": 24, "kept": 9}}


def made(name: str, channels: int, classes: int) -> Head:
    """A head of that name."""
    options = {"units": UNITS[:classes]} if name == "units" else OPTIONS.get(name, {})
    return HEADS[name].for_features((channels, 4, 4), classes, **options)


@pytest.fixture
def head() -> WeightedGAP:
    head = WeightedGAP(channels=2, classes=2)
    with torch.no_grad():
        head.fc.weight.copy_(torch.tensor([[1.0, 10.0], [2.0, -1.0]]))
        head.fc.bias.copy_(torch.tensor([0.5, -1.0]))
    return head


FEATURES = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 4.0], [4.0, 0.0]]]])  # channel means 3 and 2


def test_weighted_gap_by_hand(head: WeightedGAP) -> None:
    # 1 * 3 + 10 * 2 + 0.5 and 2 * 3 - 1 * 2 - 1
    torch.testing.assert_close(head(FEATURES), torch.tensor([[23.5, 3.0]]))


def test_class_maps_by_hand(head: WeightedGAP) -> None:
    expected = torch.tensor([[[[1.0, 42.0], [43.0, 6.0]], [[2.0, 0.0], [2.0, 12.0]]]])
    torch.testing.assert_close(head.class_maps(FEATURES), expected)


def test_gap_is_weighted_gap_the_other_way_round(head: WeightedGAP) -> None:
    twin = GAP(channels=2, classes=2)
    twin.load_state_dict({"conv.weight": head.fc.weight[..., None, None], "conv.bias": head.fc.bias})
    torch.testing.assert_close(twin(FEATURES), head(FEATURES))
    torch.testing.assert_close(twin.gap_weight, head.gap_weight)
    bias = head.fc.bias[:, None, None]
    torch.testing.assert_close(twin.class_maps(FEATURES), head.class_maps(FEATURES) + bias)


def pooled(head: Head, cells: list[list[float]]) -> list[float]:
    """Logits of a head of one channel whose classes' maps are the cells and their negatives."""
    with torch.no_grad():
        head.get_parameter("conv.weight").copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        return head(torch.tensor(cells)[None, None])[0].tolist()


def test_max_by_hand() -> None:
    assert pooled(MaxPool(1, 2), [[1.0, 2], [-3, 0]]) == [2, 3]


def test_log_sum_exp_by_hand() -> None:
    # log of the mean of exp(0) = 1 and exp(log 3) = 3, and of 1 and 1 / 3
    cells = [[0, math.log(3)]]
    assert pooled(LogSumExp(1, 2, sharpness=1), cells) == pytest.approx([math.log(2), math.log(2 / 3)])
    tenth = [[0, math.log(3) / 10]]
    assert pooled(LogSumExp(1, 2), tenth) == pytest.approx([math.log(2) / 10, math.log(2 / 3) / 10])


def test_log_sum_exp_lies_between_mean_and_maximum() -> None:
    features, target = torch.randn(4, 3, 5, 6), {}
    for name, other in {
        "mean": GAP(3, 2),
        "soft": LogSumExp(3, 2, sharpness=1e-3),
        "own": LogSumExp(3, 2),
        "sharp": LogSumExp(3, 2, sharpness=1e3),
        "max": MaxPool(3, 2),
    }.items():
        torch.manual_seed(1)
        nn.init.normal_(other.conv.weight)
        target[name] = other(features)
    assert (target["mean"] < target["own"]).all()
    assert (target["own"] < target["max"]).all()
    torch.testing.assert_close(target["soft"], target["mean"], atol=5e-3, rtol=0)
    torch.testing.assert_close(target["sharp"], target["max"], atol=5e-3, rtol=0)


def test_prm_by_hand() -> None:
    cells = [[1.0, 2, 3, 0], [0, 5, 0, 1], [2, 0, 0, 7]]
    # two windows of 3 x 3: highest 5 and 7; of the negatives 0 (left) and 0 (right)
    assert pooled(PRM(1, 2), cells) == [6, 0]


def test_prm_takes_a_map_smaller_than_its_window_as_one() -> None:
    assert pooled(PRM(1, 2), [[1.0, 2], [-3, 0]]) == [2, 3]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # highest five of 2 * (1..10): 2 * 8, lowest one: 2; of -(1..10) / 2: -1.5 and -5
        ("paper", [(16 + 0.6 * 2) / 2, (-1.5 + 0.6 * -5) / 2]),
        ("fg2024", [16, -1.5]),
    ],
)
def test_wildcat_by_hand(variant: Variant, expected: list[float]) -> None:
    head = WILDCAT(1, 2, modalities=2, variant=variant)
    with torch.no_grad():  # channel = class * M + modality: means 2 and -0.5
        head.to_modalities.weight.copy_(torch.tensor([1.0, 3.0, -1.0, 0.0]).view(4, 1, 1, 1))
    features = torch.arange(1.0, 11.0).view(1, 1, 2, 5)
    torch.testing.assert_close(head(features), torch.tensor([expected]))
    torch.testing.assert_close(head.class_maps(features), torch.cat([2 * features, -0.5 * features], 1))


def test_wildcat_of_a_map_of_one_cell_takes_it_twice() -> None:
    head = WILDCAT(1, 2, modalities=1)
    nn.init.ones_(head.to_modalities.weight)
    torch.testing.assert_close(head(torch.full((1, 1, 1, 1), 5.0)), torch.full((1, 2), 5 * 1.6 / 2))


def through(weights: list[float]) -> nn.Sequential:
    """A branch of one channel that lets positive features through to maps of these multiples."""
    head = ACoL(1, len(weights), hidden=1)
    centre = torch.zeros(1, 1, 3, 3)
    centre[..., 1, 1] = 1
    with torch.no_grad():
        for layer in (0, 2):
            head.get_parameter(f"branch_a.{layer}.weight").copy_(centre)
        head.get_parameter("branch_a.4.weight").copy_(torch.tensor(weights).view(-1, 1, 1, 1))
    return head.branch_a


def acol(variant: Variant = "paper") -> ACoL:
    """A's maps are the features and their negatives, B's are twice and once what it sees."""
    head = ACoL(1, 2, hidden=1, variant=variant)
    head.branch_a, head.branch_b = through([1, -1]), through([2, 1])
    return head


CELLS = torch.tensor([0.0, 0.5, 2.0, 10.0]).view(1, 1, 2, 2)


def test_acol_by_hand() -> None:
    head = acol()
    torch.testing.assert_close(head(CELLS), torch.tensor([[3.125, -3.125]]))
    # Class 0 is predicted: its map is 0, .05, .2, 1, so B sees 0, .5, 0, 0 and finds it in both classes.
    # Class 1 in A: 1, .95, .8, 0.
    expected = torch.tensor([[[0, 1, 0.2, 1], [1, 1, 0.8, 0]]]).view(1, 2, 2, 2)
    torch.testing.assert_close(head.class_maps(CELLS), expected)


def test_acol_as_published_is_erased_by_the_class_asked_for() -> None:
    head = acol("fg2024")
    # Class 1 leaves B the last cell alone; class 0 as above.
    expected = torch.tensor([[[0, 1, 0.2, 1], [1, 0.95, 0.8, 1]]]).view(1, 2, 2, 2)
    torch.testing.assert_close(head.class_maps(CELLS), expected)
    for label in (0, 1):
        one = head.class_map(CELLS, torch.tensor([label]))
        torch.testing.assert_close(one, expected[:, label : label + 1])


@pytest.mark.parametrize(("label", "logits_b"), [(0, [0.25, 0.125]), (1, [5.0, 2.5])])
def test_loss_of_acol_counts_both_branches(label: int, logits_b: list[float]) -> None:
    head, target = acol(), torch.tensor([label])
    logits = head(CELLS)
    expected = cross_entropy(logits, target) + cross_entropy(torch.tensor([logits_b]), target)
    torch.testing.assert_close(head.loss(CELLS, logits, target), expected)


def test_erased_features_get_no_gradient_from_branch_b() -> None:
    head = acol()
    features = CELLS.clone().requires_grad_()
    maps_b = head.maps_b(features, head.branch_a(features), torch.tensor([0]))
    (gradient,) = torch.autograd.grad(maps_b.sum(), features)
    torch.testing.assert_close(gradient.flatten() != 0, torch.tensor([False, True, False, False]))


def test_loss_with_mixed_targets_is_mixed() -> None:
    head = WeightedGAP(3, 4)
    features = torch.randn(2, 3, 5, 5)
    logits = head(features)
    first, second = torch.tensor([0, 3]), torch.tensor([2, 2])
    mixed = torch.zeros(2, 4)
    mixed[[0, 1], first] += 0.7
    mixed[[0, 1], second] += 0.3
    expected = 0.7 * cross_entropy(logits, first) + 0.3 * cross_entropy(logits, second)
    torch.testing.assert_close(head.loss(features, logits, mixed), expected)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_class_map_is_the_one_of_that_class(name: str) -> None:
    head = made(name, 6, 4)
    features, classes = torch.randn(3, 6, 5, 4), torch.tensor([3, 0, 2])
    maps = head.class_maps(features)
    assert maps.shape == (3, 4, 5, 4)
    expected = torch.stack([maps[sample, label] for sample, label in enumerate(classes.tolist())])
    torch.testing.assert_close(head.class_map(features, classes), expected[:, None])


@pytest.mark.parametrize("name", HEADS)
def test_samples_do_not_mix(name: str) -> None:
    head = made(name, 24, 3).eval()
    features = torch.randn(3, 24, 4, 4)
    for together, alone in zip(
        (head(features), head.class_maps(features)),
        (head(features[1:2]), head.class_maps(features[1:2])),
        strict=True,
    ):
        torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_loss_reaches_every_parameter(name: str) -> None:
    head = made(name, 6, 4)
    features, labels = torch.randn(8, 6, 7, 7), torch.arange(8) % 4
    head.loss(features, head(features), labels).backward()
    for path, parameter in head.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if name not in ("prm", "acol")])
def test_logits_do_not_depend_on_where_cells_lie(name: str) -> None:
    head = made(name, 6, 4)
    features = torch.randn(2, 6, 5, 5)
    shuffled = features.flatten(2)[..., torch.randperm(25)].view_as(features)
    torch.testing.assert_close(head(shuffled), head(features))


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if name != "units"])
def test_heads_start_at_xavier_and_zero(name: str) -> None:
    head = made(name, 94, 6)
    for path, parameter in head.named_parameters():
        if parameter.ndim == 1:
            assert not parameter.any(), path
            continue
        cells = parameter[0, 0].numel()
        bound = (6 / (sum(parameter.shape[:2]) * cells)) ** 0.5
        assert 0.9 * bound < parameter.abs().max() <= bound, path


def test_what_heads_do_not_take() -> None:
    with pytest.raises(InputError, match="variant must be 'paper' or 'fg2024', not 'code'"):
        WILDCAT(2, 2, variant="code")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="kmax and kmin are shares"):
        WILDCAT(2, 2, kmax=20)
    with pytest.raises(InputError, match="sharpness is positive"):
        LogSumExp(2, 2, sharpness=0)
