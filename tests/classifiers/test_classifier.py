import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import distributed, nn

from aucue.classifiers import Classifier
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS
from aucue.guidance import FeatureTap

LAYERS = {
    "ResNet": {
        "act1": (32, 32),
        "layer1": (32, 16),
        "layer2": (48, 8),
        "layer3": (192, 4),
        "layer4": (96, 2),
    },
    "EfficientNet": {
        "blocks.0": (16, 32),
        "blocks.1": (24, 16),
        "blocks.2": (32, 8),
        "blocks.3": (48, 4),
        "blocks.4": (64, 2),
        "final": (256, 2),  # after the last convolution
    },
    "MobileNet": {
        "bn1": (16, 32),
        "blocks.0": (8, 16),
        "blocks.1": (16, 8),
        "blocks.3": (24, 4),
        "blocks.5": (288, 2),
    },
    "ConvNeXt": {"stages.0": (24, 16), "stages.1": (32, 8), "stages.2": (48, 4), "stages.3": (64, 2)},
    "ViT": {**{f"blocks.{i}": (64, 4) for i in range(2)}, "final": (64, 4)},  # after the last norm
    "Swin": {
        "layers.0": (24, 16),
        "layers.1": (48, 8),
        "layers.2": (96, 4),
        "layers.3": (192, 2),
        "final": (192, 2),  # after the last norm
    },
}


def images(batch: int = 2, size: int = 64) -> torch.Tensor:
    return torch.rand(batch, 3, size, size)


def test_layers_and_shapes(family: str, classifier: Classifier) -> None:
    logits, features = classifier(images())

    assert logits.shape == (2, 3)
    assert classifier.layers == tuple(features) == tuple(LAYERS[family])
    assert classifier.final_layer == classifier.layers[-1]
    for layer, (channels, side) in LAYERS[family].items():
        assert features[layer].shape == (2, channels, side, side)
        assert classifier.shapes[layer] == (channels, side, side)


def test_layers_are_the_modules_of_that_name(classifier: Classifier) -> None:
    named = [layer for layer in classifier.layers if layer != "final"]
    x = images()
    with FeatureTap(classifier.backbone, named) as tap:
        classifier.backbone((x - classifier.mean) / classifier.std)  # timm's own forward pass
        tapped = tap.features
    features = classifier(x).features
    for layer in named:
        torch.testing.assert_close(features[layer], tapped[layer])


def test_final_features_are_timms(classifier: Classifier) -> None:
    x = images()
    backbone: Any = classifier.backbone
    final = backbone.forward_features((x - classifier.mean) / classifier.std)
    features = classifier(x).features[classifier.final_layer]
    if final.ndim == 3:  # (B, 1 + 16, C): class token, then the 4 x 4 grid row by row
        torch.testing.assert_close(features[:, :, 1, 2], final[:, 1 + 4 * 1 + 2])
    elif features.shape == final.shape:
        torch.testing.assert_close(features, final)
    else:
        torch.testing.assert_close(features[:, :, 1, 0], final[:, 1, 0, :])


def test_mean_of_class_map_and_bias_is_the_logit(classifier: Classifier) -> None:
    nn.init.normal_(classifier.head.get_parameter("fc.bias"))
    logits, features = classifier(images())
    maps = classifier.class_maps(features[classifier.final_layer])

    assert maps.shape == (2, 3, *classifier.shapes[classifier.final_layer][1:])
    mean = maps.mean((2, 3)) + classifier.head.get_parameter("fc.bias")
    torch.testing.assert_close(mean, logits, atol=1e-5, rtol=1e-5)


def test_one_forward_pass(classifier: Classifier) -> None:
    calls: list[str] = []
    for name, module in classifier.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    out = classifier(images())
    passed = list(calls)
    classifier.class_maps(out.features[classifier.final_layer])

    assert sorted(set(passed)) == sorted(passed)
    assert calls == passed


def test_gradient_flows_from_every_layer(classifier: Classifier) -> None:
    stem = next(classifier.backbone.parameters())
    for layer, features in classifier(images()).features.items():
        (gradient,) = torch.autograd.grad(features.square().mean(), stem, retain_graph=True)
        assert gradient.any(), layer


def test_every_trainable_parameter_gets_a_gradient(classifier: Classifier) -> None:
    """A parameter without one would stop distributed training."""
    classifier.train()(images()).logits.square().sum().backward()
    without = {n for n, p in classifier.named_parameters() if p.requires_grad and p.grad is None}
    assert not without


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A group of this process alone; its reducer is as strict as that of many."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_trains_under_distributed_data_parallel(classifier: Classifier) -> None:
    parallel = nn.parallel.DistributedDataParallel(classifier.train())
    for _ in range(2):  # the second step fails if a parameter got no gradient in the first
        out = parallel(images(4))
        (out.logits.square().mean() + out.features[classifier.layers[0]].mean()).backward()
    assert classifier.head.get_parameter("fc.weight").grad is not None


