import csv
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.data import FER2013Source, FERPlusSource, Finding, Source, open_prepared, prepare
from aucue.data.sources.fer import _majorities
from aucue.errors import InputError

from ..conftest import mean_face, paint

PICTURE = np.asarray(paint(mean_face((24, 24), 12), 48).convert("L"))
ANSWERS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def pixels(shift: int = 0) -> str:
    """The painted face, darker by `shift`."""
    return " ".join(map(str, (PICTURE.astype(int) - shift).ravel().tolist()))


def write_pixels(
    path: Path, rows: Sequence[tuple[object, str, str]], header: str = "emotion,pixels,Usage"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path.parent


def write_votes(path: Path, rows: Sequence[str], header: str = f"Usage,Image name,{ANSWERS}") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path.parent


def of_lines(source: Source) -> list[Finding]:
    """Findings that name a line, not a count."""
    return [finding for finding in source.findings if ", line " in finding.where]


@pytest.fixture
def fer(tmp_path: Path) -> Path:
    """Four rows, one per usage and one more."""
    rows = [
        (0, pixels(), "Training"),
        (3, pixels(5), "PublicTest"),
        (6, pixels(10), "PrivateTest"),
        (5, pixels(15), "Training"),
    ]
    return write_pixels(tmp_path / "fer" / "fer2013.csv", rows)


def test_fer2013(fer: Path) -> None:
    source = FER2013Source(fer)
    samples = [source[place] for place in range(len(source))]
    assert [(sample.key, sample.label, sample.split) for sample in samples] == [
        ("00000", "anger", "train"),
        ("00001", "happiness", "val"),
        ("00002", "neutral", "test"),
        ("00003", "surprise", "train"),
    ]
    for number, sample in enumerate(samples):
        assert isinstance(sample.image, np.ndarray)
        assert (sample.image.shape, sample.image.dtype) == ((48, 48, 3), np.uint8)
        np.testing.assert_array_equal(sample.image, np.stack([PICTURE - 5 * number] * 3, axis=2))
    assert source.name == "fer2013"
    assert source.classes[0] == "neutral"


def test_columns_of_the_other_distribution(tmp_path: Path, fer: Path) -> None:
    """Kaggle's second file has another order, and blanks before its names."""
    rows = [(row[0], row[2], row[1]) for row in csv.reader((fer / "fer2013.csv").open())][1:]
    other = write_pixels(tmp_path / "other" / "icml_face_data.csv", rows, "emotion, Usage, pixels")
    one, two = FER2013Source(fer), FER2013Source(other)
    for place in range(4):
        np.testing.assert_array_equal(np.asarray(one[place].image), np.asarray(two[place].image))
        assert (one[place].label, one[place].split) == (two[place].label, two[place].split)


def test_quoted_fields_and_windows_line_ends(tmp_path: Path, fer: Path) -> None:
    text = (fer / "fer2013.csv").read_text().splitlines()
    quoted = [",".join(f'"{field}"' for field in line.split(",")) for line in text]
    (tmp_path / "fer2013.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(quoted).encode())
    source = FER2013Source(tmp_path)
    assert (len(source), of_lines(source)) == (4, [])
    np.testing.assert_array_equal(np.asarray(source[3].image)[..., 0], PICTURE - 15)


def test_numbers_of_pictures_are_compared_with_the_published(fer: Path) -> None:
    findings = FER2013Source(fer).findings
    assert len(findings) == 21
    assert findings[0] == Finding("train/anger", "1 sample instead of 3,995")
    assert findings[7] == Finding("val/anger", "0 samples instead of 467")
    # 28,709 training, 3,589 public and 3,589 private pictures; per class as in Goodfellow et al., pp. 3-4.
    instead = [int(what.split()[-1].replace(",", "")) for _, what in findings]
    assert [sum(instead[split : split + 7]) for split in (0, 7, 14)] == [28_709, 3_589, 3_589]
    assert [sum(instead[emotion::7]) for emotion in range(7)] == [4953, 547, 5121, 8989, 6077, 4002, 6198]


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    few = pixels().rsplit(" ", 1)[0]
    rows = [
        (7, pixels(), "Training"),
        (0, few, "Training"),
        (0, f"{few} 256", "Training"),
        (0, f"{few} x", "Training"),
        (0, pixels(), "Sometime"),
        ("", "", "Training"),
        (2, pixels(), "Training"),
    ]
    path = write_pixels(tmp_path / "fer2013.csv", rows) / "fer2013.csv"
    path.write_text(path.read_text() + "\n1\n")  # an empty line, and one without columns
    source = FER2013Source(tmp_path)
    assert [source[place].key for place in range(len(source))] == ["00006"]
    assert of_lines(source) == [
        Finding(f"{path}, line {line}", f"{what}; left out")
        for line, what in [
            (2, "the emotion is none of 0 to 6"),
            (3, "2303 pixels instead of 2304"),
            (4, "a pixel is not between 0 and 255"),
            (5, "the pixels are not whole numbers"),
            (6, "unknown usage 'Sometime'"),
            (7, "0 pixels instead of 2304"),
            (10, "a column is missing"),
        ]
    ]


def test_the_source_travels_without_its_pixels(tmp_path: Path) -> None:
    root = write_pixels(tmp_path / "fer2013.csv", [(0, pixels(), "Training")] * 50)
    content = pickle.dumps(FER2013Source(root))
    assert len(content) < 10_000
    np.testing.assert_array_equal(np.asarray(pickle.loads(content)[49].image)[..., 0], PICTURE)


def test_provenance_follows_the_content(fer: Path) -> None:
    before = FER2013Source(fer).provenance
    assert FER2013Source(fer).provenance == before
    with (fer / "fer2013.csv").open("a") as file:
        file.write(f"1,{pixels()},Training\n")
    assert FER2013Source(fer).provenance != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "neither fer2013.csv nor icml_face_data.csv is there"),
        ("emotion,pixels\n0,1 2 3\n", "the column 'usage' is missing; it has emotion, pixels"),
        ("emotion,pixels,Usage\n", "the table has no rows"),
        (
            "emotion,pixels,Usage\n0,1 2 3,Training\n",
            "no row can be used; the first: 3 pixels instead of 2304",
        ),
        ("", "the table has no rows"),
        ("x" * 200_000, "the column 'emotion' is missing; it has none"),
    ],
)
def test_no_fer2013(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "fer2013.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        FER2013Source(tmp_path)


VOTES = [
    "Training,fer0000000.png,6,0,1,0,0,0,0,0,3,0",  # neutral: 6 of the 9 that do not stand alone
    "Training,fer0000001.png,5,0,5,0,0,0,0,0,0,0",  # a tie
    "Training,,0,0,0,0,0,0,0,0,0,10",  # not a face
    "PublicTest,fer0000003.png,0,0,0,0,0,0,0,8,1,1",  # contempt
    "PrivateTest,fer0000004.png,1,4,1,1,1,1,1,0,0,0",  # happiness: the only one with more than a vote
    "PrivateTest,fer0000005.png,2,0,0,2,0,0,0,0,6,0",  # unknown
    "PrivateTest,fer0000006.png,0,0,0,0,0,5,0,2,3,0",  # disgust has half of the votes: no majority
    "Training,fer0000007.png,3,0,0,6,0,0,0,1,0,0",  # sadness
]


@pytest.fixture
def ferplus(tmp_path: Path) -> Path:
    usages = [line.split(",")[0] for line in VOTES]
    rows = [(0, pixels(5 * number), usage) for number, usage in enumerate(usages)]
    root = write_pixels(tmp_path / "ferplus" / "fer2013.csv", rows)
    return write_votes(root / "fer2013new.csv", VOTES)


def labels(source: Source) -> dict[str, tuple[str, str]]:
    samples = [source[place] for place in range(len(source))]
    return {sample.key: (sample.label, sample.split) for sample in samples}


def test_majorities_of_ferplus(ferplus: Path) -> None:
    source = FERPlusSource(ferplus)
    assert labels(source) == {
        "fer0000000.png": ("neutral", "train"),
        "fer0000004.png": ("happiness", "test"),
        "fer0000007.png": ("sadness", "train"),
    }
    assert of_lines(source) == []
    assert source.provenance["left_out"] == {"no majority": 2, "nf": 1, "contempt": 1, "unknown": 1}
    last = source[2]
    np.testing.assert_array_equal(np.asarray(last.image)[..., 0], PICTURE - 35)
    assert last.probabilities is None
    assert list(last.attributes["votes"].values()) == [3, 0, 0, 6, 0, 0, 0, 1, 0, 0]


def test_contempt_is_the_eighth_class_if_asked_for(ferplus: Path) -> None:
    source = FERPlusSource(ferplus, contempt=True)
    assert (len(source.classes), source.classes[7]) == (8, "contempt")
    assert labels(source)["fer0000003.png"] == ("contempt", "val")


def test_soft_labels_are_shares_of_votes(ferplus: Path) -> None:
    source = FERPlusSource(ferplus, labels="soft")
    assert labels(source) == labels(FERPlusSource(ferplus))
    # Neutral, happiness, surprise, fear, anger, disgust, sadness; single votes and "unknown" are left out.
    expected = [[1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [1 / 3, 0, 0, 0, 0, 0, 2 / 3]]
    for place, shares in enumerate(expected):
        probabilities = source[place].probabilities
        assert probabilities is not None
        np.testing.assert_allclose(probabilities, shares)
        assert source.classes[int(probabilities.argmax())] == source[place].label


def test_votes_without_names(tmp_path: Path, ferplus: Path) -> None:
    """The first release of the votes did not name the pictures."""
    rows = [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in VOTES]
    write_votes(ferplus / "fer2013new.csv", rows, f"Usage,{ANSWERS}")
    assert list(labels(FERPlusSource(ferplus))) == ["00000", "00004", "00007"]


def test_the_majority_rule_agrees_with_labels_made_elsewhere(photographs: Path) -> None:
    with (photographs / "ferplus" / "meta.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ANSWERS.split(",")
    found = _majorities([tuple(int(row[name]) for name in names) for row in rows])
    assert [names[answer] for answer in found] == [row["ferplus_majority"] for row in rows]
    assert len(rows) > 25_000


def test_broken_rows_of_ferplus(ferplus: Path) -> None:
    lines = list(VOTES)
    lines[0] = lines[0].replace("Training", "PublicTest")
    lines[4] = "PrivateTest,fer0000004.png,1,4,1"
    lines[7] = lines[7].replace(",6,", ",-6,")
    write_votes(ferplus / "fer2013new.csv", [*lines[:6], "Never" + lines[6][11:], lines[7], VOTES[0]])
    pixel_lines = (ferplus / "fer2013.csv").read_text().splitlines()
    pixel_lines[2] = "0,1 2 3,Training"
    pixel_lines[4] = pixel_lines[4].replace("0,", "99,", 1)  # the emotion of FER-2013 does not matter here
    (ferplus / "fer2013.csv").write_text("\n".join(pixel_lines) + "\n")
    source = FERPlusSource(ferplus, contempt=True)
    assert list(labels(source)) == ["fer0000003.png"]
    pixel_table, votes = ferplus / "fer2013.csv", ferplus / "fer2013new.csv"
    assert of_lines(source) == [
        Finding(f"{votes}, line 2", f"the usage is another than in {pixel_table}, line 2; left out"),
        Finding(f"{pixel_table}, line 3", "3 pixels instead of 2304; left out"),
        Finding(f"{votes}, line 6", "the votes are not ten whole numbers; left out"),
        Finding(f"{votes}, line 8", "unknown usage 'Never'; left out"),
        Finding(f"{votes}, line 9", "a number of votes is negative; left out"),
    ]
    assert source.findings[:4] == (
        Finding("train/pictures", "4 samples instead of 28,709"),
        Finding("val/pictures", "1 sample instead of 3,589"),
        Finding("test/pictures", "3 samples instead of 3,589"),
        Finding(
            str(votes),
            "9 rows, but fer2013.csv has 8: they belong together by order, "
            "so labels behind a lost row are wrong",
        ),
    )


def write_folders(root: Path) -> Path:
    """What the code of FER+ writes: pictures beside label.csv, with a box in older releases."""
    for split, folder, box in (
        ("Training", "FER2013Train", ""),
        ("PrivateTest", "FER2013Test", '"(0, 0, 48, 48)",'),
    ):
        (root / folder).mkdir(parents=True)
        lines = []
        for line in VOTES:
            usage, name, votes = line.split(",", 2)
            if usage == split and name:
                lines.append(f"{name},{box}{votes}")
                Image.fromarray(PICTURE).save(root / folder / name)
        (root / folder / "label.csv").write_text("\n".join(lines) + "\n")
    return root


def test_folders_of_ferplus(tmp_path: Path, ferplus: Path) -> None:
    root = write_folders(tmp_path / "folders")
    source = FERPlusSource(root)
    assert labels(source) == labels(FERPlusSource(ferplus))
    assert source[0].image == root / "FER2013Train" / "fer0000000.png"
    assert [finding.where for finding in source.findings] == [str(root / "FER2013Valid" / "label.csv")]
    assert [file["file"] for file in source.provenance["tables"]] == [
        "FER2013Train/label.csv",
        "FER2013Test/label.csv",
    ]


def test_broken_rows_of_folders(tmp_path: Path) -> None:
    root = write_folders(tmp_path)
    labels_file = root / "FER2013Train" / "label.csv"
    labels_file.write_text(f"fer0000000.png,6,0\n,{'0,' * 9}5\n{labels_file.read_text()}")
    assert [finding for finding in FERPlusSource(root).findings if "line" in finding.where] == [
        Finding(f"{labels_file}, line 1", "the votes are not ten whole numbers; left out"),
        Finding(f"{labels_file}, line 2", "no picture is named; left out"),
    ]


def test_no_ferplus(tmp_path: Path, fer: Path) -> None:
    with pytest.raises(InputError, match=r"neither fer2013\.csv nor"):
        FERPlusSource(tmp_path / "absent")
    with pytest.raises(InputError, match=r"fer2013new.csv is missing: the votes of FER\+"):
        FERPlusSource(fer)
    write_votes(fer / "fer2013new.csv", ["Training,a,5,5,0,0,0,0,0,0,0,0"] * 4)
    with pytest.raises(
        InputError, match=r"no picture has a label of FER\+ \(2 no majority, train/pictures: 2 samples"
    ):
        FERPlusSource(fer)
    write_votes(fer / "fer2013new.csv", [], "Usage,neutral")
    with pytest.raises(InputError, match="the column 'happiness' is missing; it has Usage, neutral"):
        FERPlusSource(fer)
    with pytest.raises(InputError, match="labels must be 'majority' or 'soft', not 'hard'"):
        FERPlusSource(fer, labels="hard")  # pyright: ignore[reportArgumentType]


def test_soft_labels_from_the_tables_to_the_batch(ferplus: Path, tmp_path: Path) -> None:
    source = pickle.loads(pickle.dumps(FERPlusSource(ferplus, "soft")))
    report = prepare(source, tmp_path / "set", "none", size=48, workers=1, progress=False)
    assert (report.samples, report.ok) == ({"train": 2, "test": 1}, False)
    assert report.findings == source.findings
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert dataset.column("key") == ["fer0000000.png", "fer0000007.png"]
    probabilities = dataset[1].get("probabilities")
    assert probabilities is not None
    np.testing.assert_allclose(probabilities, [1 / 3, 0, 0, 0, 0, 0, 2 / 3], rtol=1e-6)
