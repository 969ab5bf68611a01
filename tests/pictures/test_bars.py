"""Bars are as long as what they stand for."""

import numpy as np
import pytest

from aucue import pictures
from aucue.errors import InputError


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


@pytest.mark.parametrize(
    "name", ["disgustedly surprised", "a mixture of happiness and surprise, posed", "m" * 200]
)
def test_long_names_leave_room_for_bars_and_figures(name: str):
    theme = pictures.THEMES["light"]
    bars = np.asarray(pictures.probability_bars({name: 0.5, "fear": 0.5}, (90, 336)))
    row = bars[22]  # through the middle of a bar
    filled, track = (np.flatnonzero((row == color).all(-1)) for color in (theme.accent, theme.track))
    assert len(filled) == pytest.approx(len(track), abs=2)
    assert len(filled) + len(track) > 60
    gaps = (bars[:45] == theme.background).all(-1).all(0)  # columns in which nothing is drawn
    assert gaps[filled[0] - 6 : filled[0] - 1].all()
    assert gaps[track[-1] + 2 : track[-1] + 7].all()


def test_no_bar_reaches_the_widest_figure():
    theme = pictures.THEMES["light"]
    bars = np.asarray(pictures.probability_bars({"happiness": 0.99999, "fear": 0.00001}, (120, 300)))
    end = np.flatnonzero((bars[30] == theme.accent).all(-1))[-1]
    ink = np.flatnonzero((bars[:60, end + 1 :] != theme.background).any(-1).any(0))
    assert ink[0] >= 4  # of ">99.9 %"


def test_losses_go_right_gains_left_and_controls_are_ticks():
    theme = pictures.THEMES["light"]
    losses, controls = np.array([0.4, -0.1, 0.05]), np.array([0.1, np.nan, 0.2])
    marks = [True, False, False]
    bars = np.asarray(
        pictures.loss_bars(["a", "b", "c"], ["30 %"] * 3, losses, controls, (240, 500), marked=marks)
    )
    rows = [bars[int((i + 0.6) * 80)] for i in range(3)]
    colors = (theme.accent, theme.bar, theme.bar)
    lengths = [(row == color).all(-1).sum() for row, color in zip(rows, colors, strict=True)]
    assert lengths == [pytest.approx(1000 * abs(loss), abs=8) for loss in losses]  # of 500
    first = [np.flatnonzero((row == color).all(-1))[0] for row, color in zip(rows, colors, strict=True)]
    assert first == [pytest.approx(x, abs=4) for x in (100, 0, 100)]
    ticks = [np.flatnonzero((row == theme.text).all(-1)) for row in rows]
    assert [len(tick) > 0 for tick in ticks] == [True, False, True]
    assert (ticks[0].mean(), ticks[2].mean()) == (pytest.approx(200, abs=3), pytest.approx(300, abs=3))
    with pytest.raises(InputError, match="3 names, 1 figures, 3 losses and 3 controls"):
        pictures.loss_bars(["a", "b", "c"], ["30 %"], losses, controls, (240, 500), marked=marks)
