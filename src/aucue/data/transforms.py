"""Image and landmarks, changed together: the published training transforms, and the evaluation transform.

The steps run on Pillow images, as the published ones did (geometry agrees to the bit), and are
torchvision's but for the mirror, which also swaps the indices of left and right landmarks. Normalisation
belongs to the network.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from aucue.faces import MIRROR

Transform = Callable[
    [Image.Image | tv_tensors.Image, tv_tensors.KeyPoints], tuple[tv_tensors.Image, tv_tensors.KeyPoints]
]

PARTNER = torch.from_numpy(MIRROR.copy())
"""Index of each landmark's mirror image (68,)."""


def train_transform(size: int, erase: Literal["black", "noise"] = "black") -> "FaceTransform":
    """The published training transforms (FG 2024), scaled to the network's input size.

    Resize to 256/224 of the size; rotation U(-6, 6) degrees with p .5; crop of .8 to 1 of the area, resized
    to the size; mirror with p .5. Then the picture alone: grey with p .2, colour jitter (.4 .4 .4 .1) with
    p .8, erasing of .02 to .33 of the area with p .5.

    Args:
        size: Side of the result in pixels.
        erase: What fills what is erased; `noise` is the published filling.
    """
    rotation = v2.RandomRotation([-6.0, 6.0], interpolation=v2.InterpolationMode.BICUBIC)
    steps = [
        v2.Resize((source_size(size),) * 2),
        v2.RandomApply([rotation], p=0.5),
        v2.RandomResizedCrop(size, scale=(0.8, 1.0), ratio=(1.0, 1.0)),
        RandomMirror(p=0.5),
    ]
    colour = [
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
    ]
    erasing = NoiseErasing if erase == "noise" else v2.RandomErasing
    return FaceTransform(steps, colour, erasing=erasing(p=0.5, scale=(0.02, 0.33)))


def source_size(size: int) -> int:
    """Side of pictures of which a part is brought to `size`: 256 / 224 of it, as published."""
    return round(size * 256 / 224)


def eval_transform(size: int) -> "FaceTransform":
    """Resize to the network's input size, nothing else.

    Args:
        size: Side of the result in pixels.
    """
    return FaceTransform([v2.Resize((size, size))])


class FaceTransform:
    """Applies torchvision transforms to a face's image and landmarks.

    torchvision counts points from the corner of the first pixel when it resizes and rotates; aucue's
    landmarks count from its centre. They are shifted by half a pixel on the way in and back on the way out,
    so that they stay on what they mark. Points may leave the image; they are never clamped.

    Args:
        steps: Transforms of image and points, in order.
        colour: Transforms of the image alone, which come next.
        erasing: Last step, of the image tensor alone.
    """

    def __init__(
        self,
        steps: Sequence[torch.nn.Module],
        colour: Sequence[torch.nn.Module] = (),
        erasing: v2.RandomErasing | None = None,
    ) -> None:
        self.steps = tuple(steps)
        self.colour = tuple(colour)  # not among the steps: torchvision takes its time to pass points by
        self.erasing = erasing

    def __call__(
        self, image: Image.Image | tv_tensors.Image, landmarks: tv_tensors.KeyPoints
    ) -> tuple[tv_tensors.Image, tv_tensors.KeyPoints]:
        """Transform one face.

        Args:
            image: RGB image, or (3, H, W) uint8.
            landmarks: (68, 2), (0, 0) the centre of the first pixel; NaN stays NaN.

        Returns:
            Image (3, size, size) uint8 and landmarks (68, 2) in its pixels.
        """
        picture = image if isinstance(image, Image.Image) else functional.to_pil_image(image)
        tensor, points, _, _ = self._changed(picture, landmarks)
        return tensor, points

    def with_hidden(
        self, image: Image.Image, landmarks: tv_tensors.KeyPoints
    ) -> tuple[tv_tensors.Image, tv_tensors.KeyPoints, Tensor]:
        """As a call, with the same draws, and what it hid.

        Returns:
            Image and landmarks, and (1, size, size) bool: what was erased, or lay outside the picture.
        """
        whole = Image.new("L", image.size, 255)
        tensor, points, erased, (shown,) = self._changed(image, landmarks, whole)
        return tensor, points, erased | (functional.pil_to_tensor(shown) < 128)

    def _changed(
        self, picture: Image.Image, landmarks: tv_tensors.KeyPoints, *more: Image.Image
    ) -> tuple[tv_tensors.Image, tv_tensors.KeyPoints, Tensor, tuple[Any, ...]]:
        """Image and landmarks, what was erased, and other pictures that were moved along."""
        things = picture, _shifted(landmarks, 0.5, (picture.height, picture.width)), *more
        for step in self.steps:
            things = _apply(step, *things)
        picture, points, *moved = things
        for change in self.colour:
            picture = change(picture)
        tensor, erased = _erased(self.erasing, functional.to_image(picture))
        return tensor, _shifted(points, -0.5, (tensor.shape[-2], tensor.shape[-1])), erased, tuple(moved)


