"""What is left of a picture without its colours."""

from torch import Tensor

_SHARES = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601, as Pillow)


def brightness(pictures: Tensor) -> Tensor:
    """Brightness (B, 1, H, W) of pictures (B, 3, H, W), floats of any range, in the same range."""
    return (pictures * pictures.new_tensor(_SHARES)[:, None, None]).sum(1, keepdim=True)
