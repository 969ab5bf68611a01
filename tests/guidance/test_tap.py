import copy
import io
import pickle
from collections import OrderedDict
from typing import Any

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aucue.errors import InputError
from aucue.guidance import FeatureTap


def small_network() -> Any:
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, 4, 3, stride=2, padding=1),
            act=nn.ReLU(),
            body=nn.Conv2d(4, 6, 3, stride=2, padding=1),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(6, 3),
        )
    )


class Yields(nn.Module):
    """A layer that yields whatever it is told to, with its input in place of `...`."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x: Tensor):
        return self.make(x)


class Unpack(nn.Module):
    def forward(self, x) -> Tensor:
        return x.mean() if isinstance(x, Tensor) else torch.zeros(())


def test_captures_what_the_layers_yield():
    network, x = small_network(), torch.rand(2, 3, 16, 24)
    with FeatureTap(network, ["stem", "body"]) as tap:
        network(x)
        stem, body = tap.features["stem"], tap.features["body"]
    torch.testing.assert_close(stem, network.stem(x))
    torch.testing.assert_close(body, network.body(network.stem(x).relu()))
    assert list(tap.layers) == ["stem", "body"]


def test_one_name_is_a_layer_too():
    network = small_network()
    tap = FeatureTap(network, "body")
    network(torch.rand(1, 3, 8, 8))
    assert list(tap.features) == ["body"]


def test_the_graph_is_kept():
    network = small_network()
    tap = FeatureTap(network, ["body"])
    network(torch.rand(2, 3, 8, 8))
    tap.features["body"].sum().backward()
    gradient = network.stem.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_the_last_run_counts_within_a_pass_and_between_passes():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), act := nn.ReLU(), nn.Conv2d(3, 3, 1), act)
    tap = FeatureTap(network, ["1"])
    first, second = torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert torch.equal(network(first), tap.features["1"])
    assert torch.equal(network(second), tap.features["1"])


def test_a_layer_that_was_skipped_is_missed_not_remembered():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor, skip: bool = False) -> Tensor:
            return x if skip else self.layer(x)

    network, x = Skips(), torch.rand(1, 3, 4, 4)
    tap = FeatureTap(network, ["layer"])
    with pytest.raises(InputError, match="'layer' has not run"):
        _ = tap.features
    network(x=x)
    assert tap.features["layer"].shape == (1, 2, 4, 4)
    network(x, skip=True)
    with pytest.raises(InputError, match="'layer' has not run"):
        _ = tap.features


def test_close_removes_the_hooks():
    network = small_network()
    tap = FeatureTap(network, ["stem"])
    network(torch.rand(1, 3, 8, 8))
    tap.close()
    assert not network._forward_pre_hooks
    assert not network.stem._forward_hooks
    network(torch.rand(1, 3, 8, 8))
    with pytest.raises(InputError, match="has not run"):
        _ = tap.features


def test_two_taps_do_not_disturb_each_other():
    network, x = small_network(), torch.rand(1, 3, 8, 8)
    first, second = FeatureTap(network, ["stem"]), FeatureTap(network, ["stem", "body"])
    network(x)
    assert torch.equal(first.features["stem"], second.features["stem"])
    first.close()
    network(x)
    assert second.features["body"].shape == (1, 6, 2, 2)


def test_the_network_is_unchanged():
    network, x = small_network(), torch.rand(2, 3, 8, 8)
    keys, output = list(network.state_dict()), network(x)
    tap = FeatureTap(network, ["body"])
    assert list(network.state_dict()) == keys
    assert torch.equal(network(x), output)
    seen = tap.features["body"]

    written = io.BytesIO(pickle.dumps(network))
    for twin in (copy.deepcopy(network), pickle.load(written)):
        assert torch.equal(twin(x), output)
        twin(torch.rand(5, 3, 8, 8))  # the copy's runs are not the network's
        assert tap.features["body"] is seen


def test_a_copied_tap_follows_the_copied_network():
    network, x = small_network(), torch.rand(2, 3, 8, 8)
    trainer: Any = nn.ModuleDict({"network": network})
    trainer.tap = FeatureTap(network, ["body"])
    network(x)  # with features in hand
    twin = copy.deepcopy(trainer)
    assert twin.tap.model is twin["network"]
    twin["network"](torch.rand(3, 3, 8, 8))
    assert len(twin.tap.features["body"]) == 3
    assert len(trainer.tap.features["body"]) == 2


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["bodi"], "no layer 'bodi'; there is body"),
        (["xyz"], "stem, act, body, pool, flat, head"),
        ([""], "no layer ''"),
        ([], "at least one layer"),
    ],
)
def test_unknown_layers(layers, message):
    with pytest.raises(InputError, match=message):
        FeatureTap(small_network(), layers)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x, "rest"),
        lambda x: ["first", x],
        lambda x: {"hidden": x, "other": x + 1},
        lambda x: OrderedDict(nothing=None, nested=(x,)),
    ],
)
def test_the_first_tensor_of_a_container_is_taken(make):
    network, x = nn.Sequential(Yields(make), Unpack()), torch.rand(2, 3, 8, 8)
    tap = FeatureTap(network, ["0"])
    network(x)
    assert torch.equal(tap.features["0"], x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: {"nothing": None}, "'0' yields dict without a tensor"),
        (lambda x: None, "'0' yields NoneType without a tensor"),
        (lambda x: x.mean((2, 3)), r"'0' yields shape \(2, 3\), which is no grid"),
        (lambda x: x.flatten(0, 1)[:, None], r"\(6, 1, 8, 8\), which does not begin with the batch size 2"),
    ],
)
def test_errors_say_what_is_wrong_with_a_layer(make, message):
    network = nn.Sequential(Yields(make), Unpack())
    tap = FeatureTap(network, ["0"])
    network(torch.rand(2, 3, 8, 8))
    with pytest.raises(InputError, match=message):
        _ = tap.features


def test_overwriting_in_place_is_noticed():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    x = torch.rand(1, 3, 4, 4)
    tap = FeatureTap(network, ["0"])
    network(x)
    with pytest.raises(InputError, match="overwritten by a later in-place operation"):
        _ = tap.features
    tap = FeatureTap(network, ["1"])
    assert torch.equal(network(x), tap.features["1"])


def test_inference_mode():
    network = small_network()
    tap = FeatureTap(network, ["body"])
    with torch.inference_mode():
        network(torch.rand(1, 3, 8, 8))
        assert tap.features["body"].shape == (1, 6, 2, 2)


# Networks of timm, against timm's own contract where it has one: forward_intermediates(output_fmt="NCHW").


@pytest.mark.parametrize("size", [(96, 96), (96, 64)])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_convolutional_networks(name, size):
    network: Any = timm.create_model(name).eval()
    layers = [info["module"] for info in network.feature_info]
    tap = FeatureTap(network, layers)
    x = torch.rand(2, 3, *size)
    network(x)
    features = tap.features
    expected = network.forward_intermediates(x, intermediates_only=True, output_fmt="NCHW")
    for layer, maps in zip(layers, expected, strict=True):
        torch.testing.assert_close(features[layer], maps)


@pytest.mark.parametrize(("size", "grid"), [((64, 64), (4, 4)), ((96, 64), (6, 4))])
@pytest.mark.parametrize("options", [{}, {"reg_tokens": 4}, {"class_token": False, "global_pool": "avg"}])
def test_vision_transformers(options, size, grid):
    network: Any = VisionTransformer(
        img_size=size, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=3, **options
    ).eval()
    x = torch.rand(2, 3, *size)
    expected = network.forward_intermediates(x, indices=[1], intermediates_only=True, output_fmt="NCHW")[0]
    tap = FeatureTap(network, ["blocks.1", "patch_embed"])
    network(x)
    assert tap.features["blocks.1"].shape == (2, 16, *grid)
    torch.testing.assert_close(tap.features["blocks.1"], expected)
    assert tap.features["patch_embed"].shape == (2, 16, *grid)  # has no class token yet
    tap = FeatureTap(network, ["blocks.1"], prefix_tokens=network.num_prefix_tokens)
    network(x)
    torch.testing.assert_close(tap.features["blocks.1"], expected)


def test_swin_yields_channels_last():
    network = SwinTransformer(
        img_size=64, patch_size=4, embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=4, num_classes=3
    ).eval()
    x = torch.rand(2, 3, 64, 64)
    expected = network.forward_intermediates(x, intermediates_only=True, output_fmt="NCHW")
    tap = FeatureTap(network, ["layers.0", "layers.1"])
    network(x)
    for layer, maps in zip(("layers.0", "layers.1"), expected, strict=True):
        torch.testing.assert_close(tap.features[layer], maps)
    assert tap.features["layers.0"].shape == (
        2,
        16,
        16,
        16,
    )  # 16 channels: declared


# What training does to a network


def gradients(network: nn.Module, run, tap: FeatureTap, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Features and gradients of a loss on features and output together."""
    network.zero_grad()
    output = run(x)
    maps = tap.features["body"]
    (output.square().mean() + maps.mean(1).square().mean()).backward()
    return maps.detach().clone(), [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_networks(backend):
    network, x = small_network(), torch.rand(2, 3, 16, 16)
    tap = FeatureTap(network, ["body"])
    expected = gradients(network, network, tap, x)
    compiled = torch.compile(network, backend=backend, fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(gradients(network, compiled, tap, x), expected)
    other = torch.rand(3, 3, 24, 8)
    torch.testing.assert_close(
        gradients(network, compiled, tap, other), gradients(network, network, tap, other)
    )


def test_a_compiled_network_can_be_handed_over():
    network = small_network()
    compiled: Any = torch.compile(network, backend="eager")
    tap = FeatureTap(compiled, ["body"])
    compiled(torch.rand(2, 3, 8, 8))
    assert tap.features["body"].shape == (2, 6, 2, 2)


class Checkpointed(nn.Module):
    def __init__(self, network: nn.Module, reentrant: bool):
        super().__init__()
        self.network = network
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.network, x, use_reentrant=self.reentrant)  # type: ignore[return-value]


def test_checkpointing_gives_the_same_gradients_and_captures_nothing_in_the_backward_pass():
    network, x = small_network(), torch.rand(2, 3, 16, 16)
    with FeatureTap(network, ["body"]) as tap:
        expected = gradients(network, network, tap, x)
    saving = Checkpointed(network, reentrant=False)
    tap = FeatureTap(saving, ["network.body"])
    output = saving(x)
    maps = tap.features["network.body"]
    torch.testing.assert_close(maps, expected[0])
    network.zero_grad()
    (output.square().mean() + maps.mean(1).square().mean()).backward()
    torch.testing.assert_close([p.grad for p in network.parameters()], expected[1])
    assert tap.features["network.body"] is maps  # not the recomputed one


def test_autocast_features_stay_in_low_precision_until_attention():
    network = small_network()
    tap = FeatureTap(network, ["body"])
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.rand(1, 3, 8, 8))
    assert tap.features["body"].dtype == torch.bfloat16


def test_replicas_are_refused():
    network = small_network()
    FeatureTap(network, ["stem"])
    replica = network.stem._replicate_for_data_parallel()
    replica._parameters = dict(network.stem.named_parameters())
    with pytest.raises(InputError, match="DistributedDataParallel"):
        replica(torch.rand(1, 3, 8, 8))


def test_data_parallel_without_several_devices_is_looked_through():
    network = nn.DataParallel(small_network())
    tap = FeatureTap(network, ["body"])
    network(torch.rand(2, 3, 8, 8))
    assert tap.features["body"].shape == (2, 6, 2, 2)
