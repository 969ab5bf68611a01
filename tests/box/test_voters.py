"""Panels of voters on faces whose votes are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aucue.facs import EXPRESSIONS
from box.voters import agreement, counts, halves, ten_more

CLEAR, SPLIT = [10, 0, 0, 0, 0, 0, 0], [0, 5, 5, 0, 0, 0, 0]


def test_votes_are_read_by_split(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    header = ",".join(["file", "label", "split", *(f"p {label}" for label in EXPRESSIONS)])
    path.write_text(f"{header}\na.png,neutral,val,9,1,0,0,0,0,0\nb.png,fear,train,0,0,0,9,0,0,0\n")
    assert counts(path, "val").tolist() == [[9, 1, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(("panel", "voters", "split"), [(ten_more, 10, 0.5), (halves, 5, 0.0)])
def test_voters_agree_on_what_is_clear_and_not_on_what_is_split(
    panel: Callable[..., tuple[np.ndarray, np.ndarray]], voters: int, split: float
) -> None:
    draw = np.random.default_rng(0)
    # of five and five, what one half says more often the other half does not
    for votes, expected in ((CLEAR, 1.0), (SPLIT, split)):
        both = panel(np.array([votes] * 2000), draw)
        assert (both[0].sum(1) == voters).all()
        assert agreement(*both, draw)["accuracy"] == pytest.approx(expected, abs=0.04)


def test_halves_have_every_voter_once() -> None:
    votes = np.array([CLEAR, SPLIT, [3, 2, 2, 1, 1, 0, 0]])
    one, other = halves(votes, np.random.default_rng(1))
    assert (one + other == votes).all()
    assert one.min() >= 0
    assert other.min() >= 0
