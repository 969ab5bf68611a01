"""Class maps of whole networks, at any layer."""

import copy
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from aucue.cams import READOUTS, ClassMap, GradientReadOut, normalize_cam
from aucue.errors import InputError
from aucue.guidance import FeatureTap, to_nchw

FORMULAS = {name: readout.maps for name, readout in READOUTS.items() if isinstance(readout, GradientReadOut)}
OF_ANY = [name for name in READOUTS if name != "adl-fg2024"]  # which asks our classifier for its blocks
CLASSES = 3


def pencil_network() -> nn.Sequential:
    """F_1 = relu(x) and F_2 = relu(3 - x); then one weight per pixel and class."""
    network = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(1, 2, 1), act=nn.ReLU(), flat=nn.Flatten(), head=nn.Linear(8, 2))
    )
    with torch.no_grad():
        network.conv.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))  # type: ignore[union-attr]
        network.conv.bias.copy_(torch.tensor([0.0, 3.0]))  # type: ignore[union-attr]
        network.head.weight.copy_(  # type: ignore[union-attr]
            torch.tensor([[1.0, -1, 0, 2, -1, 0, -2, 1], [0, 0, 0, 4, -2, -2, -2, -2]])
        )
        network.head.bias.copy_(torch.tensor([-100.0, 0.0]))  # type: ignore[union-attr]
    return network


IMAGE = torch.tensor([[[[1.0, 2.0], [0.0, 1.0]]]])  # so F_2 = [[2, 1], [3, 2]]
# Class 0: see test_gradients.py. Class 1: g_1 = [[0, 0], [0, 4]] with mean 1 and g_2 = -2 everywhere.
BY_HAND = {
    "gradcam": [[[0, 0.5], [0, 0]], [[0, 0], [0, 0]]],  # F_1 - 2 F_2 is nowhere positive
    # class 1: 4 / (2 + 4 * 4) = 2 / 9
    "gradcam++": [[[17 / 30, 25 / 30], [9 / 30, 17 / 30]], [[2 / 9, 4 / 9], [0, 2 / 9]]],
    "gradcam++-fg2024": [[[11, 19], [3, 11]], [[64, 128], [0, 64]]],
    "layercam": [[[1, 0], [0, 4]], [[0, 0], [0, 4]]],
    # class 1: (4 * 1) / 4 = 1 and -2: F_1 - 2 F_2 again
    "xgradcam": [[[0, 0], [0, 0]], [[0, 0], [0, 0]]],
}


@pytest.mark.parametrize("method", FORMULAS)
def test_by_hand(method):
    class_map = ClassMap(pencil_network(), "act", method)
    expected = torch.tensor([BY_HAND[method]], dtype=torch.float32)
    torch.testing.assert_close(class_map(IMAGE, None), expected)
    torch.testing.assert_close(class_map(IMAGE, 0), expected[:, :1])
    torch.testing.assert_close(class_map(IMAGE, torch.tensor([1])), expected[:, 1:])
    torch.testing.assert_close(class_map(IMAGE), expected[:, 1:])  # class 0 has a bias of -100


@pytest.mark.parametrize("method", FORMULAS)
def test_a_network_without_evidence_gives_zeros(method):
    network = pencil_network()
    with torch.no_grad():
        network.head.weight.zero_()  # type: ignore[union-attr]
    assert not normalize_cam(ClassMap(network, "act", method)(IMAGE, None)).any()


def pooled_network(inplace: bool = False) -> Any:
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, 4, 3, stride=2, padding=1),
            norm=nn.BatchNorm2d(4),
            act=nn.ReLU(inplace=inplace),
            body=nn.Conv2d(4, 6, 3, stride=2, padding=1),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(6, CLASSES),
        )
    ).eval()


def whole_backward(network: nn.Module, layer: str, images: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Features and the gradient of a class's logit by an ordinary backward pass."""
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *run: kept.append(run[2]))
    logits = network(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, k].sum(), kept[0])
    return kept[0].detach(), gradient


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("layer", ["stem", "norm", "act", "body"])
def test_any_layer(method, layer):
    network, images = pooled_network(), torch.rand(2, 3, 16, 24)
    maps = ClassMap(network, layer, method)(images, None)
    for k in range(CLASSES):
        features, gradient = whole_backward(network, layer, images, k)
        torch.testing.assert_close(maps[:, k : k + 1], FORMULAS[method](features, gradient))


