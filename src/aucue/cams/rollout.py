"""Attention rollout: what the tokens of a transformer are made of, whatever class is asked for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aucue.errors import InputError
from aucue.guidance import to_nchw

# By name, so that timm need not be loaded: each lets its weights, of all tokens to all, pass its `attn_drop`.
_TIMM_BLOCKS = {
    "timm.layers.attention.Attention",
    "timm.layers.attention.AttentionRope",
    "timm.models.beit.Attention",
    "timm.models.eva.EvaAttention",
    "timm.models.vision_transformer_relpos.RelPosAttention",
}


@torch.no_grad()
def attention_rollout(model: nn.Module, images: Tensor, prefix_tokens: int | None = None) -> Tensor:
    """Where the tokens that a transformer answers with come from.

    Abnar & Zuidema, ACL 2020, arXiv 2005.00928.

    R = prod_l (A_l + I) / 2, A_l the mean of the attention weights over the heads of block l: the row of the
    class token, or the mean of all rows where there is none. It knows of no class, and of nothing but
    attention: read it beside a class map, not instead of one.

    Blocks are those of timm's ViT, BEiT and EVA, with whatever they add for positions, or torch's
    `nn.MultiheadAttention` (torchvision's ViT), each of which sees all tokens; windows (Swin) are refused,
    and so is attention that is made in another way.

    Args:
        model: The network; call `eval()` first.
        images: What it takes (B, 3, H, W).
        prefix_tokens: Class and register tokens before the patches; None takes what the network declares, or
            the fewest after which a grid fits.

    Returns:
        (B, 1, h, w), not negative; the shares of the patches, see `normalize_cam` for maps in [0, 1].

    Raises:
        InputError: It has no such blocks, others beside them, or they do not see all tokens.
    """
    rollout: Tensor | None = None
    seen: list[Tensor] = []
    with _weights_of(model, seen):
        model(images)
    for weights in seen:
        if weights.shape[0] != len(images) or (rollout is not None and weights.shape != rollout.shape):
            raise InputError("Attention rollout needs blocks that see all tokens; this network has windows.")
        mixed = (weights + torch.eye(weights.shape[-1], device=weights.device, dtype=weights.dtype)) / 2
        rollout = mixed if rollout is None else mixed @ rollout
    if rollout is None:
        raise InputError(
            "Attention rollout needs blocks of attention (timm's or nn.MultiheadAttention), which this "
            "network has not; take a ClassMap."
        )
    declared = getattr(model, "num_prefix_tokens", None)
    prefix = declared if prefix_tokens is None else prefix_tokens
    row = rollout.mean(1) if prefix == 0 else rollout[:, 0]  # (B, N)
    size = (images.shape[-2], images.shape[-1])
    return to_nchw(row[..., None], size, "tokens", prefix, where="The attention")


@contextmanager
def _weights_of(model: nn.Module, seen: list[Tensor]) -> Iterator[None]:
    """While the network runs, collect the attention weights (B, N, N) of its blocks, heads averaged."""

    def timm_weights(_: Any, args: tuple[Any, ...]) -> None:
        seen.append(args[0].mean(1))

    def torch_block(module: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        tokens = args[0] if args else given["query"]
        tokens = tokens if module.batch_first else tokens.transpose(0, 1)
        projected = nn.functional.linear(tokens, module.in_proj_weight, module.in_proj_bias)
        query, key, _ = projected.unflatten(-1, (3, module.num_heads, -1)).unbind(-3)
        seen.append(_attention(query, key, module.head_dim**-0.5))

    with ExitStack() as undo:
        for path, module in model.named_modules():
            kind: Any = type(module)
            if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
                undo.callback(module.register_forward_pre_hook(torch_block, with_kwargs=True).remove)
            elif f"{kind.__module__}.{kind.__qualname__}" in _TIMM_BLOCKS:
                block: Any = module
                undo.callback(setattr, block, "fused_attn", block.fused_attn)
                block.fused_attn = False  # fused attention keeps its weights to itself
                undo.callback(block.attn_drop.register_forward_pre_hook(timm_weights).remove)
            elif hasattr(module, "qkv") or hasattr(module, "attn_drop"):
                raise InputError(
                    f"Attention rollout does not know how this network's attention is made ('{path}' is a "
                    f"{kind.__name__}); it needs blocks of attention of timm's ViT, BEiT or EVA, or "
                    "nn.MultiheadAttention; take a ClassMap."
                )
        yield


def _attention(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """Weights (B, N, N), mean over heads, of queries and keys (B, N, heads, d)."""
    scores = torch.einsum("bnhd,bmhd->bhnm", query * scale, key)
    return scores.softmax(-1).mean(1)
