import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy.stats import norm, ttest_ind_from_stats
from tests.evaluation.conftest import SIDE, NoiseSource
from tests.evaluation.handmade import make_evaluation
from tests.evaluation.pages import Page, assert_self_contained

from aucue.cli.main import main
from aucue.data import PreparedSet, Sample, open_prepared, prepare
from aucue.errors import InputError
from aucue.evaluation import Evaluation, Group, GroupMean, write_evaluation, write_report
from aucue.evaluation.estimate import wilson
from aucue.evaluation.groups import gap_sentence, largest_gaps, read_attributes, with_groups

LABELS = ["happiness", "happiness", "fear", "fear", "neutral", "happiness"]
PREDICTIONS = ["happiness", "happiness", "fear", "happiness", "neutral", "fear"]
CAM = [0.2, 0.4, 0.9, 0.5, None, 0.6]
GENDER = ["male", "male", "male", "female", "female", None]


@pytest.fixture
def grouped() -> Evaluation:
    return with_groups(make_evaluation(LABELS, PREDICTIONS, CAM), {"gender": GENDER})


def test_figures_by_hand(grouped: Evaluation):
    assert list(grouped.groups["gender"]) == ["female", "male"]
    male, female = (grouped.groups["gender"][value] for value in ("male", "female"))
    assert (male.faces, male.right, male.accuracy, male.balanced_accuracy) == (3, 3, 1.0, 1.0)
    assert (female.faces, female.accuracy) == (2, 0.5)
    assert female.balanced_accuracy == 0.5  # neutral 1, fear 0; happiness does not occur
    assert female.interval == wilson(1, 2)
    assert male.cam_cos.macro == pytest.approx((0.3 + 0.9) / 2)
    assert male.cam_cos.micro == pytest.approx((0.2 + 0.4 + 0.9) / 3)
    assert male.cam_cos.sd == pytest.approx(math.sqrt((0.3**2 + 0.1**2 + 0.4**2) / 2))
    assert male.att_cos == male.cam_cos
    assert female.cam_cos == GroupMean(macro=0.5, micro=0.5, sd=None, count=1)
    assert male.small
    assert female.small


def test_one_group_of_all_faces_has_the_figures_of_the_evaluation():
    whole = make_evaluation(LABELS, PREDICTIONS, CAM)
    everyone = with_groups(whole, {"kind": ["human"] * 6}).groups["kind"]["human"]
    assert everyone.accuracy == whole.estimate("accuracy").value
    assert everyone.interval == whole.estimate("accuracy").interval
    assert everyone.balanced_accuracy == pytest.approx(whole.estimate("balanced_accuracy").value)
    assert everyone.cam_cos.macro == pytest.approx(whole.estimate("cam_cos").value)
    assert everyone.cam_cos.micro == pytest.approx(whole.estimate("cam_cos").micro)


def test_a_group_without_any_cue():
    group = with_groups(make_evaluation(["neutral"], ["fear"], [None]), {"age": ["70+"]}).groups["age"]["70+"]
    assert group.accuracy == 0
    assert group.cam_cos == GroupMean(macro=None, micro=None, sd=None, count=0)


def test_values_are_read_from_json():
    column = ['{"gender": "male", "age": 7, "race": ""}', "{}", None, '{"age": 4, "extra": [1]}']
    assert read_attributes(column) == {"gender": ["male", None, None, None], "age": ["7", None, None, "4"]}
    assert read_attributes(column, ["extra"]) == {"extra": [None, None, None, "[1]"]}


def test_an_unknown_attribute_is_refused_unless_it_is_a_usual_one():
    assert read_attributes(["{}"]) == {}
    with pytest.raises(
        InputError, match="No face has the attribute 'sex' to group by; they have age, gender"
    ):
        read_attributes(['{"gender": "male", "age": 7}'], ["sex"])
    with pytest.raises(InputError, match="no attributes at all"):
        read_attributes(["{}"], ["sex"])


def test_groups_are_in_the_order_of_their_numbers():
    ages: Sequence[str] = ["70+", "4-19", "20-39", "0-3", "40-69", "unsure"]
    groups = with_groups(make_evaluation(LABELS, PREDICTIONS, CAM), {"age": ages}).groups["age"]
    assert list(groups) == ["0-3", "4-19", "20-39", "40-69", "70+", "unsure"]


def test_an_attribute_with_many_values_makes_no_groups():
    labels = ["fear"] * 21
    evaluation = make_evaluation(labels, labels, [0.5] * 21)
    ages = with_groups(evaluation, {"age": [str(i) for i in range(21)]})
    assert ages.groups == {}
    assert ages.notes == ("No figures by age: it has 21 different values.",)
    assert ages.faces["attribute age"][3].as_py() == "3"


def group(right: int, faces: int, mean: float = 0.5, sd: float = 0.1) -> Group:
    cosine = GroupMean(macro=mean, micro=mean, sd=sd, count=faces)
    return Group(faces, right, right / faces, wilson(right, faces), right / faces, cosine, cosine)


