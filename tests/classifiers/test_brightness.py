"""Brightness of pictures, as Pillow has it."""

import numpy as np
import torch
from PIL import Image

from aucue.classifiers.brightness import brightness


def test_brightness_is_that_of_pillow() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    found = brightness(torch.from_numpy(colours).permute(2, 0, 1)[None].float())
    assert found.shape == (1, 1, 5, 7)
    expected = np.asarray(Image.fromarray(colours).convert("L"), dtype=np.float32)
    np.testing.assert_allclose(found[0, 0], expected, atol=0.51)  # Pillow rounds
