"""The figure of a grid: what is drawn is what the evaluations say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from tests.benchmark.handmade import TABLE, put
from tests.evaluation.handmade import make_evaluation

from aucue.benchmark import BenchmarkResults, Grid, collect
from aucue.benchmark.figure import draw, inline_svg, write_figure
from aucue.errors import InputError

LABELS = ["happiness", "fear", "neutral", "fear"]
WEIGHTS = (0.0, 0.1, 1.0, 10.0)


def results(out: Path, weights: tuple[float, ...] = WEIGHTS, **table: Any) -> BenchmarkResults:
    """CAM-COS of seed 0 is .2, .3, ... by ascending lambda, of seed 1 it is .1 more; CL is 75 %."""
    names = {f"lambda {weight:g}": {"guidance.weight": weight} for weight in weights}
    published = [{"guidance": "lambda 1", "CAM-COS": 0.67, "CL": 0.8844}]
    figure = {"axes": {"guidance": names}, "baseline": {}, "figure": {"x": "guidance.weight"}}
    grid = Grid.from_dict({**TABLE, **figure, "published": published, **table})
    for number, row in enumerate(grid.rows):
        for seed in grid.seeds:
            values = [0.2 + 0.1 * number + 0.1 * seed] * 4
            put(grid, out, row.label, seed, make_evaluation(LABELS, [*LABELS[:3], "happiness"], values))
    return collect(grid, out)


def panels(drawn: BenchmarkResults) -> dict[str, Axes]:
    figure = draw(drawn)
    assert figure is not None
    return {panel.get_title(): panel for panel in figure.axes}


def lines_of(panel: Axes) -> dict[str, Line2D]:
    """Drawn lines by the name that the legend gives them."""
    handles, names = panel.get_legend_handles_labels()
    lines = {name: getattr(handle, "lines", [handle])[0] for name, handle in zip(names, handles, strict=True)}
    assert all(isinstance(line, Line2D) for line in lines.values())
    return lines


def drawn_points(line: Line2D) -> list[list[float]]:
    """Points (x, y) of a line."""
    return np.asarray(line.get_xydata(), dtype=float).tolist()


def test_points_are_means_over_seeds(tmp_path: Path) -> None:
    found = panels(results(tmp_path))
    assert list(found) == ["ATT-COS", "CAM-COS", "CL"]
    ours = {measure: drawn_points(lines_of(panel)["ours"]) for measure, panel in found.items()}
    np.testing.assert_allclose(ours["CAM-COS"], [(0.1, 0.35), (1, 0.45), (10, 0.55)])
    np.testing.assert_allclose(ours["CL"], [(0.1, 75), (1, 75), (10, 75)])


def test_bars_are_standard_deviations(tmp_path: Path) -> None:
    (bars,) = panels(results(tmp_path))["CAM-COS"].containers
    assert isinstance(bars, ErrorbarContainer)
    segments = bars.lines[2][0].get_segments()
    lengths = [segment[1, 1] - segment[0, 1] for segment in segments]
    np.testing.assert_allclose(lengths, 2 * np.std([0, 0.1], ddof=1))


def test_a_wide_range_has_a_logarithmic_axis_and_lambda_0_a_dashed_line(tmp_path: Path) -> None:
    panel = panels(results(tmp_path))["CAM-COS"]
    assert panel.get_xscale() == "log"
    dashed = lines_of(panel)["ours, lambda 0"]
    assert dashed.get_linestyle() == "--"
    assert [y for _, y in drawn_points(dashed)] == pytest.approx([0.25, 0.25])


def test_a_narrow_range_has_a_plain_axis_with_0_on_it(tmp_path: Path) -> None:
    panel = panels(results(tmp_path, (0.0, 1.0, 20.0)))["CAM-COS"]
    assert panel.get_xscale() == "linear"
    assert set(lines_of(panel)) == {"ours", "paper"}
    assert [x for x, _ in drawn_points(lines_of(panel)["ours"])] == [0, 1, 20]


def test_published_points(tmp_path: Path) -> None:
    found = panels(results(tmp_path))
    assert [list(lines_of(panel)) for panel in found.values()].count(["ours, lambda 0", "paper", "ours"]) == 2
    np.testing.assert_allclose(drawn_points(lines_of(found["CL"])["paper"]), [(1, 88.44)])
    assert "paper" not in lines_of(found["ATT-COS"])
    figure = draw(results(tmp_path))
    assert figure is not None
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["ours", "ours, lambda 0", "paper"]  # each once, though one panel lacks the paper


def test_rows_of_other_axes_are_series_of_their_own(tmp_path: Path) -> None:
    axes = {
        "method": {"CAM": {}, "WILDCAT": {"classifier.method": "wildcat"}},
        "guidance": {"low": {"guidance.weight": 1}, "high": {"guidance.weight": 2}},
    }
    both = panels(results(tmp_path, axes=axes, published=[]))["CAM-COS"]
    assert set(lines_of(both)) == {"CAM", "WILDCAT"}
    np.testing.assert_allclose(drawn_points(lines_of(both)["WILDCAT"]), [(1, 0.45), (2, 0.55)])
    chosen = {"x": "guidance.weight", "over": {"method": "WILDCAT"}}
    one = panels(results(tmp_path, axes=axes, published=[], figure=chosen))["CAM-COS"]
    np.testing.assert_allclose(drawn_points(lines_of(one)["ours"]), [(1, 0.45), (2, 0.55)])


def test_files_are_the_same_each_time_and_old_ones_are_removed(tmp_path: Path) -> None:
    drawn = results(tmp_path)
    paths = write_figure(drawn, tmp_path)
    assert [path.name for path in paths] == ["figure.png", "figure.svg"]
    before = [path.read_bytes() for path in paths]
    write_figure(drawn, tmp_path)
    assert [path.read_bytes() for path in paths] == before
    assert inline_svg(drawn) == inline_svg(drawn)
    assert write_figure(results(tmp_path, figure=None), tmp_path) == []
    assert not any(path.exists() for path in paths)


def test_an_element_of_a_page_names_no_other_place_and_escapes_names(tmp_path: Path) -> None:
    axes = {
        "method": {"<b>$A$ & $B$": {}, "WILDCAT": {"classifier.method": "wildcat"}},
        "guidance": {"low": {"guidance.weight": 1}, "high": {"guidance.weight": 2}},
    }
    element = inline_svg(results(tmp_path, axes=axes, published=[]))
    assert element is not None
    assert element.startswith("<svg")
    assert element.rstrip().endswith("</svg>")
    assert not any(forbidden in element for forbidden in ("http", "//", "url(", "<style", "#000000", "<b>"))
    assert "&lt;b&gt;$A$ &amp; $B$" in element


def test_a_setting_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"figure: data\.path of the row lambda 0 is no number but 'tiny-set'"
    ):
        draw(results(tmp_path, figure={"x": "data.path"}))


def test_no_evaluation_no_figure(tmp_path: Path) -> None:
    drawn = collect(results(tmp_path / "there").grid, tmp_path / "nothing")
    assert draw(drawn) is None
    assert inline_svg(drawn) is None
