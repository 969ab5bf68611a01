"""Attention rollout: what the tokens of a transformer are made of, whatever class is asked for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aucue.errors import InputError
from aucue.guidance import to_nchw


@torch.no_grad()
def attention_rollout(model: nn.Module, images: Tensor, prefix_tokens: int | None = None) -> Tensor:
    """Where the tokens that a transformer answers with come from.

    Abnar & Zuidema, ACL 2020, arXiv 2005.00928.

    R = prod_l (A_l + I) / 2, A_l the mean of the attention weights over the heads of block l: the row of the
    class token, or the mean of all rows where there is none. It knows of no class, and of nothing but
    attention: read it beside a class map, not instead of one.

    Blocks are timm's (with `qkv`) or torch's `nn.MultiheadAttention` (torchvision's ViT), each of which sees
    all tokens; windows (Swin) are refused.

    Args:
        model: The network; call `eval()` first.
        images: What it takes (B, 3, H, W).
        prefix_tokens: Class and register tokens before the patches; None takes what the network declares, or
            the fewest after which a grid fits.

    Returns:
        (B, 1, h, w), not negative; the shares of the patches, see `normalize_cam` for maps in [0, 1].

    Raises:
        InputError: It has no such blocks, or they do not see all tokens.
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

    def timm_block(module: Any, args: tuple[Any, ...]) -> None:
        tokens = args[0]
        query, key, _ = module.qkv(tokens).unflatten(-1, (3, module.num_heads, -1)).unbind(-3)
        seen.append(_attention(module.q_norm(query), module.k_norm(key), module.scale))

    def torch_block(module: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        tokens = args[0] if args else given["query"]
        tokens = tokens if module.batch_first else tokens.transpose(0, 1)
        projected = nn.functional.linear(tokens, module.in_proj_weight, module.in_proj_bias)
        query, key, _ = projected.unflatten(-1, (3, module.num_heads, -1)).unbind(-3)
        seen.append(_attention(query, key, module.head_dim**-0.5))

    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
                handle = module.register_forward_pre_hook(torch_block, with_kwargs=True)
            elif hasattr(module, "qkv") and hasattr(module, "q_norm"):
                handle = module.register_forward_pre_hook(timm_block)
            else:
                continue
            hooks.callback(handle.remove)
        yield


def _attention(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """Weights (B, N, N), mean over heads, of queries and keys (B, N, heads, d)."""
    scores = torch.einsum("bnhd,bmhd->bhnm", query * scale, key)
    return scores.softmax(-1).mean(1)
