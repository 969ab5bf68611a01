"""Changes of photographs and faces, and shares of decisions that they change."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from box import robustness
from box.robustness import CHANGES, SHAKES, shaken


def test_photographs_change_as_their_names_say() -> None:
    photo = Image.new("RGB", (120, 200), (100, 100, 100))
    photo.putpixel((60, 100), (255, 255, 255))
    changed = {name: change(photo) for name, change in CHANGES.items()}
    assert changed["as it is"].size == changed["turned by 180 degrees"].size == (120, 200)
    assert changed["turned by 90 degrees"].size == (200, 120)
    assert changed["48 pixels wide"].size == (48, 80)
    assert changed["brightness times 0.2"].getpixel((0, 0)) == (20, 20, 20)
    blurred = changed["blurred, 1 % of the side"].getpixel((60, 100))
    assert 100 < blurred[0] < 255  # pyright: ignore


class _Column:
    """Says 1 where the column of pixels in the middle is bright, 0 elsewhere."""

    def __call__(self, images: Tensor) -> Any:
        bright = images[:, 0, 10, 10] > 127
        return SimpleNamespace(logits=torch.stack([~bright, bright], 1).float())


def test_decisions_that_a_shift_changes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    even = torch.zeros(3, 20, 20, dtype=torch.uint8)
    column = even.clone()
    column[:, :, 10] = 255
    batches = [{"image": torch.stack([even, column])}, {"image": even[None]}]
    monkeypatch.setattr(robustness, "make_loader", lambda *_, **__: batches)
    changed = shaken(_Column(), None)  # pyright: ignore[reportArgumentType]
    assert changed.keys() == SHAKES.keys()
    assert changed["4 % to the left"] == changed["4 % down and to the right"] == pytest.approx(1 / 3)
    assert changed["4 % up"] == changed["4 % down"] == 0
