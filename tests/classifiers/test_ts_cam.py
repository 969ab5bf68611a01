"""TS-CAM: attention of the class token, coupled maps, training, model file."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer

from aucue.classifiers import Classifier
from aucue.classifiers.transformers import CLASS_ATTENTION
from aucue.classifiers.transformers.class_token import class_token_scores
from aucue.cues import Cue
from aucue.errors import InputError
from aucue.guidance import alignment, attention
from aucue.models import Card, load_model, save_model

OPTIONS: dict[str, Any] = {"patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
CLASSES = ("neutral", "happiness", "fear")


@pytest.fixture
def ts_cam() -> Classifier:
    return Classifier(method="ts-cam", classes=CLASSES, input_size=32, backbone_options=OPTIONS).eval()


@pytest.mark.parametrize("bias", [True, False])
def test_scores_are_those_of_timms_attention(bias: bool) -> None:
    block, tokens = Block(24, 3, qkv_bias=bias), torch.randn(2, 10, 24)
    qkv = cast(Attention, block.attn).qkv
    for parameter in qkv.parameters():
        torch.nn.init.normal_(parameter)
    queries, keys, _ = qkv(block.norm1(tokens)).view(2, 10, 3, 3, 8).permute(2, 0, 3, 1, 4)
    full = (queries @ keys.transpose(2, 3) / 8**0.5).softmax(-1)  # (B, heads, N, N)

    torch.testing.assert_close(class_token_scores(block, tokens).softmax(-1), full[:, :, 0])


def test_features_are_those_of_the_plain_transformer(ts_cam: Classifier) -> None:
    plain = VisionTransformer(img_size=32, num_classes=0, **OPTIONS).eval()
    plain.load_state_dict(ts_cam.backbone.state_dict())
    images = torch.rand(2, 3, 32, 32)
    tokens, maps = cast(Any, plain).forward_intermediates((images - ts_cam.mean) / ts_cam.std)

    features = ts_cam(images).features
    assert ts_cam.layers == ("blocks.0", "blocks.1", "blocks.2", CLASS_ATTENTION, "final")
    for number in range(3):
        torch.testing.assert_close(features[f"blocks.{number}"], maps[number])
    torch.testing.assert_close(features["final"].flatten(2).transpose(1, 2), tokens[:, 1:])
    assert features[CLASS_ATTENTION].shape == (2, 1, 4, 4)


def test_class_map_is_the_product(ts_cam: Classifier) -> None:
    output = ts_cam(torch.rand(2, 3, 32, 32))
    semantic = ts_cam.class_maps(output.features["final"])
    torch.testing.assert_close(output.logits, semantic.mean((2, 3)))
    both = semantic * output.features[CLASS_ATTENTION]
    torch.testing.assert_close(ts_cam.class_map(output), both)
    torch.testing.assert_close(ts_cam.class_map(output, torch.tensor([2, 0])), both[[0, 1], [2, 0]][:, None])


def test_guided_step_reaches_every_parameter(ts_cam: Classifier) -> None:
    cue = Cue(torch.rand(2, 1, 32, 32), torch.tensor([True, False]))
    output = ts_cam.train()(torch.rand(2, 3, 32, 32))
    misaligned = alignment(attention(output.features["final"]), cue.map, cue.valid)
    (ts_cam.loss(output, torch.tensor([0, 2])) + misaligned).backward()
    missed = [name for name, p in ts_cam.named_parameters() if p.requires_grad and p.grad is None]
    assert missed == []


def test_needs_no_gradients(ts_cam: Classifier) -> None:
    with torch.inference_mode():
        output = ts_cam(torch.rand(1, 3, 32, 32))
        assert ts_cam.class_map(output).shape == (1, 3, 4, 4)


def test_model_file(ts_cam: Classifier, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", ts_cam, Card(CLASSES, method="ts-cam"))
    again, _ = load_model(path)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(images).logits, ts_cam(images).logits)
    assert again.config == ts_cam.config


def test_starts_from_weights_of_a_deit(tmp_path: Path) -> None:
    deit = VisionTransformer(img_size=32, num_classes=5, **OPTIONS)
    torch.save(deit.state_dict(), tmp_path / "deit.pth")
    classifier = Classifier(method="ts-cam", input_size=32, backbone_options=OPTIONS).with_weights(
        tmp_path / "deit.pth"
    )
    torch.testing.assert_close(classifier.backbone.state_dict()["pos_embed"], deit.state_dict()["pos_embed"])


def test_impossible_options() -> None:
    for options in ({"class_token": False, "global_pool": "avg"}, {"qk_norm": True}):
        with pytest.raises(InputError):
            Classifier(method="ts-cam", input_size=32, backbone_options={**OPTIONS, **options})
