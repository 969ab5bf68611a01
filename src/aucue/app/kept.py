"""What is kept of a photograph while somebody looks at it, so that faces can be looked for anew."""

import io
import math
from dataclasses import dataclass, replace

from PIL import Image

from aucue.faces import open_picture

_SIDE = 2048  # pixels of the longer side
_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


@dataclass(frozen=True)
class Kept:
    """A small copy of a photograph, compressed, and how it was turned since.

    Attributes:
        data: A JPEG file of 2048 pixels at most.
        factor: Pixels of the photograph per pixel of the copy.
        quarters: Quarter turns, counter-clockwise.
    """

    data: bytes
    factor: int
    quarters: int = 0

    @classmethod
    def of(cls, photo: Image.Image) -> "Kept":
        """The copy of an upright photograph in RGB."""
        factor = math.ceil(max(photo.size) / _SIDE)
        small = photo.reduce(factor) if factor > 1 else photo
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=95, subsampling=0)
        return cls(buffer.getvalue(), factor)

    def turned(self, quarters: int) -> "Kept":
        """The same, turned further."""
        return replace(self, quarters=(self.quarters + quarters) % 4)

    def open(self) -> Image.Image:
        """The picture as it was turned."""
        picture, turn = open_picture(io.BytesIO(self.data)).convert("RGB"), _TURNS[self.quarters]
        return picture if turn is None else picture.transpose(turn)
