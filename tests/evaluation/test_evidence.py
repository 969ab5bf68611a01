"""Evidence of tiny networks against formulas written out face by face, and against figures made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.conftest import SIDE, NoiseSource
from tests.evaluation.handmade import make_evaluation
from tests.evaluation.pages import Page, assert_self_contained
from torch.nn.functional import interpolate
from torch.utils.data import default_collate

from aucue.cues import AUCue
from aucue.data import PreparedSet, eval_transform, prepare
from aucue.errors import InputError
from aucue.evaluation import Evaluation, evaluate, write_comparison, write_report
from aucue.evaluation.evidence import Evidence, chosen_faces, with_evidence
from aucue.evaluation.evidence_measures import MEASURES, cards, side_by_side
from aucue.evaluation.observer import Seen
from aucue.facs import EXPRESSIONS
from aucue.metrics import FILLS, STEPS
from aucue.models import Model

FACE = 22  # happiness, the last of its kind in the set


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(
        models["guided"], faces, workers=0, progress=False, evidence=True, evidence_faces=2, batch_size=7
    )


class Naive:
    """What is known of one face, step by step."""

    def __init__(self, model: Path, faces: PreparedSet):
        self.classifier = Model.load(model).network
        item = faces.dataset("test", transform=eval_transform(SIDE))[FACE]
        self.image = item["image"] / 255
        self.landmarks, self.label = item["landmarks"][None], item["label"]
        with torch.no_grad():
            out = self.classifier(self.image[None])
            maps = self.classifier.class_maps(out.features[self.classifier.final_layer])
        self.named = int(out.logits.argmax())
        self.maps = [self.full_size(maps[:, [k]]) for k in range(7)]

    @staticmethod
    def full_size(map_: torch.Tensor) -> torch.Tensor:
        map_ = (map_ - map_.min()) / (map_ - map_.min()).max()
        return interpolate(map_, (SIDE, SIDE), mode="bilinear", align_corners=False).clamp(0, 1)[0, 0]

    def probability(self, image: torch.Tensor) -> float:
        with torch.no_grad():
            return self.classifier(image[None]).logits.softmax(1)[0, self.named].item()

    def region(self, label: int) -> torch.Tensor:
        cue = AUCue("facs", EXPRESSIONS)(self.landmarks, torch.tensor([label]), (SIDE, SIDE))
        return cue.map[0, 0] > 0.5


@pytest.fixture(scope="module")
def naive(models: dict[str, Path], faces: PreparedSet) -> Naive:
    return Naive(models["guided"], faces)


@pytest.mark.parametrize("measure", ["deletion", "insertion"])
@pytest.mark.parametrize("fill", FILLS)
def test_area_of_one_face(measure: str, fill: str, evaluation: Evaluation, naive: Naive):
    filled = FILLS[fill](naive.image[None])[0]
    before, after = (naive.image, filled) if measure == "deletion" else (filled, naive.image)
    order = naive.maps[naive.named].flatten().argsort(descending=True)
    values = []
    for k in range(STEPS + 1):
        replaced = before.flatten(1).clone()
        chosen = order[: round(k * SIDE * SIDE / STEPS)]
        replaced[:, chosen] = after.flatten(1)[:, chosen]
        values.append(naive.probability(replaced.view_as(before)))
    expected = np.trapezoid(values, dx=1 / STEPS)
    assert evaluation.images[FACE][f"{measure} {fill} class map"] == pytest.approx(expected, abs=1e-4)


def test_action_units_hidden_in_one_face(evaluation: Evaluation, naive: Naive):
    region = naive.region(naive.named)
    assert region.any()
    hidden = torch.where(region, naive.image.mean((1, 2), keepdim=True), naive.image)
    loss = naive.probability(naive.image) - naive.probability(hidden)
    assert evaluation.images[FACE]["occlusion mean action units"] == pytest.approx(loss, abs=1e-5)


def test_pointing_and_energy_of_one_face(evaluation: Evaluation, naive: Naive):
    region, map_, row = naive.region(naive.label), naive.maps[naive.label], evaluation.images[FACE]
    assert row["energy class map"] == pytest.approx((map_[region].sum() / map_.sum()).item(), abs=1e-5)
    assert row["pointing class map"] == float(region.flatten()[map_.argmax()])
    assert row["energy chance"] == pytest.approx(region.float().mean().item())
    assert row["pointing chance"] == pytest.approx(region.float().mean().item())


def test_stability_of_one_face(evaluation: Evaluation, naive: Naive):
    with torch.no_grad():
        out = naive.classifier(naive.image[None].flip(-1))
        map_ = naive.classifier.class_maps(out.features[naive.classifier.final_layer])[:, [naive.named]]
    back = naive.full_size(map_).flip(-1)
    expected = torch.cosine_similarity(back.flatten(), naive.maps[naive.named].flatten(), dim=0)
    assert evaluation.images[FACE]["stability mirrored"] == pytest.approx(expected.item(), abs=1e-5)


def test_margin_says_whether_a_map_is_specific(evaluation: Evaluation):
    """By another way than the specificity that every evaluation has."""
    measured = [row for row in evaluation.images if row["margin class map"] is not None]
    assert len(measured) == 12
    for row in measured:
        assert (row["margin class map"] > 0) == row["specific class map"] == row["specificity class map"]


def test_figures_are_means_of_the_rows(evaluation: Evaluation):
    for name, figure in evaluation.evidence.items():
        if name.endswith("ratio"):
            continue
        found: dict[str, list[float]] = {}
        for row in evaluation.images:
            if row[name] is not None:
                found.setdefault(row["label"], []).append(row[name])
        macro = float(np.mean([np.mean(values) for values in found.values()]))
        assert figure.macro == pytest.approx(macro)
        assert figure.interval is not None
        assert figure.interval[0] - 1e-9 <= macro <= figure.interval[1] + 1e-9


def test_faces_that_are_not_measured_have_empty_columns(evaluation: Evaluation):
    # 26 faces labelled in turn, the first four of each expression; two, evenly spread, are measured.
    measured = [i for i, row in enumerate(evaluation.images) if row["energy class map"] is not None]
    assert measured == [*range(1, 7), 18, 19, 20, 22, 23, 24]
    assert evaluation.images[0]["energy class map"] is None
    assert any("measured on 12 faces" in note for note in evaluation.notes)
    assert sum(evaluation.evidence["energy class map"].count.values()) == 12


def test_neither_batches_nor_processes_matter(
    evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet
):
    """What two processes see of their own batches, put together, equals what one sees of all."""
    model = Model.load(models["guided"])
    dataset = faces.dataset("test", transform=eval_transform(SIDE))
    places = np.array([1, 2, 3, 8])
    draw = AUCue("facs", EXPRESSIONS)

    def seen(batches: list[list[int]], batch_size: int) -> Seen:
        evidence = Evidence(
            model,
            draw,
            torch.arange(7),
            dataset,
            places,
            1.0,
            batch_size,
            torch.device("cpu"),
        )
        for batch in batches:
            evidence.look(default_collate([evidence.dataset[i] for i in batch]))
        return evidence.seen

    alone = seen([[0, 1, 2, 3]], batch_size=64)
    shared = Seen.merged([seen([[2]], batch_size=5), seen([[3, 1], [0]], batch_size=64)])
    assert list(shared.sums) == list(alone.sums)
    for name in alone.sums:
        torch.testing.assert_close(shared.column(name), alone.column(name), atol=1e-4, rtol=0, equal_nan=True)


def test_round_trip_and_columns(evaluation: Evaluation, tmp_path: Path):
    folder = evaluation.write(tmp_path / "out").parent
    assert Evaluation.load(folder / "evaluation.json") == evaluation
    header = (folder / "per_image.csv").read_text().splitlines()[0]
    assert "deletion mean class map" in header
    assert "occlusion mean ratio" in (folder / "per_expression.csv").read_text().splitlines()[0]


def test_every_figure_belongs_to_a_measure(evaluation: Evaluation):
    named = {f"{m.name} {variant}" for m in MEASURES for variant in m.variants(evaluation)}
    assert named == set(evaluation.evidence)
    assert sum(len(m.variants(evaluation)) for m in MEASURES) == len(evaluation.evidence)


def test_report(evaluation: Evaluation, tmp_path: Path):
    page = Page(write_report(evaluation, tmp_path / "report.html"))
    assert_self_contained(page)
    for card in cards(evaluation):
        assert card.headline.interval is not None
        low, high = card.headline.interval
        figure = f"{card.headline.macro:.2f} {low:.2f} to {high:.2f}"
        for words in (card.measure.title, card.measure.words, card.measure.better, figure):
            assert words in page.text


def test_reports_without_evidence_do_not_speak_of_it(tmp_path: Path):
    plain = make_evaluation(["happiness", "fear"], ["happiness", "fear"], [0.5, 0.7])
    assert cards(plain) == []
    assert "Deletion" not in Page(write_report(plain, tmp_path / "report.html")).text


def test_comparison(evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    plain = evaluate(models["twin"], faces, workers=0, progress=False)
    page = Page(write_comparison({"one": evaluation, "two": plain}, tmp_path / "comparison.html"))
    assert_self_contained(page)
    deletion = cards(evaluation)[0]
    assert deletion.measure.name == "deletion mean"
    assert f"{deletion.text} {deletion.reference}" in page.text
    assert all(measure.better in page.text for measure in MEASURES)


def test_models_that_lack_a_measure_are_compared_by_the_others(evaluation: Evaluation):
    """As files of another version of this package might."""
    without = {k: v for k, v in evaluation.evidence.items() if not k.startswith("energy")}
    rows = side_by_side({"new": evaluation, "old": replace(evaluation, evidence=without)})
    assert [row["new"].measure.name for row in rows] == [m.name for m in MEASURES if m.name != "energy"]
    assert all(list(row) == ["new", "old"] for row in rows)


def test_no_face_to_measure(models: dict[str, Path], tmp_path: Path):
    prepare(NoiseSource(1), tmp_path / "neutral", detector="none", size=SIDE, workers=1, progress=False)
    with pytest.raises(InputError, match="no evidence to measure"):
        evaluate(models["guided"], tmp_path / "neutral", workers=0, progress=False, evidence=True)


def test_chosen_faces_by_hand():
    labels = np.array([0, 1, 1, 1, 1, 1, 2, 2, 0])
    valid = np.array([True, True, True, False, True, True, True, False, True])
    assert chosen_faces(labels, valid, [1, 2], 3).tolist() == [1, 4, 5, 6]
    assert chosen_faces(labels, valid, [1, 2], 9).tolist() == [1, 2, 4, 5, 6]
    assert chosen_faces(labels, valid, [3], 9).tolist() == []
    with pytest.raises(InputError, match="at least one face"):
        chosen_faces(labels, valid, [1], 0)


def handmade(random_regions: list[float]) -> Evaluation:
    """Four faces, of which the first is neutral; the losses with action units hidden are 0.6, 0.2, 0.4."""
    labels = ["neutral", "happiness", "happiness", "fear"]
    plain = make_evaluation(labels, labels, [None, 0.5, 0.5, 0.5])
    seen, everyone = Seen(plain.classes), torch.ones(3, dtype=torch.bool)
    ids = torch.tensor([1, 1, 2])
    maps = torch.tensor([[[[1.0, 0]]], [[[0.0, 1]]], [[[1.0, 1]]]])
    seen.keep(index=torch.arange(3), label=ids, valid=everyone, map=maps)
    for fill in FILLS:
        seen.record(f"occlusion {fill} action units", torch.tensor([0.6, 0.2, 0.4]), ids, everyone)
        seen.record(f"occlusion {fill} random regions", torch.tensor(random_regions), ids, everyone)
    return with_evidence(plain, seen, np.array([1, 2, 3]))


def test_ratio_by_hand():
    evidence = handmade([0.1, 0.3, 0.3]).evidence
    # Averages per expression, then over expressions: (0.4 + 0.4) / 2 and (0.2 + 0.3) / 2.
    ratio = evidence["occlusion mean ratio"]
    assert ratio.macro == pytest.approx(0.4 / 0.25)
    assert ratio.micro == pytest.approx(1.2 / 0.7)
    assert ratio.per_expression == pytest.approx({"happiness": 2, "fear": 4 / 3})
    assert ratio.interval is not None
    # Faces one by one give 6, 2/3 and 4/3, and no resample can leave these limits.
    assert 2 / 3 - 1e-6 <= ratio.interval[0] < 1.6 < ratio.interval[1] <= 6 + 1e-6


def test_a_ratio_to_nothing_has_no_interval():
    clear = handmade([0.1, -0.2, 0.2]).evidence["occlusion mean ratio"]
    assert clear.macro == pytest.approx(0.4 / 0.075)
    assert clear.interval is None
    assert handmade([-0.1, -0.1, -0.1]).evidence["occlusion mean ratio"].macro is None


def test_map_of_another_face_by_hand():
    rows = handmade([0.1, 0.3, 0.3]).images
    assert rows[0]["stability another face"] is None
    found = [row["stability another face"] for row in rows[1:]]
    # Each against the one before it, the first against the last.
    assert found == pytest.approx([0.5**0.5, 0, 0.5**0.5])
