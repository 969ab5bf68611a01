"""What the class token of a vision transformer attends to, at next to no cost."""

from typing import cast

from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from aucue.errors import InputError


def class_token_scores(block: Block, tokens: Tensor) -> Tensor:
    """The class token's row of q k^T / sqrt(d) in a block's attention, up to one constant per head.

    `q (W_k x + b_k)` is computed as `(W_k^T q) x + const`, so that neither the keys of all tokens nor the
    whole attention matrix is computed a second time, and timm's fused attention goes on beside it.

    Args:
        block: timm's block; its attention does not normalise queries or keys.
        tokens: its input, (B, N, C); the class token is the first.

    Returns:
        (B, heads, N). Softmax over N gives the attention weights; the constant plays no part in it.

    Raises:
        InputError: the attention normalises queries or keys.
    """
    attention, tokens = cast(Attention, block.attn), block.norm1(tokens)
    if not isinstance(attention.q_norm, nn.Identity) or not isinstance(attention.k_norm, nn.Identity):
        raise InputError("The attention of the class token needs blocks without qk_norm.")
    heads, width = attention.num_heads, attention.head_dim
    query_weight, key_weight, _ = attention.qkv.weight.chunk(3)  # (heads * d, C)
    bias = attention.qkv.bias
    query = nn.functional.linear(tokens[:, 0], query_weight, None if bias is None else bias.chunk(3)[0])
    seen = query.unflatten(1, (heads, 1, width)) @ key_weight.unflatten(0, (heads, width))  # (B, heads, 1, C)
    return attention.scale * (seen.squeeze(2) @ tokens.transpose(1, 2))
