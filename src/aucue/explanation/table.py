"""What a log of explanations says, as a table: one row per face."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from aucue.work.files import appearing, cell, printable

TABLE_FILE = "explanations.csv"

_HEAD = ("photo", "face", "faces", "expression", "probability", "votes")
_BOX = ("left", "top", "right", "bottom")
_MEASURES = (
    "found",
    "presence",
    "roll",
    "yaw",
    "pitch",
    "doubt",
    "attention_cosine",
    "class_map_cosine",
    "uniform_cosine",
    "class_map_share",
    "class_map_ratio",
    "most_of_it_on",
    "dearest",
    "dearest_loss",
    "dearest_control",
    "runner_up",
    "tips_to_runner_up",
    "picture",
)


def write_table(path: Path, records: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Write the table anew.

    Args:
        path: The CSV file.
        records: Lines of a log; those of photographs without a face are left out.
        classes: Names of the model's classes; each has a column.
    """
    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        write_head(file, classes)
        write_rows(file, records, classes)


def write_head(file: IO[str], classes: Sequence[str]) -> None:
    """Write the names of the columns."""
    csv.writer(file).writerow(map(_written, columns_of(classes)))


def write_rows(file: IO[str], records: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Write a row for each face; see `write_table`."""
    rows = (row_of(record, classes) for record in records if record["faces"])
    csv.writer(file).writerows(map(_written, row) for row in rows)


def columns_of(classes: Sequence[str]) -> list[str]:
    """Names of the columns."""
    return [*_HEAD, *classes, *_BOX, *_MEASURES]


def row_of(record: Mapping[str, Any], classes: Sequence[str]) -> list[Any]:
    """The row of a face: a value for each of `columns_of`."""
    probabilities, face, together = record["probabilities"], record["face"], record["together"]
    head = (record["photo"], record["number"], record["faces"], record["expression"])
    expected = record.get("votes", {}).get(record["expression"])
    row = [*head, probabilities[record["expression"]], expected]
    row += [probabilities.get(name) for name in classes]
    class_map = together["class_map"] if together else {}
    most = max(record["unit_evidence"], key=lambda unit: unit["class_map"]["share"], default=None)
    row += [
        *face["box"],
        face["how"],
        face.get("presence"),
        *((face.get("pose") or {}).get(angle) for angle in ("roll", "yaw", "pitch")),
        face.get("doubt"),
        record["attention_cosines"].get(record["layer"]),
        record["class_map_cosine"],
        record["uniform_cosine"],
        class_map.get("share"),
        class_map.get("ratio"),
        f"AU{most['number']}" if most else None,
        *_hidden(record.get("if_hidden")),
        record["picture"],
    ]
    return row


def _hidden(found: Mapping[str, Any] | None) -> list[Any]:
    """The units whose hiding costs most and what that costs; the runner-up, and what tips to it."""
    if not found:
        return [None] * 5
    regions = [*found["expected"], *([found["other"]] if found["other"] else [])]
    dearest = next((region for region in regions if region["units"] == found["dearest"]), None)
    costs = (dearest["loss"]["points"], dearest["control"]["points"]) if dearest else (None, None)
    return [_units(found["dearest"]), *costs, found["rival"], _units(found["tipping"])]


def _units(numbers: Sequence[int] | None) -> str | None:
    return " ".join(f"AU{number}" for number in numbers) if numbers else None


def _written(value: object) -> object:
    if isinstance(value, str):
        return cell(printable(value))
    return round(value, 5) if isinstance(value, float) else value