def _apply(step: Any, *things: Any) -> tuple[Any, ...]:
    """What `step(*things)` gives of pictures and points, with the same draws.

    For those of `train_transform` without torchvision's search for inputs, 3 % of a sample's time.
    """
    if not isinstance(step, _DIRECT):
        return step(*things)
    if isinstance(step, v2.RandomApply | v2.RandomHorizontalFlip) and torch.rand(1) >= step.p:
        return things
    if isinstance(step, v2.RandomApply):
        for inner in step.transforms:
            things = _apply(inner, *things)
        return things
    params = step.make_params(list(things))
    return tuple(step.transform(thing, params) for thing in things)


def _erased(erasing: v2.RandomErasing | None, picture: tv_tensors.Image) -> tuple[tv_tensors.Image, Tensor]:
    """What `erasing(picture)` gives, with the same draws, and what it erased (1, H, W) bool."""
    erased = torch.zeros_like(picture[:1].as_subclass(Tensor), dtype=torch.bool)
    if erasing is None or torch.rand(1) >= erasing.p:
        return picture, erased
    params = erasing.make_params([picture])
    if params["v"] is not None:
        top, left = params["i"], params["j"]
        erased[:, top : top + params["h"], left : left + params["w"]] = True
    return erasing.transform(picture, params), erased


_DIRECT = (v2.Resize, v2.RandomApply, v2.RandomRotation, v2.RandomResizedCrop, v2.RandomHorizontalFlip)


class RandomMirror(v2.RandomHorizontalFlip):
    """Mirrors image and landmarks, and swaps left and right landmark indices.

    Points count from the corner of the first pixel.
    """

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Mirror one image or one set of 68 points."""
        if not isinstance(inpt, tv_tensors.KeyPoints):
            return super().transform(inpt, params)
        points = inpt.as_subclass(Tensor)[..., PARTNER, :]
        width = inpt.canvas_size[1]
        mirrored = torch.stack([width - points[..., 0], points[..., 1]], dim=-1)
        return keypoints(mirrored, inpt.canvas_size)


class NoiseErasing(v2.RandomErasing):
    """Erases a rectangle of a uint8 picture and fills it with the published noise.

    That is normal noise on pictures normalised with ImageNet's colours; beyond 0 and 255 it is cut off here.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw a rectangle, as torchvision does, and its noise."""
        params = super().make_params(flat_inputs)
        if params["v"] is not None:
            mean, deviation = (torch.tensor(its)[:, None, None] * 255 for its in _IMAGENET)
            noise = torch.randn(3, params["h"], params["w"])
            params["v"] = (mean + deviation * noise).round().clamp(0, 255).to(torch.uint8)
        return params


_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of red, green and blue


def keypoints(points: Tensor, canvas_size: tuple[int, int]) -> tv_tensors.KeyPoints:
    """Points (68, 2) as torchvision wants them, in an image of (height, width)."""
    return tv_tensors.KeyPoints(points, canvas_size=canvas_size)  # pyright: ignore[reportCallIssue]


def _shifted(points: Tensor, offset: float, canvas_size: tuple[int, int]) -> tv_tensors.KeyPoints:
    return keypoints(points.as_subclass(Tensor) + offset, canvas_size)
