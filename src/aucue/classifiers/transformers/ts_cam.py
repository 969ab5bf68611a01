"""TS-CAM (Gao et al., ICCV 2021, arXiv 2103.14862): a DeiT whose patch tokens make the class maps.

The backbone is timm's DeiT under a name of its own (`ts_cam_deit_small_patch16_224` and its sizes). It takes
DeiT's weights and gives one feature layer more, `class_attention`: what the class token looks at.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from timm.models import (
    PretrainedCfg,
    build_model_with_cfg,
    generate_default_cfgs,
    get_pretrained_cfg,
    register_model,
)
from timm.models.vision_transformer import Block, VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from aucue.classifiers.heads import Head
from aucue.classifiers.transformers.class_token import class_token_scores
from aucue.errors import InputError

CLASS_ATTENTION = "class_attention"
"""Name of the feature layer (B, 1, h, w) that holds the attention of the class token."""

_SIZES = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}  # channels, heads
BACKBONES = tuple(f"ts_cam_deit_{size}_patch16_224" for size in _SIZES)


def _deit_cfg(name: str) -> PretrainedCfg:
    """DeiT's own record: where its weights lie and what colours they expect."""
    cfg = get_pretrained_cfg(name.removeprefix("ts_cam_"))
    assert cfg is not None
    return replace(cfg, architecture=None, tag=None)


default_cfgs = generate_default_cfgs({name: _deit_cfg(name) for name in BACKBONES})


class TSCAMBackbone(VisionTransformer):
    """A vision transformer that also tells what its class token attends to.

    The map is the attention from the class token to the patch tokens, averaged over heads and summed over
    blocks; it is the class-agnostic factor of the TS-CAM map. It carries gradients like every feature.

    Raises:
        InputError: there is no class token.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.cls_token is None:
            raise InputError("TS-CAM needs a class token; leave class_token out of the options.")
        reduction = self.feature_info[-1]["reduction"]
        self.feature_info = [
            *self.feature_info,
            {"module": CLASS_ATTENTION, "num_chs": 1, "reduction": reduction},
        ]

    def forward_intermediates(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, output_fmt: str = "NCHW"
    ) -> tuple[Tensor, list[Tensor]]:
        """Tokens (B, N, C) after the last norm; maps (B, C, h, w) of each block and of the class token."""
        height, width = self.patch_embed.dynamic_feat_size((x.shape[-2], x.shape[-1]))
        tokens = self.norm_pre(self.patch_drop(self._pos_embed(self.patch_embed(x))))
        maps, rows = [], []
        for block in cast(Iterable[Block], self.blocks):
            scores = class_token_scores(block, tokens)
            rows.append(scores.softmax(-1).mean(1, keepdim=True))  # (B, 1, N)
            tokens = block(tokens)
            maps.append(self._grid(tokens.transpose(1, 2), height, width))
        return self.norm(tokens), [*maps, self._grid(torch.stack(rows).sum(0), height, width)]

    def _grid(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """(B, C, N) without its prefix tokens -> (B, C, h, w)."""
        return tokens[..., self.num_prefix_tokens :].unflatten(2, (height, width))


def _create(size: str, pretrained: bool, **kwargs: Any) -> TSCAMBackbone:
    channels, heads = _SIZES[size]
    settings = {"patch_size": 16, "embed_dim": channels, "depth": 12, "num_heads": heads, **kwargs}
    return build_model_with_cfg(
        TSCAMBackbone,
        f"ts_cam_deit_{size}_patch16_224",
        pretrained,
        pretrained_filter_fn=partial(checkpoint_filter_fn, adapt_layer_scale=True),
        **settings,
    )


@register_model
def ts_cam_deit_tiny_patch16_224(pretrained: bool = False, **kwargs: Any) -> TSCAMBackbone:
    """DeiT-Ti/16 for TS-CAM."""
    return _create("tiny", pretrained, **kwargs)


@register_model
def ts_cam_deit_small_patch16_224(pretrained: bool = False, **kwargs: Any) -> TSCAMBackbone:
    """DeiT-S/16 for TS-CAM, as published."""
    return _create("small", pretrained, **kwargs)


@register_model
def ts_cam_deit_base_patch16_224(pretrained: bool = False, **kwargs: Any) -> TSCAMBackbone:
    """DeiT-B/16 for TS-CAM."""
    return _create("base", pretrained, **kwargs)


class TSCAMHead(Head):
    """3 x 3 convolution of the patch tokens to one map per class; logit_c = mean(map_c).

    Weights start Xavier-uniform, biases at zero.

    Args:
        channels: C, channels of the patch tokens.
        classes: K, number of classes.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__(channels, classes)
        self.conv = nn.Conv2d(channels, classes, 3, padding=1)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of patch tokens (B, C, h, w)."""
        return self.conv(features).mean(dim=(2, 3))

    def class_maps(self, features: Tensor) -> Tensor:
        """Semantic maps (B, K, h, w), with the bias; `Classifier.class_map` couples them."""
        return self.conv(features)
