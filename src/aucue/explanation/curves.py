"""A video's table -> how probable each expression was over time, per track, and the moments to look at."""

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from aucue.pages import line_chart

DIGITS = 5
"""Digits after the point of the probabilities in a table."""

_POINTS = 240  # of a curve: more than its pixels are of no use
_CURVES, _LEAST = 5, 0.2  # expressions that are drawn: those that were most probable at some time


class Moment(NamedTuple):
    """When an expression of a track was most probable.

    Attributes:
        time: In seconds.
        expression: Which.
        probability: How probable.
        picture: Name of the face's picture, see `moment_name`; empty if there is none.
    """

    time: float
    expression: str
    probability: float
    picture: str = ""


class TrackCurves(NamedTuple):
    """A track over time.

    Attributes:
        track: Its number.
        chart: Its curves, as HTML.
        moments: Where each of its expressions was most probable, by time.
    """

    track: int
    chart: Markup
    moments: tuple[Moment, ...]


def moment_name(track: int, expression: int) -> str:
    """File name of the face at which a track's expression was most probable.

    Args:
        track: Its number.
        expression: Number of the class; its name may be anything.
    """
    return f"{track}_{expression}.jpg"


def curves_of(table: Path, moments: Path | None = None, most: int = 12) -> list[TrackCurves]:
    """The curves of a video's tracks.

    Args:
        table: Its CSV file; nothing comes of one that is not there or damaged.
        moments: Folder of the faces' pictures.
        most: Tracks that are drawn, those with most faces.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            names = _classes(reader.fieldnames or ())
            tracks: dict[int, list[tuple[float, list[float]]]] = {}
            for row in reader:
                values = [float(row[name]) for name in names]
                tracks.setdefault(int(row["track"]), []).append((float(row["time"]), values))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    pictures = {path.name for path in moments.glob("*.jpg")} if moments else set[str]()
    return draw_curves(tracks, names, pictures, most)


def draw_curves(
    tracks: Mapping[int, Sequence[tuple[float, list[float]]]],
    names: Sequence[str],
    pictures: Collection[str],
    most: int = 12,
) -> list[TrackCurves]:
    """The curves of tracks.

    Args:
        tracks: Of each, when its face was seen, in seconds, and its probabilities.
        names: Whose probabilities these are.
        pictures: Names of the faces' pictures that there are, see `moment_name`.
        most: Tracks that are drawn, those with most faces.
    """
    largest = sorted(sorted(tracks, key=lambda track: -len(tracks[track]))[:most])
    return [_curves(track, tracks[track], names, pictures) for track in largest]


def _classes(columns: Sequence[str]) -> list[str]:
    """The columns between the expression and the box."""
    return list(columns[columns.index("expression") + 1 : columns.index("left")])


def _curves(
    track: int, rows: Sequence[tuple[float, list[float]]], names: Sequence[str], pictures: Collection[str]
) -> TrackCurves:
    highest = {name: max(values[k] for _, values in rows) for k, name in enumerate(names)}
    drawn = sorted(names, key=lambda name: -highest[name])[:_CURVES]
    drawn = [name for name in drawn if highest[name] >= _LEAST] or drawn[:1]
    step = math.ceil(len(rows) / _POINTS)
    kept = [*rows[::step], *([rows[-1]] if (len(rows) - 1) % step else [])]
    series: Mapping[str, list[tuple[float, float]]] = {
        name: [(time, values[names.index(name)]) for time, values in kept] for name in drawn
    }
    chart = line_chart(series, f"Probabilities of track {track}", "seconds", (0.0, 1.0))
    named = {name: moment_name(track, k) for k, name in enumerate(names)}
    known = {name: file for name, file in named.items() if file in pictures}
    moments = (each._replace(picture=known.get(each.expression, "")) for each in _moments(rows, names))
    return TrackCurves(track, chart, tuple(moments))


def _moments(rows: Sequence[tuple[float, list[float]]], names: Sequence[str]) -> list[Moment]:
    """The most probable moment of each expression that was ever the answer, by time."""
    best: dict[str, Moment] = {}
    for time, values in rows:
        probability = max(values)
        name = names[values.index(probability)]
        if name not in best or probability > best[name].probability:
            best[name] = Moment(time, name, probability)
    return sorted(best.values())
