"""What is left of a picture without its colours, and how much light it has."""

from torch import Tensor

MOST_GAIN = 10.0
"""A picture is made at most this many times as bright; what is darker still is mostly noise."""

_SHARES = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601, as Pillow)


def brightness(pictures: Tensor) -> Tensor:
    """Brightness (B, 1, H, W) of pictures (B, 3, H, W), floats of any range, in the same range."""
    return (pictures * pictures.new_tensor(_SHARES)[:, None, None]).sum(1, keepdim=True)


def exposed(pictures: Tensor, level: float) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1], of which those that are darker are brought to a level.

    Args:
        pictures: The pictures.
        level: Mean brightness, in ]0, 1]; a darker picture is multiplied by one factor, at most `MOST_GAIN`,
            and what gets brighter than white is white.
    """
    mean = brightness(pictures).mean((2, 3), keepdim=True)
    gain = (level / mean.clamp(min=level / MOST_GAIN)).clamp(min=1)
    return (gain * pictures).clamp(max=1)
