import numpy as np
import pytest
from PIL import Image

from aucue.faces.tiles import Tile, cut, tiles


def test_one_tile_is_the_whole_picture_in_a_square():
    assert tiles((300, 200), 1) == [Tile(0, -50, 300)]


@pytest.mark.parametrize("across", [2, 4, 7])
@pytest.mark.parametrize("size", [(1200, 800), (500, 1700), (640, 640)])
def test_tiles_cover_a_picture_and_overlap(size, across):
    """What is as large as the overlap lies whole in some tile, wherever it is."""
    placed = tiles(size, across)
    side = placed[0].side
    reach = 0.29 * side
    for x in np.linspace(0, size[0] - reach, 23):
        for y in np.linspace(0, size[1] - reach, 23):
            assert any(
                tile.left <= x + 1e-6
                and x + reach <= tile.left + side + 1e-6
                and tile.top <= y + 1e-6
                and y + reach <= tile.top + side + 1e-6
                for tile in placed
            )
    assert len({tile.left for tile in placed}) == (
        across if size[0] >= size[1] else pytest.approx(across, abs=5)
    )


def test_what_lies_outside_is_black_and_the_rest_in_its_place():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 20:] = 200
    (whole,) = cut(Image.fromarray(picture), tiles((40, 20), 1), 40)
    assert whole.shape == (40, 40, 3)
    assert not whole[:10].any()
    assert not whole[30:].any()
    np.testing.assert_array_equal(whole[10:30], picture)
    left, right = cut(Image.fromarray(picture), [Tile(0, 0, 20), Tile(20, 0, 20)], 20)
    assert (left.max(), right.min()) == (0, 200)
