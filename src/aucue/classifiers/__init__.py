"""Networks that name an expression: images in, logits and named feature maps out; timm under a head."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.classifiers.classifier import Classifier, ClassifierOutput
    from aucue.classifiers.heads import Head, WeightedGAP
    from aucue.classifiers.methods import METHODS, Method
    from aucue.classifiers.parts import HEADS, REGULARISERS
    from aucue.classifiers.regularisers import ADL, cutmix

_HOME = {
    "classifier": ("Classifier", "ClassifierOutput"),
    "heads": ("Head", "WeightedGAP"),
    "methods": ("METHODS", "Method"),
    "parts": ("HEADS", "REGULARISERS"),
    "regularisers": ("ADL", "cutmix"),
}

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

__getattr__ = on_first_use(__name__, _HOME)
