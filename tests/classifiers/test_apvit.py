"""APViT: which tokens pass, the score map, training, model file, weights of a face network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.classifiers.transformers import APViTHead, IRNet
from aucue.classifiers.transformers.ir50 import convert_face_weights
from aucue.cues import Cue
from aucue.errors import InputError
from aucue.guidance import alignment, attention
from aucue.models import Card, load_model, save_model

BACKBONE: dict[str, Any] = {"widths": [4, 4, 6, 8], "depths": [1, 2, 1]}
HEAD: dict[str, Any] = {"dim": 12, "depth": 4, "heads": 2, "kept": 10, "pooling": 2}
CLASSES = ("neutral", "happiness", "fear")


@pytest.fixture
def apvit() -> Classifier:
    return Classifier(
        method="apvit", classes=CLASSES, input_size=32, backbone_options=BACKBONE, head_options=HEAD
    ).eval()


def tokens_per_block(head: APViTHead, features: Tensor) -> list[int]:
    counts: list[int] = []
    handles = [
        block.register_forward_pre_hook(lambda module, inputs: counts.append(inputs[0].shape[1]))
        for block in head.blocks
    ]
    head(features)
    for handle in handles:
        handle.remove()
    return counts


def test_tokens_that_pass() -> None:
    features = torch.rand(2, 8, 4, 4)
    assert tokens_per_block(APViTHead(8, 3, grid=4, **HEAD), features) == [11, 11, 11, 10]
    whole = APViTHead(8, 3, grid=4, **(HEAD | {"kept": 99, "pooling": 4, "share": 0.5}))
    assert tokens_per_block(whole, features) == [17, 9, 5, 3]


def test_patches_that_do_not_pass_play_no_part() -> None:
    head = APViTHead(8, 3, grid=4, **(HEAD | {"kept": 3, "pooling": 0})).eval()
    features = torch.rand(1, 8, 4, 4)
    scores = head.token_scores(features).flatten()
    weakest, strongest = int(scores.argmin()), int(scores.argmax())
    before = head(features)
    for cell, moves in ((weakest, False), (strongest, True)):
        changed = features.clone().flatten(2)
        changed[..., cell] *= 0.999
        after = head(changed.view_as(features))
        assert torch.equal(before, after) is not moves


def test_class_maps_are_the_token_scores(apvit: Classifier) -> None:
    output = apvit(torch.rand(2, 3, 32, 32))
    features = output.features[apvit.final_layer]
    tokens = apvit.head.get_submodule("tokens")
    expected = tokens(features).abs().sum(1)
    maps = apvit.class_map(output)
    assert apvit.layers == ("stages.0", "stages.1", "stages.2")
    assert features.shape == (2, 8, 4, 4)
    for number in range(3):
        torch.testing.assert_close(maps[:, number], expected)
    torch.testing.assert_close(apvit.class_map(output, torch.tensor([1, 2]))[:, 0], expected)


def test_gradient_readouts_work_through_the_head(apvit: Classifier) -> None:
    with torch.no_grad():
        output = apvit(torch.rand(2, 3, 32, 32))
        maps = apvit.class_map(output, readout="gradcam")
    assert maps.shape == (2, 3, 4, 4)
    assert maps.amax() > 0
    assert not torch.allclose(maps[:, 0], maps[:, 1])


def test_guided_step_reaches_every_parameter(apvit: Classifier) -> None:
    cue = Cue(torch.rand(2, 1, 32, 32), torch.tensor([True, False]))
    output = apvit.train()(torch.rand(2, 3, 32, 32))
    misaligned = alignment(attention(output.features["stages.2"]), cue.map, cue.valid)
    (apvit.loss(output, torch.tensor([0, 2])) + misaligned).backward()
    missed = [name for name, p in apvit.named_parameters() if p.requires_grad and p.grad is None]
    assert missed == []


def test_model_file(apvit: Classifier, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", apvit, Card(CLASSES, method="apvit"))
    again, _ = load_model(path)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(images).logits, apvit(images).logits)
    assert again.config == apvit.config


def face_weights(network: IRNet, nested: bool) -> dict[str, Tensor]:
    """The weights as face-recognition networks name them, with an embedding (and one stage more)."""
    state, block = {}, {(0, 0): 0, (1, 0): 1, (1, 1): 2, (2, 0): 3}
    for name, tensor in network.state_dict().items():
        part, *rest = name.split(".")
        if part == "stages":
            place = ".".join(rest[:2]) if nested else str(block[int(rest[0]), int(rest[1])])
            inner = ".".join(rest[2:]).replace("residual", "res_layer").replace("shortcut", "shortcut_layer")
            state[f"body.{place}.{inner}"] = tensor
        else:
            state[f"input_layer.{'.'.join(rest)}"] = tensor
    further = {} if nested else {"body.4.res_layer.0.weight": torch.rand(8)}
    return state | further | {"output_layer.0.weight": torch.rand(8)}


@pytest.mark.parametrize("nested", [True, False])
def test_starts_from_weights_of_a_face_network(nested: bool, tmp_path: Path) -> None:
    network = IRNet(**BACKBONE)
    converted = convert_face_weights(face_weights(network, nested), network)
    assert converted.keys() == network.state_dict().keys()
    torch.save(face_weights(network, nested), tmp_path / "face.pth")
    options: dict[str, Any] = {"backbone_options": BACKBONE, "head_options": HEAD, "input_size": 32}
    classifier = Classifier(method="apvit", **options).with_weights(tmp_path / "face.pth")
    for name, tensor in classifier.backbone.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name])


@pytest.mark.parametrize("options", [{"heads": 5}, {"share": 0}, {"kept": 0}, {"depth": 0}])
def test_impossible_head(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="APViT: grid, dim, depth, heads and kept"):
        APViTHead(8, 3, grid=4, **(HEAD | options))


def test_impossible_backbone() -> None:
    with pytest.raises(InputError, match="do not belong together"):
        Classifier(method="apvit", input_size=32, backbone_options={"widths": [4, 4], "depths": [1, 2]})


VIT: dict[str, Any] = {
    "img_size": 24,
    "patch_size": 4,
    "embed_dim": 12,
    "depth": 4,
    "num_heads": 2,
    "mlp_ratio": 3,
    "qkv_bias": False,
}


def test_the_transformer_starts_from_a_vision_transformer() -> None:
    given: Any = VisionTransformer(**VIT, num_classes=5)
    head = APViTHead(8, 3, grid=6, **HEAD)
    before = {name: its.clone() for name, its in head.state_dict().items()}
    head.with_transformer(given.state_dict(), "vit.pth")
    state = given.state_dict()
    torch.testing.assert_close(head.state_dict()["blocks.2.mlp.fc1.weight"], state["blocks.2.mlp.fc1.weight"])
    torch.testing.assert_close(head.norm.weight, given.norm.weight)
    torch.testing.assert_close(head.class_token, given.cls_token)
    torch.testing.assert_close(head.class_position, given.pos_embed[:, :1])
    torch.testing.assert_close(head.patch_positions, given.pos_embed[:, 1:])
    for name in ("tokens.weight", "fc.weight", "fc.bias"):
        assert torch.equal(head.state_dict()[name], before[name])
    coarse = APViTHead(8, 3, grid=4, **HEAD).with_transformer(state, "vit.pth")
    assert coarse.patch_positions.shape == (1, 16, 12)


@pytest.mark.parametrize("change", [{"depth": 5}, {"embed_dim": 16}, {"qkv_bias": True}, {"depth": 3}])
def test_another_transformer_is_refused(change: dict[str, Any]) -> None:
    given = VisionTransformer(**(VIT | change))
    with pytest.raises(InputError, match=r"vit\.pth: no vision transformer of 4 blocks with tokens of 12 ch"):
        APViTHead(8, 3, grid=6, **HEAD).with_transformer(given.state_dict(), "vit.pth")
