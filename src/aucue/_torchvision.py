"""Make torchvision importable when a CPU build of torch meets a CUDA build of torchvision.

Plain package indexes carry one torchvision build per platform; on Linux it links against CUDA. Beside a CPU
build of torch its C++ operators cannot be loaded and `import torchvision` stops at the first of them (nms).
aucue needs none of these operators, so their schemas are declared and the import is repeated.
"""

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def ensure_importable() -> None:
    """Import torchvision, declaring its detection operators first if they cannot be loaded."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            library.define(schema)
        _keep.append(library)
        import torchvision  # noqa: F401


_keep: list[torch.library.Library] = []  # a Library that is garbage-collected takes its operators with it
