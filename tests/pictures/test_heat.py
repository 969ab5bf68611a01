"""Heat maps: colours, sizes, blending."""

import numpy as np
import pytest

from aucue import pictures
from aucue.errors import InputError

GREY = np.full((4, 6, 3), 100, np.uint8)

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """Euclidean distances approximate perceived differences (B. Ottosson, 2020)."""
    srgb = rgb / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_OKLAB.T


def test_colormap_ends_and_middle():
    dark, middle, light = pictures.colormap(np.array([0.0, 0.5, 1.0])).astype(int)
    assert dark.sum() < 100
    assert light.sum() > 650
    assert middle[0] > middle[1]  # reds lie half-way
    assert middle[0] > middle[2]


def test_colormap_is_perceptually_even():
    lab = _oklab(pictures.colormap(np.linspace(0, 1, 18)))  # every 15th of 256 colours
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.1
    assert (np.diff(lab[:, 0]) > 0.01).all()  # lightness never falls: the order survives a grey print


def test_oklab_of_known_colours():
    # Published reference: white is (1, 0, 0); sRGB red is about (0.628, 0.225, 0.126).
    lab = _oklab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 0]]))
    assert np.allclose(lab, [[1, 0, 0], [0.62796, 0.22486, 0.12585], [0, 0, 0]], atol=1e-4)


def test_overlay_blends_by_opacity():
    color = pictures.colormap(np.ones(1))[0].astype(float)
    for opacity in (0.0, 0.25, 1.0):
        blended = pictures.overlay(GREY, np.ones((2, 2)), opacity)
        assert np.abs(blended - ((1 - opacity) * 100 + opacity * color)).max() <= 0.5
        assert blended.dtype == np.uint8
        assert blended.shape == GREY.shape


def test_overlay_keeps_left_and_right_top_and_bottom():
    heat = np.zeros((4, 4))
    heat[0, 3] = 1  # top right
    bright = pictures.overlay(np.zeros((40, 80, 3), np.uint8), heat, 1.0).sum(axis=-1)
    assert np.unravel_index(bright.argmax(), bright.shape)[0] < 10
    assert np.unravel_index(bright.argmax(), bright.shape)[1] > 60


@pytest.mark.parametrize(
    ("image", "heat", "message"),
    [
        (np.zeros((4, 4, 4), np.uint8), np.ones((2, 2)), r"\(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), np.ones((2, 2)), "float32"),
        (GREY, np.ones((1, 2, 2)), r"\(1, 2, 2\)"),
        (GREY, np.full((2, 3), 1.5), r"\(2, 3\).*1\.5"),
        (GREY, np.full((2, 3), np.nan), r"\(2, 3\).*nan"),
    ],
)
def test_wrong_arrays_are_named(image: np.ndarray, heat: np.ndarray, message: str):
    with pytest.raises(InputError, match=message):
        pictures.overlay(image, heat)


def test_normalize():
    assert pictures.normalize(np.array([[2, 4], [6, 3]])).tolist() == [[0, 0.5], [1, 0.25]]
    assert pictures.normalize(np.full((2, 2), 7)).tolist() == [[0, 0], [0, 0]]


def test_upsample_stays_in_range():
    heat = np.zeros((5, 5), np.float32)
    heat[2, 2] = 1
    large = pictures.upsample(heat, (50, 40))
    assert large.shape == (50, 40)
    assert large.min() >= 0
    assert large.max() <= 1
    assert np.allclose(large, large[::-1], atol=1e-5)


def test_signed_maps_keep_their_scale():
    values = np.array([[10.0, 0.0, -10.0, 40.0]]).repeat(4, axis=0)
    image = np.full((4, 4, 3), 100, np.uint8)
    drawn = pictures.overlay_signed(image, values, 20.0, opacity=1.0).astype(int)
    red, blue = np.array([214, 40, 57]), np.array([29, 88, 205])
    assert np.array_equal(drawn[0, 0], np.rint((100 + red) / 2))
    assert np.array_equal(drawn[0, 1], [100, 100, 100])
    assert np.array_equal(drawn[0, 2], np.rint((100 + blue) / 2))
    assert np.array_equal(drawn[0, 3], red)
    weak = pictures.overlay_signed(image, values / 1000, 20.0)
    assert np.abs(weak.astype(int) - 100).max() <= 1
    with pytest.raises(InputError, match="must be positive"):
        pictures.overlay_signed(image, values, 0.0)
