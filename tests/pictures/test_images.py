"""Pictures as arrays, and in pages."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from aucue import pictures
from aucue.errors import InputError

GREY = np.full((4, 6, 3), 100, np.uint8)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_data_uri_holds_the_picture(kind):
    head, body = pictures.to_data_uri(GREY, kind).split(",")
    assert head == f"data:image/{kind};base64"
    assert np.abs(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).astype(int) - GREY).max() <= 2


def test_pillow_and_grey_pictures_are_taken():
    assert pictures.to_array(Image.new("L", (3, 2), 9)).tolist() == [[[9] * 3] * 3] * 2
    assert pictures.to_array(np.full((2, 3), 9, np.uint8)).shape == (2, 3, 3)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_pictures_of_more_than_8_bits_are_not_shown_white(mode: str):
    with pytest.raises(InputError, match=f"8 bits per channel, not mode {mode}"):
        pictures.to_array(Image.new(mode, (3, 2), 4000))
