import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from aucue.app import read_upload
from aucue.app.uploads import sent_files
from aucue.errors import InputError


def png(width: int, height: int) -> bytes:
    """A PNG file whose header promises that many pixels, and that holds next to none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


def noise(format: str, side: int = 64) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


GARBAGE = {
    "nothing": (b"", "No photograph arrived"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "not a picture that can be read"),
    "text": (b"Dear reader, this is no photograph." * 40, "not a picture that can be read"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a picture"),
    "html": (b"<!doctype html><img src=x onerror=alert(1)>", "not a picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "not a picture"),
    "half a JPEG": (noise("JPEG")[:700], "damaged or cut short"),
    "half a PNG": (noise("PNG")[:3000], "damaged or cut short"),
    "a JPEG's first bytes": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not a picture"),
    "too wide and high": (png(9000, 9000), "at most 60 million are taken"),
    "a bomb": (png(100_000, 100_000), "at most 60 million are taken"),
    "nothing behind the header": (png(3000, 3000), "damaged or cut short"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_one_sentence(name: str):
    data, said = GARBAGE[name]
    with pytest.raises(InputError, match=said) as refused:
        read_upload(data)
    sentence = str(refused.value)
    assert sentence.endswith((".", "smaller.")), sentence
    assert "\n" not in sentence
    assert "Pillow" not in sentence


def test_limits_are_those_given():
    with pytest.raises(InputError, match=r"too large: at most 0\.5 MB are taken"):
        read_upload(b"x" * 600_000, max_bytes=2**19)
    with pytest.raises(InputError, match=r"too many pixels: at most 0\.004 million"):
        read_upload(noise("PNG"), max_pixels=4000)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_photographs_of_every_kind(format: str):
    picture = read_upload(noise(format))
    assert (picture.mode, picture.size) == ("RGB", (64, 64))


def test_photographs_are_turned_upright():
    exif = Image.Exif()
    exif[274] = 6  # taken with the camera on its side
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif)
    assert read_upload(buffer.getvalue()).size == (20, 40)


def test_files_of_a_form_arrive_to_the_byte() -> None:
    data = b"\x89PNG\r\n\x1a\n\r\n--not\r\r\n\n"
    head = b'Content-Disposition: form-data; name="photo"; filename="a b.png"\r\nContent-Type: image/png'
    plain = b'Content-Disposition: form-data; name="model"'
    body = b"--B1\r\n" + plain + b"\r\n\r\nguided\r\n--B1\r\n" + head + b"\r\n\r\n" + data + b"\r\n--B1--\r\n"
    assert sent_files(body, "multipart/form-data; boundary=B1") == [("a b.png", data)]
    assert sent_files(body, "image/png") == [("", body)]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("filename=a.png", "a.png"),
        ("FILENAME = 'a.png'", "'a.png'"),
        (r'filename="a\"b;c.png"', 'a"b;c.png'),
        (r'filename="C:\a.png"', r"C:\a.png"),
        ('filename="ü✓.png"', "ü✓.png"),
        ("filename*=UTF-8''%C3%BC%20a.png", "ü a.png"),
        ('filename=""', ""),
    ],
)
@pytest.mark.parametrize(
    "boundary", ["boundary=B1", 'BOUNDARY="B1"', "boundary=B1; charset=utf-8", "charset=utf-8;boundary=B1 "]
)
def test_files_of_forms_as_programs_write_them(said: str, name: str, boundary: str) -> None:
    head = f'X-Note: filename="x"\r\ncontent-disposition: form-data; name="photo"; {said}'.encode()
    body = b"preamble\r\n--B1 \r\n" + head + b"\r\n\r\nfile\r\n--B1--"
    assert sent_files(body, f"Multipart/Form-Data; {boundary}") == [(name, b"file")]


def test_what_is_no_file_of_a_form() -> None:
    numbered = b"Content-Disposition: form-data; filename*=a; filename*1=b\r\n\r\nx"  # Python's reader minds
    for part in (b'Content-Disposition: form-data; name="filename=x"\r\n\r\nx', numbered):
        with pytest.raises(InputError, match="holds no file"):
            sent_files(b"--B1\r\n" + part + b"\r\n--B1--", "multipart/form-data; boundary=B1")
    with pytest.raises(InputError, match="form is damaged"):
        sent_files(b"\r\n--B1" * 20_000 + b"--", "multipart/form-data; boundary=B1")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=B1"),
        (b"--B1\r\n", "multipart/form-data"),
        (b'--B1\r\nContent-Disposition: x; filename="a"\r\n\r\ncut', "multipart/form-data; boundary=B1"),
        (b"--B1\r\n\r\nno file\r\n--B1--", "multipart/form-data; boundary=B1"),
    ],
)
def test_damaged_forms_are_a_sentence(body: bytes, kind: str) -> None:
    with pytest.raises(InputError, match="form"):
        sent_files(body, kind)
