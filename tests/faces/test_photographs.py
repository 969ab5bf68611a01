import importlib.util
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aucue
from aucue.errors import InputError
from aucue.faces import PHOTO_SUFFIXES, UNREADABLE_SUFFIXES, read_image


def pixels_of(photo):
    return np.asarray(read_image(photo))


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def picture():
    """A 6 x 4 gradient with all channels different."""
    rows, columns = np.mgrid[0:4, 0:6]
    return np.stack([columns * 40, rows * 60, 255 - columns * 20], axis=-1).astype(np.uint8)


def test_path_bytes_image_and_array_give_the_same(picture, tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(picture).save(path)
    for photo in (path, str(path), path.read_bytes(), Image.open(path), picture):
        image = read_image(photo)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(image, picture)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation(picture, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels_of(encode(Image.fromarray(picture), exif=exif)), upright(picture))


def test_grey_and_bilevel():
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    expected = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(pixels_of(encode(Image.fromarray(grey))), expected)
    np.testing.assert_array_equal(pixels_of(grey), expected)
    np.testing.assert_array_equal(pixels_of(grey[..., None]), expected)
    bilevel = Image.fromarray(grey > 50)
    assert bilevel.mode == "1"
    np.testing.assert_array_equal(pixels_of(encode(bilevel))[..., 0], [[0, 255, 255]])


def test_transparency_is_laid_on_white():
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    expected = [[[200, 0, 0], [255, 255, 255], [127, 127, 127]]]
    for photo in (rgba, encode(Image.fromarray(rgba))):
        np.testing.assert_allclose(pixels_of(photo), expected, atol=1)
    grey_alpha = Image.fromarray(rgba).convert("LA")
    np.testing.assert_allclose(pixels_of(encode(grey_alpha))[0, 1:], expected[0][1:], atol=1)


def test_palettes_with_and_without_transparency(picture):
    palette = Image.fromarray(picture).quantize(24)
    np.testing.assert_allclose(pixels_of(encode(palette)), picture, atol=8)
    hidden = palette.getpixel((0, 0))
    transparent = pixels_of(encode(palette, transparency=hidden))
    assert transparent[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(transparent[-1, -1], picture[-1, -1], atol=8)


def test_transparent_colour_of_an_rgb_png(picture):
    image = read_image(encode(Image.fromarray(picture), transparency=tuple(picture[0, 0].tolist())))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    np.testing.assert_array_equal(np.asarray(image)[1:], picture[1:])


def test_cmyk():
    cmyk = Image.fromarray(np.array([[[0, 255, 255, 0], [0, 0, 0, 255]]], dtype=np.uint8), mode="CMYK")
    np.testing.assert_allclose(pixels_of(encode(cmyk, "TIFF")), [[[255, 0, 0], [0, 0, 0]]], atol=1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(kind):
    values = np.array([[0, 257 * 50, 257 * 200, 65535]], dtype=np.uint16)
    for photo in (encode(Image.fromarray(values), kind), values):
        np.testing.assert_array_equal(pixels_of(photo)[0, :, 0], [0, 50, 200, 255])


def test_thirty_two_bit_grey():
    values = np.array([[0, 257 * 50, 65535]], dtype=np.int32)
    np.testing.assert_array_equal(pixels_of(Image.fromarray(values))[0, :, 0], [0, 50, 255])
    own_range = Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32))
    np.testing.assert_array_equal(pixels_of(encode(own_range, "TIFF"))[0, :, 0], [0, 128, 255])
    small = Image.fromarray(np.array([[0, 7, 200]], dtype=np.int32))
    np.testing.assert_array_equal(pixels_of(encode(small, "TIFF"))[0, :, 0], [0, 7, 200])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 7, 200], [0, 7, 200]),
        ([0, 257 * 50, 65535], [0, 50, 255]),
        ([-1, 0, 1], [0, 128, 255]),
        ([0, np.nan, 0.5], [0, 0, 128]),
        ([3e9, 3e9, 3e9], [0, 0, 0]),
    ],
)
def test_float_files(values, expected):
    content = encode(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    np.testing.assert_array_equal(pixels_of(content)[0, :, 0], expected)


def test_a_float_file_without_a_finite_pixel():
    content = encode(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF")
    with pytest.raises(InputError, match="holds no finite pixel"):
        read_image(content)


def test_postscript_is_never_opened_whatever_its_name(tmp_path, monkeypatch):
    """Pillow would start Ghostscript for it."""
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **options: started.append(args))
    path = tmp_path / "face.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with Image.open(path) as image:
        assert image.format == "EPS"  # what happens without a list of formats
    with pytest.raises(InputError, match=r"face.jpg is not an image in a known format"):
        read_image(path)
    assert started == []


def test_pictures_are_opened_in_one_place():
    source = Path(aucue.__file__).parent
    opening = [path.name for path in source.rglob("*.py") if "Image.open(" in path.read_text("utf-8")]
    assert opening == ["photographs.py"]


def test_every_ending_is_read_or_named():
    assert {".jfif", ".avif", ".jpe", ".jp2", ".mpo", ".tif", ".pgm"} < set(PHOTO_SUFFIXES)
    assert {".dng", ".cr2", ".nef", ".arw"} < set(UNREADABLE_SUFFIXES)
    assert not set(PHOTO_SUFFIXES) & set(UNREADABLE_SUFFIXES)
    assert (".heic" in PHOTO_SUFFIXES) == (importlib.util.find_spec("pillow_heif") is not None)
    assert (".heic" in PHOTO_SUFFIXES) != (".heic" in UNREADABLE_SUFFIXES)


def png16(pixels):
    """A 16-bit RGB PNG written by hand, as Pillow does not write them."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bit_colour():
    pixels = np.array([[[0, 257 * 50, 65535], [257 * 200, 257, 0]]], dtype=np.uint16)
    expected = [[[0, 50, 255], [200, 1, 0]]]
    np.testing.assert_array_equal(pixels_of(png16(pixels)), expected)
    np.testing.assert_array_equal(pixels_of(pixels), expected)


def test_float_images_are_fractions():
    np.testing.assert_array_equal(pixels_of(np.array([[0, 0.5, 1.0]]))[0, :, 0], [0, 128, 255])
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        read_image(np.array([[0, 255.0]]))
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        read_image(np.array([[0, np.nan]]))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nobody.jpg does not exist"):
        read_image(tmp_path / "nobody.jpg")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder, not an image file"):
        read_image(tmp_path)


def test_empty_file_and_empty_bytes(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(InputError, match=r"empty.jpg is empty \(0 bytes\)"):
        read_image(path)
    with pytest.raises(InputError, match="bytes are empty"):
        read_image(b"")


def test_text_named_as_picture(tmp_path):
    path = tmp_path / "note.jpg"
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"note.jpg is not an image in a known format"):
        read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file(kind, share, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    content = encode(noise, kind)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="cut is "):
        read_image(path)


def png_that_claims(width, height):
    """A PNG whose header states a size and whose pixels are missing, so that decoding it fails."""
    content = encode(Image.new("1", (8, 8)))
    header = content[12:16] + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_large_is_said_before_decoding(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_claims(16_000, 10_000))
    with pytest.raises(InputError, match=r"huge.png is too large: 16000 x 10000 = 160,000,000 .* 150,"):
        read_image(path)
    with pytest.raises(InputError, match="broken or truncated"):
        read_image(path, max_pixels=160_000_000)


def test_decompression_bomb():
    with pytest.raises(InputError, match=r"too large: .*2500000000 pixels.* the limit here is 150,000,000"):
        read_image(png_that_claims(50_000, 50_000))


def test_limit_holds_for_arrays():
    with pytest.raises(InputError, match=r"6 x 4 = 24 pixels, the limit is 23"):
        read_image(np.zeros((4, 6), np.uint8), max_pixels=23)
    assert read_image(np.zeros((4, 6), np.uint8), max_pixels=24).size == (6, 4)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"got shape \(3, 8, 8\)"),
        (np.zeros(8, np.uint8), "no pixels|got shape"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
        (np.zeros((8, 8), np.int64), "holds int64 values"),
        (None, "A NoneType is no photograph"),
    ],
)
def test_what_is_no_picture(photo, message):
    with pytest.raises(InputError, match=message):
        read_image(photo)
