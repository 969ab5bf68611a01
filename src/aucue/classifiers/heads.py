"""Heads: from the last feature maps to logits and class maps."""

from abc import ABC, abstractmethod
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d

from aucue.cams import class_activation_map, normalize_cam
from aucue.errors import InputError
from aucue.work.tables import check_among

Variant = Literal["paper", "fg2024"]


class Head(nn.Module, ABC):
    """Base of all heads. A head reads the last feature maps alone, so its class maps need no further pass.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.channels = channels
        self.classes = classes

    @classmethod
    def for_features(cls, shape: tuple[int, int, int], classes: int, **options: Any) -> Self:
        """Build a head for last feature maps of a shape (C, h, w), with further arguments of its own."""
        return cls(shape[0], classes, **options)

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""

    @abstractmethod
    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w), not normalised, of last feature maps (B, C, h, w)."""

    def class_map(self, features: Tensor, classes: Tensor) -> Tensor:
        """The map of one class per sample.

        Args:
            features: last feature maps (B, C, h, w).
            classes: (B,) ids.

        Returns:
            (B, 1, h, w), not normalised.
        """
        return _chosen(self.class_maps(features), classes)

    def loss(
        self, features: Tensor, logits: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The classification term of the training loss: cross-entropy of the logits.

        Args:
            features: the feature maps (B, C, h, w) that gave the logits.
            logits: (B, K).
            targets: ids (B,), or probabilities (B, K) where labels were mixed.
            weights: how much each class counts (K,); None: all alike.

        Returns:
            A scalar.
        """
        return cross_entropy(logits, targets, weights)


class WeightedGAP(Head):
    """Global average pooling and one linear layer (Zhou et al., CVPR 2016, arXiv 1512.04150).

    logit_c = sum_k w_ck mean(F_k) + b_c and map_c = sum_k w_ck F_k, hence logit_c = mean(map_c) + b_c.
    Weights start Xavier-uniform, biases at zero.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__(channels, classes)
        self.fc = nn.Linear(channels, classes)
        _initialise(self)

    @property
    def gap_weight(self) -> Tensor:
        """w, (K, C): gradient read-outs have closed forms (see `aucue.cams.contract.LogitHead`)."""
        return self.fc.weight

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""
        return self.fc(features.mean(dim=(2, 3)))

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of last feature maps (B, C, h, w), without the bias and not normalised."""
        return class_activation_map(features, self.fc.weight, None)

    def class_map(self, features: Tensor, classes: Tensor) -> Tensor:
        """The map (B, 1, h, w) of one class per sample (B,), without the bias and not normalised."""
        return class_activation_map(features, self.fc.weight, classes)


class PooledMaps(Head):
    """Base of heads that first draw a map per class, by a 1 x 1 convolution, and then pool it to a logit.

    Weights start Xavier-uniform, biases at zero.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__(channels, classes)
        self.conv = nn.Conv2d(channels, classes, kernel_size=1)
        _initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""
        return self.pool(self.class_maps(features))

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of last feature maps (B, C, h, w), with the bias."""
        return self.conv(features)

    @abstractmethod
    def pool(self, maps: Tensor) -> Tensor:
        """Logits (B, K) of class maps (B, K, h, w)."""


class GAP(PooledMaps):
    """Mean of each class map (Lin et al., "Network in network", 2013, arXiv 1312.4400).

    The same function as `WeightedGAP`, with the linear layer before the pooling instead of after it.
    """

    @property
    def gap_weight(self) -> Tensor:
        """w, (K, C): gradient read-outs have closed forms (see `aucue.cams.contract.LogitHead`)."""
        return self.conv.weight.flatten(1)

    def pool(self, maps: Tensor) -> Tensor:
        """Logits (B, K) of class maps (B, K, h, w)."""
        return maps.mean(dim=(2, 3))


class MaxPool(PooledMaps):
    """Highest value of each class map (Oquab et al., CVPR 2015, "Is object localization for free?")."""

    def pool(self, maps: Tensor) -> Tensor:
        """Logits (B, K) of class maps (B, K, h, w)."""
        return maps.amax(dim=(2, 3))


class LogSumExp(PooledMaps):
    """Log-mean-exp of each class map, between its mean and its maximum (Pinheiro & Collobert, CVPR 2015,
    arXiv 1411.6228).

    logit_c = log(mean(exp(r map_c))) / r.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
        sharpness: r > 0; towards 0 it is the mean, towards infinity the maximum.
    """

    def __init__(self, channels: int, classes: int, sharpness: float = 10.0):
        super().__init__(channels, classes)
        if not sharpness > 0:
            raise InputError(f"logsumexp: the sharpness is positive, not {sharpness}.")
        self.sharpness = sharpness

    def pool(self, maps: Tensor) -> Tensor:
        """Logits (B, K) of class maps (B, K, h, w)."""
        cells = self.sharpness * maps.flatten(2)  # (B, K, h w)
        total = cells.logsumexp(dim=2)
        return (total - torch.log(torch.full_like(total, cells.shape[2]))) / self.sharpness


class PRM(PooledMaps):
    """Peak response maps: the mean over windows of the highest value in each (Zhou et al., CVPR 2018, arXiv
    1804.00880, as the published code simplifies it).

    logit_c = mean of the 3 x 3 max-pooling, stride 1 and unpadded, of map_c. The paper averages the peaks
    alone, that is, positions that are the maximum of their window; a window without a peak at its centre
    counts here too. The paper's second step, tracing single peaks back to pixels, is no part of it.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
        window: side of a window in cells; a smaller map is one window.
    """

    def __init__(self, channels: int, classes: int, window: int = 3):
        super().__init__(channels, classes)
        self.window = window

    def pool(self, maps: Tensor) -> Tensor:
        """Logits (B, K) of class maps (B, K, h, w)."""
        height, width = maps.shape[-2:]
        window = min(self.window, height), min(self.window, width)
        return max_pool2d(maps, window, stride=1).mean(dim=(2, 3))


class WILDCAT(Head):
    """Several maps per class, pooled over their highest and lowest cells (Durand et al., CVPR 2017).

    A 1 x 1 convolution gives M modality maps per class (channel = class * M + modality), their mean is the
    class map, and logit_c = (mean of its round(kmax n) highest cells + alpha * mean of its round(kmin n)
    lowest) / 2, n = h w. Variant `fg2024` is what the published code computes: the mean of the highest alone.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
        modalities: M, maps per class.
        kmax: share of highest cells.
        kmin: share of lowest cells.
        alpha: weight of the lowest cells.
        variant: `paper`, or `fg2024` for parity with the published code, which leaves kmin and alpha unused.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        modalities: int = 5,
        kmax: float = 0.5,
        kmin: float = 0.1,
        alpha: float = 0.6,
        variant: Variant = "paper",
    ):
        super().__init__(channels, classes)
        _check_variant("wildcat", variant)
        if not (0 < kmax <= 1 and 0 < kmin <= 1):
            raise InputError(f"wildcat: kmax and kmin are shares in (0, 1], not {kmax} and {kmin}.")
        self.kmax, self.kmin, self.alpha, self.variant = kmax, kmin, alpha, variant
        self.to_modalities = nn.Conv2d(channels, classes * modalities, kernel_size=1)
        _initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""
        cells = self.class_maps(features).flatten(2)  # (B, K, n)
        highest = cells.topk(_count(self.kmax, cells)).values.mean(dim=2)
        if self.variant == "fg2024":
            return highest
        lowest = cells.topk(_count(self.kmin, cells), largest=False).values.mean(dim=2)
        return (highest + self.alpha * lowest) / 2

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of last feature maps (B, C, h, w), with the bias."""
        modalities = self.to_modalities(features)  # (B, K M, h, w)
        return modalities.unflatten(1, (self.classes, -1)).mean(dim=2)


class ACoL(Head):
    """Two branches, the second of which sees only what the first did not need (Zhang et al., CVPR 2018, arXiv
    1804.06962).

    Each branch is 3 x 3 convolution, ReLU, 3 x 3 convolution, ReLU, 1 x 1 convolution to K maps. Branch B
    sees the features where the normalised map of branch A for one class is below the threshold: in training
    for the label. Logits are the means of A's maps, the class map is the larger of both normalised maps, and
    the loss is the sum of both branches' cross-entropies.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
        hidden: channels within a branch; null takes C / 2.
        threshold: normalised value of A's map from which on features are erased.
        variant: which class erases at test time: `paper` the predicted one, so that no label is needed;
            `fg2024` the class whose map is asked for, as in the published code, which asks for the label's.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        hidden: int | None = None,
        threshold: float = 0.1,
        variant: Variant = "paper",
    ):
        super().__init__(channels, classes)
        _check_variant("acol", variant)
        self.threshold, self.variant = threshold, variant
        hidden = hidden or max(1, channels // 2)
        self.branch_a = _branch(channels, hidden, classes)
        self.branch_b = _branch(channels, hidden, classes)
        _initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w): those of branch A."""
        return self.branch_a(features).mean(dim=(2, 3))

    def loss(
        self, features: Tensor, logits: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Sum of both branches' cross-entropies; of mixed targets the largest erases."""
        labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
        with torch.no_grad():  # what is erased carries no gradient
            seen = self.branch_a(features)
        logits_b = self.maps_b(features, seen, labels).mean(dim=(2, 3))
        return cross_entropy(logits, targets, weights) + cross_entropy(logits_b, targets, weights)

    def maps_b(self, features: Tensor, maps_a: Tensor, erased_by: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of branch B, once the evidence for one class per sample is erased.

        Args:
            features: last feature maps (B, C, h, w).
            maps_a: class maps (B, K, h, w) of branch A.
            erased_by: (B,) ids.
        """
        evidence = normalize_cam(_chosen(maps_a, erased_by).detach())  # (B, 1, h, w)
        return self.branch_b(features * (evidence < self.threshold))

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w), not normalised, of last feature maps (B, C, h, w)."""
        maps_a = self.branch_a(features)
        if self.variant == "paper":
            predicted = maps_a.mean(dim=(2, 3)).argmax(dim=1)
            return _larger(maps_a, self.maps_b(features, maps_a, predicted))
        # not len(features): torch.export would take the number for a constant
        each = torch.arange(self.classes, device=features.device).expand(features.shape[0], -1)  # (B, K)
        return torch.cat([self._asked(features, maps_a, each[:, k]) for k in range(self.classes)], dim=1)

    def class_map(self, features: Tensor, classes: Tensor) -> Tensor:
        """The map (B, 1, h, w) of one class per sample (B,), not normalised."""
        if self.variant == "paper":
            return super().class_map(features, classes)
        return self._asked(features, self.branch_a(features), classes)

    def _asked(self, features: Tensor, maps_a: Tensor, classes: Tensor) -> Tensor:
        """Map (B, 1, h, w) of one class per sample, each erased by its own evidence."""
        maps_b = self.maps_b(features, maps_a, classes)
        return _larger(_chosen(maps_a, classes), _chosen(maps_b, classes))


def _initialise(head: nn.Module) -> None:
    """Weights Xavier-uniform, biases zero."""
    for parameter in head.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)


def _branch(channels: int, hidden: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(hidden, classes, kernel_size=1),
    )


def _chosen(maps: Tensor, classes: Tensor) -> Tensor:
    """The map (B, 1, h, w) of one class per sample from maps (B, K, h, w)."""
    # neither indexing by arange(len(maps)) nor take_along_dim: torch.export would take B for a constant
    index = classes[:, None, None, None].expand(-1, 1, *maps.shape[2:])
    return maps.gather(1, index)


def _larger(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    return torch.maximum(normalize_cam(maps_a), normalize_cam(maps_b))


def _count(share: float, cells: Tensor) -> int:
    """Number of cells, at least one, that a share of the cells (..., n) stands for."""
    return max(1, round(share * cells.shape[-1]))


def _check_variant(head: str, variant: str) -> None:
    check_among(variant, get_args(Variant), f"{head}: the variant")
