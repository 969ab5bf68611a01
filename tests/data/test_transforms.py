from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from aucue.data import FaceTransform, RandomMirror, eval_transform, train_transform
from aucue.data.transforms import NoiseErasing, keypoints
from aucue.faces import MIRROR

from .conftest import mean_face

SIZE = 96
DOTS = [(30.0, 40.0), (61.5, 33.25), (45.0, 66.7)]


def blob(x: float, y: float, size: int = SIZE) -> Image.Image:
    """A soft bright dot on black; its centre of gravity is (x, y) to a hundredth of a pixel."""
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    bright = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return Image.fromarray(np.repeat(bright[..., None], 3, 2).round().astype(np.uint8))


def centre(image: torch.Tensor) -> tuple[float, float]:
    weight = image.double().mean(0)
    weight = (weight - weight.median()).clamp_min(8) - 8
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in weight.shape), indexing="ij")
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


def points(x: float, y: float) -> tv_tensors.KeyPoints:
    return keypoints(torch.tensor([[x, y]] * 68), (SIZE, SIZE))


BICUBIC = v2.InterpolationMode.BICUBIC
STEPS = {
    "enlarge": v2.Resize((110, 110)),
    "shrink": v2.Resize((41, 41)),
    "stretch": v2.Resize((64, 128)),
    "rotate": v2.RandomRotation([6.0, 6.0], interpolation=BICUBIC),
    "rotate back": v2.RandomRotation([-20.0, -20.0], interpolation=BICUBIC),
    "crop": v2.RandomResizedCrop(64, scale=(0.8, 0.8), ratio=(1.0, 1.0)),
    "mirror": RandomMirror(p=1.0),
}


@pytest.mark.parametrize("dot", DOTS)
@pytest.mark.parametrize("step", STEPS)
def test_landmarks_stay_on_what_they_mark(step: str, dot: tuple[float, float]) -> None:
    image, landmarks = FaceTransform([STEPS[step]])(blob(*dot), points(*dot))
    np.testing.assert_allclose(landmarks[0].numpy(), centre(image), atol=0.1)


@pytest.mark.parametrize("size", [64, 96, 224])
@pytest.mark.parametrize("dot", DOTS)
def test_landmarks_follow_the_whole_chain(size: int, dot: tuple[float, float]) -> None:
    """All of the training transforms but erasing, which may erase the dot."""
    whole = train_transform(size)
    transform = FaceTransform(whole.steps, whole.colour)
    seen = set()
    for _ in range(40):
        image, landmarks = transform(blob(*dot), points(*dot))
        assert image.shape == (3, size, size)
        np.testing.assert_allclose(landmarks[0].numpy(), centre(image), atol=0.25)
        seen.add(tuple(landmarks[0].tolist()))
    assert len(seen) > 30  # rarely nothing is drawn, or the same


def test_steps_do_what_torchvision_makes_of_them() -> None:
    """The same pictures and points, from the same draws, as when torchvision calls every step."""
    published = train_transform(SIZE)
    steps = FaceTransform([v2.Compose([step]) for step in published.steps])
    for seed in range(20):
        torch.manual_seed(seed)
        image, landmarks = FaceTransform(published.steps)(blob(30, 40), points(30, 40))
        torch.manual_seed(seed)
        other, others = steps(blob(30, 40), points(30, 40))
        assert torch.equal(image, other)
        assert torch.equal(landmarks, others)


