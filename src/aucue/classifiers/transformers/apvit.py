"""APViT (Xue et al., IEEE TAC 2022, arXiv 2212.05463): a transformer over the features of a face network.

Attentive pooling takes place twice: of the patches, only those with the highest scores enter the transformer,
and some of its blocks drop the tokens that the class token cares least about. The backbone is `ir50`
(112 x 112 images, 256 x 14 x 14 features); everything after it is this head.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

import torch
from timm.layers.norm import LayerNorm
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import Block, init_weights_vit_timm
from torch import Tensor, nn

from aucue.classifiers.heads import Head
from aucue.classifiers.transformers.class_token import class_token_scores
from aucue.errors import InputError


class APViTHead(Head):
    """Attentive patch pooling, transformer blocks with attentive token pooling, and a linear layer.

    Patch tokens are a 1 x 1 convolution of the features; the score of a patch is the sum of the absolute
    values of its token. The `kept` best patches, each with its position embedding, go through the blocks
    behind a class token. The last `pooling` blocks each let only a share of the patch tokens pass, those with
    the highest sum over heads of the class token's attention logits.

    The score map is the only map the method defines. It does not depend on the class: all K class maps are
    equal, and no gradient or prediction is needed for it.

    Args:
        channels: C, channels of the features.
        classes: K, number of classes.
        grid: side of the (square) grid that the position embeddings are for; they are resampled to others.
        dim: channels of the tokens.
        depth: number of blocks.
        heads: attention heads of each block.
        mlp_ratio: hidden channels of each MLP as a multiple of `dim`.
        kept: patches that enter the blocks; all of them if there are no more.
        pooling: number of blocks, from the last, that drop tokens.
        share: share of the patch tokens that passes each of these blocks.

    Raises:
        InputError: a number is out of range.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        grid: int = 14,
        dim: int = 768,
        depth: int = 8,
        heads: int = 8,
        mlp_ratio: float = 3.0,
        kept: int = 160,
        pooling: int = 4,
        share: float = 0.9,
    ):
        super().__init__(channels, classes)
        if min(grid, dim, depth, heads, kept) < 1 or dim % heads or not 0 < share <= 1:
            raise InputError(
                "APViT: grid, dim, depth, heads and kept are positive whole numbers, dim is a multiple of "
                f"heads and share lies in (0, 1]; got {grid}, {dim}, {depth}, {heads}, {kept} and {share}."
            )
        self.grid, self.kept, self.pooling, self.share = grid, kept, pooling, share
        self.tokens = nn.Conv2d(channels, dim, 1)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.class_position = nn.Parameter(torch.zeros(1, 1, dim))
        self.patch_positions = nn.Parameter(torch.zeros(1, grid * grid, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = LayerNorm(dim)
        self.fc = nn.Linear(dim, classes)
        self._initialise()

    @classmethod
    def for_features(cls, shape: tuple[int, int, int], classes: int, **options: Any) -> Self:
        """Build a head for features (C, grid, grid)."""
        return cls(shape[0], classes, **{"grid": shape[1], **options})

    def _initialise(self) -> None:
        """Transformer as timm does it, classifier as all heads."""
        self.blocks.apply(init_weights_vit_timm)
        for parameter in (self.class_token, self.class_position, self.patch_positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def with_transformer(self, state: Mapping[str, Tensor], origin: str) -> Self:
        """Start class token, positions, blocks and last norm from a vision transformer of timm.

        Args:
            state: Its tensors by name; those of its patches and of its classifier are left out. Positions
                are resampled to the grid of this head.
            origin: Where they come from, for the error.

        Returns:
            The head itself.

        Raises:
            InputError: The transformer is another one.
        """
        own, found = self.state_dict(), {}
        for name in [name for name in own if name.startswith(("blocks.", "norm."))]:
            found[name] = state.get(name)
        found["class_token"], positions = state.get("cls_token"), state.get("pos_embed")
        if positions is not None and positions.ndim == 3 and positions.shape[1] > 1:
            side = round((positions.shape[1] - 1) ** 0.5)
            found["class_position"], patches = positions[:, :1], positions[:, 1:]
            if side * side == patches.shape[1]:
                grid = [self.grid, self.grid]
                patches = resample_abs_pos_embed(patches, grid, [side, side], num_prefix_tokens=0)
            found["patch_positions"] = patches
        more = [name for name in state if name.startswith("blocks.") and name not in own]
        wrong = [name for name, its in found.items() if its is None or its.shape != own[name].shape]
        if wrong or more or positions is None:
            raise InputError(
                f"{origin}: no vision transformer of {len(self.blocks)} blocks with tokens of "
                f"{self.fc.in_features} channels ('{[*wrong, *more, 'pos_embed'][0]}' does not fit)."
            )
        self.load_state_dict({**own, **found})
        return self

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, C, grid, grid)."""
        return self.fc(self.embed(features))

    def class_maps(self, features: Tensor) -> Tensor:
        """The score map (B, 1, h, w) of the patches as a view (B, K, h, w): the same for every class."""
        return self.token_scores(features).expand(-1, self.classes, -1, -1)

    def token_scores(self, features: Tensor) -> Tensor:
        """Score (B, 1, h, w) of each patch: the sum of the absolute values of its token, >= 0."""
        return self.tokens(features).abs().sum(1, keepdim=True)

    def embed(self, features: Tensor) -> Tensor:
        """What the linear layer reads: the class token (B, dim) after the last norm."""
        patches = self.tokens(features).flatten(2).transpose(1, 2)  # (B, N, dim)
        best = patches.abs().sum(-1)  # (B, N)
        placed = patches + self._positions(features.shape[-2], features.shape[-1])
        patches = _take(placed, best, min(self.kept, patches.shape[1]))
        first = (self.class_token + self.class_position).expand(
            patches.shape[0], -1, -1
        )  # not len: torch.export
        tokens = torch.cat([first, patches], dim=1)  # (B, 1 + kept, dim)
        for number, block in enumerate(cast(Iterable[Block], self.blocks)):
            pools = number >= len(self.blocks) - self.pooling
            tokens = self._pooled(block, tokens) if pools else block(tokens)
        return self.norm(tokens)[:, 0]

    def _positions(self, height: int, width: int) -> Tensor:
        """Position embeddings (1, N, dim) of a grid."""
        native, asked = [self.grid, self.grid], [height, width]
        if native == asked:
            return self.patch_positions
        return resample_abs_pos_embed(self.patch_positions, asked, native, num_prefix_tokens=0)

    def _pooled(self, block: Block, tokens: Tensor) -> Tensor:
        """Run a block and drop the tokens to which its class token attends least."""
        scores = class_token_scores(block, tokens)[..., 1:].sum(1)  # (B, N)
        # The paper drops them between attention and MLP; an MLP looks at one token at a time.
        tokens = block(tokens)
        patches = _take(tokens[:, 1:], scores, max(1, int(self.share * scores.shape[1])))
        return torch.cat([tokens[:, :1], patches], dim=1)


def _take(tokens: Tensor, scores: Tensor, number: int) -> Tensor:
    """The tokens (B, number, C) with the highest scores (B, N), in their own order."""
    best = scores.topk(number, dim=1).indices.sort(dim=1).values
    return tokens.gather(1, best.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
