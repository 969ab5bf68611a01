import base64
import io

import numpy as np
import pytest
from PIL import Image

from aucue import pictures
from aucue.errors import InputError

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_colormap_ends_and_middle():
    dark, middle, light = pictures.colormap(np.array([0.0, 0.5, 1.0])).astype(int)
    assert dark.sum() < 100
    assert light.sum() > 650
    assert middle[0] > middle[1]  # reds lie half-way
    assert middle[0] > middle[2]


def test_colormap_is_perceptually_even():
    lab = pictures.oklab(pictures.colormap(np.linspace(0, 1, 18)))  # every 15th of 256 colours
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.1
    assert (np.diff(lab[:, 0]) > 0.01).all()  # lightness never falls: the order survives a grey print


def test_oklab_of_known_colours():
    # Published reference: white is (1, 0, 0); sRGB red is about (0.628, 0.225, 0.126).
    lab = pictures.oklab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 0]]))
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


def test_landmarks_land_on_their_pixels():
    drawn = pictures.draw_landmarks(
        np.zeros((9, 9, 3), np.uint8), np.array([[6, 2], [np.nan, 1]]), (255, 0, 0), 1
    )
    assert drawn[2, 6].tolist() == [255, 0, 0]  # x is the column, and the point is the pixel's centre
    assert drawn[:, :4].sum() == 0
    disc = drawn[0:5, 4:9].astype(int)
    assert np.abs(disc - disc[::-1]).max() < 5  # round
    assert np.abs(disc - disc.transpose(1, 0, 2)).max() < 5


def test_landmarks_and_boxes_name_wrong_shapes():
    with pytest.raises(InputError, match=r"landmarks.*\(68, 3\)"):
        pictures.draw_landmarks(GREY, np.zeros((68, 3)))
    with pytest.raises(InputError, match=r"boxes.*\(4,\)"):
        pictures.draw_boxes(GREY, np.zeros(4))
    with pytest.raises(InputError, match="1 boxes need as many labels, got 2"):
        pictures.draw_boxes(GREY, np.zeros((1, 4)), ["a", "b"])


def test_boxes_are_outlines():
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), np.array([[10, 20, 40, 50]]), color=(0, 255, 0)
    )
    assert drawn[20, 25, 1] > 100
    assert drawn[35, 39, 1] > 100
    assert drawn[35, 25].sum() == 0


def test_boxes_have_their_own_colours():
    boxes = np.array([[5, 5, 25, 25], [35, 35, 55, 55]])
    drawn = pictures.draw_boxes(
        np.zeros((60, 60, 3), np.uint8), boxes, ["", ""], colors=[(255, 0, 0), (0, 0, 255)]
    )
    assert drawn[25, 15].tolist() == [255, 0, 0]
    assert drawn[55, 45].tolist() == [0, 0, 255]


def test_ratio_bars_are_as_long_as_ratios():
    theme = pictures.THEMES["light"]
    names, figures, ratios = ["a", "b"], ["60 %", "1 %"], np.array([[4.0, 2.0], [1.0, 0.0]])
    bars = np.asarray(pictures.ratio_bars(names, figures, ratios, (200, 400)))
    lengths = [
        max((row == color).all(-1).sum() for row in half)
        for half in (bars[:80], bars[80:160])
        for color in (theme.accent, theme.bar)
    ]
    assert lengths == [pytest.approx(length, abs=8) for length in (400, 200, 100, 0)]
    with pytest.raises(InputError, match="2 names, 1 figures and 2 ratios"):
        pictures.ratio_bars(names, figures[:1], ratios, (200, 400))


def test_bars_are_as_long_as_probabilities():
    theme = pictures.THEMES["light"]
    bars = np.asarray(pictures.probability_bars({"a": 0.25, "b": 0.75}, (100, 400)))
    lengths = [(bars[row] == color).all(-1).sum() for row, color in ((25, theme.bar), (75, theme.accent))]
    track = [(bars[row] == theme.track).all(-1).sum() for row in (25, 75)]
    assert lengths[0] / (lengths[0] + track[0]) == pytest.approx(0.25, abs=0.02)
    assert lengths[1] / (lengths[1] + track[1]) == pytest.approx(0.75, abs=0.02)
    with pytest.raises(InputError, match=r"b: 1\.5"):
        pictures.probability_bars({"a": 0.1, "b": 1.5}, (10, 10))


