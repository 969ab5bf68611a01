"""What the methods are made of, by name: heads and regularisers."""

from collections.abc import Callable, Mapping

from aucue.classifiers.heads import GAP, PRM, WILDCAT, ACoL, Head, LogSumExp, MaxPool, WeightedGAP
from aucue.classifiers.regularisers import ADL, Mixed, cutmix
from aucue.classifiers.transformers import APViTHead, TSCAMHead
from aucue.classifiers.unit_head import ActionUnitHead

HEADS: Mapping[str, type[Head]] = {
    "wgap": WeightedGAP,
    "gap": GAP,
    "max": MaxPool,
    "logsumexp": LogSumExp,
    "wildcat": WILDCAT,
    "acol": ACoL,
    "prm": PRM,
    "ts-cam": TSCAMHead,
    "apvit": APViTHead,
    "units": ActionUnitHead,
}
"""Heads by name."""

REGULARISERS: Mapping[str, type[ADL] | Callable[..., Mixed]] = {"adl": ADL, "cutmix": cutmix}
"""Regularisers by name: a layer of the network, or an operation on batches."""
