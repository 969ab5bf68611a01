"""Heads: from the last feature maps to logits and class maps."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from aucue.cams import class_activation_map


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

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""

    @abstractmethod
    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w), not normalised, of last feature maps (B, C, h, w)."""


class WeightedGAP(Head):
    """Global average pooling and one linear layer (Zhou et al., "Learning deep features for ...", CVPR 2016).

    logit_c = sum_k w_ck mean(F_k) + b_c and map_c = sum_k w_ck F_k, hence logit_c = mean(map_c) + b_c.
    Weights start Xavier-uniform, biases at zero.

    Args:
        channels: C, channels of the last feature maps.
        classes: K, number of classes.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__(channels, classes)
        self.fc = nn.Linear(channels, classes)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of last feature maps (B, C, h, w)."""
        return self.fc(features.mean(dim=(2, 3)))

    def class_maps(self, features: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of last feature maps (B, C, h, w), without the bias and not normalised."""
        return class_activation_map(features, self.fc.weight, None)


HEADS: dict[str, type[Head]] = {"wgap": WeightedGAP}
