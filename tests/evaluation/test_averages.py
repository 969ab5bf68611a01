"""Average maps: sums over batches against loops over faces."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aucue.data import PreparedSet
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate, write_comparison, write_evaluation
from aucue.evaluation.averages import CLASS_MAP, CUE, FACE, MapSums, averages_of, sums_of
from aucue.metrics import attention_at, map_cosine

LABELS = torch.tensor([0, 1, 0, 1, 0])


def test_means_and_spread_by_hand():
    """Class 0: directions (1, 0), (0, 1), (1, 0), mean cosine 1/3. Class 1: alike. Class 2: nobody."""
    maps = torch.tensor([[3.0, 0], [2, 2], [0, 1], [1, 1], [1, 0]])[:, None, None]
    drawn = torch.tensor([True, True, False, True, False])
    parts = (slice(2), slice(2, 5))
    sums, more = (MapSums.of(maps[part], LABELS[part], 3, drawn[part]) for part in parts)
    sums += more
    expected = torch.tensor([[4 / 3, 1 / 3], [1.5, 1.5], [0, 0]]).double()
    torch.testing.assert_close(sums.means()[:, 0, 0], expected)
    torch.testing.assert_close(sums.of_drawn[:, 0, 0], torch.tensor([[3.0, 0], [3, 3], [0, 0]]).double())
    torch.testing.assert_close(sums.spread()[:2], torch.tensor([2 / 3, 0.0]).double())
    assert sums.spread()[2].isnan()


def test_maps_that_show_nothing_are_like_no_other():
    nobody = torch.zeros(3, dtype=torch.bool)
    sums = MapSums.of(torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.long), 1, nobody)
    assert sums.spread().item() == 1


def test_averages_against_a_loop():
    size, valid = (8, 8), torch.tensor([True, False, True, False, True])
    maps = {FACE: torch.rand(5, 3, *size), CUE: torch.rand(5, 1, *size), "layer1": torch.randn(5, 1, 4, 4)}
    maps[CLASS_MAP] = torch.rand(5, 1, 4, 4)
    averages = averages_of(sums_of(maps, LABELS, valid, 3), ("a", "b", "c"), size)
    assert list(averages) == ["a", "b"]
    assert list(averages["a"]) == [FACE, CUE, "layer1", CLASS_MAP]
    assert list(averages["b"]) == [FACE, "layer1", CLASS_MAP]  # no face of it has an action-unit map
    assert averages["b"]["layer1"].cosine is None
    assert averages["a"][FACE].map.shape == (8, 8, 3)
    scaled = []
    for row in (0, 2, 4):
        own = maps["layer1"][row, 0]
        scaled.append((own - own.min()) / (own.max() - own.min()))
    mean = torch.stack(scaled).mean(0)
    found = averages["a"]["layer1"]
    np.testing.assert_allclose(found.map, mean.numpy(), atol=1e-6)
    cosines = [
        torch.cosine_similarity(a.flatten(), b.flatten(), dim=0).item()
        for i, a in enumerate(scaled)
        for b in scaled[:i]
    ]
    assert found.spread == pytest.approx(1 - np.mean(cosines), abs=1e-6)
    cue = maps[CUE][[0, 2, 4]].mean(0, keepdim=True)
    cosine = map_cosine(attention_at(mean[None, None], size), cue).item()
    assert found.cosine == pytest.approx(cosine, abs=1e-6)
    assert (found.faces, averages["a"][CUE].cosine) == (3, None)


def test_faces_without_an_action_unit_map_do_not_count_where_maps_are_compared():
    maps = {FACE: torch.rand(2, 3, 8, 8), CUE: torch.rand(2, 1, 8, 8), CLASS_MAP: torch.rand(2, 1, 4, 4)}
    same = torch.zeros(2, dtype=torch.long)
    sums = sums_of(maps, same, torch.tensor([True, False]), 1)
    alone = sums_of({name: its[:1] for name, its in maps.items()}, same[:1], torch.tensor([True]), 1)
    both, one = (averages_of(its, ("a",), (8, 8))["a"][CLASS_MAP] for its in (sums, alone))
    assert (both.faces, one.faces) == (2, 1)
    assert both.cosine == pytest.approx(one.cosine)
    np.testing.assert_allclose(both.map, maps[CLASS_MAP].mean(0)[0].numpy(), atol=1e-6)


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Path], faces: PreparedSet) -> Evaluation:
    return evaluate(models["guided"], faces, EvaluationSettings(workers=0, batch_size=7), progress=False)


def test_an_evaluation_has_them(evaluation: Evaluation, tmp_path: Path):
    write_evaluation(evaluation, tmp_path)
    with (tmp_path / "average_maps.csv").open(encoding="utf-8") as file:
        rows = {(row["expression"], row["map"]): row for row in csv.DictReader(file)}
    assert rows["neutral", "layer3"]["cosine"] == ""
    assert 0 < float(rows["happiness", "layer3"]["cosine"]) <= 1
    assert rows["happiness", "class_map"]["faces"] == str(evaluation.classification.support["happiness"])
    with np.load(tmp_path / "average_maps.npz") as arrays:
        assert arrays["happiness.cue"].shape == (64, 64)
        assert arrays["happiness.layer3"].shape == evaluation.averages["happiness"]["layer3"].map.shape
        assert not [name for name in arrays if name.endswith(FACE)]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("Where the network looks on average") == 1
    value = evaluation.averages["happiness"]["layer3"].cosine
    assert f'attention, layer3<br><span class="soft">cosine {value:.2f}' in page


def test_a_comparison_shows_them_side_by_side(evaluation: Evaluation, tmp_path: Path):
    twin = replace(evaluation, model=evaluation.model | {"name": "twin"})
    page = write_comparison({"one": evaluation, "twin": twin}, tmp_path / "c.html").read_text(
        encoding="utf-8"
    )
    assert page.count("Where each network looks on average") == 1
    shown = len(evaluation.averages) * (len(evaluation.averages["happiness"]) - 2)
    assert page.count(', average"') == 2 * shown + len(evaluation.expressions)
    bare = replace(evaluation, averages={}, examples=[])
    page = write_comparison({"one": bare, "twin": bare}, tmp_path / "d.html").read_text(encoding="utf-8")
    assert "on average" not in page
