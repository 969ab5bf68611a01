"""The networks that tests of classifiers use, saved and read."""

from ..classifiers.conftest import classifier, family, resnet

__all__ = ["classifier", "family", "resnet"]
