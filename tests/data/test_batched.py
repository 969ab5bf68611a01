import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from aucue.data import GEOMETRIC, STRONG, BatchAugmentation
from aucue.data.batched import moved_landmarks, resampled, shrunk
from aucue.data.transforms import source_size
from aucue.faces import MIRROR

from .conftest import mean_face
from .test_transforms import DOTS, SIZE, blob, centre

STILL = BatchAugmentation(rotate_p=0, area=(1, 1))


def batch_of(*dots: tuple[float, float]) -> dict[str, torch.Tensor]:
    """Dots and landmarks that are all on them."""
    images = torch.stack([functional.pil_to_tensor(blob(*dot)) for dot in dots])
    landmarks = torch.tensor(dots)[:, None].repeat(1, 68, 1)
    return {"image": images, "landmarks": landmarks, "label": torch.arange(len(dots))}


@pytest.mark.parametrize("size", [48, 64, 84, 110])
@pytest.mark.parametrize("augmentation", [GEOMETRIC, STRONG], ids=["geometric", "strong"])
def test_landmarks_stay_on_what_they_mark(augmentation: BatchAugmentation, size: int) -> None:
    torch.manual_seed(0)
    kept = replace(augmentation, erase_p=0)  # which may erase the dot
    batch = batch_of(*DOTS * 20)
    changed = kept(batch, size)
    assert changed["image"].shape == (60, 3, size, size)
    assert changed["image"].dtype == torch.uint8
    assert torch.equal(changed["label"], batch["label"])
    seen = {tuple(points[0].tolist()) for points in changed["landmarks"]}
    assert len(seen) > 50
    for image, points in zip(changed["image"], changed["landmarks"], strict=True):
        np.testing.assert_allclose(points[0].numpy(), centre(image), atol=0.25)


def test_nothing_drawn_changes_nothing_but_the_side() -> None:
    torch.manual_seed(0)
    batch = batch_of(*DOTS * 8)
    changed = STILL(batch, SIZE)
    mirrored = (changed["landmarks"] != batch["landmarks"]).flatten(1).any(1)
    assert 4 < mirrored.sum() < 20
    expected = torch.where(mirrored[:, None, None, None], batch["image"].flip(3), batch["image"])
    assert torch.equal(changed["image"], expected)


def test_mirror_swaps_left_and_right() -> None:
    face = torch.tensor(mean_face((40.0, 44.0)), dtype=torch.float32)[None].repeat(16, 1, 1)
    torch.manual_seed(0)
    moved = STILL({"image": torch.zeros(16, 3, SIZE, SIZE, dtype=torch.uint8), "landmarks": face}, SIZE)
    by_hand = face[0, torch.from_numpy(MIRROR.copy())]
    by_hand[:, 0] = SIZE - 1 - by_hand[:, 0]
    for points in moved["landmarks"]:
        expected = by_hand if abs(float(points[30, 0] - by_hand[30, 0])) < 1 else face[0]
        torch.testing.assert_close(points, expected, atol=1e-3, rtol=0)