@pytest.mark.parametrize("size", [48, 96, 224])
def test_evaluation_only_resizes(size: int) -> None:
    image, landmarks = eval_transform(size)(blob(30, 40), points(30, 40))
    assert (image.dtype, image.shape) == (torch.uint8, (3, size, size))
    expected = (np.array([30, 40]) + 0.5) * size / SIZE - 0.5
    np.testing.assert_allclose(landmarks[0].numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(landmarks[0].numpy(), centre(image), atol=0.1)


def test_mirror_swaps_left_and_right() -> None:
    """A symmetric face is its own mirror image, index by index; without the swap it would not be."""
    face = mean_face(((SIZE - 1) / 2, 40))
    mirror = FaceTransform([RandomMirror(p=1.0)])
    _, mirrored = mirror(blob(30, 40), keypoints(torch.tensor(face), (SIZE, SIZE)))
    np.testing.assert_allclose(mirrored.numpy(), face, atol=1e-6)
    shifted = face + np.array([7.0, 0])
    _, mirrored = mirror(blob(30, 40), keypoints(torch.tensor(shifted), (SIZE, SIZE)))
    by_hand = shifted[MIRROR]
    by_hand[:, 0] = SIZE - 1 - by_hand[:, 0]
    np.testing.assert_allclose(mirrored.numpy(), by_hand, atol=1e-6)


def test_mirror_is_drawn_half_of_the_time() -> None:
    mirror = FaceTransform([RandomMirror(p=0.5)])
    count = sum(float(mirror(blob(30, 40), points(30, 40))[1][0, 0]) > 48 for _ in range(200))
    assert 70 < count < 130


def test_landmarks_outside_are_not_clamped_and_missing_ones_stay_missing() -> None:
    given = torch.full((68, 2), torch.nan)
    given[0] = torch.tensor([-30.0, 120.0])
    for transform in (train_transform(64), eval_transform(64)):
        for _ in range(10):
            _, landmarks = transform(blob(30, 40), keypoints(given, (SIZE, SIZE)))
            assert landmarks.isnan().all(dim=1).sum() == 67
            visible = landmarks[~landmarks.isnan().any(dim=1)][0]
            assert (visible < 0).any() or (visible > 63).any()


def test_tensors_are_taken_too() -> None:
    picture = blob(30, 40)
    tensor = tv_tensors.Image(picture)
    a, b = (eval_transform(64)(image, points(30, 40))[0] for image in (picture, tensor))
    assert torch.equal(a, b)


def test_given_landmarks_are_not_changed() -> None:
    given = points(30, 40)
    before = given.clone()
    train_transform(64)(blob(30, 40), given)
    assert torch.equal(given, before)


def test_erasing_leaves_landmarks_alone() -> None:
    """Half of the pictures lose a rectangle of 2 to 33 % of their area."""
    white = Image.new("RGB", (SIZE, SIZE), (255, 255, 255))
    transform = FaceTransform([], erasing=train_transform(SIZE).erasing)
    shares = []
    for _ in range(200):
        image, landmarks = transform(white, points(30, 40))
        assert torch.equal(landmarks, points(30, 40))
        shares.append(float((image == 0).float().mean()))
    erased = [share for share in shares if share > 0]
    assert 70 < len(erased) < 130
    assert 0.015 < min(erased) < 0.1 < max(erased) < 0.35


@pytest.mark.parametrize("erase", ["black", "noise"])
def test_what_was_hidden_is_told_and_nothing_else_changes(erase: Literal["black", "noise"]) -> None:
    """On a white picture what is black was erased, or lies beyond the edge of what was rotated."""
    transform, white = train_transform(64, erase), Image.new("RGB", (SIZE, SIZE), (255, 255, 255))
    transform.colour = ()
    some = []
    for seed in range(24):
        torch.manual_seed(seed)
        image, landmarks = transform(white, points(30, 40))
        torch.manual_seed(seed)
        again, moved, hidden = transform.with_hidden(white, points(30, 40))
        assert torch.equal(image, again)
        assert torch.equal(landmarks, moved)
        assert hidden.shape == (1, 64, 64)
        dark = (image < 128).all(dim=0) if erase == "black" else (image < 255).any(dim=0)
        assert (dark != hidden[0]).float().mean() < (0.01 if erase == "black" else 0.06)  # bicubic edges
        some.append(bool(hidden.any()))
    assert 6 < sum(some) < 22


def test_noise_fills_what_is_erased():
    """Normal noise with ImageNet's mean and deviation, cut off at 0 and 255."""
    torch.manual_seed(0)
    erasing = NoiseErasing(p=1.0, scale=(0.3, 0.3))
    picture = torch.zeros(3, 200, 200, dtype=torch.uint8)
    erased = erasing(picture)
    assert erased.dtype == torch.uint8
    noise = erased[:, erased.amax(0) > 0].float()
    assert noise.shape[1] == pytest.approx(0.3 * 200 * 200, rel=0.02)
    torch.testing.assert_close(noise.mean(1), torch.tensor([0.485, 0.456, 0.406]) * 255, rtol=0.02, atol=0)
    assert train_transform(32, "noise").erasing.__class__ is NoiseErasing
    assert train_transform(32).erasing.__class__ is not NoiseErasing
