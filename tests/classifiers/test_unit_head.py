import math
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from aucue.classifiers import Classifier
from aucue.classifiers.unit_head import ActionUnitHead, units_of_classes
from aucue.errors import InputError
from aucue.facs import Codebook

UNITS = [[], [6, 12], [12, 1]]  # neutral and two expressions that share AU12


@pytest.fixture
def head() -> ActionUnitHead:
    """AU1 sees the first channel, AU6 the second, AU12 both; weights log 2, and log 3 for the last class."""
    head = ActionUnitHead(channels=2, classes=3, units=UNITS)
    with torch.no_grad():
        head.conv.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]])[..., None, None])
        head.get_parameter("conv.bias").zero_()
        head.size[2] = math.log(2)  # softplus of 0 is log 2, of log 2 log 3
        head.bias.copy_(torch.tensor([0.5, 0.0, -1.0]))
    return head


def soft(value: float) -> float:
    return math.log1p(math.exp(value))


def test_by_hand(head: ActionUnitHead) -> None:
    features = torch.tensor([[[[1.0, -2.0]], [[0.0, 3.0]]]])  # (1, 2, 1, 2)
    seen = [[soft(1), soft(-2)], [soft(0), soft(3)], [soft(1), soft(1)]]
    assert head.units == (1, 6, 12)
    assert head.unit_maps(features)[0, :, 0].tolist() == [pytest.approx(row) for row in seen]
    one, six, twelve = (sum(row) / 2 for row in seen)
    two, three = math.log(2), math.log(3)
    by_hand = [0.5, two * (six + twelve), three * (one + twelve) - 1]
    assert head(features)[0].tolist() == pytest.approx(by_hand)


def test_a_logit_is_the_mean_of_its_map_and_a_sum_over_units(head: ActionUnitHead) -> None:
    features = torch.randn(4, 2, 5, 6)
    maps, logits = head.class_maps(features), head(features)
    torch.testing.assert_close(maps.mean((2, 3)) + head.bias, logits)
    each = head.weight * head.unit_maps(features).mean((2, 3))[:, None]  # (B, K, U)
    torch.testing.assert_close(each.sum(2) + head.bias, logits)


def test_units_speak_for_their_expressions_alone_whatever_is_learned() -> None:
    head = ActionUnitHead(8, 3, UNITS)
    optimiser = torch.optim.SGD(head.parameters(), lr=5.0)
    for _ in range(5):
        loss = cross_entropy(head(torch.randn(16, 8, 3, 3)), torch.randint(3, (16,)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    own = torch.tensor([[unit in row for unit in head.units] for row in UNITS])
    assert (head.weight[own] > 0).all()
    assert not head.weight[~own].any()
    assert (head.unit_maps(torch.randn(2, 8, 3, 3)) >= 0).all()


def test_starts_from_a_linear_head(head: ActionUnitHead) -> None:
    weight = torch.tensor(
        [[0.0, 3.0], [3.0, 0.0], [6.0, 0.0]]
    )  # beside the mean of all: (-3, 2), (0, -1), (3, -1)
    head.start_from(weight)
    expected = torch.tensor(
        [[3.0, -1], [0, -1], [1.5, -1]]
    )  # AU1: the last; AU6: the second; AU12: their mean
    torch.testing.assert_close(head.conv.weight[..., 0, 0], expected)
    torch.testing.assert_close(head.weight, torch.tensor([[0.0, 0, 0], [0, 1.5, 1.5], [1.5, 0, 1.5]]))
    assert head.bias.tolist() == [1, 0, 0]
    with pytest.raises(InputError, match="a linear head of 3 classes and 2 channels is needed"):
        head.start_from(torch.zeros(3, 5))


def test_a_classifier_takes_its_units_from_the_codebook_and_keeps_them() -> None:
    classes = ("neutral", "happiness", "awe")  # the codebook lacks the last
    network = Classifier("test_resnet", classes, input_size=32, method="units")
    assert network.config["head_options"] == {"units": [[], [6, 12, 25], []]}
    assert isinstance(network.head, ActionUnitHead)
    assert network.head.units == (6, 12, 25)
    own = Classifier("test_resnet", classes, input_size=32, method="units", head_options={"units": UNITS})
    again = Classifier(**own.config)
    assert isinstance(again.head, ActionUnitHead)
    assert again.head.units == (1, 6, 12)
    again.load_state_dict(own.state_dict())


def test_units_of_classes() -> None:
    book = Codebook.from_dict({"name": "own", "expressions": {"happiness": [12]}})
    assert units_of_classes(["happiness", "neutral", "awe"], book) == [[12], [], []]


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ([[6]], "one list of action units per class is needed, 3 in all"),
        ("AU6", "one list of action units per class is needed"),
        ([[6], [12], "x"], "'x' is no list of action-unit numbers"),
        ([[6], [12], [0]], "is no list of action-unit numbers"),
        ([[], [], []], "no class has an action unit"),
    ],
)
def test_what_is_no_table_of_units_is_refused(units: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ActionUnitHead(2, 3, units)
