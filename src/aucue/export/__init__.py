"""Other runtimes: a model as one graph from pixels to maps (torch.export, ONNX), and on a model hub.

Needs the extra `aucue[export]` for ONNX alone.
"""

from aucue.export.graph import CropClassifier, CropOutput, export_program
from aucue.export.hub import model_card, push, write_repository
from aucue.export.onnx_file import OnnxExport, export_onnx

__all__ = [
    "CropClassifier",
    "CropOutput",
    "OnnxExport",
    "export_onnx",
    "export_program",
    "model_card",
    "push",
    "write_repository",
]
