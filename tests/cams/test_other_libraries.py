"""Captum and grad-cam, on their own ground.

Captum gives GradCAM as we do. grad-cam resizes its maps to the images and scales them, (c - min) divided by
(max + 1e-7): layers of the images' own size leave the resizing out, steep networks the epsilon. In its
GradCAM++ 1e-6 is added to the denominator of alpha, 2 g^2 + sum(F) g^3: in units that make features small and
gradients large, and in double precision, that is without effect. In its XGradCAM 1e-7 is added to sum(F),
for which features have to stay large.
"""

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM, ScoreCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from aucue.cams import ClassMap, normalize_cam

CLASSES = torch.tensor([2, 0, 1])
LIBRARY = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM, "xgradcam": XGradCAM}


def network() -> Any:
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(12 * 49, 3),
    )
    return layers.double().eval()


@torch.no_grad()
def sharpen(model: Any, layer: str, following: str, last: str, scale: float = 1e5) -> None:
    """Make the answers steeper, then what a layer yields smaller and the weights that read it larger."""
    model.get_submodule(last).weight *= 1000
    module = model.get_submodule(layer)
    module.weight /= scale
    module.bias /= scale
    model.get_submodule(following).weight *= scale


def scale_of(method: str) -> float:
    """How small features are made, so that no epsilon of grad-cam has an effect."""
    return 1e-2 if method == "xgradcam" else 1e5


def by_grad_cam(model: nn.Module, layer: str, method: str, images: Tensor, reshape=None) -> Tensor:
    targets: list[Any] = [ClassifierOutputTarget(k) for k in CLASSES.tolist()]
    with LIBRARY[method](model, [model.get_submodule(layer)], reshape_transform=reshape) as cam:
        maps = torch.from_numpy(np.asarray(cam(images, targets)))[:, None]
    assert maps.amax((2, 3)).sum() > 1.9  # two samples of three, at least, are not all zero
    return maps


def by_us(model: nn.Module, layer: str, method: str, images: Tensor) -> Tensor:
    return normalize_cam(ClassMap(model, layer, method)(images, CLASSES)).float()


@pytest.mark.parametrize("layer", ["1", "3", "4"])
def test_gradcam_of_captum(layer):
    model, images = network(), torch.rand(3, 3, 16, 16, dtype=torch.float64)
    library = LayerGradCam(model, model.get_submodule(layer))
    expected: Any = library.attribute(images, CLASSES, relu_attributions=True)
    assert expected.count_nonzero() > 10
    torch.testing.assert_close(ClassMap(model, layer, "gradcam")(images, CLASSES), expected.detach())


@pytest.mark.parametrize("method", LIBRARY)
@pytest.mark.parametrize("layer", ["1", "3"])
def test_methods_of_grad_cam(method, layer):
    model, images = network(), torch.rand(3, 3, 16, 16, dtype=torch.float64)
    sharpen(model, str(int(layer) - 1), str(int(layer) + 1), "7", scale_of(method))
    expected = by_grad_cam(model, layer, method, images)
    torch.testing.assert_close(by_us(model, layer, method, images), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", LIBRARY)
def test_tokens_of_grad_cam(method):
    """One patch per pixel, so that the maps have the images' size."""
    model = VisionTransformer(img_size=6, patch_size=1, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    model.double().eval()
    sharpen(model, "blocks.1.norm1", "blocks.1.attn.qkv", "head", scale_of(method))
    images = torch.rand(3, 3, 6, 6, dtype=torch.float64)

    def reshape(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(3, 6, 6, 16).permute(0, 3, 1, 2)

    expected = by_grad_cam(model, "blocks.1.norm1", method, images, reshape)
    maps = by_us(model, "blocks.1.norm1", method, images)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", LIBRARY)
def test_channels_last_of_grad_cam(method):
    model = SwinTransformer(
        img_size=8, patch_size=1, embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=4, num_classes=3
    )
    model.double().eval()
    sharpen(model, "layers.0.blocks.0.norm1", "layers.0.blocks.0.attn.qkv", "head.fc", scale_of(method))
    images = torch.rand(3, 3, 8, 8, dtype=torch.float64)
    layer = "layers.0.blocks.0.norm1"
    expected = by_grad_cam(model, layer, method, images, lambda maps: maps.permute(0, 3, 1, 2))
    torch.testing.assert_close(by_us(model, layer, method, images), expected, rtol=0, atol=1e-6)


def test_scorecam_of_grad_cam():
    """It weighs by a softmax over channels of the target: of the log-probability, that is the probability."""
    model, images = network(), torch.rand(3, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        model[7].weight *= 50  # so that masks change the answer
    targets: list[Any] = [lambda logits, k=k: logits.log_softmax(-1)[..., k] for k in CLASSES.tolist()]
    with ScoreCAM(model, [model[1]]) as cam:
        expected = torch.from_numpy(np.asarray(cam(images.float().double(), targets)))[:, None]
    assert expected.amax((2, 3)).sum() > 2.9
    maps = by_us(model, "1", "scorecam", images)
    torch.testing.assert_close(maps, expected.float(), rtol=0, atol=1e-5)