def test_panel_places_tiles_on_a_grid():
    red, green = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = green[..., 1] = 255
    wide = np.asarray(pictures.panel([red, green], tile_size=64))
    assert wide.shape[1] > wide.shape[0]
    centre = wide.shape[0] // 2
    is_red, is_green = (wide[centre] == (255, 0, 0)).all(-1), (wide[centre] == (0, 255, 0)).all(-1)
    assert is_red.sum() == is_green.sum() == 64
    assert is_red.argmax() < is_green.argmax()
    tall = np.asarray(pictures.panel([red, green], ["one", "two"], columns=1, tile_size=64))
    assert tall.shape[0] > tall.shape[1]


def test_panel_fits_other_shapes_without_distortion():
    tile = np.zeros((10, 20, 3), np.uint8)
    shown = (np.asarray(pictures.panel([tile], tile_size=60)) == 0).all(-1)
    assert shown.any(axis=0).sum() == 60
    assert shown.any(axis=1).sum() == 30


def test_panel_errors():
    with pytest.raises(InputError, match="at least one tile"):
        pictures.panel([])
    with pytest.raises(InputError, match="1 tiles need as many titles, got 2"):
        pictures.panel([GREY], ["a", "b"])
    with pytest.raises(InputError, match="unknown theme 'pink'"):
        pictures.panel([GREY], theme="pink")  # pyright: ignore


@pytest.mark.parametrize("text", ["Привет", "ώρα", "Déjà 3×4 – 5°·", "Łódź", "Việt"])
def test_letters_of_other_scripts_are_drawn(text):
    box = pictures._mask("\uffff")
    assert any(box)
    assert pictures.drawable(text) == text
    masks = [pictures._mask(letter) for letter in text if letter != " "]
    assert box not in masks
    assert len(set(masks)) == len(set(text) - {" "})
    picture = np.asarray(pictures.blank((60, 200), text))
    unknown = np.asarray(pictures.blank((60, 200), "\uffff" * len(text)))
    assert not np.array_equal(picture, unknown)


def test_letters_that_no_font_has_are_question_marks_and_accents_join_their_letters():
    assert pictures.drawable("中文 a") == "?? a"
    assert pictures.drawable("De\u0301ja\u0300") == "Déjà"  # a name from a Mac


def test_without_matplotlib_pillows_font_draws(monkeypatch):
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    caches = (pictures.font, pictures._font_path, pictures._has_glyph)
    for cached in caches:
        cached.cache_clear()
    try:
        assert pictures.font(20).getname()[0] != "DejaVu Sans"
        assert pictures.drawable("Déjà 3×4 λ–·°") == "Deja 3x4 ?-·°"
    finally:
        for cached in caches:
            cached.cache_clear()


def test_text_is_wrapped_shortened_and_drawable():
    face = pictures.font(20)
    lines = pictures.wrap("one two three four five six", face, 90)
    assert len(lines) > 1
    assert " ".join(lines) == "one two three four five six"
    assert all(face.getlength(line) <= 90 for line in lines)
    assert face.getlength(pictures.shorten("a very long title indeed", face, 100)) <= 100
    assert pictures.drawable("a\x1b[31m\tb\n") == "a?[31m b\n"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_data_uri_holds_the_picture(kind):
    head, body = pictures.to_data_uri(GREY, kind).split(",")
    assert head == f"data:image/{kind};base64"
    assert np.abs(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).astype(int) - GREY).max() <= 2


def test_pillow_and_grey_pictures_are_taken():
    assert pictures.to_array(Image.new("L", (3, 2), 9)).tolist() == [[[9] * 3] * 3] * 2
    assert pictures.to_array(np.full((2, 3), 9, np.uint8)).shape == (2, 3, 3)
