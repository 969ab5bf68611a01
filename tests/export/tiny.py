"""Tiny networks for every method of the paper."""

from typing import Any

from aucue.classifiers import Classifier

CONVOLUTIONS = {"backbone": "ir50", "input_size": 16, "backbone_options": {"widths": (8, 16), "depths": (1,)}}
OWN: dict[str, dict[str, Any]] = {
    "adl": {**CONVOLUTIONS, "backbone_options": {"widths": (8, 8, 16), "depths": (1, 1)}},
    "apvit": {
        **CONVOLUTIONS,
        "head_options": {"dim": 16, "depth": 2, "heads": 2, "kept": 40, "pooling": 1},
    },
    "ts-cam": {
        "backbone": "ts_cam_deit_tiny_patch16_224",
        "input_size": 16,
        "backbone_options": {"patch_size": 4, "embed_dim": 24, "num_heads": 3, "depth": 1},
    },
}


def tiny(method: str = "cam", **options: Any) -> Classifier:
    """A network of one or two blocks for 16 x 16 pixels."""
    return Classifier(method=method, **{**OWN.get(method, CONVOLUTIONS), **options}).eval()
