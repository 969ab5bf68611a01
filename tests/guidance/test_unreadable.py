"""Layers whose features are no map of the picture, and networks that cannot be tapped: refused by name."""

from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torch import nn

from aucue.errors import InputError
from aucue.guidance import FeatureTap, Guidance, default_layer

SWIN = {"window_size": 4, "embed_dim": 24, "depths": (1, 1), "num_heads": (1, 2), "img_size": 64}
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}


def vit(**options: Any) -> Any:
    return timm.create_model("vit_tiny_patch16_224", num_classes=3, **{**VIT, **options})


def features(network: nn.Module, layer: str, side: int) -> torch.Tensor:
    with FeatureTap(network, layer) as tap, torch.no_grad():
        network(torch.rand(2, 3, side, side))
        return tap.features[layer]


def test_a_part_of_the_network_that_is_called_alone_has_no_known_size():
    network = vit(img_size=(64, 128))  # 8 x 16 patches and a class token: 129; 121 would be 11 x 11
    images = torch.rand(2, 3, 64, 128)
    with FeatureTap(network, "blocks.0") as tap:
        network.forward_features(images)
        with pytest.raises(InputError, match=r"call the network itself .* such as forward_features"):
            _ = tap.features
        network(images)
        assert tap.features["blocks.0"].shape == (2, 24, 8, 16)
        network.forward_features(images)  # the size of the pass before is not believed
        with pytest.raises(InputError, match="the size of the input is not known"):
            _ = tap.features


def test_dropped_patches_lie_on_no_grid():
    network = vit(img_size=112, patch_drop_rate=0.75)  # 196 patches, of which 49 stay: no 7 x 7
    with FeatureTap(network, "blocks.0") as tap:
        network.train()(torch.rand(2, 3, 112, 112))
        with pytest.raises(InputError, match="set patch_drop_rate to 0"):
            _ = tap.features
        network.eval()(torch.rand(2, 3, 112, 112))
        assert tap.features["blocks.0"].shape == (2, 24, 14, 14)


def test_hiera_keeps_the_order_of_the_picture_in_its_last_stage_alone():
    options = {"embed_dim": 12, "num_heads": 1, "stages": (1, 1, 1, 1), "img_size": 64}
    network = timm.create_model("hiera_tiny_224", num_classes=3, **options)
    with pytest.raises(InputError, match=r"Layer 'blocks.1' yields patches in an order of its own"):
        features(network, "blocks.1", 64)
    with pytest.raises(InputError, match=r"name 'blocks.3' instead"):
        features(network, "blocks.0.mlp", 64)
    assert features(network, "blocks.3", 64).shape == (2, 96, 2, 2)
    assert default_layer(network) == "blocks.3"


@pytest.mark.parametrize(
    ("name", "side", "options", "layer", "works", "shape"),
    [
        (
            "nest_tiny",
            112,
            {"img_size": 112, "drop_rate": 0.0},
            "levels.2.transformer_encoder",
            "levels.2",
            (2, 384, 7, 7),
        ),
        ("mobilevitv2_050", 64, {}, "stages.4.1.transformer", "stages.4.1", (2, 256, 2, 2)),
        ("mobilevitv2_050", 128, {}, "stages.3.1.transformer.0", "stages.3.1", (2, 192, 8, 8)),
    ],
)
def test_patches_that_are_unfolded_are_no_map(name, side, options, layer, works, shape):
    network = timm.create_model(name, num_classes=3, **options).eval()
    with pytest.raises(InputError, match=f"'{layer}' yields patches in an order of its own.*'{works}'"):
        features(network, layer, side)
    assert features(network, works, side).shape == shape


def test_hooks_cannot_see_into_traced_networks():
    network = timm.create_model("test_resnet", num_classes=3).eval()
    images = torch.rand(1, 3, 32, 32)
    both: Any = (torch.jit.trace(network, images), torch.fx.symbolic_trace(network))
    for traced in both:
        with FeatureTap(traced, "layer4") as tap:
            traced(images)
            with pytest.raises(InputError, match=r"'layer4' was not called: the network is traced"):
                _ = tap.features


def test_guidance_of_tokens_that_nobody_reads_is_refused():
    network, images, cue = vit(), torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)
    with Guidance(network, "blocks.2") as guidance:
        network(images)
        with pytest.raises(InputError, match=r"is zero for every patch, .*name the layer before, 'blocks.1'"):
            guidance(cue)
    for pooled in (network, vit(global_pool="avg", class_token=True)):
        with Guidance(pooled) as guidance:
            logits = pooled(images)
            (logits.sum() + guidance(cue)).backward()
    assert all(p.grad is not None for p in network.blocks[1].mlp.parameters())


def test_the_probe_leaves_no_gradient_behind():
    network = vit()
    with Guidance(network, "blocks.1") as guidance:
        network(torch.rand(2, 3, 32, 32))
        guidance(torch.rand(2, 1, 32, 32))
    assert all(p.grad is None for p in network.parameters())


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.inner = network

    def forward(self, images):
        return SimpleNamespace(logits=self.inner(images))


@pytest.mark.parametrize(
    ("network", "side", "layer", "grid"),
    [
        (lambda: timm.create_model("test_resnet", num_classes=3), 64, "layer4", (2, 2)),
        (vit, 32, "blocks.1", (4, 4)),  # the head reads the class token after blocks.2
        (lambda: vit(global_pool="avg", class_token=False), 32, "blocks.2", (4, 4)),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", **SWIN), 64, "layers.1", (8, 8)),
        (lambda: Wrapped(timm.create_model("test_convnext", num_classes=3)), 64, "inner.stages.3", (2, 2)),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            64,
            "0",
            (32, 32),
        ),
    ],
    ids=["CNN", "ViT", "ViT-avg", "Swin", "wrapped", "Sequential"],
)
def test_a_layer_that_works_where_none_is_named(network, side, layer, grid):
    built = network()
    assert default_layer(built) == layer
    with Guidance(built) as guidance:
        built(torch.rand(2, 3, side, side))
        assert guidance.attention()[layer].shape == (2, 1, *grid)
        assert guidance(torch.rand(2, 1, side, side)) > 0


def test_no_layer_is_guessed():
    with pytest.raises(InputError, match="Which layer to read cannot be told"):
        Guidance(nn.Linear(3, 3))
