"""Lines of `explanations.jsonl` and `videos.jsonl`: read as what anybody may have written."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aucue.errors import InputError
from aucue.work.files import inside

LOG_FILE = "explanations.jsonl"
VIDEO_LOG = "videos.jsonl"
VIDEO_FILES = ("annotated", "lines", "table", "poster")

Record = dict[str, Any]

_LEVEL = {"roll": 0.0, "yaw": 0.0, "pitch": 0.0}


def read_records(path: Path, files: Callable[[Record], list[Any]]) -> Iterator[tuple[Record, bytes]]:
    """Each line, parsed and as it is; without a last one that is unfinished.

    Args:
        path: The log; need not exist.
        files: Checks a record and gives the names of its files.

    Raises:
        InputError: A line is none of ours, or names a file outside of the folder.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            where = f"{path}, line {number}"
            try:
                record = json.loads(line.decode("utf-8"))
                if "method" in record:  # what the read-out was called before
                    record.setdefault("readout", record.pop("method"))
                names = files(record)
            except (
                ValueError,
                LookupError,
                TypeError,
                AttributeError,
                RecursionError,
                OverflowError,
            ) as error:
                raise InputError(
                    f"{where}: no line that aucue explain wrote; remove it, or choose another folder."
                ) from error
            for name in names:
                inside(path.parent, name, where)
            yield record, line


def face_files(record: Record) -> list[Any]:
    """Names of the files that a line of `explanations.jsonl` speaks of.

    Raises:
        ValueError: A value is not of its kind (or LookupError, TypeError: there is none).
    """
    _texts(record, "photo")
    count, number = record["faces"], record["number"]
    _need(_is_count(count) and _is_count(number) and number <= count)
    names = [record["picture"], record.get("thumbnail"), record["overview"], *record.get("map_files", ())]
    _need(count == 0 or bool(record["picture"] and record["thumbnail"]))
    if count:
        _check_face(record)
    return [name for name in names if name is not None]


def video_files(record: Record) -> list[Any]:
    """Names of the files that a line of `videos.jsonl` speaks of; see `face_files`."""
    _texts(record, "video")
    _numbers(record, "seconds")
    _need(_is_count(record["frames"]) and _is_count(record["faces"]) and isinstance(record["tracks"], list))
    for track in record["tracks"]:
        _texts(track, "expression")
        _numbers(track, "track", "first", "last", "faces", "share")
    _need(isinstance(record.get("missing", ""), str))
    names = [record[name] for name in VIDEO_FILES]
    names += [record["moments"]] if "moments" in record else []
    return names if record["maps"] in (None, "none", "npz", "png") else [*names, record["maps"]]


def _check_face(record: Record) -> None:
    """What the table and the page show of a face."""
    _texts(record, "expression", "layer", "sentence")
    _numbers(record["probabilities"], record["expression"], *record["probabilities"])
    if "votes" in record:  # lines of before have none
        _numbers(record["votes"], *record["probabilities"])
        _need(isinstance(record["calibrated"], bool))
    _numbers(record["attention_cosines"], *record["attention_cosines"])
    _numbers(record, *(name for name in ("class_map_cosine", "uniform_cosine") if record[name] is not None))
    if record["together"] is not None:
        _numbers(record["together"]["class_map"], "share", "ratio")
    if record.get("if_hidden") is not None:
        _check_hidden(record["if_hidden"])
    _need(isinstance(record["unit_evidence"], list))
    for unit in record["unit_evidence"]:
        _numbers(unit, "number")
        _numbers(unit["class_map"], "share")
    face = record["face"]
    _texts(face, "how")
    _need(isinstance(face.get("doubt", ""), str))  # lines of before have none
    _numbers(face, *(name for name in ("presence",) if face.get(name) is not None))
    _numbers(face.get("pose") or _LEVEL, *_LEVEL)
    box = face["box"]
    _need(isinstance(box, list) and len(box) == 4)
    _numbers(dict(enumerate(box)), *range(4))


def _check_hidden(found: Any) -> None:
    """What the table shows of hidden regions."""
    _texts(found, "rival")
    _need(isinstance(found["expected"], list))
    for region in [*found["expected"], *([found["other"]] if found["other"] is not None else [])]:
        _numbers(dict(enumerate(region["units"])), *range(len(region["units"])))
        for loss in (region["loss"], region["control"]):
            _need(loss is None or isinstance(loss, dict))
        _numbers(region["loss"], "points")
        if region["control"] is not None:
            _numbers(region["control"], "points")
    for units in (found["dearest"], found["tipping"]):
        _need(units is None or (isinstance(units, list) and all(_is_count(unit) for unit in units)))


def _texts(values: Mapping[str, Any], *names: str) -> None:
    _need(isinstance(values, dict) and all(isinstance(values[name], str) for name in names))


def _numbers(values: Mapping[Any, Any], *names: Any) -> None:
    _need(isinstance(values, dict))
    for name in names:
        value = values[name]
        _need(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _need(true: bool) -> None:
    if not true:
        raise ValueError
