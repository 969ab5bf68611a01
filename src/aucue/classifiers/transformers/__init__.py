"""The paper's two transformers; importing them registers their backbones with timm."""

from aucue._quickly import timm  # noqa: F401  (first: whoever imports timm after this finds it)

# isort: split
from aucue.classifiers.transformers.apvit import APViTHead
from aucue.classifiers.transformers.ir50 import IRNet
from aucue.classifiers.transformers.ts_cam import CLASS_ATTENTION, TSCAMBackbone, TSCAMHead

__all__ = ["CLASS_ATTENTION", "APViTHead", "IRNet", "TSCAMBackbone", "TSCAMHead"]
