"""Networks that name an expression and show where they looked: a timm backbone, a head, one model file."""

from aucue.classifiers.classifier import Classifier, ClassifierOutput
from aucue.classifiers.files import ModelInfo, boxed_model, load_model, save_model
from aucue.classifiers.heads import Head, WeightedGAP
from aucue.classifiers.hub import local_file
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
    "ModelInfo",
    "WeightedGAP",
    "boxed_model",
    "cutmix",
    "load_model",
    "local_file",
    "save_model",
]