def test_parts_of_timms_head_are_not_trained() -> None:
    classifier = Classifier("mobilenetv3_small_050", input_size=64)
    frozen = {name for name, p in classifier.named_parameters() if not p.requires_grad}
    assert frozen == {"backbone.conv_head.weight", "backbone.conv_head.bias"}


def test_images_are_normalised_with_the_backbones_own_numbers() -> None:
    classifier = Classifier("test_efficientnet", input_size=64)  # ImageNet's; test_resnet has 0.5
    received: list[torch.Tensor] = []
    stem = next(m for m in classifier.backbone.modules() if isinstance(m, nn.Conv2d))
    stem.register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
    classifier(torch.full((1, 3, 64, 64), 0.6))
    expected = torch.tensor([(0.6 - 0.485) / 0.229, (0.6 - 0.456) / 0.224, (0.6 - 0.406) / 0.225])
    torch.testing.assert_close(received[0][0, :, 5, 7], expected)
    assert "mean" not in dict(classifier.named_parameters())


def test_bytes_are_read_as_0_to_255(resnet: Classifier) -> None:
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(resnet(pixels).logits, resnet(pixels.float() / 255).logits)


def test_channels_last_changes_nothing(resnet: Classifier) -> None:
    x = images()
    expected = resnet(x)
    resnet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    out = resnet(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(out.logits, expected.logits, atol=1e-5, rtol=1e-5)
    maps, same = (resnet.class_maps(o.features["layer4"]) for o in (out, expected))
    torch.testing.assert_close(maps, same, atol=1e-5, rtol=1e-5)


def test_config_rebuilds_the_network(classifier: Classifier) -> None:
    twin = Classifier(**classifier.config).eval()
    twin.load_state_dict(classifier.state_dict())
    x = images()
    assert twin.config == classifier.config
    torch.testing.assert_close(twin(x).logits, classifier(x).logits, atol=0, rtol=0)


def test_copies_and_pickles(classifier: Classifier) -> None:
    x = images()
    expected = classifier(x)
    for twin in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        out = twin(x)
        torch.testing.assert_close(out.logits, expected.logits, atol=0, rtol=0)
        assert tuple(out.features) == classifier.layers


def test_compiles_without_graph_breaks(classifier: Classifier) -> None:
    x = images()
    expected = classifier(x)
    out = torch.compile(classifier, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(out.logits, expected.logits)
    torch.testing.assert_close(out.features, expected.features)


def test_gradients_of_a_compiled_classifier(resnet: Classifier) -> None:
    x = images()
    resnet(x).features["layer2"].mean().backward()
    stem = next(resnet.parameters())
    expected, stem.grad = stem.grad, None
    torch.compile(resnet, backend="aot_eager")(x).features["layer2"].mean().backward()
    torch.testing.assert_close(stem.grad, expected)


def test_exports_with_any_batch_size(classifier: Classifier) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(classifier, (images(2),), dynamic_shapes=({0: batch},))
    x = images(3)
    out, expected = program.module()(x), classifier(x)
    torch.testing.assert_close(out.logits, expected.logits, atol=1e-5, rtol=1e-5)
    assert tuple(out.features) == classifier.layers


def test_defaults_are_the_seven_expressions() -> None:
    assert Classifier("test_resnet", input_size=64).classes == EXPRESSIONS


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 64, 32), (1, 1, 64, 64), (1, 3, 96, 96)])
def test_images_of_another_shape_are_refused(resnet: Classifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(B, 3, 64, 64\), not \("):
        resnet(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "resnet19"}, "'resnet19' is not a model of timm .*; choose resnet18"),
        ({"backbone": "hf-hub:timm/resnet18"}, "is not a model of timm"),
        ({"backbone": "resnet18.nonsense"}, "no weights of that tag for resnet18; it has: .*a1_in1k"),
        ({"head": "mean"}, "'mean' is no head; choose from wgap"),
        ({"classes": ("fear",)}, "2 to 1000 names are needed"),
        ({"classes": "fear"}, "2 to 1000 names are needed"),
        ({"classes": ("fear", "fear")}, "'fear' is there twice"),
        ({"input_size": 0}, "input_size: a whole number from 1 to 1024"),
        ({"input_size": 64.0}, "input_size: a whole number from 1 to 1024"),
        ({"final_stride": -8}, "final_stride: a whole number from 1 to 1024"),
        ({"mean": (0.5, 0.5)}, "mean: three numbers"),
        ({"std": (0.5, 0.5, 0)}, "std: three positive numbers"),
        ({"backbone_options": {"checkpoint_path": "x.pth"}}, "'checkpoint_path' cannot be set there"),
        ({"backbone_options": {"norm_layer": nn.BatchNorm2d}}, "only plain values"),
        ({"backbone_options": {"depth": 3}}, "timm cannot build test_resnet .*depth"),
        ({"backbone": "swin_tiny_patch4_window7_224", "input_size": 2}, "swin_tiny_patch4_window7_224 "),
        ({"backbone": "coat_tiny"}, "several final feature maps"),
        ({"backbone": "pit_ti_224", "input_size": 224}, "a class token"),
    ],
)
def test_what_cannot_be_built_is_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Classifier(**{"backbone": "test_resnet", "input_size": 64, **arguments})


