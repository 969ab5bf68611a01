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
