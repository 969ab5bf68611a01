"""Evidence of tiny networks against formulas written out face by face, and against figures made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

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
from aucue.evaluation import (
    Evaluation,
    EvaluationSettings,
    evaluate,
    write_comparison,
    write_evaluation,
    write_report,
)
from aucue.evaluation.measures import MEASURES
from aucue.evaluation.observing import Observer, Seen, Split, chosen_faces, compare_with_other_faces
from aucue.evaluation.report.comparison import further_measures, further_table
from aucue.evaluation.report.page import card_of
from aucue.evaluation.report.tables import estimate_text
from aucue.facs import EXPRESSIONS
from aucue.metrics import FILLS, STEPS
from aucue.models import Model

FACE = 22  # happiness, the last of its kind in the set


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(
        models["guided"],
        faces,
        EvaluationSettings(workers=0, evidence=True, evidence_faces=2, batch_size=7),
        progress=False,
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


def row_of(evaluation: Evaluation) -> dict[str, Any]:
    """What was measured of the face that is worked out by hand."""
    return evaluation.faces.slice(FACE, 1).to_pylist()[0]


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
    assert row_of(evaluation)[f"{measure}.{fill}.class_map"] == pytest.approx(expected, abs=1e-4)


def test_action_units_hidden_in_one_face(evaluation: Evaluation, naive: Naive):
    region = naive.region(naive.named)
    assert region.any()
    hidden = torch.where(region, naive.image.mean((1, 2), keepdim=True), naive.image)
    loss = naive.probability(naive.image) - naive.probability(hidden)
    assert row_of(evaluation)["occlusion.mean.action_units"] == pytest.approx(loss, abs=1e-5)


def test_pointing_and_energy_of_one_face(evaluation: Evaluation, naive: Naive):
    region, map_, row = naive.region(naive.label), naive.maps[naive.label], row_of(evaluation)
    assert row["energy.class_map"] == pytest.approx((map_[region].sum() / map_.sum()).item(), abs=1e-5)
    assert row["pointing.class_map"] == float(region.flatten()[map_.argmax()])
    assert row["energy.chance"] == pytest.approx(region.float().mean().item())
    assert row["pointing.chance"] == pytest.approx(region.float().mean().item())


def test_stability_of_one_face(evaluation: Evaluation, naive: Naive):
    with torch.no_grad():
        out = naive.classifier(naive.image[None].flip(-1))
        map_ = naive.classifier.class_maps(out.features[naive.classifier.final_layer])[:, [naive.named]]
    back = naive.full_size(map_).flip(-1)
    expected = torch.cosine_similarity(back.flatten(), naive.maps[naive.named].flatten(), dim=0)
    assert row_of(evaluation)["stability.mirrored"] == pytest.approx(expected.item(), abs=1e-5)


def test_units_of_one_face(evaluation: Evaluation, naive: Naive):
    """Each unit of the expression named hidden by itself, with maps and probabilities worked out anew."""
    draw = AUCue("facs", EXPRESSIONS)
    units = draw.codebook[EXPRESSIONS[naive.named]]
    maps, _ = draw.single(naive.landmarks, (SIDE, SIDE))
    fill = naive.image.mean((1, 2), keepdim=True)
    regions = [(m := maps[0, draw.action_units.index(unit)]) > m.max() / 2 for unit in units]

    with torch.no_grad():
        p = naive.classifier(naive.image[None]).logits.softmax(1)[0]  # of the face as it is

    def evidence(image: torch.Tensor, region: torch.Tensor) -> float:
        with torch.no_grad():
            out = naive.classifier(image[None])
            cams = naive.classifier.class_maps(out.features[naive.classifier.final_layer])
        log_odds = cams[:, naive.named] - (p[:, None, None] * cams[0]).sum(0)
        full = interpolate(log_odds[None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        return (full.clamp(min=0) * region).mean().item()

    left, costs, first = [], [], []
    for region in regions:
        hidden = torch.where(region, fill, naive.image)
        first.append(evidence(naive.image, region))
        left.append(evidence(hidden, region))
        costs.append(naive.probability(naive.image) - naive.probability(hidden))
    row = row_of(evaluation)
    assert row["hidden.left.log_odds"] == pytest.approx(sum(left) / sum(first), abs=1e-4)
    assert row["dearest.first.log_odds"] == float(np.argmax(first) == np.argmax(costs))
    assert row["dearest.first.chance"] == pytest.approx(1 / len(units))
    everything = torch.stack(regions).any(0)
    painted = torch.where(everything, fill, naive.image)
    assert row["painted.left.log_odds"] == pytest.approx(
        evidence(painted, everything) / evidence(naive.image, everything), abs=1e-4
    )
    cost = naive.probability(naive.image) - naive.probability(painted)
    assert row["evidence.auroc.cost"] == pytest.approx(cost, abs=1e-5)
    density = naive.maps[naive.named][everything].mean() / naive.maps[naive.named].mean()
    assert row["painted.density.before"] == pytest.approx(density.item(), abs=1e-4)
    with torch.no_grad():
        out = naive.classifier(painted[None])
        maps = naive.classifier.class_maps(out.features[naive.classifier.final_layer])[0]
    strongest = (maps[naive.named] - (out.logits.softmax(1)[0, :, None, None] * maps).sum(0)).max()
    after = row["painted.density.after"] if strongest >= 1 else 1.0
    assert row["painted.density.drawn"] == pytest.approx(after)
    assert row["painted.density.drawn_above_twice"] == float(after > 2)


def test_margin_says_whether_a_map_is_specific(evaluation: Evaluation):
    """By another way than the specificity."""
    measured = [row for row in evaluation.faces.to_pylist() if row["margin.class_map"] is not None]
    assert len(measured) == 21
    for row in measured:
        assert (row["margin.class_map"] > 0) == row["specificity.class_map"]


def test_figures_are_means_of_the_rows(evaluation: Evaluation):
    rows = evaluation.faces.to_pylist()
    counted = {
        key for key, its in MEASURES.items() if its.is_counted or its.is_auroc or its.by_unit or its.pooled
    }
    for key, variants in evaluation.estimates.items():
        for variant, estimate in variants.items():
            if variant == "ratio" or key in counted:
                continue
            found: dict[str, list[float]] = {}
            for row in rows:
                if row[f"{key}.{variant}"] is not None:
                    found.setdefault(row["label"], []).append(row[f"{key}.{variant}"])
            macro = float(np.mean([np.mean(values) for values in found.values()]))
            assert estimate.value == pytest.approx(macro)
            assert estimate.interval is not None
            assert estimate.interval[0] - 1e-9 <= macro <= estimate.interval[1] + 1e-9


def test_gain_is_the_difference_from_a_random_order(evaluation: Evaluation):
    row = row_of(evaluation)
    for key, sign in (("deletion.mean", -1), ("insertion.blur", 1)):
        gain = sign * (row[f"{key}.class_map"] - row[f"{key}.chance"])
        assert row[f"{key}.gain"] == pytest.approx(gain, abs=1e-6)


def test_faces_that_are_not_looked_at_closely_have_empty_columns(evaluation: Evaluation):
    # 26 faces labelled in turn, the first four of each expression; two, evenly spread, are measured.
    rows = evaluation.faces.to_pylist()
    measured = [i for i, row in enumerate(rows) if row["deletion.mean.class_map"] is not None]
    assert measured == [*range(1, 7), 18, 19, 20, 22, 23, 24]
    assert any("measured on 12 faces" in note for note in evaluation.notes)
    assert sum(evaluation.estimate("deletion.mean").faces.values()) == 12
    assert sum(evaluation.estimate("energy").faces.values()) == 21


def test_neither_batches_nor_processes_matter(
    evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet
):
    """What two processes see of their own batches, put together, equals what one sees of all."""
    model = Model.load(models["guided"])
    dataset = faces.dataset("test", transform=eval_transform(SIDE))
    split = Split(dataset, torch.from_numpy(dataset.labels).long(), 1.0)
    draw, rows = AUCue("facs", EXPRESSIONS), torch.tensor([1, 2, 3, 8])
    closely = dataset.subset(rows.numpy())

    def seen(batches: list[list[int]], batch_size: int) -> Seen:
        observer = Observer(model, draw, split, batch_size, frozenset(), torch.device("cpu"))
        for batch in batches:
            observer.look_closer(default_collate([closely[i] for i in batch]), rows[batch])
        return observer.closer

    alone = seen([[0, 1, 2, 3]], batch_size=64)
    shared = Seen.merged([seen([[2]], batch_size=5), seen([[3, 1], [0]], batch_size=64)])
    assert list(shared.values) == list(alone.values)
    for figure, values in alone.figures().items():
        torch.testing.assert_close(shared.figures()[figure], values, atol=1e-4, rtol=0, equal_nan=True)


def test_round_trip_and_columns(evaluation: Evaluation, tmp_path: Path):
    folder = write_evaluation(evaluation, tmp_path / "out").parent
    assert Evaluation.load(folder / "evaluation.json") == evaluation
    header = (folder / "per_image.csv").read_text().splitlines()[0]
    assert "deletion.mean.class_map" in header
    assert "occlusion.mean.ratio" in (folder / "per_expression.csv").read_text().splitlines()[0]


def test_every_measure_is_a_row_of_the_registry(evaluation: Evaluation):
    without_intensities = [key for key in MEASURES if key != "units.auc"]
    assert list(evaluation.estimates) == without_intensities
    for measure in evaluation.measured:
        assert evaluation.headline(measure.key) in evaluation.estimates[measure.key]
        assert {*measure.controls} <= {*evaluation.estimates[measure.key]}


def test_report(evaluation: Evaluation, tmp_path: Path):
    page = Page(write_report(evaluation, tmp_path / "report.html"))
    assert_self_contained(page)
    cards = [card_of(evaluation, m) for m in evaluation.measured if m.key not in ("macro_f1", "control")]
    assert len(cards) > 15
    for card in cards:
        assert bool(card.interval) != card.measure.pooled
        for words in (card.title, card.measure.words, card.measure.against, f"{card.figure} {card.interval}"):
            assert words in page.text


def test_reports_without_evidence_do_not_speak_of_it(tmp_path: Path):
    plain = make_evaluation(["happiness", "fear"], ["happiness", "fear"], [0.5, 0.7])
    assert further_measures({"plain": plain}) == ()
    assert "Deletion" not in Page(write_report(plain, tmp_path / "report.html")).text


def test_comparison(evaluation: Evaluation, models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    page = Page(write_comparison({"one": evaluation, "two": evaluation}, tmp_path / "comparison.html"))
    assert_self_contained(page)
    for measure in evaluation.measured:
        assert measure.against in page.text
        figure = estimate_text(evaluation.estimate(measure.key), measure)
        assert measure.key == "control" or " ".join(figure.replace("[", " [").split()) in page.text


def test_models_that_lack_a_measure_are_compared_by_the_others(evaluation: Evaluation):
    """As files of another version of this package might."""
    without = {key: its for key, its in evaluation.estimates.items() if key != "energy"}
    members = {"new": evaluation, "old": replace(evaluation, estimates=without)}
    titles = [line.label for line in further_table(members, "").lines if line.kind == "row"]
    alone = [line.label for line in further_table({"new": evaluation}, "").lines if line.kind == "row"]
    assert "Energy inside" in alone
    assert titles == [title for title in alone if title != "Energy inside"]


def test_no_face_to_measure(models: dict[str, Path], tmp_path: Path):
    prepare(NoiseSource(1), tmp_path / "neutral", detector="none", size=SIDE, workers=1, progress=False)
    with pytest.raises(InputError, match="no evidence to measure"):
        evaluate(
            models["guided"],
            tmp_path / "neutral",
            EvaluationSettings(workers=0, evidence=True),
            progress=False,
        )


def test_chosen_faces_by_hand():
    labels = np.array([0, 1, 1, 1, 1, 1, 2, 2, 0])
    valid = np.array([True, True, True, False, True, True, True, False, True])
    assert chosen_faces(labels, valid, [1, 2], 3).tolist() == [1, 4, 5, 6]
    assert chosen_faces(labels, valid, [1, 2], 9).tolist() == [1, 2, 4, 5, 6]
    assert chosen_faces(labels, valid, [3], 9).tolist() == []
    with pytest.raises(InputError, match="at least one face"):
        EvaluationSettings(evidence_faces=0)


def test_map_of_another_face_by_hand():
    """Each against the one before it, the first against the last."""
    seen = Seen()
    maps = torch.tensor([[[[1.0, 0]]], [[[0.0, 1]]], [[[1.0, 1]]]])
    cues = torch.tensor([[[[1.0, 0]]], [[[0.0, 0]]], [[[1.0, 1]]]])
    seen.keep(map=maps, valid=torch.ones(3, dtype=torch.bool), named=torch.tensor([1, 0, 1]), cue=cues)
    compare_with_other_faces(seen)
    found = seen.figures()["stability", "another_face"].tolist()
    assert found == pytest.approx([0.5**0.5, 0, 0.5**0.5])
    # The third face is called as the first; the second has no action units, nor one before it.
    for variant in ("class_map", "cue"):
        alike = seen.figures()["template.cosine", variant]
        assert alike.isnan().tolist() == [True, True, False]
        assert alike[2].item() == pytest.approx(0.5**0.5)
