"""IR-50 up to its third stage: the face-recognition network below APViT, as a timm model named `ir50`.

It is the residual network of ArcFace (Deng et al., CVPR 2019, arXiv 1801.07698): batch norm before the first
convolution of each block, PReLU, a stride on the second convolution, and a stem that keeps the resolution.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from aucue.errors import InputError

default_cfgs = generate_default_cfgs(
    {
        "ir50": {
            "input_size": (3, 112, 112),
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "first_conv": "stem.0",
            "classifier": (),
        }
    }
)


class IRBlock(nn.Module):
    """Residual block: norm, 3x3 convolution, PReLU, 3x3 convolution with the stride, norm.

    Args:
        channels: channels of the input.
        width: channels of the output.
        stride: of the second convolution and of the shortcut.
    """

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        if channels == width:
            self.shortcut: nn.Module = nn.MaxPool2d(1, stride)
        else:
            convolution = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(width))
        self.residual = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, width, h / stride, w / stride)."""
        return self.residual(features) + self.shortcut(features)


class IRNet(nn.Module):
    """Stem and stages of residual blocks; each stage halves the resolution once.

    Args:
        widths: channels of the stem and of each stage.
        depths: blocks of each stage.
        num_classes: not used, a head is another module's.
        in_chans: channels of the images.

    Raises:
        InputError: widths and depths do not belong together.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 64, 128, 256),
        depths: Sequence[int] = (3, 4, 14),
        num_classes: int = 0,
        in_chans: int = 3,
    ):
        super().__init__()
        if len(widths) != len(depths) + 1 or min(*widths, *depths) < 1:
            raise InputError(
                f"ir50: widths {list(widths)} and depths {list(depths)} do not belong together; "
                "there is one width more, that of the stem."
            )
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.PReLU(widths[0]),
        )
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(IRBlock(width if b else before, width, 1 if b else 2) for b in range(depth)))
                for before, width, depth in zip(widths, widths[1:], depths, strict=False)
            )
        )
        self.num_features = widths[-1]
        self.feature_info = [
            {"module": f"stages.{s}", "num_chs": width, "reduction": 2 ** (s + 1)}
            for s, width in enumerate(widths[1:])
        ]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> features (B, C, S / 8, S / 8) for three stages."""
        return self.stages(self.stem(images))

    def forward_intermediates(self, images: Tensor, output_fmt: str = "NCHW") -> tuple[Tensor, list[Tensor]]:
        """Features of the last stage, and of every stage, as timm's networks give them."""
        features, maps = self.stem(images), []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return features, maps


@register_model
def ir50(pretrained: bool = False, **kwargs: Any) -> IRNet:
    """IR-50 without its fourth stage: 112 x 112 images -> 256 x 14 x 14."""
    return build_model_with_cfg(
        IRNet, "ir50", pretrained, pretrained_filter_fn=convert_face_weights, feature_cfg=None, **kwargs
    )


def convert_face_weights(state: Mapping[str, Tensor], model: IRNet) -> dict[str, Tensor]:
    """Weights of a face-recognition IR-50, in the names of `IRNet`.

    Blocks may be numbered within their stages (`body.2.13`), as in published APViT checkpoints, or through
    (`body.20`), as in collections of face-recognition networks, whose further stage and embedding are left
    out.

    Args:
        state: tensors by name; those in our own naming are returned as they are.
        model: the network they are for.
    """
    depths = [len(list(stage.children())) for stage in model.stages]
    nested = any(re.match(r"body\.\d+\.\d+\.", name) for name in state)
    positions = [(s, b) for s, depth in enumerate(depths) for b in range(depth)]
    converted = {}
    for name, tensor in state.items():
        if name.startswith("output_layer."):
            continue
        if not nested and (found := re.match(r"body\.(\d+)\.", name)):
            if int(found[1]) >= len(positions):
                continue
            stage, block = positions[int(found[1])]
            name = f"body.{stage}.{block}.{name[found.end() :]}"
        converted[own_name(name)] = tensor
    return converted


def own_name(name: str) -> str:
    """Name in `IRNet` of what a face-recognition IR-50 with blocks numbered within stages calls `name`."""
    for ours, theirs in _RENAMED:
        name = re.sub(theirs, ours, name)
    return name


_RENAMED = (
    ("stem.", r"^input_layer\."),
    ("stages.", r"^body\."),
    (".residual.", r"\.res_layer\."),
    (".shortcut.", r"\.shortcut_layer\."),
)