def test_dropped_tokens_are_the_prefix_of_the_network() -> None:
    """A distilled DeiT has two tokens before its grid."""
    assert timm.is_model("deit_tiny_distilled_patch16_224")
    classifier = Classifier(
        "deit_tiny_distilled_patch16_224", input_size=64, backbone_options={"depth": 1, "embed_dim": 24}
    ).eval()
    x = images(1)
    backbone: Any = classifier.backbone
    tokens = backbone.forward_features((x - classifier.mean) / classifier.std)
    assert tokens.shape == (1, 2 + 16, 24)
    torch.testing.assert_close(classifier(x).features["final"][0, :, 3, 3], tokens[0, -1])


def test_face_and_mirror_image_are_averaged_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    plain = Classifier("test_resnet", ("calm", "joy"), input_size=32).eval()
    classifier = Classifier(**{**plain.config, "mirror": True}).eval()
    classifier.load_state_dict(plain.state_dict())
    images = torch.rand(3, 3, 32, 32)
    out, mirrored = classifier(images), classifier(images.flip(3))
    face, other = plain(images), plain(images.flip(3))
    assert (face.logits - other.logits).abs().max() > 1e-3
    torch.testing.assert_close(out.logits, (face.logits + other.logits) / 2)  # the head is linear
    torch.testing.assert_close(mirrored.logits, out.logits)
    for name, features in out.features.items():
        torch.testing.assert_close(features, (face.features[name] + other.features[name].flip(3)) / 2)
        torch.testing.assert_close(mirrored.features[name], features.flip(3))
    maps = (plain.class_map(face) + plain.class_map(other).flip(3)) / 2
    torch.testing.assert_close(classifier.class_map(out), maps)
    torch.testing.assert_close(classifier.train()(images).logits, plain.train()(images).logits)


def test_a_grey_network_sees_brightness_only() -> None:
    torch.manual_seed(0)
    classifier = Classifier("test_resnet", ("calm", "joy"), input_size=32, grey=True).eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    red, green, blue = images.double().unbind(1)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None].expand(-1, 3, -1, -1) / 255
    assert torch.allclose(classifier(images).logits, classifier(grey.float()).logits, atol=1e-5)
    colours = Classifier(**{**classifier.config, "grey": False}).eval()
    colours.load_state_dict(classifier.state_dict())
    assert torch.allclose(classifier(images).logits, colours(grey.float()).logits, atol=1e-5)
    assert not torch.allclose(classifier(images).logits, colours(images).logits, atol=1e-3)


def test_a_dark_face_is_brought_to_a_level_and_others_stay() -> None:
    torch.manual_seed(0)
    plain = Classifier("test_resnet", ("calm", "joy"), input_size=32).eval()
    lifted = Classifier(**{**plain.config, "exposure": 0.25}).eval()
    lifted.load_state_dict(plain.state_dict())
    bright = 0.3 + 0.7 * torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(lifted(bright).logits, plain(bright).logits)
    dim = 0.1 + 0.1 * torch.rand(2, 3, 32, 32)
    red, green, blue = dim.mean((2, 3)).unbind(1)
    factors = 0.25 / (0.299 * red + 0.587 * green + 0.114 * blue)
    torch.testing.assert_close(lifted(dim).logits, plain(factors[:, None, None, None] * dim).logits)
    torch.testing.assert_close(lifted(dim / 2).logits, lifted(dim).logits)
    assert not torch.allclose(plain(dim / 2).logits, plain(dim).logits, atol=1e-3)
    night = torch.zeros(1, 3, 32, 32)
    night[:, :, 0, 0] = 1
    torch.testing.assert_close(lifted(night).logits, plain(night).logits)  # no brighter than white
    torch.testing.assert_close(lifted(dim / 100).logits, plain(dim / 10).logits)  # ten times at most


def test_an_exposure_beyond_white_is_refused() -> None:
    with pytest.raises(InputError, match=r"exposure is a mean brightness from 0 to 1, not 30"):
        Classifier("test_resnet", input_size=32, exposure=30)
