"""Networks that name an expression and show where they looked: a timm backbone, a head, one model file."""

from aucue.classifiers.classifier import Classifier, ClassifierOutput
from aucue.classifiers.files import ModelInfo, load_model, save_model
from aucue.classifiers.heads import HEADS, Head, WeightedGAP

__all__ = [
    "HEADS",
    "Classifier",
    "ClassifierOutput",
    "Head",
    "ModelInfo",
    "WeightedGAP",
    "load_model",
    "save_model",
]
