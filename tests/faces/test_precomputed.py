import hashlib
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest

from aucue.errors import InputError
from aucue.faces import PrecomputedDetector

POINTS = [f"{axis}{index}" for index in range(68) for axis in "xy"]
PICTURE = np.zeros((100, 100, 3), np.uint8)
FACE = np.arange(136.0).reshape(68, 2)


def write(path, files, faces, **columns):
    """A table with one row per face, (68, 2) each."""
    points = np.asarray(faces, dtype=float).reshape(len(files), 136)
    table = pa.table({"file": files, **dict(zip(POINTS, points.T, strict=True)), **columns})
    (papq.write_table if path.suffix == ".parquet" else pacsv.write_csv)(table, path)
    return path


@pytest.fixture(params=["faces.csv", "faces.parquet"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_landmarks_box_score_and_how_are_read(path):
    box = {"left": [1.0], "top": [2.0], "right": [30.0], "bottom": [40.0]}
    detector = PrecomputedDetector(write(path, ["a.jpg"], [FACE], how=["padded"], score=[0.7], **box))
    (face,) = detector(PICTURE, "a.jpg")
    np.testing.assert_array_equal(face.landmarks, FACE)
    assert face.landmarks.dtype == np.float32
    assert (face.box, face.score, face.how) == ((1, 2, 30, 40), 0.7, "padded")


def test_what_the_table_does_not_say(path):
    (face,) = PrecomputedDetector(write(path, ["a.jpg"], [FACE]))(PICTURE, "a.jpg")
    assert face.box == (0, 1, 134, 135)
    assert math.isnan(face.score)
    assert face.how == "precomputed"


def test_several_faces_and_none(path):
    faces = [FACE, FACE + 1, np.full((68, 2), np.nan), np.full((68, 2), np.inf)]
    detector = PrecomputedDetector(write(path, ["a.jpg", "a.jpg", "b.jpg", "c.jpg"], faces))
    assert [face.landmarks[0, 0] for face in detector(PICTURE, "a.jpg")] == [0, 1]
    assert detector(PICTURE, "b.jpg") == []
    assert detector(PICTURE, "c.jpg") == []
    assert detector(PICTURE, "unknown.jpg") == []
    assert detector.files == ["a.jpg", "b.jpg", "c.jpg"]


def test_provenance_is_the_name_and_the_content(path):
    first = PrecomputedDetector(write(path, ["a.jpg"], [FACE])).provenance
    assert first == {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert PrecomputedDetector(write(path, ["a.jpg"], [FACE])).provenance == first
    assert PrecomputedDetector(write(path, ["a.jpg"], [FACE + 1])).provenance["sha256"] != first["sha256"]


def test_keys_relative_to_a_root(path):
    detector = PrecomputedDetector(write(path, ["anna/a.jpg"], [FACE]), root=path.parent / "images")
    assert len(detector(PICTURE, "anna/a.jpg")) == 1
    assert len(detector(PICTURE, str(path.parent / "images" / "anna" / "a.jpg"))) == 1
    assert detector(PICTURE, "a.jpg") == []
    assert detector(PICTURE, str(path.parent / "elsewhere" / "anna" / "a.jpg")) == []


def test_the_name_is_enough_where_the_table_has_no_folders(path):
    detector = PrecomputedDetector(write(path, ["a.jpg"], [FACE]))
    assert len(detector(PICTURE, "somewhere/images/a.jpg")) == 1


def test_a_key_is_needed(path):
    detector = PrecomputedDetector(write(path, ["a.jpg"], [FACE]))
    with pytest.raises(InputError, match="looked up by file name"):
        detector(PICTURE)


def test_missing_column(path):
    write(path, ["a.jpg"], [FACE])
    table = papq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    table = table.drop_columns(["x67", "y67"])
    (papq.write_table if path.suffix == ".parquet" else pacsv.write_csv)(table, path)
    with pytest.raises(InputError, match=rf"{path.name}: the column 'x67' is missing \(2 are\)"):
        PrecomputedDetector(path)


def test_part_of_a_box(path):
    with pytest.raises(InputError, match="all four of the columns left, top, right, bottom"):
        PrecomputedDetector(write(path, ["a.jpg"], [FACE], left=[1.0]))


def test_no_such_table(tmp_path):
    with pytest.raises(InputError, match="no such table of landmarks"):
        PrecomputedDetector(tmp_path / "faces.csv")


@pytest.mark.parametrize("name", ["faces.csv", "faces.parquet"])
@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 not a table \0\n\n"])
def test_not_a_table(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=name):
        PrecomputedDetector(path)


def test_parquet_with_text_for_numbers(tmp_path):
    path = tmp_path / "faces.parquet"
    table = pa.table({"file": ["a.jpg"], **{name: ["left"] for name in POINTS}})
    papq.write_table(table, path)
    with pytest.raises(InputError, match=r"faces.parquet: a column of landmarks does not hold numbers"):
        PrecomputedDetector(path)


@pytest.fixture
def csv(tmp_path):
    """Write the lines of a CSV file: header and three faces; edit them first."""
    lines = [",".join(["file", *POINTS])] + [",".join([f"{n}.jpg", *["1.5"] * 136]) for n in "abc"]

    def save(edit):
        edit(lines)
        path = tmp_path / "faces.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return save


def test_duplicate_column(csv):
    def edit(lines):
        lines[0] = lines[0].replace("y67", "x5")

    with pytest.raises(InputError, match=r"faces.csv: the column 'x5' occurs more than once"):
        PrecomputedDetector(csv(edit))


def test_a_value_that_is_no_number(csv):
    def edit(lines):
        lines[2] = lines[2].replace("1.5", "1,5".replace(",", ";"), 1)

    with pytest.raises(InputError, match=r"faces.csv, line 3 \(file 'b.jpg'\): x0 is '1;5', not a number"):
        PrecomputedDetector(csv(edit))


def test_too_few_points_in_a_row(csv):
    def edit(lines):
        lines[3] = lines[3].rsplit(",", 2)[0]

    with pytest.raises(InputError, match=r"faces.csv, line 4: 135 values instead of 137"):
        PrecomputedDetector(csv(edit))


def test_empty_values_are_missing_points(csv):
    def edit(lines):
        lines[1] = "a.jpg" + "," * 136
        lines[2] = lines[2].replace("1.5", "nan", 1)

    detector = PrecomputedDetector(csv(edit))
    assert [len(detector(PICTURE, f"{name}.jpg")) for name in "abc"] == [0, 0, 1]


def test_a_byte_order_mark_and_further_columns_do_no_harm(csv):
    def edit(lines):
        lines[0] = "\ufeff" + lines[0] + ",remark"
        lines[1:] = [line + ",fine" for line in lines[1:]]

    assert len(PrecomputedDetector(csv(edit))(PICTURE, "b.jpg")) == 1


def test_tables_of_the_real_sets(photographs):
    detector = PrecomputedDetector(photographs / "london" / "landmarks.csv")
    (face,) = detector(PICTURE, detector.files[0])
    assert np.isfinite(face.landmarks).all()


def test_a_large_table_with_line_breaks_in_values(tmp_path):
    faces = np.stack([FACE] * 3000)
    files = [f"{index}.jpg" for index in range(len(faces))]
    path = write(tmp_path / "faces.csv", files, faces, note=["first line\nsecond line"] * len(faces))
    assert path.stat().st_size > 1 << 20
    assert len(PrecomputedDetector(path)(PICTURE, "2999.jpg")) == 1


def test_text_that_is_no_utf8_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    table = tmp_path / "points.csv"
    columns = ",".join(f"x{i},y{i}" for i in range(68))
    table.write_bytes(f"file,{columns}\n".encode() + b"a.jpg,1,\xbapng\n")
    with pytest.raises(InputError, match=r"points\.csv is not UTF-8 text; save it as CSV UTF-8"):
        PrecomputedDetector(table)
    assert capfd.readouterr().err == ""  # no traceback of a library's
