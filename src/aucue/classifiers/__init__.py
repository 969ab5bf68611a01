"""Networks that name an expression and show where they looked: a timm backbone, a head, one model file."""

from aucue.classifiers.classifier import Classifier, ClassifierOutput
from aucue.classifiers.files import ModelInfo, load_model, save_model
from aucue.classifiers.heads import Head, WeightedGAP
from aucue.classifiers.methods import HEADS, METHODS, Method

__all__ = [
    "HEADS",
    "METHODS",
    "Classifier",
    "ClassifierOutput",
    "Head",
    "Method",
    "ModelInfo",
    "WeightedGAP",
    "load_model",
    "save_model",
]