def test_rotation_and_scale_are_torchvisions() -> None:
    """A rotation by 10 degrees and a crop of the middle, from torchvision's own affine map."""
    picture = batch_of((40.0, 52.0))["image"]
    angle = math.radians(10)
    linear = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * 0.8
    change = torch.cat([linear, torch.zeros(2, 1)], 1)[None]
    ours = resampled(picture.float(), change, SIZE)
    theirs = functional.affine(
        picture.float(), -10, [0, 0], 1 / 0.8, [0.0], functional.InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(ours[..., 20:76, 20:76], theirs[..., 20:76, 20:76], atol=0.5, rtol=0)


def test_missing_landmarks_stay_missing_and_the_given_batch_stays() -> None:
    batch = batch_of(*DOTS)
    batch["landmarks"][1] = torch.nan
    before = {name: value.clone() for name, value in batch.items()}
    changed = STRONG(batch, 64)
    assert changed["landmarks"].isnan().all(2).sum(1).tolist() == [0, 68, 0]
    assert torch.equal(batch["image"], before["image"])


def test_landmarks_may_leave_the_picture() -> None:
    change = torch.tensor([[[0.5, 0, 0.5], [0, 0.5, 0.5]]])  # the lower right quarter
    moved = moved_landmarks(torch.full((1, 68, 2), 3.5), change, torch.tensor([False]), 8, 8)
    torch.testing.assert_close(moved, torch.full((1, 68, 2), -0.5))


def test_pictures_are_blurred_or_sharpened() -> None:
    """A step becomes flatter or steeper, by what the binomial filter takes away at most (times 1.5)."""
    step = torch.zeros(40, 3, 8, 8)
    step[..., 4:] = 100
    step += 50
    taken = 25.0  # of a step of 100, on either side of it
    torch.manual_seed(0)
    blurred, sharpened = BatchAugmentation(blur_p=1), BatchAugmentation(sharpen_p=1)
    for augmentation, low, high in ((blurred, -taken, 0.0), (sharpened, 0.0, 1.5 * taken)):
        changed = augmentation.colour(step)
        difference = (changed - step)[:, 0, 4, 4]
        assert low <= difference.min() < difference.max() <= high
        assert difference.std() > 5
        torch.testing.assert_close(changed[..., 0], step[..., 0])


def test_brightness_and_contrast_are_changed_within_bounds() -> None:
    torch.manual_seed(0)
    flat = torch.full((200, 3, 4, 4), 100.0)
    changed = BatchAugmentation(jitter=(0.4, 0.0, 0.0), jitter_p=0.5).colour(flat)
    level = changed[:, 0, 0, 0]
    assert 60 <= level.min() < 70
    assert 130 < level.max() <= 140
    assert 60 < (level == 100).sum() < 140
    torch.testing.assert_close(changed.std((1, 2, 3)), torch.zeros(200))


def test_rectangles_are_erased() -> None:
    torch.manual_seed(0)
    erased = BatchAugmentation(erase_p=0.5).erased(400, 50, torch.device("cpu"))
    share = erased.float().mean((1, 2, 3))
    assert 150 < (share > 0).sum() < 250
    assert share.max() <= 0.25  # .2, and half a pixel on every side
    rows, columns = erased[:, 0].any(2).sum(1), erased[:, 0].any(1).sum(1)
    assert torch.equal(erased.sum((1, 2, 3)), rows * columns)


def test_draws_repeat_with_the_seed() -> None:
    batch = batch_of(*DOTS)
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(STRONG(batch, 64)["image"])
    assert torch.equal(*results)


@pytest.mark.parametrize(("size", "used"), [(224, 256), (64, 73), (48, 55)])
def test_pictures_are_used_larger_than_they_are_cropped(size: int, used: int) -> None:
    assert source_size(size) == used


def test_large_pictures_are_averaged() -> None:
    """Stripes of a pixel become even grey, where sampling would keep some of them; small ones stay."""
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 100
    even = shrunk(stripes, 32)[..., 4:-4]
    torch.testing.assert_close(even, torch.full_like(even, 50), atol=1e-3, rtol=0)
    assert shrunk(stripes, 64) is stripes


def test_what_cannot_be_seen_is_said():
    torch.manual_seed(0)
    batch = {
        "image": torch.full((60, 3, 40, 40), 200, dtype=torch.uint8),
        "landmarks": torch.zeros(60, 68, 2),
    }
    plain = BatchAugmentation(erase_p=0.5)(batch, 40)
    assert plain["hidden"].shape == (60, 1, 40, 40)
    erased = (plain["image"] == 0).all(1, keepdim=True)
    assert 0 < erased.float().mean() < 0.5
    assert (plain["hidden"] >= erased).all()
    turned = BatchAugmentation(degrees=30, rotate_p=1, area=(1, 1))(batch, 40)["hidden"]
    corners = turned[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.float().mean() > 0.8  # a turned picture lacks its corners
    assert not turned[..., 12:28, 12:28].any()
    assert not BatchAugmentation(rotate_p=0)(batch, 40)["hidden"].any()
