"""The paper's two transformers; importing them registers their backbones with timm."""

from aucue.classifiers.transformers.apvit import APViTHead
from aucue.classifiers.transformers.ir50 import IRNet
from aucue.classifiers.transformers.ts_cam import CLASS_ATTENTION, TSCAMBackbone, TSCAMHead

__all__ = ["CLASS_ATTENTION", "APViTHead", "IRNet", "TSCAMBackbone", "TSCAMHead"]
