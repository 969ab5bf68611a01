from typing import Any

import pytest
import timm
import torch
from timm.layers.attention import Attention
from torch import Tensor, nn

from aucue.cams import attention_rollout
from aucue.errors import InputError


def captured(model: nn.Module, images: Tensor) -> list[Tensor]:
    """The attention weights that timm's own blocks use (B, N, N), heads averaged; it leaves them changed."""
    weights = []
    for block in model.blocks:  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(
            lambda module, args, output: weights.append(output.mean(1))
        )
    model(images)
    return weights


def test_it_is_the_product_of_what_the_blocks_attend_to() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", img_size=48, num_classes=3).eval()
    images = torch.rand(2, 3, 48, 48)
    found = attention_rollout(model, images)
    expected = torch.eye(10).expand(2, 10, 10)
    for weights in captured(model, images):
        expected = (weights + torch.eye(10)) / 2 @ expected
    assert found.shape == (2, 1, 3, 3)
    assert torch.allclose(found.flatten(1), expected[:, 0, 1:], atol=1e-6)
    assert (found.flatten(1).sum(1) < 1).all()  # the rest is the class token itself
    assert not model._forward_pre_hooks


def test_without_a_class_token_all_rows_count() -> None:
    torch.manual_seed(0)
    model = timm.create_model(
        "test_vit", img_size=48, class_token=False, global_pool="avg", num_classes=3
    ).eval()
    found = attention_rollout(model, torch.rand(2, 3, 48, 48))
    assert torch.allclose(found.flatten(1).sum(1), torch.ones(2), atol=1e-5)


def with_positions(name: str) -> nn.Module:
    """A small network whose blocks add something to queries and keys, or to their products, at random."""
    torch.manual_seed(0)
    size: dict[str, Any] = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 48, "num_classes": 3}
    model = timm.create_model(name, **size).eval()
    for key, parameter in model.named_parameters():
        if any(part in key for part in ("bias", "rel_pos", "qkv")):
            nn.init.normal_(parameter)  # many of them begin with 0, as if they were not there
    return model


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("vit_small_patch16_rope_224", 1),  # rotary embeddings, AttentionRope
        ("vit_small_patch16_dinov3", 5),  # rotary embeddings and biases, EvaAttention
        ("eva02_tiny_patch14_224", 1),  # three projections in the place of one or biases beside it
        ("eva_giant_patch14_224", 1),  # q_bias
        ("vit_relpos_small_patch16_224", 0),  # biases of relative positions
        ("beit_base_patch16_224", 1),  # both
    ],
)
def test_what_blocks_add_for_positions_counts(name: str, prefix: int) -> None:
    model, images = with_positions(name), torch.rand(2, 3, 48, 48)
    found = attention_rollout(model, images, prefix)
    product: Tensor | None = None
    for weights in captured(model, images):
        mixed = (weights + torch.eye(weights.shape[-1])) / 2
        product = mixed if product is None else mixed @ product
    assert product is not None
    expected = product.mean(1) if prefix == 0 else product[:, 0, prefix:]
    assert torch.allclose(found.flatten(1), expected, atol=1e-6)


def test_the_network_is_left_as_it_was() -> None:
    model: Any = timm.create_model("test_vit", img_size=48, num_classes=3).eval()
    model.blocks[1].attn.fused_attn = False
    before = [block.attn.fused_attn for block in model.blocks]
    attention_rollout(model, torch.rand(1, 3, 48, 48))
    with pytest.raises(RuntimeError):  # torch's own, of a picture without colours
        attention_rollout(model, torch.rand(1, 1, 48, 48))
    assert [block.attn.fused_attn for block in model.blocks] == before
    assert not any(module._forward_pre_hooks for module in model.modules())


class OwnAttention(Attention):
    """Attention of which nothing is known but what it is called."""


def test_attention_that_is_made_in_another_way_is_refused() -> None:
    model: Any = timm.create_model("test_vit", img_size=48, num_classes=3).eval()
    model.blocks[1].attn.__class__ = OwnAttention
    before = [block.attn.fused_attn for block in model.blocks]
    with pytest.raises(
        InputError,
        match=r"does not know how .* is made \('blocks.1.attn' is a OwnAttention\).* take a ClassMap",
    ):
        attention_rollout(model, torch.rand(1, 3, 48, 48))
    assert [block.attn.fused_attn for block in model.blocks] == before
    assert not any(module._forward_pre_hooks for module in model.modules())


class Blocks(nn.Module):
    """A patch embedding, a class token and one block of torch's own attention."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        mixed, self.weights = self.attention(tokens, tokens, tokens)
        return mixed.sum((-1, -2))


@pytest.mark.parametrize("batch_first", [True, False])
def test_torch_s_own_attention(batch_first: bool) -> None:
    torch.manual_seed(0)
    model = Blocks(batch_first).eval()
    found = attention_rollout(model, torch.rand(2, 3, 16, 24), prefix_tokens=1)
    assert found.shape == (2, 1, 2, 3)
    assert torch.allclose(found.flatten(1), model.weights[:, 0, 1:] / 2, atol=1e-6)


def test_networks_without_such_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="needs blocks of attention"):
        attention_rollout(nn.Conv2d(3, 2, 1), torch.rand(1, 3, 8, 8))
    windows = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1), embed_dim=16, num_heads=(1, 2))
    with pytest.raises(InputError, match="needs blocks of attention"):
        attention_rollout(windows.eval(), torch.rand(1, 3, 224, 224))


class Windows(Blocks):
    """Attention within halves of the tokens."""

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)  # (B, N, C)
        halves = tokens.reshape(2 * len(tokens), -1, tokens.shape[-1])
        return self.attention(halves, halves, halves)[0].sum((-1, -2))


def test_blocks_that_see_windows_are_refused() -> None:
    with pytest.raises(InputError, match=r"see all tokens; this network has windows\."):
        attention_rollout(Windows().eval(), torch.rand(1, 3, 16, 16))
