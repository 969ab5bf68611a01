"""Networks that name an expression: images in, logits and named feature maps out; timm under a head."""

from aucue._quickly import timm  # noqa: F401  (first: whoever imports timm after this finds it)
from aucue.classifiers.classifier import Classifier, ClassifierOutput
from aucue.classifiers.heads import Head, WeightedGAP
from aucue.classifiers.methods import HEADS, METHODS, REGULARISERS, Method
from aucue.classifiers.regularisers import ADL, cutmix

__all__ = [
    "HEADS",
    "METHODS",
    "REGULARISERS",
    "ADL",
    "Classifier",
    "ClassifierOutput",
    "Head",
    "Method",
    "WeightedGAP",
    "cutmix",
]
