import pytest
import timm
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from aucue.cams import class_activation_map, normalize_cam
from aucue.errors import InputError
from aucue.metrics import randomised, rank_correlation, stages


class Small(nn.Module):
    """Three convolutions and a linear head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.scale = nn.ParameterList([nn.Parameter(torch.arange(6.0))])
        self.head = nn.Linear(8, 4)

    def features(self, images: Tensor) -> Tensor:
        return self.body(self.stem(images)).relu()


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before: dict[str, Tensor], network: nn.Module) -> set[str]:
    return {
        name.rsplit(".", 1)[0]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }


def test_stages_from_the_head_down():
    assert [(stage.name, stage.modules) for stage in stages(Small())] == [
        ("head", ("head",)),
        ("scale", ("scale",)),
        ("body", ("body.0", "body.2")),
        ("stem", ("stem",)),
    ]


def test_each_step_randomises_one_stage_more():
    network = Small()
    network.get_buffer("body.0.running_mean").fill_(3)  # as after training
    before, found = state(network), []
    for name, copy in randomised(network):
        found.append((name, changed(before, copy)))
    assert found == [
        ("head", {"head"}),
        ("scale", {"head", "scale"}),
        ("body", {"head", "scale", "body.0", "body.2"}),
        ("stem", {"head", "scale", "body.0", "body.2", "stem"}),
    ]
    assert not changed(before, network)


def test_loose_parameters_are_shuffled():
    *_, (_, copy) = randomised(Small())
    (shuffled,) = copy.get_submodule("scale").parameters()
    assert shuffled.tolist() != list(range(6))
    assert sorted(shuffled.tolist()) == list(range(6))


def test_seeded_and_without_a_trace():
    network = Small()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    *_, (_, one) = randomised(network, seed=1)
    assert torch.equal(torch.rand(1), expected)
    *_, (_, same) = randomised(network, seed=1)
    *_, (_, other) = randomised(network, seed=2)
    assert torch.equal(one.get_parameter("stem.weight"), same.get_parameter("stem.weight"))
    assert not torch.equal(one.get_parameter("stem.weight"), other.get_parameter("stem.weight"))


def test_copies_made_in_inference_mode_give_gradients():
    with torch.inference_mode():
        *_, (_, copy) = randomised(Small())
    copy.get_submodule("head")(torch.rand(1, 8)).sum().backward()
    assert copy.get_parameter("head.weight").grad is not None


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_every_parameter_of_timm_networks_belongs_to_one_stage(name: str):
    network = timm.create_model(name, num_classes=3)
    found = stages(network, most=4)
    assert 2 <= len(found) <= 4
    modules = [module for stage in found for module in stage.modules]
    assert len(set(modules)) == len(modules)
    owned = {
        f"{module}.{parameter}".lstrip(".")
        for module in modules
        for parameter, _ in network.get_submodule(module).named_parameters(recurse=False)
    }
    assert owned == {parameter for parameter, _ in network.named_parameters()}


def test_the_head_stays_by_itself():
    first, *others = stages(timm.create_model("test_vit", num_classes=3), most=3)
    assert first.modules == ("head",)
    assert len(others) == 2


def test_a_network_without_layers():
    with pytest.raises(InputError, match="0 layers"):
        stages(nn.ReLU())


def test_randomising_lowers_the_resemblance_of_class_maps():
    """Maps of a network that looks for a bright patch, before and after."""
    network = Small().eval()
    images = torch.rand(8, 3, 24, 24)
    classes = torch.zeros(8, dtype=torch.long)

    def maps(model: Small) -> Tensor:
        with torch.no_grad():
            return normalize_cam(class_activation_map(model.features(images), model.head.weight, classes))

    before = maps(network)
    assert rank_correlation(before, before).tolist() == pytest.approx([1] * 8)
    for _, copy in randomised(network, seed=5):
        assert isinstance(copy, Small)
        assert rank_correlation(before, maps(copy)).abs().max() < 0.9


def test_rank_correlation_equals_scipy():
    a, b = torch.rand(6, 1, 7, 5), torch.rand(6, 1, 7, 5)
    a[0] = (4 * a[0]).round()  # many equal pixels
    b[1] = (4 * b[1]).round()
    b[2] = a[2] ** 3
    expected = [spearmanr(x.flatten(), y.flatten())[0] for x, y in zip(a, b, strict=True)]
    assert rank_correlation(a, b).tolist() == pytest.approx(expected, abs=1e-6)
    assert expected[2] == 1


def test_a_constant_map_correlates_with_nothing():
    assert rank_correlation(torch.ones(1, 1, 4, 4), torch.rand(1, 1, 4, 4)).item() == 0


def test_maps_of_different_size():
    with pytest.raises(InputError, match="differ in shape"):
        rank_correlation(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2))