def test_the_interval_of_a_difference_of_accuracies():
    """The example of Newcombe (1998): 56/70 - 48/80, method 10."""
    accuracy, _ = largest_gaps({"gender": {"a": group(56, 70), "b": group(48, 80)}})
    assert (accuracy.low, accuracy.high, accuracy.pairs) == ("b", "a", 1)
    assert accuracy.difference == pytest.approx(0.2)
    assert accuracy.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_interval_of_a_difference_of_means():
    groups = {"a": group(20, 400, 0.6, 0.2), "b": group(20, 900, 0.55, 0.3)}
    _, cosine = largest_gaps({"gender": groups})
    error = 0.05 / ttest_ind_from_stats(0.6, 0.2, 400, 0.55, 0.3, 900, equal_var=False).statistic
    assert cosine.measure == "CAM-COS"
    assert cosine.interval == pytest.approx((0.05 - 1.959964 * error, 0.05 + 1.959964 * error), abs=1e-6)


def test_the_interval_is_wider_where_more_groups_are_compared_and_small_ones_are_left_out():
    groups = {"a": group(56, 70), "b": group(48, 80), "c": group(65, 90), "tiny": group(0, 29)}
    accuracy, cosine = largest_gaps({"race": groups})
    assert (accuracy.low, accuracy.high, accuracy.pairs) == ("b", "a", 3)
    z = float(norm.ppf(1 - 0.05 / 2 / 3))
    (l1, u1), (l2, u2) = wilson(56, 70, z), wilson(48, 80, z)
    expected = (0.2 - math.hypot(0.8 - l1, u2 - 0.6), 0.2 + math.hypot(u1 - 0.8, 0.6 - l2))
    assert accuracy.interval == pytest.approx(expected, abs=1e-9)
    assert cosine.difference == 0


def test_the_largest_difference_in_words():
    groups = {"a": group(56, 70), "b": group(48, 80)}
    accuracy, cosine = (gap_sentence(gap) for gap in largest_gaps({"gender": groups}))
    assert accuracy == (
        "By gender, accuracy differs most between b (lower) and a, by 20.0 points "
        "(95 % interval 5.2 to 33.4)."
    )
    assert cosine.endswith(": these faces do not show that the groups differ.")
    three = gap_sentence(largest_gaps({"race": {**groups, "c": group(65, 90)}})[0])
    assert "all 3 pairs of groups compared" in three


def test_nothing_to_compare_with_one_large_group():
    assert largest_gaps({"gender": {"a": group(56, 70), "tiny": group(0, 29)}}) == []


def test_written_files(grouped: Evaluation, tmp_path: Path):
    folder = write_evaluation(grouped, tmp_path / "out").parent
    assert Evaluation.load(folder / "evaluation.json") == grouped
    rows = list(csv.DictReader((folder / "per_group.csv").open(encoding="utf-8")))
    assert [(row["attribute"], row["value"], row["faces"], row["small"]) for row in rows] == [
        ("gender", "female", "2", "1"),
        ("gender", "male", "3", "1"),
    ]
    assert float(rows[1]["cam_cos.macro"]) == pytest.approx(0.6)
    images = list(csv.DictReader((folder / "per_image.csv").open(encoding="utf-8")))
    assert [row["attribute gender"] for row in images] == [value or "" for value in GENDER]


def test_a_set_without_attributes_leaves_no_trace(grouped: Evaluation, tmp_path: Path):
    write_evaluation(grouped, tmp_path)
    plain = with_groups(make_evaluation(LABELS, PREDICTIONS, CAM), {})
    write_evaluation(plain, tmp_path, overwrite=True)
    assert not (tmp_path / "per_group.csv").exists()
    assert "Groups of people" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_evaluation_of_before_there_were_groups_can_be_read(grouped: Evaluation):
    figures = grouped.to_dict()
    del figures["groups"]
    assert Evaluation.from_dict(json.loads(json.dumps(figures))).groups == {}


def test_report(grouped: Evaluation, tmp_path: Path):
    page = Page(write_report(grouped, tmp_path / "report.html"))
    assert "male (few) 3 100.0 %" in page.text
    assert "Groups of people" in page.text


class PeopleSource(NoiseSource):
    """Noise with a gender, and an age for some."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        gender = {"gender": ("male", "female")[index % 2]}
        attributes = gender | ({"age": "20-39"} if index < 5 else {}) | {"lens": index % 3}
        return Sample(**{name: getattr(sample, name) for name in FIELDS}, attributes=attributes)


FIELDS = ("key", "label", "split", "image", "landmarks")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("prepared") / "people"
    prepare(PeopleSource(70), folder, detector="none", size=SIDE, workers=1, progress=False)
    return open_prepared(folder)


def test_command(
    models: dict[str, Path], people: PreparedSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def run(out: str, *more: str) -> int:
        data = ["--data", str(people.path), "--workers", "0", "--out", str(tmp_path / out)]
        return main(["evaluate", str(models["guided"]), *data, *more])

    assert run("usual") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "By gender, accuracy differs most between" in printed
    usual = Evaluation.load(tmp_path / "usual" / "evaluation.json")
    assert {name: {v: g.faces for v, g in members.items()} for name, members in usual.groups.items()} == {
        "gender": {"female": 35, "male": 35},
        "age": {"20-39": 5},
    }
    assert_self_contained(Page(tmp_path / "usual" / "report.html"))

    assert run("chosen", "--groups", "lens") == 0
    chosen = Evaluation.load(tmp_path / "chosen" / "evaluation.json").groups
    assert [group.faces for group in chosen["lens"].values()] == [24, 23, 23]
    assert run("unknown", "--groups", "sex") == 2
    assert "they have age, gender, lens" in capsys.readouterr().err
