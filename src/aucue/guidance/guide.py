"""Guidance: the alignment of a network's layers with a cue, as one term of a training loss."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from aucue.errors import InputError
from aucue.guidance.channels import attention
from aucue.guidance.layouts import Layout
from aucue.guidance.losses import sample_alignment, usable_rows, valid_mean
from aucue.guidance.names import AttentionKind, Grid, Loss
from aucue.guidance.tap import FeatureTap, first_tensor, remedy


class Guidance:
    """Guides any network: `weight * alignment(attention of a layer, cue)`, averaged over the layers.

    ```
    guidance = Guidance(model, ["layer4"], weight=4.0)
    logits = model(images)
    loss = cross_entropy(logits, labels) + guidance(cue)
    ```

    It adds nothing to the network and works with any; see `FeatureTap` for `torch.compile`, checkpointing and
    data-parallel runs, in which each rank has to call it in each step.

    Args:
        model: The network.
        layers: Names of the layers to guide, as `model.named_modules()` has them; None takes the last one
            with a map that the head reads (`default_layer`). Prefer layers with maps of at least 14 x 14:
            coarser ones cannot follow a cue closely.
        weight: lambda, >= 0; may be set anew at any time. With 0 the network stays unguided, at no cost.
        loss: See `alignment`.
        attention: Which channels make the attention; see the function `attention`.
        share: See the function `attention`.
        grid: See `alignment`.
        softmax: See `alignment`.
        barrier: See `alignment`.
        layout: See `to_nchw`.
        prefix_tokens: See `to_nchw`.
        generator: Source of the draw for `random-share`.

    Raises:
        InputError: A layer does not exist, or the weight is negative.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str] | None = None,
        weight: float = 4.0,
        loss: Loss = "cosine",
        attention: AttentionKind = "mean",
        *,
        share: float = 1.0,
        grid: Grid = "attention",
        softmax: bool = False,
        barrier: float | None = None,
        layout: Layout = "auto",
        prefix_tokens: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if not weight >= 0:
            raise InputError(f"The weight of the guidance is at least 0, not {weight}.")
        self.tap = FeatureTap(model, layers, layout, prefix_tokens)
        self.weight = weight
        self.loss: Loss = loss
        self.kind: AttentionKind = attention
        self.share = share
        self.grid: Grid = grid
        self.softmax = softmax
        self.barrier = barrier
        self.generator = generator
        self._unchecked = set(self.tap.layers)

    def __call__(self, cue: Tensor | tuple[Tensor, Tensor], valid: Tensor | None = None) -> Tensor:
        """The guidance term for the last forward pass.

        The mean is over the valid samples of all ranks (`alignment`, across_ranks), in training.

        Args:
            cue: Where the evidence should lie, (B, 1, H, W) or (B, H, W) in [0, 1], or a pair (map, valid)
                such as a `Cue`.
            valid: Bool (B,), False for samples without a cue; None if all have one.

        Returns:
            A scalar; 0 if no sample is valid.

        Raises:
            InputError: The network has not run, its batch is another one than the cue's, or a layer carries
                no gradient that could be guided.
        """
        if not isinstance(cue, Tensor):
            cue, own = cue
            valid = own.bool() if valid is None else own.bool() & valid.bool()
        cue = cue.unsqueeze(1) if cue.ndim == 3 else cue  # (B, 1, H, W)
        features = self.tap.features
        first = next(iter(features.values()))
        if len(cue) != len(first):
            raise InputError(f"The network last ran on {len(first)} samples, but there are {len(cue)} cues.")
        if self.weight == 0:
            return torch.zeros((), device=first.device)
        self._check_graph(features)
        self._check_read()
        rows = usable_rows(cue, valid)
        losses = [
            sample_alignment(
                self._attention(maps),
                cue,
                rows,
                self.loss,
                grid=self.grid,
                softmax=self.softmax,
                barrier=self.barrier,
            )
            for maps in features.values()
        ]  # per layer (B,)
        return self.weight * valid_mean(
            torch.stack(losses).mean(0), rows, across_ranks=torch.is_grad_enabled()
        )

    def attention(self) -> dict[str, Tensor]:
        """Attention of the last forward pass by layer, each (B, 1, h, w)."""
        return {layer: self._attention(maps) for layer, maps in self.tap.features.items()}

    def close(self) -> None:
        """Remove the hooks from the network."""
        self.tap.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _attention(self, maps: Tensor) -> Tensor:
        return attention(maps, self.kind, self.share, self.generator)

    def _check_graph(self, features: dict[str, Tensor]) -> None:
        if not (torch.is_grad_enabled() and self.tap.model.training):
            return
        for layer, maps in features.items():
            if not maps.requires_grad:
                raise InputError(
                    f"Layer '{layer}' carries no gradient, so it cannot be guided: it is frozen, or it ran "
                    "under torch.no_grad() or in reentrant checkpointing (set use_reentrant=False)."
                )

    def _check_read(self) -> None:
        """Once per layer: whether the network reads the patches at all, or its class token alone."""
        result = self.tap.result
        if not (self._unchecked and torch.is_grad_enabled() and self.tap.model.training):
            return
        layers, self._unchecked = self._unchecked, set()
        for layer in layers:
            tokens, maps = self.tap.tokens(layer), self.tap.features[layer]
            if tokens is not None and tokens.requires_grad and _unread(result, tokens, maps):
                raise InputError(
                    f"Layer '{layer}': the gradient of the network's output is zero for every patch, since "
                    f"it reads the class token alone: {remedy(self.tap.model, layer)}."
                )


def _unread(result: object, tokens: Tensor, maps: Tensor) -> bool:
    """Whether nothing that the network yields depends on those of the tokens (B, N, C) that make the grid."""
    output = first_tensor(result)
    if output is None or not output.requires_grad:
        return False
    try:
        (gradient,) = torch.autograd.grad(
            output.sum(), tokens, retain_graph=True, allow_unused=True, materialize_grads=True
        )
    except RuntimeError:  # compiled networks may keep no graph for a second backward pass
        return False
    prefix = tokens.shape[1] - maps.shape[2:].numel()
    # a head that starts at zero reads nothing yet, not even its class token
    return bool(gradient.any()) and not bool(gradient[:, prefix:].any())
