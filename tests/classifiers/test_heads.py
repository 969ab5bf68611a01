import pytest
import torch

from aucue.classifiers import HEADS, WeightedGAP


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


@pytest.mark.parametrize("name", HEADS)
def test_heads_start_at_xavier_and_zero(name: str) -> None:
    head = HEADS[name](channels=94, classes=6)
    assert isinstance(head, WeightedGAP)
    bound = (6 / (94 + 6)) ** 0.5
    assert 0.9 * bound < head.fc.weight.abs().max() <= bound
    assert not head.fc.bias.any()