@pytest.mark.parametrize("method", FORMULAS)
def test_layers_that_are_overwritten_in_place(method):
    network, images = pooled_network(inplace=False), torch.rand(2, 3, 16, 16)
    expected = ClassMap(network, "norm", method)(images)
    network.act.inplace = True
    torch.testing.assert_close(ClassMap(network, "norm", method)(images), expected)


class SharedReLU(nn.Module):
    """As the blocks of torchvision's ResNet: one ReLU that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.ReLU()
        self.head = nn.Linear(6, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.relu(self.body(self.relu(self.stem(images)))).mean((2, 3)))


@pytest.mark.parametrize("method", FORMULAS)
def test_a_layer_that_runs_twice_is_read_at_its_last_run(method):
    network, images = SharedReLU(), torch.rand(2, 3, 12, 10)
    maps = ClassMap(network, "relu", method)(images, 1)
    assert not maps.requires_grad
    with torch.no_grad():
        features = network.body(network.stem(images).relu()).relu()
    gradient = network.head.weight[1].detach()[:, None, None].expand_as(features) / features[0, 0].numel()
    torch.testing.assert_close(maps, FORMULAS[method](features, gradient))


@pytest.mark.parametrize("method", OF_ANY)
def test_a_batch_of_no_image(method):
    linear = "head" if method == "cam" else None
    for name in (linear, "head"):
        found = ClassMap(pooled_network(), "body", method, linear=name).read(torch.rand(0, 3, 16, 16), None)
        assert found.maps.shape == (0, CLASSES, 4, 4)
        assert found.logits.shape == (0, CLASSES)


@pytest.mark.parametrize("method", OF_ANY)
def test_closed_forms(method):
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    closed = ClassMap(network, "body", method, linear="head").read(images, None)
    torch.testing.assert_close(closed.logits, network(images).detach())
    if method == "cam":
        logits = closed.maps.mean((2, 3)) + network.head.bias
        torch.testing.assert_close(logits.detach(), closed.logits)
    else:
        expected = ClassMap(network, "body", method).read(images, None)
        if method == "smoothgradcam++":  # the gradients of such a head are the same for any noise
            expected = expected._replace(maps=ClassMap(network, "body", "gradcam++")(images, None))
        torch.testing.assert_close(closed.maps, expected.maps, rtol=1e-5, atol=1e-9)
        torch.testing.assert_close(closed.logits, expected.logits)


@pytest.mark.parametrize("method", FORMULAS)
def test_nothing_is_left_on_the_network(method):
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    network.body.bias.requires_grad_(False)
    network.stem.weight.grad = torch.ones_like(network.stem.weight)
    needs = {name: p.requires_grad for name, p in network.named_parameters()}
    state = copy.deepcopy(network.state_dict())
    maps = ClassMap(network, "act", method)(images)
    with pytest.raises(InputError):
        ClassMap(network, "act", method)(images, 99)
    assert not maps.requires_grad
    assert not images.requires_grad
    assert {name: p.requires_grad for name, p in network.named_parameters()} == needs
    grads = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert list(grads) == ["stem.weight"]
    assert torch.equal(grads["stem.weight"], torch.ones_like(network.stem.weight))
    torch.testing.assert_close(dict(network.state_dict()), dict(state), rtol=0, atol=0)
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    network(images).sum().backward()  # trains as before
    assert not torch.equal(grads["stem.weight"], torch.ones_like(network.stem.weight))


@pytest.mark.parametrize("method", OF_ANY)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_mode(method, context):
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    class_map = ClassMap(network, "body", method, linear="head" if method == "cam" else None)
    expected = class_map(images * 2, None)
    with context():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        maps = class_map(images * 2, None)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert not maps.requires_grad
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("method", OF_ANY)
def test_differentiable_on_request(method):
    """The gradient of a loss with respect to weights on both sides of the layer: difference quotients."""
    if READOUTS[method].reruns(lambda features: features):
        pytest.skip("the weights of its maps are constants: see test_scores.py")
    network, images = pooled_network().double(), torch.rand(1, 3, 12, 12, dtype=torch.float64)
    class_map = ClassMap(network, "body", method, linear="head" if method == "cam" else None)

    def loss(differentiable: bool) -> Tensor:
        return class_map(images, 1, differentiable=differentiable).square().sum()

    for weight in (network.stem.weight, network.head.weight):
        (gradient,) = torch.autograd.grad(loss(True), weight)
        step = 1e-6 * torch.randn_like(weight)
        before = loss(False)
        with torch.no_grad():
            weight += step
        torch.testing.assert_close(loss(False) - before, (gradient * step).sum(), rtol=1e-3, atol=1e-15)


def test_guidance_on_the_same_network_goes_on():
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    with FeatureTap(network, "body") as tap:
        ClassMap(network, "body")(images)
        network(images).sum()
        assert tap.features["body"].grad_fn is not None


# Transformers: against an ordinary backward pass through the tokens


def vision_transformer(**options) -> Any:
    network = VisionTransformer(
        img_size=48, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=CLASSES, **options
    )
    return network.eval()


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("options", [{}, {"reg_tokens": 2}, {"class_token": False, "global_pool": "avg"}])
def test_vision_transformer(method, options):
    network, images = vision_transformer(**options), torch.rand(2, 3, 48, 48)
    layer = "blocks.1.norm1"  # after the last attention, the patches do not reach a class token
    tokens, gradient = whole_backward(network, layer, images, 1)
    fold = {"layout": "tokens", "prefix_tokens": network.num_prefix_tokens}
    tokens, gradient = (to_nchw(values, (48, 48), **fold) for values in (tokens, gradient))
    expected = FORMULAS[method](tokens, gradient)
    maps = ClassMap(network, layer, method)(images, 1)
    assert maps.shape == (2, 1, 6, 6)
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("method", FORMULAS)
def test_swin(method):
    network = SwinTransformer(
        img_size=64, patch_size=4, embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=4,
        num_classes=CLASSES,
    ).eval().double()  # fmt: skip
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)  # GradCAM++ has poles where features are negative
    for layer in ("layers.0", "layers.1"):  # (B, h, w, C)
        output, gradient = whole_backward(network, layer, images, 2)
        expected = FORMULAS[method](output.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2))
        torch.testing.assert_close(ClassMap(network, layer, method)(images, 2), expected)
    normed = ClassMap(network, "norm", method, linear="head.fc")(images, None)
    torch.testing.assert_close(normed, ClassMap(network, "norm", method)(images, None), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_networks_of_timm(name):
    network: Any = timm.create_model(name, num_classes=CLASSES).eval()
    images = torch.rand(2, 3, 64, 64)
    for info in network.feature_info:
        maps, logits = ClassMap(network, info["module"], "layercam").read(images, None)
        assert maps.shape == (2, CLASSES, 64 // info["reduction"], 64 // info["reduction"])
        assert maps.isfinite().all()
        torch.testing.assert_close(logits, network(images).detach())


# What a layer and a network may yield


class Pair(NamedTuple):
    maps: Tensor
    rest: str


class Wraps(nn.Module):
    """Wraps the maps of a layer into a container that the rest of the network unpacks."""

    def __init__(self, wrap, unwrap) -> None:
        super().__init__()
        network = pooled_network()
        self.front, self.back = (
            nn.Sequential(network[:3], Calls(wrap)),
            nn.Sequential(Calls(unwrap), network[3:]),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.back(self.front(images))


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda maps: (maps, "rest"), lambda output: output[0]),
        (lambda maps: [None, maps], lambda output: output[1]),
        (lambda maps: Pair(maps, "rest"), lambda output: output.maps),
        (lambda maps: OrderedDict(none=None, maps=(maps,)), lambda output: output["maps"][0]),
    ],
)
def test_containers(wrap, unwrap):
    torch.manual_seed(1)
    wrapped = Wraps(wrap, unwrap).eval()
    plain = nn.Sequential(wrapped.front[0], wrapped.back[1])
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(ClassMap(wrapped, "front")(images, 1), ClassMap(plain, "0")(images, 1))


def test_a_network_may_yield_an_object_with_logits():
    class Output(NamedTuple):
        features: Tensor
        logits: Tensor

    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    whole = nn.Sequential(OrderedDict(network=network, output=Calls(lambda logits: Output(images, logits))))
    torch.testing.assert_close(ClassMap(whole, "network.body")(images), ClassMap(network, "body")(images))


def test_autocast():
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    for linear in (None, "head"):
        class_map = ClassMap(network, "body", "layercam", linear=linear)
        expected = class_map(images, 1)
        with torch.autocast("cpu", torch.bfloat16):
            maps = class_map(images, 1)
        assert maps.dtype == torch.float32
        torch.testing.assert_close(maps, expected, rtol=0.1, atol=0.05 * float(expected.max()))


def test_errors():
    network, images = pooled_network(), torch.rand(2, 3, 16, 16)
    with pytest.raises(InputError, match="Unknown read-out 'grad': choose one of cam, gradcam"):
        ClassMap(network, "body", "grad")
    with pytest.raises(InputError, match="no layer 'bodi'; there is body"):
        ClassMap(network, "bodi")
    with pytest.raises(InputError, match="no layer 'heat'; there is head"):
        ClassMap(network, "body", "cam", linear="heat")
    with pytest.raises(InputError, match="CAM needs the name of the linear layer"):
        ClassMap(network, "body", "cam")
    with pytest.raises(InputError, match="what 'head' makes of the average of the maps of 'act'"):
        ClassMap(network, "act", "cam", linear="head")(images)
    with pytest.raises(InputError, match="what 'norm' makes"):
        ClassMap(network, "body", "cam", linear="norm")(images)
    with pytest.raises(InputError, match="'flat' yields shape"):
        ClassMap(network, "flat")(images)
    class_map = ClassMap(network, "body")
    with pytest.raises(InputError, match="'predicted', not 'all'"):
        class_map(images, "all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"one class id per sample, \(2,\), not \(3,\)"):
        class_map(images, torch.tensor([0, 1, 2]))
    with pytest.raises(InputError, match=r"classes 0 to 2; there is no \[0, -1\]"):
        class_map(images, torch.tensor([0, -1]))
    with pytest.raises(InputError, match=r"yields Tensor of shape \(2, 6, 4, 4\)"):
        ClassMap(network[:4], "body")(images)
    with pytest.raises(InputError, match="yields dict, in which there are no logits"):
        ClassMap(nn.Sequential(network, Calls(lambda logits: {"x": logits})), "0.body")(images)
    with pytest.raises(InputError, match="do not depend on these features"):
        ClassMap(nn.Sequential(network, Calls(torch.detach)), "0.body")(images)


@pytest.mark.parametrize("network", ["test_resnet", "vit", "swin"])
def test_a_layer_that_works_where_none_is_named(network):
    options = {
        "vit": {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3},
        "swin": {
            "img_size": 32,
            "patch_size": 2,
            "window_size": 4,
            "embed_dim": 24,
            "depths": (1, 1),
            "num_heads": (1, 2),
        },
    }
    names: Any = {"vit": "vit_tiny_patch16_224", "swin": "swin_tiny_patch4_window7_224"}
    built: Any = timm.create_model(
        str(names.get(network, network)), num_classes=CLASSES, **options.get(network, {})
    )
    maps = ClassMap(built.eval(), readout="layercam")(torch.rand(2, 3, 32, 32), None)
    assert maps.shape[:2] == (2, CLASSES)
    assert maps.shape[2:] == {"test_resnet": (1, 1), "vit": (4, 4), "swin": (8, 8)}[network]
    assert maps.flatten(1).any(1).all()  # of some class: the ReLU may leave nothing of the others


def test_patches_that_nobody_reads_are_told():
    network = vision_transformer()
    with pytest.raises(InputError, match=r"is zero for every patch, .* name the layer before, 'blocks.0'"):
        ClassMap(network, "blocks.1")(torch.rand(2, 3, 48, 48))
    with pytest.raises(InputError, match=r"is zero for every patch, .* name the layer before, 'blocks.0'"):
        ClassMap(network, "norm")(torch.rand(2, 3, 48, 48))


def test_logits_in_a_dictionary_are_found():
    network: Any = timm.create_model("test_resnet", num_classes=CLASSES).eval()

    class Dictionary(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return {"features": images, "logits": self.network(images)}

    images = torch.rand(2, 3, 64, 64)
    maps = ClassMap(Dictionary(), "network.layer4")(images)
    torch.testing.assert_close(maps, ClassMap(network, "layer4")(images))


def test_a_network_that_switches_gradients_off_is_told_what_works():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4, CLASSES)

        def forward(self, images):
            with torch.no_grad():
                features = self.body(images)
            return self.head(features.mean((2, 3)))

    images = torch.rand(2, 3, 16, 16)
    with pytest.raises(InputError, match=r"runs 'body' under torch.no_grad\(\).*linear layer"):
        ClassMap(Frozen(), "body")(images)
    assert ClassMap(Frozen(), "body", linear="head")(images).shape == (2, 1, 8, 8)
