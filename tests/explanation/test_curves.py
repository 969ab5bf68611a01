import csv
import re
from pathlib import Path

import pytest

from aucue.explanation.curves import Moment, curves_of

HEAD = ["time", "frame", "track", "expression", "neutral", "fear", "left", "top", "right", "bottom"]


def table(path: Path, rows: list[tuple[float, int, float, float]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows([t, 0, track, "", n, f, 0, 0, 1, 1] for t, track, n, f in rows)
    return path


def test_curves_and_moments_of_each_track(tmp_path: Path) -> None:
    rows = [(0.0, 1, 0.9, 0.1), (0.0, 2, 1.0, 0.0), (1.0, 1, 0.4, 0.6), (2.0, 1, 0.2, 0.8)]
    first, second = curves_of(table(tmp_path / "a.csv", rows))
    assert (first.track, second.track) == (1, 2)
    assert first.moments == (Moment(0.0, "neutral", 0.9), Moment(2.0, "fear", 0.8))
    drawn = re.findall(r'points="([^"]*)"', first.chart)
    assert [len(line.split()) for line in drawn] == [3, 3]
    assert 'data-from="0" data-to="2"' in first.chart
    assert re.findall(r"</i>(\w+)", second.chart) == ["neutral"]  # fear was never probable


def test_moments_name_their_pictures_where_there_are_some(tmp_path: Path) -> None:
    rows = [(0.0, 1, 0.9, 0.1), (2.0, 1, 0.2, 0.8)]
    (tmp_path / "moments").mkdir()
    (tmp_path / "moments" / "1_1.jpg").touch()  # fear, the second class
    (track,) = curves_of(table(tmp_path / "a.csv", rows), tmp_path / "moments")
    assert [moment.picture for moment in track.moments] == ["", "1_1.jpg"]


def test_long_films_are_thinned_to_their_end_and_few_tracks_are_drawn(tmp_path: Path) -> None:
    rows = [(k / 10, 1, 0.5, 0.5) for k in range(1000)] + [(0.0, track, 1.0, 0.0) for track in range(2, 20)]
    curves = curves_of(table(tmp_path / "a.csv", rows), most=3)
    assert [each.track for each in curves] == [1, 2, 3]
    points = re.findall(r'points="([^"]*)"', curves[0].chart)[0].split()
    assert len(points) <= 241
    assert points[-1].startswith("448.0,")


@pytest.mark.parametrize(
    "content", [None, "", "time,track\n0,1\n", ",".join(HEAD) + "\nx,0,1,,1,0,0,0,1,1\n"]
)
def test_a_damaged_table_has_no_curves(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    assert curves_of(path) == []
